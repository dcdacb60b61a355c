//! What may be believed: rules with severities, and the verdict on a row.
//!
//! This crate knows no I/O and no clock: the time comes in with [`Limits`].

mod calendar;
mod check;
pub mod pack;
mod rule;
pub mod suite;

pub use check::check_row;
pub use market::Severity;
pub use rule::{Limits, RULE_VERSION, Rule, RuleSet, Verdict, Violation};
