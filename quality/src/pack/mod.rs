//! The part of the built-in pack that a single row cannot decide: rules over the bars of one symbol, over their arrival,
//! and over the clock.
//!
//! Every judgement of [`judge`] is a function of stored rows and nothing else: of the bar, of at most [`Pack::context`]
//! rows before it and of the row after a gap. There is no state to lose: who restarts reads the rows again and comes to the
//! same findings; a corrected bar is judged again together with the bars that look back at it. What only the clock decides
//! is in [`judge_silence`] and [`judge_freshness`], which are told the time.
//!
//! This module knows no database and no order of commits: [`PackRule::OutOfOrder`] is decided where the order is known.

mod catalogue;
mod clock;
mod gap;
mod judge;
mod robust;
mod rule;
mod settings;

pub use catalogue::{Documented, Scope, catalogue, markdown};
pub use clock::{judge_freshness, judge_silence};
pub use gap::{Missing, missing_between};
pub use judge::{PackRow, judge};
pub use rule::PackRule;
pub use settings::{Pack, PackSettings, RuleSettings, SettingsError};

use chrono::{DateTime, Utc};
use market::Severity;

/// What a rule found at one minute of one symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub rule: PackRule,
    pub severity: Severity,
    /// Start of the minute it is about.
    pub time: DateTime<Utc>,
    /// Short, for a table.
    pub observed: Option<String>,
    pub expected: Option<String>,
    /// A sentence for people.
    pub text: String,
}
