//! The rules of one row.

use chrono::{DateTime, TimeDelta, Utc};
use market::StockRow;
use serde::Serialize;

/// How much a broken rule matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Counted.
    Info,
    /// The row is stored and tagged.
    Warning,
    /// The row goes to quarantine.
    Critical,
}

/// One rule of the built-in pack. Its discriminant is its bit in [`RuleSet`] and in the store: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Rule {
    /// A bar column, the time or the symbol is null or missing.
    Complete = 0,
    /// `low ≤ open, close ≤ high`.
    Envelope = 1,
    /// Every price is above zero.
    PositivePrice = 2,
    /// Volume is not negative.
    VolumeNotNegative = 3,
    /// Volume is a whole number.
    VolumeIntegral = 4,
    /// The bar starts on a whole minute.
    WholeMinute = 5,
    /// The minute is inside a session of the exchange.
    SessionMinute = 6,
    /// The bar does not start in the future.
    NotInFuture = 7,
    /// The symbol has the form of a ticker.
    SymbolPattern = 8,
    /// A price fits the store (below 10^14) and has at most 10 decimal places.
    PriceRange = 9,
}

/// A set of rules as bits, as the store keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSet(pub i32);

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub rule: Rule,
    pub severity: Severity,
    /// The column, where one can be named.
    pub column: Option<&'static str>,
    /// What was found and what was expected, for people.
    pub message: String,
}

/// What the rules say of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Accepted,
    /// Stored, with the warnings and infos kept beside it.
    Tagged(Vec<Violation>),
    /// Not stored: at least one violation is critical.
    Rejected(Vec<Violation>),
}

/// What the rules compare against.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub now: DateTime<Utc>,
    /// How far ahead of `now` a bar may start, for clocks that differ.
    pub future_tolerance: TimeDelta,
}

/// The verdict of the built-in pack on one row.
pub fn check_row(row: &StockRow, limits: &Limits) -> Verdict {
    let _ = (row, limits);
    Verdict::Accepted
}
