//! The vocabulary of row rules: which exist, how much each matters, and what a verdict carries.

use chrono::{DateTime, TimeDelta, Utc};
use market::Severity;
use serde::Serialize;
use std::fmt;

/// Version of the built-in pack, kept beside every quarantined record: raise it with every change of what a rule
/// refuses, so that it can be told which records a newer pack might let through.
pub const RULE_VERSION: i32 = 1;

/// One rule of the built-in pack. Its discriminant is its bit in [`RuleSet`] and in the store: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
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

impl Rule {
    /// Every rule of the pack, by bit.
    pub const ALL: [Self; 10] = [
        Self::Complete,
        Self::Envelope,
        Self::PositivePrice,
        Self::VolumeNotNegative,
        Self::VolumeIntegral,
        Self::WholeMinute,
        Self::SessionMinute,
        Self::NotInFuture,
        Self::SymbolPattern,
        Self::PriceRange,
    ];

    /// The rule's name in the store, in JSON and on pages.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Envelope => "envelope",
            Self::PositivePrice => "positive_price",
            Self::VolumeNotNegative => "volume_not_negative",
            Self::VolumeIntegral => "volume_integral",
            Self::WholeMinute => "whole_minute",
            Self::SessionMinute => "session_minute",
            Self::NotInFuture => "not_in_future",
            Self::SymbolPattern => "symbol_pattern",
            Self::PriceRange => "price_range",
        }
    }

    /// The rule with that [`code`](Self::code).
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.code() == code)
    }

    /// What a row must be to pass, in one sentence.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Complete => "Time, open, high, low, close, volume and symbol are all present.",
            Self::Envelope => "Open and close lie between low and high.",
            Self::PositivePrice => "Every price is above zero.",
            Self::VolumeNotNegative => "Volume is zero or more.",
            Self::VolumeIntegral => "Volume is a whole number of shares.",
            Self::WholeMinute => "The bar starts on a whole minute.",
            Self::SessionMinute => "The bar starts inside a regular session of the exchange.",
            Self::NotInFuture => "The bar does not start later than now, give or take the tolerance for clocks.",
            Self::SymbolPattern => "The symbol is 1 to 15 characters: A-Z first, then A-Z, 0-9, full stop or hyphen.",
            Self::PriceRange => "Every price is below 10^14 and has at most 10 decimal places.",
        }
    }

    /// How much it matters when the rule is broken, at most: [`Rule::SessionMinute`] is only an
    /// [`Info`](Severity::Info) in pre- and post-market hours.
    pub const fn severity(self) -> Severity {
        match self {
            Self::Complete
            | Self::Envelope
            | Self::PositivePrice
            | Self::VolumeNotNegative
            | Self::NotInFuture
            | Self::SymbolPattern
            | Self::PriceRange => Severity::Critical,
            Self::VolumeIntegral | Self::WholeMinute | Self::SessionMinute => Severity::Warning,
        }
    }

    const fn bit(self) -> i32 {
        1 << self as u8
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// A set of rules as bits, as the store keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSet(pub i32);

impl RuleSet {
    pub const fn insert(&mut self, rule: Rule) {
        self.0 |= rule.bit();
    }

    pub const fn contains(self, rule: Rule) -> bool {
        self.0 & rule.bit() != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rules in it, by bit. Bits of rules this version does not know are passed over.
    pub fn iter(self) -> impl Iterator<Item = Rule> {
        Rule::ALL.into_iter().filter(move |&rule| self.contains(rule))
    }

    /// The codes of the rules in it, by bit.
    pub fn codes(self) -> Vec<&'static str> {
        self.iter().map(Rule::code).collect()
    }
}

impl FromIterator<Rule> for RuleSet {
    fn from_iter<I: IntoIterator<Item = Rule>>(rules: I) -> Self {
        let mut set = Self::default();
        rules.into_iter().for_each(|rule| set.insert(rule));
        set
    }
}

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
    /// Not stored: at least one violation is critical. Carries all violations, the others too.
    Rejected(Vec<Violation>),
}

impl Verdict {
    /// Everything that was found, in the order of the row's columns.
    pub fn violations(&self) -> &[Violation] {
        match self {
            Self::Accepted => &[],
            Self::Tagged(violations) | Self::Rejected(violations) => violations,
        }
    }

    /// Which rules were broken.
    pub fn rules(&self) -> RuleSet {
        self.violations().iter().map(|violation| violation.rule).collect()
    }
}

/// What the rules compare against.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub now: DateTime<Utc>,
    /// How far ahead of `now` a bar may start, for clocks that differ.
    pub future_tolerance: TimeDelta,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_own_bit_code_and_description() {
        for (position, rule) in Rule::ALL.into_iter().enumerate() {
            assert_eq!(rule as usize, position);
            assert_eq!(Rule::from_code(rule.code()), Some(rule));
            assert!(rule.description().ends_with('.'));
            let others = Rule::ALL.into_iter().filter(|&other| other != rule);
            assert!(others.into_iter().all(|other| other.description() != rule.description()));
        }
        assert_eq!(Rule::from_code("no_such_rule"), None);
    }

    #[test]
    fn a_set_keeps_its_rules_as_bits_and_lists_them_in_order() {
        let mut set = RuleSet::default();
        assert!(set.is_empty());
        set.insert(Rule::PriceRange);
        set.insert(Rule::Envelope);
        set.insert(Rule::Envelope);
        assert_eq!(set.0, 0b10_0000_0010);
        assert!(set.contains(Rule::Envelope) && !set.contains(Rule::Complete));
        assert_eq!(set.codes(), ["envelope", "price_range"]);
        assert_eq!(set.iter().collect::<RuleSet>(), set);
    }

    #[test]
    fn bits_of_a_later_version_do_no_harm() {
        assert_eq!(RuleSet(1 << 30 | 1).codes(), ["complete"]);
        assert_eq!(RuleSet(-1).iter().count(), Rule::ALL.len());
    }
}
