//! Checks that can be run, and why an expectation may not be one.

use super::{ColumnType, Condition, Distribution, Literal, Set};
use crate::Severity;
use regex::Regex;
use rust_decimal::Decimal;
use serde_json::Value;

/// An expectation that can be run.
#[derive(Clone, Debug)]
pub struct Check {
    pub severity: Severity,
    /// Only rows for which it holds are looked at.
    pub condition: Option<Condition>,
    pub rule: Rule,
}

/// What is looked at: each record by itself, or the table as a whole.
#[derive(Clone, Debug)]
pub enum Rule {
    /// Met when at least `mostly` (0 to 1) of the values that are not null meet it.
    Records {
        check: RecordCheck,
        mostly: Decimal,
    },
    Table(TableCheck),
}

/// A check of one record, without knowledge of any other.
#[derive(Clone, Debug)]
pub enum RecordCheck {
    Column { column: String, rule: ColumnRule },
    PairGreater { a: String, b: String, or_equal: bool, ignore: IgnoreRow },
    PairInSet { a: String, b: String, pairs: Vec<(Literal, Literal)>, ignore: IgnoreRow },
    SumEquals { columns: Vec<String>, total: Decimal, ignore: IgnoreRow },
    AllEqual { columns: Vec<String>, ignore: IgnoreRow },
    AllDifferent { columns: Vec<String>, ignore: IgnoreRow },
}

/// What a value must be.
#[derive(Clone, Debug)]
pub enum ColumnRule {
    Null,
    NotNull,
    Between(Bounds<Literal>),
    InSet(Set),
    NotInSet(Set),
    /// One of these, as the suite calls them.
    OfType(Vec<(String, ColumnType)>),
    /// Characters, not bytes.
    Length(Bounds<u64>),
    /// Regular expressions, found anywhere unless anchored.
    Matches {
        patterns: Vec<Regex>,
        all: bool,
    },
    MatchesNone(Vec<Regex>),
    Strftime(String),
    Json,
}

/// A range with open or closed ends; an absent end is no bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds<T> {
    pub min: Option<T>,
    pub max: Option<T>,
    pub strict_min: bool,
    pub strict_max: bool,
}

/// Which nulls take a row out of a check of several columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IgnoreRow {
    Never,
    AnyMissing,
    AllMissing,
}

/// A check of the table as a whole.
#[derive(Clone, Debug, PartialEq)]
pub enum TableCheck {
    RowCount(Bounds<Decimal>),
    RowCountEqualsTable(String),
    ColumnCount(Bounds<Decimal>),
    /// Names in their order.
    Columns(Vec<String>),
    ColumnSet {
        columns: Vec<String>,
        exact: bool,
    },
    ColumnExists {
        column: String,
        index: Option<u64>,
    },
    ColumnHasType {
        column: String,
        name: String,
        expected: ColumnType,
    },
    Aggregate {
        column: String,
        aggregate: Aggregate,
        bounds: Bounds<Value>,
    },
    Quantiles {
        column: String,
        quantiles: Vec<(Decimal, Bounds<Value>)>,
    },
    DistinctValues {
        column: String,
        values: Vec<Value>,
        rule: SetRule,
    },
    MostCommonValue {
        column: String,
        values: Vec<Value>,
        ties_okay: bool,
    },
    /// No two rows share their values in these columns; `mostly` of them, to be exact.
    Unique {
        columns: Vec<String>,
        mostly: Decimal,
    },
    /// No value lies too far from the others; `mostly` of those that are not null.
    Near {
        column: String,
        fence: Fence,
        mostly: Decimal,
    },
    /// No value goes back behind the one before it, nulls left out; `mostly` of them. A table has no order of its own: rows
    /// are taken in the order of its key.
    Ordered {
        column: String,
        descending: bool,
        strictly: bool,
        mostly: Decimal,
    },
    /// The values are distributed as expected: the Kullback–Leibler divergence is at most the threshold, if there is one.
    Distribution {
        column: String,
        expected: Distribution,
        threshold: Option<f64>,
    },
    /// A query of the suite's own finds no row.
    NoRows(Query),
}

/// How far from the others a value may lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    /// Its z-score, (value − mean) / standard deviation of the sample, is below this; its distance from 0, when on both sides.
    ZScore { threshold: Decimal, both_sides: bool },
    /// Tukey's fences: from Q1 − m·IQR to Q3 + m·IQR, with quartiles that are interpolated.
    Quartiles(Decimal),
    /// |value − mean| is below so many standard deviations of the sample.
    Deviations(Decimal),
}

/// A query with the table's name left open: pieces of SQL, between which it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pieces: Vec<String>,
}

impl Query {
    /// Reads Great Expectations' form, which is that of Python's `str.format`: `{batch}` is the table, `{{` and `}}` are
    /// braces.
    ///
    /// # Errors
    /// A brace that is none of these.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = vec![String::new()];
        let mut rest = text.trim_end_matches([';', ' ', '\t', '\r', '\n']);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, tail) = rest.split_at(at);
            let piece = pieces.last_mut().expect("there is always one");
            piece.push_str(before);
            if let Some(after) = tail.strip_prefix("{batch}") {
                pieces.push(String::new());
                rest = after;
            } else if let Some(after) = tail.strip_prefix("{{").or_else(|| tail.strip_prefix("}}")) {
                piece.push_str(&tail[..1]);
                rest = after;
            } else {
                return Err("a brace that is neither {batch} nor doubled, as {{ and }}".into());
            }
        }
        pieces.last_mut().expect("there is always one").push_str(rest);
        Ok(Self { pieces })
    }

    /// Whether it asks for the table at all.
    pub fn names_table(&self) -> bool {
        self.pieces.len() > 1
    }

    /// The SQL, with this where the table goes.
    pub fn of(&self, table: &str) -> String {
        self.pieces.join(table)
    }
}

/// A number that a column comes down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    Min,
    Max,
    Mean,
    /// The middle value; of an even count the mean of the two in the middle.
    Median,
    /// Of the sample: divided by n − 1.
    Stdev,
    Sum,
    UniqueCount,
    UniqueProportion,
    NonNullProportion,
}

/// How the distinct values of a column relate to the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetRule {
    Within,
    Containing,
    Equal,
}

/// Why an expectation cannot be run here. It then has an explicit "not supported" result: never a silent pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    #[error("{0} is not an expectation of Great Expectations' core")]
    Unknown(String),
    #[error("{kind} is not supported: {reason}")]
    Kind { kind: String, reason: &'static str },
    #[error("{argument}: {message}")]
    Argument { argument: String, message: String },
    #[error("{0} needs the whole table, and a window of the stream is a part of it")]
    Window(String),
}

impl Bounds<Value> {
    /// The same, with values that are read once.
    pub(super) fn literal(self) -> Bounds<Literal> {
        let Self { min, max, strict_min, strict_max } = self;
        Bounds { min: min.map(Literal::from), max: max.map(Literal::from), strict_min, strict_max }
    }
}

impl<T> Bounds<T> {
    /// Both ends belong to the range.
    pub const fn closed(min: Option<T>, max: Option<T>) -> Self {
        Self { min, max, strict_min: false, strict_max: false }
    }

    /// Whether a value lies inside; `None` when it cannot be compared with a bound.
    pub fn contain(&self, compare: impl Fn(&T) -> Option<std::cmp::Ordering>) -> Option<bool> {
        let above = match &self.min {
            Some(min) => {
                let order = compare(min)?;
                order.is_gt() || (order.is_eq() && !self.strict_min)
            }
            None => true,
        };
        let below = match &self.max {
            Some(max) => {
                let order = compare(max)?;
                order.is_lt() || (order.is_eq() && !self.strict_max)
            }
            None => true,
        };
        Some(above && below)
    }
}
