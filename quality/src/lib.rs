//! What may be believed: rules with severities, and the verdict on a row.
//!
//! This crate knows no I/O and no clock: the time comes in with [`Limits`].

mod rule;

pub use rule::{Limits, Rule, RuleSet, Severity, Verdict, Violation, check_row};
