//! Checks of a table as a whole, where they are asked of a window of the stream: what can be kept up to date record by
//! record, in constant memory, without knowing a row that is not in the window.

use super::{Aggregate, Cell, Column, ColumnType, Observed, Record, SetRule, TableCheck, value::number_json};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde_json::{Map, Value};
use std::{cmp::Ordering, collections::HashMap};

/// Different values of a column that are told apart in one window.
const MAX_DISTINCT: usize = 1_000;

/// The columns of a record of the stream.
const COLUMNS: [(&str, ColumnType, &str); 9] = [
    ("record_id", ColumnType::Integer, "bigint"),
    ("time", ColumnType::Instant, "timestamp with time zone"),
    ("open", ColumnType::Decimal, "numeric"),
    ("high", ColumnType::Decimal, "numeric"),
    ("low", ColumnType::Decimal, "numeric"),
    ("close", ColumnType::Decimal, "numeric"),
    ("volume", ColumnType::Integer, "bigint"),
    ("symbol", ColumnType::Text, "text"),
    ("event_time", ColumnType::Instant, "timestamp with time zone"),
];

/// The names of the columns of a record of the stream.
pub(super) fn columns() -> impl Iterator<Item = &'static str> {
    COLUMNS.into_iter().map(|(name, ..)| name)
}

/// A check of the table, asked of the records so far.
#[derive(Clone, Debug)]
pub(super) struct Running {
    check: TableCheck,
    so_far: SoFar,
}

#[derive(Clone, Debug)]
enum SoFar {
    Rows(u64),
    /// A record has the columns that it has.
    Columns,
    /// The smallest or the largest value.
    Extreme(Option<Value>, Extreme),
    Sum(Sum),
    Deviation(Deviation),
    NonNull {
        rows: u64,
        nonnull: u64,
    },
    /// `None`: there are too many.
    Distinct(Option<Distinct>),
}

/// The value of which `Value` is the JSON.
#[derive(Clone, Debug, Default)]
enum Extreme {
    #[default]
    Nothing,
    Number(Decimal),
    Text(String),
    Instant(chrono::DateTime<chrono::Utc>),
}

/// A sum, and of how many. `None`: it is larger than a decimal.
#[derive(Clone, Debug)]
struct Sum {
    sum: Option<Decimal>,
    count: u64,
}

/// Mean and squared distance from it, by Welford's method
/// (<https://en.wikipedia.org/wiki/Algorithms_for_calculating_variance#Welford's_online_algorithm>).
#[derive(Clone, Debug, Default)]
struct Deviation {
    count: u64,
    mean: f64,
    squares: f64,
}

/// Different values, each with how often it came. Texts are looked up; other values are seldom asked for.
#[derive(Clone, Debug, Default)]
struct Distinct {
    texts: HashMap<String, u64>,
    others: Vec<(Value, u64)>,
}

impl Running {
    /// `None`: it needs the whole table.
    pub fn of(check: &TableCheck) -> Option<Self> {
        let so_far = match check {
            TableCheck::RowCount(_) => SoFar::Rows(0),
            TableCheck::ColumnCount(_)
            | TableCheck::Columns(_)
            | TableCheck::ColumnSet { .. }
            | TableCheck::ColumnExists { .. }
            | TableCheck::ColumnHasType { .. } => SoFar::Columns,
            TableCheck::Aggregate { aggregate, .. } => match aggregate {
                Aggregate::Min | Aggregate::Max => SoFar::Extreme(None, Extreme::Nothing),
                Aggregate::Sum | Aggregate::Mean => SoFar::Sum(Sum { sum: Some(Decimal::ZERO), count: 0 }),
                Aggregate::Stdev => SoFar::Deviation(Deviation::default()),
                Aggregate::NonNullProportion => SoFar::NonNull { rows: 0, nonnull: 0 },
                Aggregate::Median | Aggregate::UniqueCount | Aggregate::UniqueProportion => return None,
            },
            // That values are missing from a window says nothing of the table.
            TableCheck::DistinctValues { rule: SetRule::Within, .. } => SoFar::Distinct(Some(Distinct::default())),
            TableCheck::DistinctValues { .. }
            | TableCheck::RowCountEqualsTable(_)
            | TableCheck::Quantiles { .. }
            | TableCheck::MostCommonValue { .. }
            | TableCheck::Unique { .. }
            | TableCheck::Near { .. }
            | TableCheck::Ordered { .. }
            | TableCheck::Distribution { .. }
            | TableCheck::NoRows(_) => return None,
        };
        Some(Self { check: check.clone(), so_far })
    }

    /// Takes one record.
    pub fn add(&mut self, record: &impl Record) {
        let column = match &self.check {
            TableCheck::Aggregate { column, .. } | TableCheck::DistinctValues { column, .. } => column,
            _ => {
                if let SoFar::Rows(rows) = &mut self.so_far {
                    *rows += 1;
                }
                return;
            }
        };
        let cell = record.cell(column).unwrap_or(Cell::Null);
        match &mut self.so_far {
            SoFar::NonNull { rows, nonnull } => {
                *rows += 1;
                *nonnull += u64::from(!cell.is_null());
            }
            _ if cell.is_null() => {}
            SoFar::Extreme(shown, known) => {
                let wanted = match self.check {
                    TableCheck::Aggregate { aggregate: Aggregate::Min, .. } => Ordering::Less,
                    _ => Ordering::Greater,
                };
                if known.order(&cell).is_none_or(|order| order == wanted) {
                    (*shown, *known) = (Some(cell.json()), Extreme::from(&cell));
                }
            }
            SoFar::Sum(sum) => {
                if let Some(number) = cell.number() {
                    sum.sum = sum.sum.and_then(|sum| sum.checked_add(number));
                    sum.count += 1;
                }
            }
            SoFar::Deviation(deviation) => {
                if let Some(number) = cell.number().and_then(|number| number.to_f64()) {
                    deviation.add(number);
                }
            }
            SoFar::Distinct(distinct) => {
                if distinct.as_mut().is_some_and(|distinct| !distinct.add(&cell)) {
                    *distinct = None;
                }
            }
            SoFar::Rows(_) | SoFar::Columns => {}
        }
    }

    /// Whether the records so far meet it, and Great Expectations' result of it; or why that cannot be said.
    pub fn judge(self) -> Result<(bool, Map<String, Value>), String> {
        if let TableCheck::Aggregate { column, .. } | TableCheck::DistinctValues { column, .. } = &self.check
            && !columns().any(|known| known == column)
        {
            return Err(format!("there is no such column: {column}"));
        }
        let observed = match self.so_far {
            SoFar::Rows(here) => Observed::Rows { here, there: None },
            SoFar::Columns => Observed::Columns(
                COLUMNS
                    .into_iter()
                    .map(|(name, column_type, own_name)| Column {
                        name: name.to_owned(),
                        column_type,
                        own_name: own_name.to_owned(),
                    })
                    .collect(),
            ),
            SoFar::Extreme(shown, _) => Observed::Value(shown.unwrap_or_default()),
            SoFar::Sum(Sum { count: 0, .. }) => Observed::Value(Value::Null),
            SoFar::Sum(Sum { sum, count }) => {
                let sum = sum.ok_or("the sum is larger than a number can be here")?;
                let is_mean = matches!(self.check, TableCheck::Aggregate { aggregate: Aggregate::Mean, .. });
                Observed::Value(number_json(if is_mean { sum / Decimal::from(count) } else { sum }))
            }
            SoFar::Deviation(deviation) => Observed::Value(deviation.of_the_sample().into()),
            SoFar::NonNull { rows, nonnull } => {
                Observed::Value((rows > 0).then(|| nonnull as f64 / rows as f64).into())
            }
            SoFar::Distinct(distinct) => {
                let distinct =
                    distinct.ok_or_else(|| format!("there are more than {MAX_DISTINCT} different values"))?;
                let texts = distinct.texts.into_iter().map(|(text, count)| (text.into(), count));
                let mut values: Vec<(Value, u64)> = texts.chain(distinct.others).collect();
                values.sort_by_cached_key(|(value, _)| value.to_string());
                values.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
                Observed::Distinct(values)
            }
        };
        self.check.judge(&observed)
    }
}

impl Distinct {
    /// False when there are too many.
    fn add(&mut self, cell: &Cell<'_>) -> bool {
        if let Cell::Text(text) = cell {
            if let Some(count) = self.texts.get_mut(*text) {
                *count += 1;
                return true;
            }
            self.texts.insert((*text).to_owned(), 1);
        } else {
            let value = cell.json();
            if let Some((_, count)) = self.others.iter_mut().find(|(known, _)| *known == value) {
                *count += 1;
                return true;
            }
            self.others.push((value, 1));
        }
        self.texts.len() + self.others.len() <= MAX_DISTINCT
    }
}

impl Extreme {
    /// How a cell compares with it; `None` when there is nothing to compare with.
    fn order(&self, cell: &Cell<'_>) -> Option<Ordering> {
        match (self, cell) {
            (Self::Text(known), Cell::Text(text)) => Some((*text).cmp(known)),
            (Self::Instant(known), Cell::Instant(time)) => Some(time.cmp(known)),
            (Self::Number(known), cell) => Some(cell.number()?.cmp(known)),
            _ => None,
        }
    }
}

impl From<&Cell<'_>> for Extreme {
    fn from(cell: &Cell<'_>) -> Self {
        match cell {
            Cell::Text(text) => Self::Text((*text).to_owned()),
            Cell::Instant(time) => Self::Instant(*time),
            cell => cell.number().map_or(Self::Nothing, Self::Number),
        }
    }
}

impl Deviation {
    fn add(&mut self, number: f64) {
        self.count += 1;
        let before = number - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (number - self.mean);
    }

    fn of_the_sample(&self) -> Option<f64> {
        (self.count > 1).then(|| (self.squares / (self.count - 1) as f64).sqrt())
    }
}
