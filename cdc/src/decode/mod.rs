//! One Kafka record to one typed change.
//!
//! [`Decoder`] owns the order of questions: is there a value, a frame with a schema, an envelope, a flattened row, a
//! control record. What a column's text means is [`scalar`]'s, where a change stands in its log [`position`]'s.

mod any_row;
mod envelope;
mod frame;
mod number;
mod position;
mod row;
mod scalar;
mod schema;
mod time;

pub use any_row::AnyRow;

use crate::{Change, Control, DecodeError, Decoded, Op, Position, RawRecord, SourceIdent, SourceInfo};
use envelope::{Envelope, EnvelopeSeed};
use frame::{FrameError, Framed, Schemas};
use market::StockRow;
use position::Lead;
use row::{ReadRow, RowSeed, Symbols};
use scalar::Cell;
use schema::{Columns, Shape};
use serde::{Deserialize, de::DeserializeSeed};
use serde_json::{Map, Value, value::RawValue};

/// Decodes the records of one partition, in offset order. It keeps the schemas it has seen, so that a record whose
/// schema block equals an earlier one costs only its payload, and the key of the last delete, so that the tombstone
/// after it is recognised.
#[derive(Debug, Default)]
pub struct Decoder {
    keep_before: bool,
    /// Which life of the topic the offsets belong to.
    incarnation: i32,
    values: Schemas,
    keys: Schemas,
    symbols: Symbols,
    /// The form of the last row event.
    style: Option<Style>,
    /// The key of the last record, when that was a delete.
    deleted: Option<Option<Box<[u8]>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// Every delete is an envelope of its own, so a null value is only its companion.
    Envelope,
    /// A null value may be the delete itself.
    Flat { ordered_by_offset: bool },
}

impl Decoder {
    /// Largest key or value accepted, in bytes.
    pub const MAX_BYTES: usize = 1 << 20;

    pub fn new(incarnation: i32) -> Self {
        Self { incarnation, ..Self::default() }
    }

    /// Also decode `before` rows (`decode` prints them; the pipeline does without).
    pub fn keep_before(mut self) -> Self {
        self.keep_before = true;
        self
    }

    /// What the record is, or why that cannot be said.
    ///
    /// # Errors
    /// See [`DecodeError`]; the record then belongs into quarantine.
    pub fn decode(&mut self, record: &RawRecord<'_>) -> Result<Decoded, DecodeError> {
        let deleted = self.deleted.take();
        Self::within_limit(record)?;
        let key = record.key.map_or(Ok(None), |key| self.key(key))?;
        let decoded = match record.value {
            None => self.tombstone(record, key, deleted)?,
            Some(value) => {
                let framed = self.values.unframe(value).map_err(|error| frame_error("value", error))?;
                match self.message(record, key, &framed) {
                    Ok(Some(decoded)) => decoded,
                    Ok(None) => self.tombstone(record, key, deleted)?,
                    Err(DecodeError::NotJson { .. }) => {
                        let framed = self.values.unframe_slowly(value).map_err(|error| frame_error("value", error))?;
                        match self.message(record, key, &framed)? {
                            Some(decoded) => decoded,
                            None => self.tombstone(record, key, deleted)?,
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        if let Decoded::Change(Change { op: Op::Delete, .. }) = decoded {
            self.deleted = Some(record.key.map(Box::from));
        }
        Ok(decoded)
    }

    fn within_limit(record: &RawRecord<'_>) -> Result<(), DecodeError> {
        let longest = [record.key, record.value].into_iter().flatten().map(<[u8]>::len).max();
        match longest {
            Some(bytes) if bytes > Self::MAX_BYTES => Err(DecodeError::TooLarge { bytes, limit: Self::MAX_BYTES }),
            _ => Ok(()),
        }
    }

    /// The `record_id` of a key. A key that has none is not an error yet: the row may have it.
    fn key(&mut self, key: &[u8]) -> Result<Option<i64>, DecodeError> {
        let framed = self.keys.unframe(key).map_err(|error| frame_error("key", error))?;
        let columns = match framed.shape.as_deref() {
            Some(Shape::Flat(columns)) => columns,
            _ => &schema::UNKNOWN,
        };
        record_id(framed.payload, columns).map_err(|error| json_error("key", &error))?.transpose().map(Option::flatten)
    }

    /// `Ok(None)` is a value of JSON null: a tombstone that went through a converter.
    fn message(
        &mut self,
        record: &RawRecord<'_>,
        key: Option<i64>,
        framed: &Framed<'_>,
    ) -> Result<Option<Decoded>, DecodeError> {
        let payload = framed.payload;
        match framed.shape.as_deref() {
            Some(Shape::Envelope { before, after }) => {
                if payload.trim_ascii() == "null" {
                    return Ok(None);
                }
                let envelope = self.read_envelope(payload, after)?;
                if envelope.op.is_none() {
                    return Err(unknown_shape("an envelope without op"));
                }
                self.envelope(record, key, envelope, before).map(Some)
            }
            Some(Shape::Flat(columns)) => self.flat(record, key, payload, columns),
            None => {
                if frame::first_key(payload).is_some_and(envelope::may_start) {
                    let envelope = self.read_envelope(payload, &schema::UNKNOWN)?;
                    if envelope.op.is_some() {
                        return self.envelope(record, key, envelope, &schema::UNKNOWN).map(Some);
                    }
                }
                self.flat(record, key, payload, &schema::UNKNOWN)
            }
        }
    }

    fn read_envelope<'de>(&mut self, payload: &'de str, after: &Columns) -> Result<Envelope<'de>, DecodeError> {
        let seed = EnvelopeSeed { columns: after, symbols: &mut self.symbols };
        read(payload, seed).map_err(|error| json_error("value", &error))
    }

    fn read_row<'de>(
        &mut self,
        text: &'de str,
        columns: &Columns,
        flat: bool,
    ) -> serde_json::Result<Option<ReadRow<'de>>> {
        read(text, RowSeed { columns, symbols: &mut self.symbols, flat })
    }

    fn envelope(
        &mut self,
        record: &RawRecord<'_>,
        key: Option<i64>,
        envelope: Envelope<'_>,
        before: &Columns,
    ) -> Result<Decoded, DecodeError> {
        self.style = Some(Style::Envelope);
        let op = match unquoted(envelope.op) {
            Some("c") => Op::Create,
            Some("u") => Op::Update,
            Some("r") => Op::Read,
            Some("d") => Op::Delete,
            Some("t") => return self.truncate(record, &envelope),
            other => return Err(DecodeError::UnknownOp { op: scalar::shortened(other.unwrap_or_default()) }),
        };
        let lead = envelope.source.unwrap_or_default();
        let position = self.position_of_envelope(record, &lead)?;
        let source = source_info(&lead, envelope.read_us, envelope.read_ms);
        let sent_before = envelope.before.map(RawValue::get);
        let (record_id, after, extra) = if op == Op::Delete {
            // Of a deleted row only the key is to be trusted: it may be all that the source knew.
            let own = sent_before.and_then(|row| record_id(row, before).ok()??.ok()?);
            (reconcile(key, own)?, None, None)
        } else {
            let name = match op {
                Op::Create => "c",
                Op::Update => "u",
                _ => "r",
            };
            let read = envelope.after.ok_or(DecodeError::MissingRow { op: name })?;
            let (record_id, row, extra) = accept(read, key)?;
            (record_id, Some(row), extra)
        };
        let before = match sent_before {
            Some(row) if self.keep_before => self.row_before(row, before, record_id),
            _ => None,
        };
        Ok(Decoded::Change(Change { op, record_id, after, before, extra, position: Some(position), source }))
    }

    fn truncate(&self, record: &RawRecord<'_>, envelope: &Envelope<'_>) -> Result<Decoded, DecodeError> {
        let lead = envelope.source.unwrap_or_default();
        let source = source_info(&lead, envelope.read_us, envelope.read_ms);
        Ok(Decoded::Truncate { position: self.position_of_envelope(record, &lead)?, source })
    }

    /// A `before` that cannot be read is none: it decides nothing.
    fn row_before(&mut self, text: &str, columns: &Columns, record_id: i64) -> Option<StockRow> {
        let read = self.read_row(text, columns, false).ok()??;
        read.fault.is_none().then_some(StockRow { record_id, ..read.row })
    }

    fn flat(
        &mut self,
        record: &RawRecord<'_>,
        key: Option<i64>,
        payload: &str,
        columns: &Columns,
    ) -> Result<Option<Decoded>, DecodeError> {
        let read = self.read_row(payload, columns, true).map_err(|error| json_error("value", &error))?;
        let Some(read) = read else { return Ok(None) };
        if read.known == 0 {
            let extra = read.extra.as_deref();
            if let Some(control) = extra.and_then(control_of) {
                return Ok(Some(Decoded::Control(control)));
            }
            if extra.is_some_and(|extra| extra.contains_key("before") || extra.contains_key("after")) {
                return Err(unknown_shape("an envelope without op"));
            }
            if key.is_some() {
                return Err(unknown_shape("no column of stock"));
            }
        }
        let lead = read.meta.lead;
        let position = lead.position()?;
        self.style = Some(Style::Flat { ordered_by_offset: position.is_none() });
        let position = position.unwrap_or_else(|| self.kafka_position(record));
        let source = source_info(&lead, None, read.meta.read_ms);
        let deleted = matches!(unquoted(read.meta.deleted), Some("true"));
        let op = match unquoted(read.meta.op) {
            Some("d") => Op::Delete,
            _ if deleted => Op::Delete,
            Some("c") => Op::Create,
            Some("r") => Op::Read,
            Some("u" | "null") | None => Op::Update,
            Some(other) => return Err(DecodeError::UnknownOp { op: scalar::shortened(other) }),
        };
        let change = if op == Op::Delete {
            let record_id = reconcile(key, read.id)?;
            let before = (self.keep_before && read.fault.is_none()).then_some(StockRow { record_id, ..read.row });
            Change { op, record_id, after: None, before, extra: None, position: Some(position), source }
        } else {
            let (record_id, row, extra) = accept(read, key)?;
            Change { op, record_id, after: Some(row), before: None, extra, position: Some(position), source }
        };
        Ok(Some(Decoded::Change(change)))
    }

    fn tombstone(
        &self,
        record: &RawRecord<'_>,
        key: Option<i64>,
        deleted: Option<Option<Box<[u8]>>>,
    ) -> Result<Decoded, DecodeError> {
        let companion = deleted.is_some_and(|deleted| deleted.as_deref() == record.key);
        if companion || self.style == Some(Style::Envelope) {
            return Ok(Decoded::Control(Control::Tombstone));
        }
        let by_offset = self.style == Some(Style::Flat { ordered_by_offset: true });
        Ok(Decoded::Change(Change {
            op: Op::Delete,
            record_id: key.ok_or(DecodeError::NoKey)?,
            after: None,
            before: None,
            extra: None,
            position: by_offset.then(|| self.kafka_position(record)),
            source: SourceInfo::default(),
        }))
    }

    fn position_of_envelope(&self, record: &RawRecord<'_>, lead: &Lead<'_>) -> Result<Position, DecodeError> {
        match lead.position()? {
            Some(position) => Ok(position),
            None if lead.has_log() => {
                Err(DecodeError::BadPosition { reason: "the source block has no place in the log".to_owned() })
            }
            None => Ok(self.kafka_position(record)),
        }
    }

    fn kafka_position(&self, record: &RawRecord<'_>) -> Position {
        Position { ident: SourceIdent::Kafka { incarnation: self.incarnation }, hi: record.offset, lo: 0 }
    }
}

/// The key column of a key or of a row, in its JSON text: `Ok(None)` when there is none.
fn record_id(text: &str, columns: &Columns) -> serde_json::Result<Option<Result<Option<i64>, DecodeError>>> {
    #[derive(Deserialize)]
    struct Keyed<'a> {
        #[serde(borrow)]
        record_id: Option<&'a RawValue>,
    }
    if !text.trim_ascii_start().starts_with('{') {
        return serde_json::from_str::<serde::de::IgnoredAny>(text).map(|_| None);
    }
    let Some(raw) = serde_json::from_str::<Keyed<'_>>(text)?.record_id else { return Ok(None) };
    Ok(Some(Cell { column: row::NAMES[0], text: raw.get(), logical: columns.stock(0) }.integer()))
}

/// The one `record_id` that key and row agree on.
fn reconcile(key: Option<i64>, row: Option<i64>) -> Result<i64, DecodeError> {
    match (key, row) {
        (Some(key), Some(row)) if key != row => Err(DecodeError::KeyMismatch { key, row }),
        _ => key.or(row).ok_or(DecodeError::NoKey),
    }
}

type Accepted = (i64, StockRow, Option<Box<Map<String, Value>>>);

/// A row that stands: nothing is wrong with it, and it belongs to the key.
fn accept(read: ReadRow<'_>, key: Option<i64>) -> Result<Accepted, DecodeError> {
    if let Some(fault) = read.fault {
        return Err(fault);
    }
    let record_id = reconcile(key, read.id)?;
    Ok((record_id, StockRow { record_id, ..read.row }, read.extra))
}

/// Which control record an object without any column of `stock` is.
fn control_of(fields: &Map<String, Value>) -> Option<Control> {
    let has = |name: &str| fields.contains_key(name);
    if has("ddl") && has("databaseName") {
        Some(Control::SchemaChange)
    } else if has("status") && has("id") && has("event_count") && has("data_collections") {
        Some(Control::Transaction)
    } else if has("ts_ms") && fields.keys().all(|name| matches!(name.as_str(), "ts_ms" | "ts_us" | "ts_ns")) {
        Some(Control::Heartbeat)
    } else {
        None
    }
}

fn source_info(lead: &Lead<'_>, read_us: Option<&RawValue>, read_ms: Option<&RawValue>) -> SourceInfo {
    let micros = match read_us {
        Some(micros) => micros.get().parse().ok(),
        None => read_ms.and_then(|millis| millis.get().parse::<i64>().ok()?.checked_mul(1_000)),
    };
    SourceInfo {
        committed_at: lead.committed_at(),
        read_at: micros.and_then(position::instant_of_micros),
        snapshot: lead.snapshot(),
    }
}

/// Reads one whole JSON text.
fn read<'de, S: DeserializeSeed<'de>>(text: &'de str, seed: S) -> serde_json::Result<S::Value> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

fn unquoted(raw: Option<&RawValue>) -> Option<&str> {
    raw.map(|raw| raw.get().trim_matches('"'))
}

fn unknown_shape(reason: &str) -> DecodeError {
    DecodeError::UnknownShape { reason: reason.to_owned() }
}

fn frame_error(part: &'static str, error: FrameError) -> DecodeError {
    match error {
        FrameError::NotUtf8 => DecodeError::NotUtf8 { part },
        FrameError::Json(error) => json_error(part, &error),
        FrameError::Schema(error) => unknown_shape(&format!("schema of the {part}: {error}")),
    }
}

/// JSON that is none, or well-formed JSON that is not what a record holds.
fn json_error(part: &'static str, error: &serde_json::Error) -> DecodeError {
    if error.is_data() {
        unknown_shape(&format!("{part}: {error}"))
    } else {
        DecodeError::NotJson { part, reason: error.to_string() }
    }
}
