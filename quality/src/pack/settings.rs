//! What can be configured of the rules beyond the row: the table `[pack]` of `stockstream.toml`.

use super::PackRule;
use market::{Severity, Symbol};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One rule's settings; what is not said is as documented.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleSettings {
    pub enabled: Option<bool>,
    pub severity: Option<Severity>,
    /// What it means is the rule's own: see the documentation of the rules.
    pub threshold: Option<f64>,
    /// Bars that it looks back.
    pub window: Option<u32>,
    /// The symbols there are, for `unknown_symbol`.
    pub symbols: Option<Vec<Symbol>>,
}

/// Settings by rule.
pub type PackSettings = BTreeMap<PackRule, RuleSettings>;

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}.{key}: {reason}")]
pub struct SettingsError {
    pub rule: PackRule,
    pub key: &'static str,
    pub reason: String,
}

/// One rule, resolved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Resolved {
    pub enabled: bool,
    pub severity: Severity,
    pub threshold: f64,
    pub window: usize,
}

/// The rules as they are applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Pack {
    rules: [Resolved; PackRule::ALL.len()],
    /// Empty: not configured.
    pub(super) symbols: Vec<Symbol>,
}

/// A rule's `threshold` and `window` where nothing is configured, and how far each may go; `None`: it has none.
pub(super) struct Defaults {
    pub threshold: Option<Range<f64>>,
    pub window: Option<Range<u32>>,
}

pub(super) struct Range<T> {
    pub least: T,
    pub default: T,
    pub most: T,
}

/// Most bars that a rule may look back.
const MOST_BARS: u32 = 1_000;

pub(super) const fn defaults(rule: PackRule) -> Defaults {
    const fn threshold(least: f64, default: f64, most: f64) -> Option<Range<f64>> {
        Some(Range { least, default, most })
    }
    const fn window(least: u32, default: u32) -> Option<Range<u32>> {
        Some(Range { least, default, most: MOST_BARS })
    }
    match rule {
        PackRule::DuplicateIdentical
        | PackRule::DuplicateDifferent
        | PackRule::OutOfOrder
        | PackRule::UnknownSymbol => Defaults { threshold: None, window: None },
        PackRule::Gap => Defaults { threshold: threshold(1.0, 1.0, 100_000.0), window: None },
        PackRule::FrozenPrice => Defaults { threshold: None, window: window(2, 15) },
        PackRule::ReturnOutlier => Defaults { threshold: threshold(1.0, 12.0, 1e6), window: window(10, 60) },
        PackRule::VolumeOutlier => Defaults { threshold: threshold(1.0, 10.0, 1e6), window: window(10, 60) },
        PackRule::ScaleError => Defaults { threshold: threshold(0.1, 10.0, 30.0), window: window(1, 5) },
        PackRule::SplitLike => Defaults { threshold: threshold(0.1, 3.0, 20.0), window: None },
        PackRule::ClockSkew => Defaults { threshold: threshold(0.0, 2.0, 86_400.0), window: None },
        PackRule::Silence => Defaults { threshold: threshold(60.0, 180.0, 86_400.0), window: None },
        PackRule::Freshness => Defaults { threshold: None, window: window(1, 5) },
        PackRule::RowCount => Defaults { threshold: threshold(0.0, 0.0, 1e15), window: None },
    }
}

impl Default for Pack {
    fn default() -> Self {
        let resolve = |rule: PackRule| {
            let Defaults { threshold, window } = defaults(rule);
            Resolved {
                enabled: rule != PackRule::UnknownSymbol,
                severity: rule.severity(),
                threshold: threshold.map_or(0.0, |range| range.default),
                window: window.map_or(0, |range| range.default as usize),
            }
        };
        Self { rules: PackRule::ALL.map(resolve), symbols: Vec::new() }
    }
}

impl Pack {
    /// The rules with these settings.
    ///
    /// # Errors
    /// Everything that cannot be.
    pub fn resolve(settings: &PackSettings) -> Result<Self, Vec<SettingsError>> {
        let (mut pack, mut mistakes) = (Self::default(), Vec::new());
        for (&rule, given) in settings {
            let mut wrong = |key, reason: String| mistakes.push(SettingsError { rule, key, reason });
            let Defaults { threshold, window } = defaults(rule);
            let resolved = &mut pack.rules[rule as usize];
            match (given.threshold, threshold) {
                (None, _) => {}
                (Some(value), Some(range)) if (range.least..=range.most).contains(&value) => resolved.threshold = value,
                (Some(_), Some(range)) => {
                    wrong("threshold", format!("must be from {} to {}", range.least, range.most));
                }
                (Some(_), None) => wrong("threshold", "this rule has none".into()),
            }
            match (given.window, window) {
                (None, _) => {}
                (Some(value), Some(range)) if (range.least..=range.most).contains(&value) => {
                    resolved.window = value as usize;
                }
                (Some(_), Some(range)) => wrong("window", format!("must be from {} to {}", range.least, range.most)),
                (Some(_), None) => wrong("window", "this rule has none".into()),
            }
            resolved.severity = given.severity.unwrap_or(resolved.severity);
            match &given.symbols {
                Some(_) if rule != PackRule::UnknownSymbol => wrong("symbols", "only unknown_symbol has them".into()),
                Some(symbols) if symbols.is_empty() => wrong("symbols", "names no symbol".into()),
                Some(symbols) => {
                    pack.symbols.clone_from(symbols);
                    resolved.enabled = true;
                }
                None => {}
            }
            resolved.enabled = given.enabled.unwrap_or(resolved.enabled);
            if rule == PackRule::UnknownSymbol && resolved.enabled && given.symbols.is_none() {
                wrong("symbols", "without the symbols there are, none is unknown: list them".into());
            }
        }
        if mistakes.is_empty() { Ok(pack) } else { Err(mistakes) }
    }

    pub(super) const fn rule(&self, rule: PackRule) -> &Resolved {
        &self.rules[rule as usize]
    }

    pub const fn is_enabled(&self, rule: PackRule) -> bool {
        self.rule(rule).enabled
    }

    /// How much it matters.
    pub const fn severity(&self, rule: PackRule) -> Severity {
        self.rule(rule).severity
    }

    /// What its documentation says it is.
    pub const fn threshold(&self, rule: PackRule) -> f64 {
        self.rule(rule).threshold
    }

    /// Bars that it looks back.
    pub const fn window(&self, rule: PackRule) -> usize {
        self.rule(rule).window
    }

    /// Rows before a bar that its judgement may depend on; and so the rows after it that may depend on it.
    pub fn context(&self) -> usize {
        let longest = self.rules.iter().map(|rule| rule.window).max().unwrap_or(0);
        // A return needs a close before the first of the window; the flag of the bar before needs its own window.
        longest + 2 + self.window(PackRule::ScaleError)
    }
}
