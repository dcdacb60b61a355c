//! Checks as sentences, for people.

use super::{
    Aggregate, Bounds, Check, ColumnRule, Comparison, Condition, Distribution, Fence, Literal, RecordCheck, SetRule,
    TableCheck, check::Rule,
};
use rust_decimal::Decimal;
use serde_json::Value;
use std::fmt::{self, Display};

impl Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(condition) = &self.condition {
            write!(f, "Where {condition}: ")?;
        }
        match &self.rule {
            Rule::Table(check) => write!(f, "{check}."),
            Rule::Records { check, mostly } => write!(f, "{check}{}.", Mostly(*mostly)),
        }
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare { column, comparison, parameter } => {
                let words = match comparison {
                    Comparison::Equal => "is",
                    Comparison::NotEqual => "is not",
                    Comparison::Less => "is below",
                    Comparison::LessOrEqual => "is at most",
                    Comparison::Greater => "is above",
                    Comparison::GreaterOrEqual => "is at least",
                };
                write!(f, "{column} {words} {}", Shown(parameter))
            }
            Self::In { column, values, negated } => {
                write!(f, "{column} is {}one of {}", if *negated { "not " } else { "" }, List(values))
            }
            Self::Null { column, negated } => write!(f, "{column} is {}null", if *negated { "not " } else { "" }),
            Self::All(parts) => joined(f, parts, " and "),
            Self::Any(parts) => joined(f, parts, " or "),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Condition], with: &str) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(with)?;
        }
        match part {
            Condition::All(_) | Condition::Any(_) => write!(f, "({part})")?,
            _ => write!(f, "{part}")?,
        }
    }
    Ok(())
}

impl Display for RecordCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column { column, rule } => write!(f, "{column} {rule}"),
            Self::PairGreater { a, b, or_equal: false, .. } => write!(f, "{a} is above {b}"),
            Self::PairGreater { a, b, or_equal: true, .. } => write!(f, "{a} is at least {b}"),
            Self::PairInSet { a, b, pairs, .. } => write!(f, "({a}, {b}) is one of {} pairs", pairs.len()),
            Self::SumEquals { columns, total, .. } => write!(f, "{} add up to {total}", columns.join(", ")),
            Self::AllEqual { columns, .. } => match columns.as_slice() {
                [a, b] => write!(f, "{a} equals {b}"),
                columns => write!(f, "{} are equal", columns.join(", ")),
            },
            Self::AllDifferent { columns, .. } => write!(f, "{} differ from each other", columns.join(", ")),
        }
    }
}

impl Display for ColumnRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("is null"),
            Self::NotNull => f.write_str("is never null"),
            Self::Between(bounds) => write!(f, "is {bounds}"),
            Self::InSet(values) => write!(f, "is one of {}", List(values)),
            Self::NotInSet(values) => write!(f, "is none of {}", List(values)),
            Self::OfType(types) => {
                let names: Vec<_> = types.iter().map(|(name, _)| name.as_str()).collect();
                write!(f, "is of type {}", names.join(" or "))
            }
            Self::Length(bounds) => write!(f, "has a length {bounds}"),
            Self::Matches { patterns, all } => {
                write!(f, "matches {}", Patterns(patterns, if *all { " and " } else { " or " }))
            }
            Self::MatchesNone(patterns) => write!(f, "does not match {}", Patterns(patterns, " or ")),
            Self::Strftime(format) => write!(f, "is a time written as {format}"),
            Self::Json => f.write_str("is JSON"),
        }
    }
}

impl Display for TableCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RowCount(bounds) => write!(f, "The number of rows is {bounds}"),
            Self::RowCountEqualsTable(table) => write!(f, "The table has as many rows as {table}"),
            Self::ColumnCount(bounds) => write!(f, "The number of columns is {bounds}"),
            Self::Columns(columns) => write!(f, "The columns are {}, in this order", columns.join(", ")),
            Self::ColumnSet { columns, exact: true } => {
                write!(f, "The columns are {}, in any order", columns.join(", "))
            }
            Self::ColumnSet { columns, exact: false } => write!(f, "The columns {} are there", columns.join(", ")),
            Self::ColumnExists { column, index: None } => write!(f, "Column {column} is there"),
            Self::ColumnExists { column, index: Some(index) } => {
                write!(f, "Column {column} is there, at place {index} counted from 0")
            }
            Self::ColumnHasType { column, name, .. } => write!(f, "Column {column} is of type {name}"),
            Self::Aggregate { column, aggregate, bounds } => write!(f, "{aggregate} of {column} is {bounds}"),
            Self::Quantiles { column, quantiles } => {
                for (at, (quantile, bounds)) in quantiles.iter().enumerate() {
                    write!(f, "{}the {quantile} quantile of {column} is {bounds}", if at > 0 { ", " } else { "" })?;
                }
                Ok(())
            }
            Self::DistinctValues { column, values, rule } => {
                let words = match rule {
                    SetRule::Within => "are all in",
                    SetRule::Containing => "contain all of",
                    SetRule::Equal => "are exactly",
                };
                write!(f, "The values of {column} {words} {}", List(values))
            }
            Self::MostCommonValue { column, values, .. } => {
                write!(f, "The most common value of {column} is one of {}", List(values))
            }
            Self::Unique { columns, mostly } => {
                write!(f, "No two rows have the same {}{}", columns.join(", "), Mostly(*mostly))
            }
            Self::Near { column, fence, mostly } => write!(f, "{column} lies {fence}{}", Mostly(*mostly)),
            Self::Ordered { column, descending, strictly, mostly } => {
                let never = match (descending, strictly) {
                    (false, false) => "never falls",
                    (false, true) => "always rises",
                    (true, false) => "never rises",
                    (true, true) => "always falls",
                };
                write!(f, "{column} {never} from row to row{}", Mostly(*mostly))
            }
            Self::Distribution { column, expected, threshold } => {
                let over = match expected {
                    Distribution::Values { values, .. } => format!("{} values", values.len()),
                    Distribution::Bins { weights, .. } => format!("{} bins", weights.len()),
                };
                write!(f, "The distribution of {column} over {over} diverges ")?;
                match threshold {
                    Some(threshold) => write!(f, "from the expected one by at most {threshold} (Kullback–Leibler)"),
                    None => f.write_str("from the expected one by any amount"),
                }
            }
            Self::NoRows(query) => write!(f, "This query finds no row: {}", query.of("{batch}")),
        }
    }
}

impl Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZScore { threshold, both_sides: true } => {
                write!(f, "less than {threshold} standard deviations from the mean")
            }
            Self::ZScore { threshold, both_sides: false } => {
                write!(f, "less than {threshold} standard deviations above the mean")
            }
            Self::Quartiles(multiplier) => write!(f, "within {multiplier} interquartile ranges of the quartiles"),
            Self::Deviations(multiplier) => write!(f, "less than {multiplier} standard deviations from the mean"),
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Min => "The smallest value",
            Self::Max => "The largest value",
            Self::Mean => "The mean",
            Self::Median => "The median",
            Self::Stdev => "The standard deviation",
            Self::Sum => "The sum",
            Self::UniqueCount => "The number of different values",
            Self::UniqueProportion => "The proportion of different values",
            Self::NonNullProportion => "The proportion of values that are not null",
        })
    }
}

impl<T: Bound> Display for Bounds<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let least = if self.strict_min { "above" } else { "at least" };
        let most = if self.strict_max { "below" } else { "at most" };
        match (&self.min, &self.max) {
            (Some(min), Some(max)) if !self.strict_min && !self.strict_max && min.shown() == max.shown() => {
                f.write_str(&min.shown())
            }
            (Some(min), Some(max)) => write!(f, "{least} {} and {most} {}", min.shown(), max.shown()),
            (Some(min), None) => write!(f, "{least} {}", min.shown()),
            (None, Some(max)) => write!(f, "{most} {}", max.shown()),
            (None, None) => f.write_str("anything"),
        }
    }
}

/// How much of the rows, where it is not all of them.
struct Mostly(Decimal);

impl Display for Mostly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == Decimal::ONE {
            return Ok(());
        }
        write!(f, ", in at least {} % of the rows", (self.0 * Decimal::ONE_HUNDRED).normalize())
    }
}

/// What can stand at an end of a range.
trait Bound {
    fn shown(&self) -> String;
}

impl Bound for Value {
    fn shown(&self) -> String {
        Shown(self).to_string()
    }
}

impl Bound for Literal {
    fn shown(&self) -> String {
        Shown(self).to_string()
    }
}

impl Bound for Decimal {
    fn shown(&self) -> String {
        self.normalize().to_string()
    }
}

impl Bound for u64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

struct Shown<'v>(&'v Value);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => f.write_str(text),
            other => write!(f, "{other}"),
        }
    }
}

/// The first few of a list, and how many more there are.
struct List<'v>(&'v [Value]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        for (at, value) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{}", if at > 0 { ", " } else { "" }, Shown(value))?;
        }
        match self.0.len().checked_sub(SHOWN) {
            Some(more @ 1..) => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}

struct Patterns<'v>(&'v [regex::Regex], &'static str);

impl Display for Patterns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, pattern) in self.0.iter().enumerate() {
            write!(f, "{}{pattern}", if at > 0 { self.1 } else { "" })?;
        }
        Ok(())
    }
}
