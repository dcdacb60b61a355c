//! One record against one check.

use super::{
    Cell, ColumnRule, RecordCheck,
    check::IgnoreRow,
    value::{ColumnType, Literal},
};
use market::StockRow;
use rust_decimal::Decimal;
use std::cmp::Ordering;

/// A row whose values can be asked for by column.
pub trait Record {
    /// The value; `None` when there is no such column.
    fn cell(&self, column: &str) -> Option<Cell<'_>>;
}

impl Record for StockRow {
    fn cell(&self, column: &str) -> Option<Cell<'_>> {
        let decimal = |value: Option<Decimal>| value.map_or(Cell::Null, Cell::Decimal);
        Some(match column {
            "record_id" => Cell::Integer(self.record_id),
            "time" => self.time.map_or(Cell::Null, Cell::Instant),
            "open" => decimal(self.open),
            "high" => decimal(self.high),
            "low" => decimal(self.low),
            "close" => decimal(self.close),
            "volume" => self.volume.map_or(Cell::Null, Cell::Integer),
            "symbol" => self.symbol.as_deref().map_or(Cell::Null, Cell::Text),
            "event_time" => self.event_time.map_or(Cell::Null, Cell::Instant),
            _ => return None,
        })
    }
}

/// What a check says of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    Yes,
    No,
    /// Null, and the check does not speak of nulls: counted as missing, neither met nor unmet.
    Missing,
    /// There is no such column.
    NoColumn,
}

impl From<bool> for Met {
    fn from(met: bool) -> Self {
        if met { Self::Yes } else { Self::No }
    }
}

impl RecordCheck {
    /// The columns that it reads.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::Column { column, .. } => vec![column],
            Self::PairGreater { a, b, .. } | Self::PairInSet { a, b, .. } => vec![a, b],
            Self::SumEquals { columns, .. } | Self::AllEqual { columns, .. } | Self::AllDifferent { columns, .. } => {
                columns.iter().map(String::as_str).collect()
            }
        }
    }

    /// Whether results show the value by itself, and not the values of several columns together.
    pub const fn is_of_one_column(&self) -> bool {
        matches!(self, Self::Column { .. })
    }

    /// Judges one record.
    pub fn judge(&self, record: &impl Record) -> Met {
        match self {
            Self::Column { column, rule } => match record.cell(column) {
                Some(cell) => rule.judge(&cell),
                None => Met::NoColumn,
            },
            Self::PairGreater { a, b, or_equal, ignore } => across(record, &[a, b], *ignore, |cells| {
                cells[0].compare_cells(&cells[1]).is_some_and(|order| order.is_gt() || (*or_equal && order.is_eq()))
            }),
            Self::PairInSet { a, b, pairs, ignore } => across(record, &[a, b], *ignore, |cells| {
                pairs.iter().any(|(a, b)| matches(&cells[0], a) && matches(&cells[1], b))
            }),
            Self::SumEquals { columns, total, ignore } => across(record, columns, *ignore, |cells| {
                // As in SQL: what is not known is not unexpected.
                if cells.iter().any(Cell::is_null) {
                    return true;
                }
                let sum = cells.iter().try_fold(Decimal::ZERO, |sum, cell| sum.checked_add(cell.number()?));
                sum == Some(*total)
            }),
            Self::AllEqual { columns, ignore } => across(record, columns, *ignore, all_equal),
            Self::AllDifferent { columns, ignore } => across(record, columns, *ignore, |cells| {
                cells.iter().enumerate().all(|(at, cell)| cells[..at].iter().all(|other| !equal(cell, other)))
            }),
        }
    }
}

fn equal(left: &Cell<'_>, right: &Cell<'_>) -> bool {
    (left.is_null() && right.is_null()) || left.compare_cells(right).is_some_and(Ordering::is_eq)
}

fn all_equal(cells: &[Cell<'_>]) -> bool {
    cells.windows(2).all(|pair| equal(&pair[0], &pair[1]))
}

fn matches(cell: &Cell<'_>, expected: &Literal) -> bool {
    (cell.is_null() && expected.is_null()) || cell.compare(expected) == Some(Ordering::Equal)
}

/// Columns of which a check of several keeps the values on the stack: as many as a bar has.
const FEW: usize = 9;

fn across<C: AsRef<str>>(
    record: &impl Record,
    columns: &[C],
    ignore: IgnoreRow,
    judge: impl FnOnce(&[Cell<'_>]) -> bool,
) -> Met {
    let (mut few, mut many);
    let cells = if columns.len() <= FEW {
        few = [Cell::Null; FEW];
        &mut few[..columns.len()]
    } else {
        many = vec![Cell::Null; columns.len()];
        many.as_mut_slice()
    };
    for (cell, column) in cells.iter_mut().zip(columns) {
        let Some(found) = record.cell(column.as_ref()) else { return Met::NoColumn };
        *cell = found;
    }
    let cells: &[Cell<'_>] = cells;
    let ignored = match ignore {
        IgnoreRow::Never => false,
        IgnoreRow::AnyMissing => cells.iter().any(Cell::is_null),
        IgnoreRow::AllMissing => cells.iter().all(Cell::is_null),
    };
    if ignored { Met::Missing } else { judge(cells).into() }
}

impl ColumnRule {
    /// Judges one value.
    pub fn judge(&self, cell: &Cell<'_>) -> Met {
        let met = match self {
            Self::Null => cell.is_null(),
            Self::NotNull => !cell.is_null(),
            _ if cell.is_null() => return Met::Missing,
            Self::Between(bounds) => bounds.contain(|bound| cell.compare(bound)).unwrap_or(false),
            Self::InSet(values) => values.holds(cell),
            Self::NotInSet(values) => !values.holds(cell),
            Self::OfType(types) => cell
                .column_type()
                .is_some_and(|found: ColumnType| types.iter().any(|(_, expected)| found.satisfies(*expected))),
            Self::Length(bounds) => {
                let length = cell.with_text(|text| text.chars().count()) as u64;
                bounds.contain(|bound| Some(length.cmp(bound))).unwrap_or(false)
            }
            Self::Matches { patterns, all } => cell.with_text(|text| {
                let mut each = patterns.iter().map(|pattern| pattern.is_match(text));
                if *all { each.all(|matches| matches) } else { each.any(|matches| matches) }
            }),
            Self::MatchesNone(patterns) => {
                cell.with_text(|text| !patterns.iter().any(|pattern| pattern.is_match(text)))
            }
            Self::Strftime(format) => cell.with_text(|text| {
                chrono::NaiveDateTime::parse_from_str(text, format).is_ok()
                    || chrono::DateTime::parse_from_str(text, format).is_ok()
                    || chrono::NaiveDate::parse_from_str(text, format).is_ok()
                    || chrono::NaiveTime::parse_from_str(text, format).is_ok()
            }),
            Self::Json => cell.with_text(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()),
        };
        met.into()
    }
}
