//! A row's columns into a [`StockRow`], read straight from the JSON text.

use super::{cursor::Cursor, position::Lead, scalar::Cell, schema::Columns};
use crate::DecodeError;
use market::StockRow;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value, value::RawValue};
use std::{borrow::Cow, collections::HashSet, fmt, sync::Arc};

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
pub(super) struct ReadRow {
    pub row: StockRow,
    /// The row's own key column.
    pub id: Option<i64>,
    /// A bit for each column of `stock` that it has.
    pub known: u32,
    pub extra: Option<Box<Map<String, Value>>>,
    /// The first column that is not what it should be.
    pub fault: Option<DecodeError>,
}

/// The `__…` columns of a flattened row, as raw JSON.
#[derive(Debug, Default)]
pub(super) struct Meta<'de> {
    pub deleted: Option<&'de str>,
    pub op: Option<&'de str>,
    pub read_ms: Option<&'de str>,
    pub lead: Lead<'de>,
}

/// Reads a row, or nothing from a JSON null.
pub(super) struct RowSeed<'c, 'de> {
    pub columns: &'c Columns,
    pub symbols: &'c mut Symbols,
    /// Takes the `__…` columns of a flattened row; without it they are columns like others.
    pub meta: Option<&'c mut Meta<'de>>,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_, 'de> {
    type Value = Option<ReadRow>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_, 'de> {
    type Value = Option<ReadRow>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut columns: A) -> Result<Self::Value, A::Error> {
        let mut read = ReadRow::default();
        while let Some(name) = columns.next_key_seed(ColumnSeed { flat: self.meta.is_some() })? {
            let raw: &'de RawValue = columns.next_value()?;
            read.take(name, raw.get(), &mut self)
                .map_err(|Duplicate(name)| A::Error::custom(format_args!("duplicate column {name}")))?;
        }
        Ok(Some(read))
    }
}

/// The same as [`RowSeed`] does, for what the cursor can read. A JSON null leaves `read` empty.
pub(super) fn read_row<'de>(
    cursor: &mut Cursor<'de>,
    mut seed: RowSeed<'_, 'de>,
    read: &mut Option<ReadRow>,
) -> Option<()> {
    if cursor.null() {
        return Some(());
    }
    let flat = seed.meta.is_some();
    let read = read.get_or_insert_default();
    cursor.object(|cursor, name| {
        let text = cursor.value()?;
        read.take(Column::of(name, flat), text, &mut seed).ok()
    })
}

/// A column that came twice.
struct Duplicate(String);

impl ReadRow {
    fn take<'de>(&mut self, name: Column<'_>, text: &'de str, seed: &mut RowSeed<'_, 'de>) -> Result<(), Duplicate> {
        let columns = seed.columns;
        match name {
            Column::Stock(index) => {
                if self.known & (1 << index) != 0 {
                    return Err(Duplicate(NAMES[index].to_owned()));
                }
                self.known |= 1 << index;
                let cell = Cell { column: NAMES[index], text, logical: columns.stock(index) };
                if let Err(fault) = set(self, index, cell, seed.symbols) {
                    self.fault.get_or_insert(fault);
                }
            }
            Column::Meta(field) => {
                if let Some(meta) = &mut seed.meta {
                    meta.set(field, text);
                }
            }
            Column::Other(name) => match (Cell { column: &name, text, logical: columns.logical(&name) }).readable() {
                Ok(value) => {
                    let extra = self.extra.get_or_insert_default();
                    if extra.contains_key(&*name) {
                        return Err(Duplicate(name.into_owned()));
                    }
                    extra.insert(name.into_owned(), value);
                }
                Err(fault) => {
                    self.fault.get_or_insert(fault);
                }
            },
        }
        Ok(())
    }
}

fn set(read: &mut ReadRow, index: usize, cell: Cell<'_>, symbols: &mut Symbols) -> Result<(), DecodeError> {
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
    fn set(&mut self, field: MetaField, text: &'de str) {
        match field {
            MetaField::Deleted => self.deleted = Some(text),
            MetaField::Op => self.op = Some(text),
            MetaField::Read => self.read_ms = Some(text),
            MetaField::Lead(field) => self.lead.set(field, text),
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

/// A column's name.
enum Column<'n> {
    Stock(usize),
    Meta(MetaField),
    Other(Cow<'n, str>),
}

impl<'n> Column<'n> {
    fn of(name: &'n str, flat: bool) -> Self {
        if let Some(index) = NAMES.iter().position(|known| *known == name) {
            return Self::Stock(index);
        }
        let meta = if flat { MetaField::of(name) } else { None };
        meta.map_or(Self::Other(Cow::Borrowed(name)), Self::Meta)
    }
}

struct ColumnSeed {
    flat: bool,
}

impl<'de> DeserializeSeed<'de> for ColumnSeed {
    type Value = Column<'static>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for ColumnSeed {
    type Value = Column<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a column name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(match Column::of(name, self.flat) {
            Column::Stock(index) => Column::Stock(index),
            Column::Meta(field) => Column::Meta(field),
            Column::Other(name) => Column::Other(Cow::Owned(name.into_owned())),
        })
    }
}
