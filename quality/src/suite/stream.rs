//! Suites in a stream: what an expectation means for a single record, and which expectations mean nothing for one.

use super::{Check, Evaluation, Expectation, Record, RecordCheck, Suite, check::Rule, window};
use crate::Severity;
use rust_decimal::Decimal;
use std::{fmt, sync::Arc};

/// Longest code of an unmet expectation.
const LONGEST_CODE: usize = 200;
/// Characters of a value, and of what is expected, that a reason shows.
const SHOWN: usize = 120;

/// A suite that each record of a stream is held to.
///
/// Compiled once. What it says of a record depends on the record alone, so that whoever has the same suite says the same.
#[derive(Clone, Debug)]
pub struct StreamSuite {
    pub suite: Suite,
    /// By place in the suite; `None` for what no single record is held to.
    gates: Vec<Option<Gate>>,
    left_out: Vec<LeftOut>,
    fresh: Evaluation,
}

/// An expectation as single records meet it.
#[derive(Clone, Debug)]
pub struct Gate {
    /// `suite:<suite>:<type>:<column>`, several columns joined by commas; what is not A-Z, a-z, 0-9 or one of `._-` is `_`.
    pub code: Arc<str>,
    /// Critical: the record is refused. Warning: its row is tagged. Info: it is counted.
    pub severity: Severity,
    suite: Arc<str>,
    kind: String,
    sentence: String,
    check: RecordCheck,
}

/// An expectation that no single record is held to, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// In the suite, from 0.
    pub place: usize,
    pub kind: String,
    pub column: Option<String>,
    pub reason: String,
    /// A window of the stream is held to it.
    pub of_windows: bool,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if let Some(column) = &self.column {
            write!(f, " of {column}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// An expectation that a record does not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    pub code: Arc<str>,
    pub severity: Severity,
    /// Suite, expectation, column and value, in a sentence.
    pub message: String,
}

impl StreamSuite {
    pub fn new(suite: Suite) -> Self {
        let fresh = Evaluation::of_window(&suite);
        let name: Arc<str> = suite.name.as_str().into();
        let mut left_out = Vec::new();
        let gates = suite.expectations.iter().enumerate().map(|(place, expectation)| {
            let judged = Gate::of(&name, expectation);
            judged.map_err(|(reason, of_windows)| {
                let column = expectation.column().map(str::to_owned);
                left_out.push(LeftOut { place, kind: expectation.kind.clone(), column, reason, of_windows });
            })
        });
        let gates = gates.map(Result::ok).collect();
        Self { suite, gates, left_out, fresh }
    }

    /// The suite over no record yet, as a window begins with it. Single records are shown to it as it is.
    pub fn fresh(&self) -> &Evaluation {
        &self.fresh
    }

    /// What the expectation at this place of the suite means for a single record.
    pub fn gate(&self, place: usize) -> Option<&Gate> {
        self.gates.get(place)?.as_ref()
    }

    /// The expectations that single records are held to.
    pub fn gates(&self) -> impl Iterator<Item = &Gate> {
        self.gates.iter().flatten()
    }

    /// The expectations that no single record is held to.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }
}

impl Gate {
    /// Or why there is none, and whether a window is held to it.
    fn of(suite: &Arc<str>, expectation: &Expectation) -> Result<Self, (String, bool)> {
        let check = expectation.compile().map_err(|reason| (reason.to_string(), false))?;
        let sentence = check.to_string();
        let Check { severity, rule, .. } = check;
        let (check, mostly) = match rule {
            Rule::Records { check, mostly } => (check, mostly),
            Rule::Table(check) => {
                let of_windows = window::Running::of(&check).is_some();
                let why = if of_windows {
                    "is about rows together; a window of the stream is held to it"
                } else {
                    "needs the whole table; run it as a checkpoint"
                };
                return Err((why.to_owned(), of_windows));
            }
        };
        let columns = check.columns();
        if let Some(unknown) = columns.iter().find(|column| !window::columns().any(|known| known == **column)) {
            return Err((format!("there is no such column in the stream: {unknown}"), false));
        }
        if mostly < Decimal::ONE {
            let why =
                "mostly is below 1, which means nothing for a single record; a window of the stream is held to it";
            return Err((why.to_owned(), true));
        }
        let plain = |text: &str| -> String {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            text.chars().map(|c| if is_plain(c) { c } else { '_' }).collect()
        };
        let columns: Vec<String> = columns.into_iter().map(plain).collect();
        let kind = expectation.kind.clone();
        let mut code = format!("suite:{}:{}:{}", plain(suite), plain(&kind), columns.join(","));
        code.truncate(LONGEST_CODE);
        Ok(Self { code: code.into(), severity, suite: suite.clone(), kind, sentence, check })
    }

    /// What every record must meet, as a sentence.
    pub fn sentence(&self) -> String {
        format!("Suite {} expects: {} ({})", self.suite, self.sentence, self.kind)
    }

    /// Says of a record that it does not meet it.
    pub fn unmet(&self, record: &impl Record) -> Unmet {
        let found: Vec<String> = self
            .check
            .columns()
            .into_iter()
            .map(|column| match record.cell(column).and_then(|cell| cell.text()) {
                Some(value) => format!("{column} {}", shortened(&value)),
                None => format!("{column} null"),
            })
            .collect();
        let expected = shortened(self.sentence.trim_end_matches('.'));
        let message = format!("{}; suite {} expects: {expected} ({})", found.join(", "), self.suite, self.kind);
        Unmet { code: self.code.clone(), severity: self.severity, message }
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
