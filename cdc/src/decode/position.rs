//! What a record says of its place in the source's log, and when the source committed it.

use super::{cursor::Cursor, scalar::shortened};
use crate::{DecodeError, Position, Snapshot, SourceIdent};
use chrono::{DateTime, Utc};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// The needed fields of `source` and of `transaction`.
const FIELDS: [&str; 12] =
    ["connector", "name", "db", "snapshot", "ts_ms", "ts_us", "server_id", "file", "pos", "row", "lsn", "total_order"];
const CONNECTOR: usize = 0;
const NAME: usize = 1;
const DB: usize = 2;
const SNAPSHOT: usize = 3;
const TS_MS: usize = 4;
const TS_US: usize = 5;
const SERVER_ID: usize = 6;
const FILE: usize = 7;
const POS: usize = 8;
const ROW: usize = 9;
const LSN: usize = 10;
const TOTAL_ORDER: usize = 11;

/// What is needed of `source`, or of a flattened row's `__source_…` columns, as raw JSON: most records need few of the
/// fields, and none needs an allocation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lead<'de>([Option<&'de str>; FIELDS.len()]);

impl<'de> Lead<'de> {
    /// The place of a field, `None` when it is not needed.
    pub fn field(name: &str) -> Option<usize> {
        FIELDS.iter().position(|known| *known == name)
    }

    /// Fills a field; a JSON null leaves it empty.
    pub fn set(&mut self, field: usize, text: &'de str) {
        self.0[field] = (text != "null").then_some(text);
    }

    /// Whether a field is filled.
    pub fn has(&self, field: usize) -> bool {
        self.0[field].is_some()
    }

    /// Takes the transaction's fields in.
    pub fn join(&mut self, transaction: Lead<'de>) {
        self.0[TOTAL_ORDER] = transaction.0[TOTAL_ORDER];
    }

    fn text(&self, field: usize) -> Option<&'de str> {
        self.0[field].map(|text| text.trim_matches('"'))
    }

    fn integer(&self, field: usize) -> Result<Option<i64>, DecodeError> {
        let Some(text) = self.0[field] else { return Ok(None) };
        text.parse().map(Some).map_err(|_| bad(format!("{} {}", FIELDS[field], shortened(text))))
    }

    /// When the source committed the change. MariaDB and MySQL stamp snapshots of old versions with 0.
    pub fn committed_at(&self) -> Option<DateTime<Utc>> {
        let micros = match self.text(TS_US) {
            Some(micros) => micros.parse().ok(),
            None => self.text(TS_MS).and_then(|millis| millis.parse::<i64>().ok()?.checked_mul(1_000)),
        };
        micros.filter(|micros| *micros != 0).and_then(instant_of_micros)
    }

    pub fn snapshot(&self) -> Snapshot {
        match self.text(SNAPSHOT) {
            None | Some("false") => Snapshot::No,
            Some("first" | "first_in_data_collection") => Snapshot::First,
            Some("last" | "last_in_data_collection") => Snapshot::Last,
            Some("incremental") => Snapshot::Incremental,
            Some(_) => Snapshot::Middle,
        }
    }

    /// The position in the source's log. `Ok(None)` when the record says of no log.
    ///
    /// # Errors
    /// [`DecodeError::BadPosition`] when it is unreadable, or when an envelope's connector has a log but the record no place
    /// in it: a made-up version could hide later changes for good.
    pub fn position(&self) -> Result<Option<Position>, DecodeError> {
        if let Some(lsn) = self.integer(LSN)? {
            let mut buffer = [0; 256];
            let order = self.integer(TOTAL_ORDER)?.unwrap_or_default();
            if lsn < 0 {
                return Err(bad(format!("lsn {lsn}")));
            }
            return Ok(Some(Position {
                ident: SourceIdent::Postgres { name: xxh3_64(self.ident_text(&mut buffer)) },
                hi: lsn,
                lo: counted("total_order", order)?,
            }));
        }
        if let (Some(file), Some(pos)) = (self.text(FILE), self.integer(POS)?) {
            return self.binlog(file, pos).map(Some);
        }
        Ok(None)
    }

    /// Whether the connector is one whose every record has a place in a log.
    pub fn has_log(&self) -> bool {
        matches!(self.text(CONNECTOR), Some("mysql" | "mariadb" | "postgresql"))
    }

    fn binlog(&self, file: &str, pos: i64) -> Result<Position, DecodeError> {
        let parts = file.rsplit_once('.').and_then(|(base, number)| Some((base, number.parse::<i64>().ok()?)));
        let (base, number) = parts.ok_or_else(|| bad(format!("binlog file {:?}", shortened(file))))?;
        let row = self.integer(ROW)?.unwrap_or_default();
        let server_id = self.integer(SERVER_ID)?.unwrap_or_default();
        if !(0..1 << 23).contains(&number) || !(0..1 << 40).contains(&pos) {
            return Err(bad(format!("binlog file {number}, pos {pos}")));
        }
        Ok(Position {
            ident: SourceIdent::Binlog {
                server_id: u32::try_from(server_id).map_err(|_| bad(format!("server_id {server_id}")))?,
                base: xxh3_64(base.as_bytes()),
            },
            hi: number << 40 | pos,
            lo: counted("row", row)?,
        })
    }

    /// `name NUL db`, cut to the buffer.
    fn ident_text<'b>(&self, buffer: &'b mut [u8; 256]) -> &'b [u8] {
        let name = self.text(NAME).unwrap_or_default().bytes();
        let db = self.text(DB).unwrap_or_default().bytes();
        let mut length = 0;
        for (slot, byte) in buffer.iter_mut().zip(name.chain([0]).chain(db)) {
            *slot = byte;
            length += 1;
        }
        &buffer[..length]
    }
}

/// A place among several: logs count them from 0 or 1.
fn counted(name: &str, place: i64) -> Result<i32, DecodeError> {
    i32::try_from(place).ok().filter(|place| *place >= 0).ok_or_else(|| bad(format!("{name} {place}")))
}

fn bad(reason: String) -> DecodeError {
    DecodeError::BadPosition { reason }
}

/// A stamp in microseconds, `None` outside years 1 to 9999.
pub(super) fn instant_of_micros(micros: i64) -> Option<DateTime<Utc>> {
    super::time::instant(micros, Some(super::schema::Fraction::Micros))
}

/// The same as [`LeadSeed`] does, for what the cursor can read.
pub(super) fn read_lead<'de>(cursor: &mut Cursor<'de>) -> Option<Option<Lead<'de>>> {
    if cursor.null() {
        return Some(None);
    }
    let mut lead = Lead::default();
    cursor.object(|cursor, name| {
        let text = cursor.value()?;
        if let Some(field) = Lead::field(name) {
            if lead.has(field) {
                return None;
            }
            lead.set(field, text);
        }
        Some(())
    })?;
    Some(Some(lead))
}

/// Reads the `source` or the `transaction` block of an envelope.
pub(super) struct LeadSeed;

impl<'de> DeserializeSeed<'de> for LeadSeed {
    type Value = Option<Lead<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for LeadSeed {
    type Value = Option<Lead<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a block about the source")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut lead = Lead::default();
        while let Some(field) = fields.next_key_seed(FieldSeed)? {
            match field {
                Some(field) if lead.has(field) => {
                    return Err(A::Error::custom(format_args!("duplicate field {}", FIELDS[field])));
                }
                Some(field) => lead.set(field, fields.next_value::<&RawValue>()?.get()),
                None => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Some(lead))
    }
}

struct FieldSeed;

impl<'de> DeserializeSeed<'de> for FieldSeed {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldSeed {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Lead::field(name))
    }
}
