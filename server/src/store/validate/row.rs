//! Rows that come out of the database, as checks see them.

use super::Asset;
use chrono::{DateTime, Utc};
use quality::suite::{
    Cell, Record,
    sql::{Column, Translator},
};
use rust_decimal::Decimal;
use sqlx::{Row, postgres::PgRow};

/// One row at a time of an asset, with all its columns.
pub struct Cells<'a> {
    asset: &'a Asset,
    values: Vec<Owned>,
}

enum Owned {
    Null,
    Integer(i64),
    Decimal(Decimal),
    Text(String),
    Instant(DateTime<Utc>),
}

impl<'a> Cells<'a> {
    pub const fn of(asset: &'a Asset) -> Self {
        Self { asset, values: Vec::new() }
    }

    /// What to select: a text for each column.
    pub fn outputs(&self) -> Vec<String> {
        let translator = Translator::new(&self.asset.columns);
        let names = self.asset.columns.iter().map(|column| translator.column(&column.name));
        names.map(|operand| operand.map_or_else(|_| "null".into(), |operand| operand.text())).collect()
    }

    /// Takes the next row.
    pub fn take(&mut self, row: &PgRow) {
        self.values.clear();
        let values = self.asset.columns.iter().enumerate().map(|(at, column)| read(column, row.get(at)));
        self.values.extend(values);
    }

    /// The row's key, if the asset has one.
    pub fn key(&self) -> Option<i64> {
        match self.cell(self.asset.key.as_ref()?)? {
            Cell::Integer(key) => Some(key),
            _ => None,
        }
    }
}

/// A number that does not fit (an infinite one) stays what the database wrote: a text, which no bound holds.
fn read(column: &Column, text: Option<&str>) -> Owned {
    use quality::suite::ColumnType as Type;
    let Some(text) = text else { return Owned::Null };
    let read = match column.column_type {
        Type::Integer => text.parse().ok().map(Owned::Integer),
        Type::Decimal | Type::Float => text.parse().ok().map(Owned::Decimal),
        Type::Instant | Type::Date => text.parse().ok().map(Owned::Instant),
        Type::Text | Type::Boolean => None,
    };
    read.unwrap_or_else(|| Owned::Text(text.to_owned()))
}

impl Record for Cells<'_> {
    fn cell(&self, column: &str) -> Option<Cell<'_>> {
        let at = self.asset.columns.iter().position(|found| found.name == column)?;
        Some(match self.values.get(at)? {
            Owned::Null => Cell::Null,
            Owned::Integer(number) => Cell::Integer(*number),
            Owned::Decimal(number) => Cell::Decimal(*number),
            Owned::Text(text) => Cell::Text(text),
            Owned::Instant(time) => Cell::Instant(*time),
        })
    }
}
