//! A row's columns into a [`StockRow`], read straight from the JSON text.

use super::{position::Lead, scalar::Cell, schema::Columns};
use crate::DecodeError;
use market::StockRow;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};
use std::{collections::HashSet, fmt, sync::Arc};

/// The columns of `stock`.
pub(super) const NAMES: [&str; 9] =
    ["record_id", "time", "open", "high", "low", "close", "volume", "symbol", "event_time"];

/// Symbols seen, so that each is allocated once.
#[derive(Debug, Default)]
pub(super) struct Symbols(HashSet<Arc<str>>);

impl Symbols {
    /// More than any exchange lists; a stream of ever new texts must not grow the set without bound.
    const MOST: usize = 20_000;

    fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let symbol: Arc<str> = text.into();
        if text.len() <= 32 {
            if self.0.len() >= Self::MOST {
                self.0.clear();
            }
            self.0.insert(Arc::clone(&symbol));
        }
        symbol
    }
}

/// A row as read.
#[derive(Debug, Default)]
pub(super) struct ReadRow<'de> {
    pub row: StockRow,
    /// The row's own key column.
    pub id: Option<i64>,
    /// How many columns of `stock` it has.
    pub known: u32,
    pub extra: Option<Box<Map<String, Value>>>,
    /// What a flattened row says of its source.
    pub meta: Meta<'de>,
    /// The first column that is not what it should be.
    pub fault: Option<DecodeError>,
}

/// The `__…` columns of a flattened row, as raw JSON.
#[derive(Debug, Default)]
pub(super) struct Meta<'de> {
    pub deleted: Option<&'de RawValue>,
    pub op: Option<&'de RawValue>,
    pub read_ms: Option<&'de RawValue>,
    pub lead: Lead<'de>,
}

/// Reads a row, or nothing from a JSON null.
pub(super) struct RowSeed<'c> {
    pub columns: &'c Columns,
    pub symbols: &'c mut Symbols,
    /// Whether `__…` columns are about the source.
    pub flat: bool,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = Option<ReadRow<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = Option<ReadRow<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut columns: A) -> Result<Self::Value, A::Error> {
        let mut read = ReadRow::default();
        let mut seen = 0_u32;
        while let Some(name) = columns.next_key_seed(ColumnSeed { flat: self.flat })? {
            let raw: &'de RawValue = columns.next_value()?;
            match name {
                Column::Stock(index) => {
                    if seen & (1 << index) != 0 {
                        return Err(A::Error::custom(format_args!("duplicate column {}", NAMES[index])));
                    }
                    seen |= 1 << index;
                    let cell = Cell { column: NAMES[index], text: raw.get(), logical: self.columns.stock(index) };
                    if let Err(fault) = set(&mut read, index, cell, self.symbols) {
                        read.fault.get_or_insert(fault);
                    }
                }
                Column::Meta(field) => read.meta.set(field, raw),
                Column::Other(name) => {
                    let cell = Cell { column: &name, text: raw.get(), logical: self.columns.logical(&name) };
                    match cell.readable() {
                        Ok(value) => {
                            let extra = read.extra.get_or_insert_default();
                            if extra.contains_key(&name) {
                                return Err(A::Error::custom(format_args!("duplicate column {name}")));
                            }
                            extra.insert(name, value);
                        }
                        Err(fault) => {
                            read.fault.get_or_insert(fault);
                        }
                    }
                }
            }
        }
        read.known = seen.count_ones();
        Ok(Some(read))
    }
}

fn set(read: &mut ReadRow<'_>, index: usize, cell: Cell<'_>, symbols: &mut Symbols) -> Result<(), DecodeError> {
    let row = &mut read.row;
    match index {
        0 => {
            read.id = cell.integer()?;
            row.record_id = read.id.unwrap_or_default();
        }
        1 => row.time = cell.instant()?,
        2 => row.open = cell.price()?,
        3 => row.high = cell.price()?,
        4 => row.low = cell.price()?,
        5 => row.close = cell.price()?,
        6 => {
            let volume = cell.volume()?;
            row.volume = volume.map(|(shares, _)| shares);
            row.volume_fractional = volume.is_some_and(|(_, fractional)| fractional);
        }
        7 => row.symbol = cell.text()?.map(|text| symbols.intern(&text)),
        // NULL in a column with a default arrives as 0 from a converter left at its own defaults.
        _ => row.event_time = cell.instant()?.filter(|instant| instant.timestamp_micros() != 0),
    }
    Ok(())
}

impl<'de> Meta<'de> {
    fn set(&mut self, field: MetaField, raw: &'de RawValue) {
        match field {
            MetaField::Deleted => self.deleted = Some(raw),
            MetaField::Op => self.op = Some(raw),
            MetaField::Read => self.read_ms = Some(raw),
            MetaField::Lead(field) => self.lead.set(field, raw),
        }
    }
}

/// A column that tells of the change, not of the row. `add.fields` gives `__op`, and `__lsn` as well as `__source_lsn` for
/// what stands in `source`.
#[derive(Clone, Copy)]
enum MetaField {
    Deleted,
    Op,
    Read,
    Lead(usize),
}

impl MetaField {
    fn of(name: &str) -> Option<Self> {
        match name.strip_prefix("__")? {
            "deleted" => Some(Self::Deleted),
            "op" => Some(Self::Op),
            "ts_ms" => Some(Self::Read),
            field => {
                let inner = field.strip_prefix("source_").or_else(|| field.strip_prefix("transaction_"));
                Lead::field(inner.unwrap_or(field)).map(Self::Lead)
            }
        }
    }
}

/// A column's name, recognised without allocating when it is one of ours.
enum Column {
    Stock(usize),
    Meta(MetaField),
    Other(String),
}

struct ColumnSeed {
    flat: bool,
}

impl<'de> DeserializeSeed<'de> for ColumnSeed {
    type Value = Column;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for ColumnSeed {
    type Value = Column;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Column, E> {
        if let Some(index) = NAMES.iter().position(|known| *known == name) {
            return Ok(Column::Stock(index));
        }
        let meta = if self.flat { MetaField::of(name) } else { None };
        Ok(meta.map_or_else(|| Column::Other(name.to_owned()), Column::Meta))
    }
}
