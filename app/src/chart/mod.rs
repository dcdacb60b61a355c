//! Charts: what they show is decided here by pure functions; `glue` hands it to the canvas in the browser.

pub mod caption;
pub mod drawing;
#[cfg(feature = "hydrate")]
pub mod glue;
pub mod look;
pub mod notes;
pub mod options;
pub mod palette;
pub mod plot;
mod room;
pub mod still;

use crate::query::Side;
use chrono::{DateTime, Utc};
use leptos::prelude::RwSignal;

/// Where the crosshair is: in one chart, and at the same time in the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointed {
    /// The chart that the pointer or the keyboard is in.
    pub side: Side,
    /// Start of the bar looked at.
    pub time: DateTime<Utc>,
}

/// One crosshair for all charts of a page.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crosshair(pub RwSignal<Option<Pointed>>);
