//! Checks of the table as a whole: what must be observed, and what the observation means. Who observes is another's
//! business.

use super::{
    Bounds, Column, Histogram, PARTIAL, SetRule, TableCheck,
    result::{is_mostly_met, tallied},
    value::{decimal, instant, number_json},
};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::cmp::Ordering;

/// What was observed of a table, in answer to a [`TableCheck`].
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    /// A count of rows, of the table and, where it is asked for, of the other one.
    Rows { here: u64, there: Option<u64> },
    /// The table's columns, in order.
    Columns(Vec<Column>),
    /// An aggregate; null when there is nothing to aggregate.
    Value(Value),
    /// One value per quantile.
    Values(Vec<Value>),
    /// Distinct values that are not null, with their counts; the most frequent first.
    Distinct(Vec<(Value, u64)>),
    /// Values in bins.
    Histogram(Histogram),
    /// Rows that break a check of each row against others: of so many, of which so many are null. `examples`: values that
    /// do, with the keys of their rows where each is one row's.
    Unexpected { elements: u64, missing: u64, unexpected: u64, examples: Vec<(Value, Option<i64>)> },
    /// Rows that a query found, and some of them.
    Found { rows: u64, examples: Vec<Value> },
}

impl TableCheck {
    /// What an observation means: whether the check is met, and Great Expectations' result of it.
    ///
    /// # Errors
    /// The observation does not answer the check; the sentence says what was missing.
    pub fn judge(&self, observed: &Observed) -> Result<(bool, Map<String, Value>), String> {
        let (success, result) = match (self, observed) {
            (Self::RowCount(bounds), Observed::Rows { here, .. }) => (holds(bounds, *here), shown((*here).into())),
            (Self::RowCountEqualsTable(_), Observed::Rows { here, there: Some(there) }) => {
                (here == there, shown(json!({"self": here, "other": there})))
            }
            (Self::ColumnCount(bounds), Observed::Columns(columns)) => {
                (holds(bounds, columns.len() as u64), shown(columns.len().into()))
            }
            (Self::Columns(expected), Observed::Columns(columns)) => {
                let names: Vec<&String> = columns.iter().map(|column| &column.name).collect();
                (expected.iter().eq(names.iter().copied()), shown(json!(names)))
            }
            (Self::ColumnSet { columns: expected, exact }, Observed::Columns(columns)) => {
                let there = |name: &String| columns.iter().any(|found| found.name == *name);
                let surplus = columns.iter().any(|found| !expected.contains(&found.name));
                let names: Vec<&String> = columns.iter().map(|column| &column.name).collect();
                (expected.iter().all(there) && !(*exact && surplus), shown(json!(names)))
            }
            (Self::ColumnExists { column, index }, Observed::Columns(columns)) => {
                let place = columns.iter().position(|found| found.name == *column).map(|place| place as u64);
                (place.is_some() && index.is_none_or(|index| place == Some(index)), Map::new())
            }
            (Self::ColumnHasType { column, expected, .. }, Observed::Columns(columns)) => {
                let found = columns.iter().find(|found| found.name == *column);
                let found = found.ok_or_else(|| format!("there is no such column: {column}"))?;
                (found.column_type.satisfies(*expected), shown(found.own_name.clone().into()))
            }
            (Self::Aggregate { bounds, .. }, Observed::Value(value)) => {
                // Nothing to aggregate is null, which meets no bounds.
                (within(bounds, value), shown(value.clone()))
            }
            (Self::Quantiles { quantiles, .. }, Observed::Values(values)) if quantiles.len() == values.len() => {
                let each: Vec<bool> =
                    quantiles.iter().zip(values).map(|((_, bounds), value)| within(bounds, value)).collect();
                let numbers: Vec<Value> = quantiles.iter().map(|(quantile, _)| number_json(*quantile)).collect();
                let mut result = shown(json!({"quantiles": numbers, "values": values}));
                result.insert("details".into(), json!({"success_details": each}));
                (each.iter().all(|met| *met), result)
            }
            (Self::DistinctValues { values, rule, .. }, Observed::Distinct(found)) => distinct(values, *rule, found),
            (Self::MostCommonValue { values, ties_okay, .. }, Observed::Distinct(found)) => {
                let most = found.first().map_or(0, |(_, count)| *count);
                let modes: Vec<&Value> =
                    found.iter().filter(|(_, count)| *count == most).map(|(value, _)| value).collect();
                let expected = modes.iter().filter(|mode| values.iter().any(|value| same(value, mode))).count();
                let met = if *ties_okay { expected > 0 } else { expected > 0 && modes.len() == 1 };
                (met, shown(json!(modes)))
            }
            (
                Self::Unique { mostly, .. } | Self::Near { mostly, .. } | Self::Ordered { mostly, .. },
                Observed::Unexpected { elements, missing, unexpected, examples },
            ) => {
                let nonmissing = elements.saturating_sub(*missing);
                let met = is_mostly_met(nonmissing, *unexpected, *mostly);
                let values: Vec<Value> = examples.iter().map(|(value, _)| value.clone()).collect();
                let mut result = tallied(*elements, Some(*missing), *unexpected, &values);
                let keys: Vec<i64> = examples.iter().filter_map(|(_, key)| *key).collect();
                if !keys.is_empty() {
                    result.insert("partial_unexpected_index_list".into(), keys.into());
                }
                (met, result)
            }
            (Self::Distribution { expected, threshold, .. }, observed) => {
                let compared = match observed {
                    Observed::Distinct(found) => expected.over_values(found),
                    Observed::Histogram(found) => expected.over_bins(found),
                    _ => None,
                };
                let (divergence, details) = compared.ok_or_else(|| format!("{observed:?} does not answer: {self}"))?;
                let met = threshold.is_none_or(|threshold| divergence.is_some_and(|found| found <= threshold));
                let mut result = shown(divergence.into());
                result.insert("details".into(), details);
                (met, result)
            }
            (Self::NoRows(_), Observed::Found { rows, examples }) => {
                let mut result = shown((*rows).into());
                result.insert("details".into(), json!({"unexpected_rows": examples}));
                (*rows == 0, result)
            }
            (check, observed) => return Err(format!("{observed:?} does not answer: {check}")),
        };
        Ok((success, result))
    }
}

fn shown(value: Value) -> Map<String, Value> {
    Map::from_iter([("observed_value".to_owned(), value)])
}

fn holds(bounds: &Bounds<Decimal>, count: u64) -> bool {
    bounds.contain(|bound| Some(Decimal::from(count).cmp(bound))).unwrap_or(false)
}

/// Order of two JSON values: numbers as numbers, everything else as text (instants are written so that this is their order).
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (decimal(left), decimal(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => match (instant(left), instant(right)) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => Some(left.as_str()?.cmp(right.as_str()?)),
        },
    }
}

pub(super) fn same(left: &Value, right: &Value) -> bool {
    left == right || order(left, right) == Some(Ordering::Equal)
}

fn within(bounds: &Bounds<Value>, value: &Value) -> bool {
    bounds.contain(|bound| order(value, bound)).unwrap_or(false)
}

fn distinct(expected: &[Value], rule: SetRule, found: &[(Value, u64)]) -> (bool, Map<String, Value>) {
    let unexpected: Vec<&Value> =
        found.iter().map(|(value, _)| value).filter(|value| !expected.iter().any(|other| same(value, other))).collect();
    let missing = expected.iter().any(|value| !found.iter().any(|(other, _)| same(value, other)));
    let met = match rule {
        SetRule::Within => unexpected.is_empty(),
        SetRule::Containing => !missing,
        SetRule::Equal => unexpected.is_empty() && !missing,
    };
    let mut result = shown(found.iter().take(PARTIAL).map(|(value, _)| value.clone()).collect());
    if rule != SetRule::Containing {
        result.insert("unexpected_count".into(), unexpected.len().into());
        result.insert("partial_unexpected_list".into(), unexpected.into_iter().take(PARTIAL).cloned().collect());
    }
    (met, result)
}
