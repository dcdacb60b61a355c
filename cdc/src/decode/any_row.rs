//! Rows of tables other than `stock`, for people to look at.

use super::{
    Decoder, frame_error, json_error,
    scalar::readable,
    schema::{self, Columns, Shape},
    unknown_shape,
};
use crate::{DecodeError, RawRecord};
use serde::Serialize;
use serde_json::{Map, Value};

/// The columns of a row of any table, readable: decimals as strings and times as RFC 3339 where a schema says what they
/// are, the rest as sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AnyRow {
    /// `None` for a tombstone, and for a flattened row that does not say.
    pub op: Option<String>,
    pub key: Option<Map<String, Value>>,
    /// After the change, or before it when the row was deleted; empty for a tombstone.
    pub row: Map<String, Value>,
}

impl Decoder {
    /// The row of a record of any table. It needs no key, changes nothing that [`Decoder::decode`] remembers of the
    /// partition, and is far slower.
    ///
    /// # Errors
    /// When key or value are no JSON objects, or too large.
    pub fn any_row(&mut self, record: &RawRecord<'_>) -> Result<AnyRow, DecodeError> {
        Self::within_limit(record)?;
        let key = match record.key {
            Some(key) => {
                let framed = self.keys.unframe_slowly(key).map_err(|error| frame_error("key", error))?;
                object("key", framed.payload)?.map(|key| columns_of(key, flat_columns(framed.shape.as_deref())))
            }
            None => None,
        };
        let Some(value) = record.value else { return Ok(AnyRow { key, ..AnyRow::default() }) };
        let framed = self.values.unframe_slowly(value).map_err(|error| frame_error("value", error))?;
        let Some(mut fields) = object("value", framed.payload)? else { return Ok(AnyRow { key, ..AnyRow::default() }) };
        let op = |fields: &Map<String, Value>, name| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let enveloped = fields.contains_key("op") && (fields.contains_key("after") || fields.contains_key("before"));
        if !enveloped {
            let op = op(&fields, "__op");
            return Ok(AnyRow { op, key, row: columns_of(fields, flat_columns(framed.shape.as_deref())) });
        }
        let op = op(&fields, "op");
        let (before, after) = match framed.shape.as_deref() {
            Some(Shape::Envelope { before, after }) => (before, after),
            _ => (&schema::UNKNOWN, &schema::UNKNOWN),
        };
        let row = match (fields.remove("after"), fields.remove("before")) {
            (Some(Value::Object(row)), _) => columns_of(row, after),
            (_, Some(Value::Object(row))) => columns_of(row, before),
            _ => Map::new(),
        };
        Ok(AnyRow { op, key, row })
    }
}

fn flat_columns(shape: Option<&Shape>) -> &Columns {
    match shape {
        Some(Shape::Flat(columns)) => columns,
        _ => &schema::UNKNOWN,
    }
}

fn object(part: &'static str, text: &str) -> Result<Option<Map<String, Value>>, DecodeError> {
    match serde_json::from_str(text).map_err(|error| json_error(part, &error))? {
        Value::Object(fields) => Ok(Some(fields)),
        Value::Null => Ok(None),
        _ => Err(unknown_shape(&format!("{part}: neither an object nor null"))),
    }
}

fn columns_of(row: Map<String, Value>, columns: &Columns) -> Map<String, Value> {
    row.into_iter().map(|(name, value)| (name.clone(), readable(columns.logical(&name), value))).collect()
}
