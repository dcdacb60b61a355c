//! One Kafka record to one typed change.
//!
//! [`Decoder`] owns the order of questions: is there a value, a frame with a schema, an envelope, a flattened row, a
//! control record. What a column's text means is [`scalar`]'s, where a change stands in its log [`position`]'s.

mod any_row;
mod cursor;
mod envelope;
mod frame;
mod key;
mod number;
mod position;
mod row;
mod scalar;
mod schema;
mod time;

pub use any_row::AnyRow;

use crate::{Change, Control, DecodeError, Decoded, Op, Position, RawRecord, SourceIdent, SourceInfo};
use cursor::Cursor;
use envelope::{Envelope, EnvelopeSeed};
use frame::{FrameError, Framed, Schemas};
use key::{reconcile, record_id};
use market::StockRow;
use position::Lead;
use row::{Meta, ReadRow, RowSeed, Symbols};
use schema::{Columns, Shape};
use serde::de::DeserializeSeed;
use serde_json::{Map, Value};

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
    /// Leaves everything to `serde_json`; tests compare both ways.
    careful: bool,
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

    /// Reads every record with `serde_json` alone, several times slower. The result is the same; this is what the tests
    /// hold the fast way against.
    pub fn careful(mut self) -> Self {
        self.careful = true;
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
        record_id("key", framed.payload, columns, self.careful)
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
        if !self.careful
            && let Some(envelope) =
                envelope::read_envelope(payload, EnvelopeSeed { columns: after, symbols: &mut self.symbols })
        {
            return Ok(envelope);
        }
        let seed = EnvelopeSeed { columns: after, symbols: &mut self.symbols };
        read(payload, seed).map_err(|error| json_error("value", &error))
    }

    fn read_row<'de>(
        &mut self,
        text: &'de str,
        columns: &Columns,
        mut meta: Option<&mut Meta<'de>>,
    ) -> serde_json::Result<Option<ReadRow>> {
        if !self.careful {
            let mut cursor = Cursor::new(text);
            let mut row = None;
            let seed = RowSeed { columns, symbols: &mut self.symbols, meta: meta.as_deref_mut() };
            if row::read_row(&mut cursor, seed, &mut row).is_some() && cursor.at_end() {
                return Ok(row);
            }
        }
        if let Some(meta) = &mut meta {
            **meta = Meta::default();
        }
        read(text, RowSeed { columns, symbols: &mut self.symbols, meta })
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
        let sent_before = envelope.before;
        let (record_id, after, extra) = if op == Op::Delete {
            // Of a deleted row only the key is to be trusted: it may be all that the source knew.
            let own = sent_before.and_then(|row| record_id("before", row, before, self.careful).ok()?);
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
            Some(row) if self.keep_before => {
                let read = self.read_row(row, before, None).ok().flatten();
                read.and_then(|read| row_before(read, record_id))
            }
            _ => None,
        };
        Ok(Decoded::Change(Change { op, record_id, after, before, extra, position: Some(position), source }))
    }

    fn truncate(&self, record: &RawRecord<'_>, envelope: &Envelope<'_>) -> Result<Decoded, DecodeError> {
        let lead = envelope.source.unwrap_or_default();
        let source = source_info(&lead, envelope.read_us, envelope.read_ms);
        Ok(Decoded::Truncate { position: self.position_of_envelope(record, &lead)?, source })
    }

    fn flat(
        &mut self,
        record: &RawRecord<'_>,
        key: Option<i64>,
        payload: &str,
        columns: &Columns,
    ) -> Result<Option<Decoded>, DecodeError> {
        let mut meta = Meta::default();
        let read = self.read_row(payload, columns, Some(&mut meta)).map_err(|error| json_error("value", &error))?;
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
        let lead = meta.lead;
        let position = lead.position()?;
        self.style = Some(Style::Flat { ordered_by_offset: position.is_none() });
        let position = position.unwrap_or_else(|| self.kafka_position(record));
        let source = source_info(&lead, None, meta.read_ms);
        let deleted = matches!(unquoted(meta.deleted), Some("true"));
        let op = match unquoted(meta.op) {
            Some("d") => Op::Delete,
            _ if deleted => Op::Delete,
            Some("c") => Op::Create,
            Some("r") => Op::Read,
            Some("u" | "null") | None => Op::Update,
            Some(other) => return Err(DecodeError::UnknownOp { op: scalar::shortened(other) }),
        };
        let change = if op == Op::Delete {
            let record_id = reconcile(key, read.id)?;
            let before = if self.keep_before { row_before(read, record_id) } else { None };
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
        // Sources write both at once, one after the other. A tombstone whose delete is gone is all that compaction has left of
        // it: the row may still stand here.
        let companion = deleted.is_some_and(|deleted| deleted.as_deref() == record.key);
        // One without a key follows a delete without one, which is refused: it names no row.
        if companion || (record.key.is_none() && self.style == Some(Style::Envelope)) {
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

type Accepted = (i64, StockRow, Option<Box<Map<String, Value>>>);

/// A row that stands: nothing is wrong with it, and it belongs to the key.
fn accept(read: ReadRow, key: Option<i64>) -> Result<Accepted, DecodeError> {
    if let Some(fault) = read.fault {
        return Err(fault);
    }
    let record_id = reconcile(key, read.id)?;
    Ok((record_id, StockRow { record_id, ..read.row }, read.extra))
}

/// The row before a change. One that cannot be read is none: it decides nothing. Nor is one without a time: that is what
/// Postgres' default replica identity makes up (the epoch, for a NOT NULL column).
fn row_before(read: ReadRow, record_id: i64) -> Option<StockRow> {
    let known = read.fault.is_none() && read.row.time.is_some_and(|time| time.timestamp() != 0);
    known.then_some(StockRow { record_id, ..read.row })
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

fn source_info(lead: &Lead<'_>, read_us: Option<&str>, read_ms: Option<&str>) -> SourceInfo {
    let micros = match read_us {
        Some(micros) => micros.parse().ok(),
        None => read_ms.and_then(|millis| millis.parse::<i64>().ok()?.checked_mul(1_000)),
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

fn unquoted(text: Option<&str>) -> Option<&str> {
    text.map(|text| text.trim_matches('"'))
}

/// A reason goes into logs and tables; what it quotes of the record may be as long as the record.
const LONGEST_REASON: usize = 300;

fn unknown_shape(reason: &str) -> DecodeError {
    DecodeError::UnknownShape { reason: scalar::excerpt(reason, LONGEST_REASON) }
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
        DecodeError::NotJson { part, reason: scalar::excerpt(&error.to_string(), LONGEST_REASON) }
    }
}
