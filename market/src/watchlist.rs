//! What `GET /api/v1/watchlist` answers: the newest figures of many symbols.

use crate::{Severity, Symbol};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// The most symbols of one list.
pub const MAX_WATCHED: usize = 500;
/// The most points of a day's course: it is drawn a few dozen pixels wide.
pub const COURSE_POINTS: usize = 40;

/// Rows of a list, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watchlist {
    /// Symbols that the filter lets through, of which `rows` may show only the first.
    pub total: i64,
    pub rows: Vec<WatchRow>,
}

/// One symbol on its newest exchange day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchRow {
    pub symbol: Symbol,
    /// Whether the prices are made up.
    pub simulated: bool,
    /// Start of the newest one-minute bar.
    pub time: DateTime<Utc>,
    /// Its close, and its volume in shares.
    #[serde(with = "rust_decimal::serde::float")]
    pub close: Decimal,
    pub bar_volume: i64,
    /// Close of the last bar of the exchange day before.
    #[serde(with = "rust_decimal::serde::float_option")]
    pub previous_close: Option<Decimal>,
    /// Shares traded on the day, and how many one-minute bars it has.
    pub volume: i64,
    pub bars: i64,
    /// Bars of the day that a rule tagged.
    pub tagged: i64,
    /// What the rules over several bars found since the day began and what still holds, and the worst severity of it.
    pub findings: i64,
    pub worst: Option<Severity>,
    /// Closes of the day, oldest first, thinned to [`COURSE_POINTS`]: each [`WatchRow::course_step`] bars after the one
    /// before, the last of them the newest bar's.
    pub closes: Vec<f64>,
    /// When the source made the newest change, and when this server committed it.
    pub event_time: DateTime<Utc>,
    pub committed_at: DateTime<Utc>,
}

impl WatchRow {
    /// Bars from one of `closes` to the next.
    pub fn course_step(bars: usize) -> usize {
        bars.div_ceil(COURSE_POINTS).max(1)
    }
}
