//! What a record turned out to be.

#[cfg(doc)]
use crate::Decoder;
use crate::Position;
use chrono::{DateTime, Utc};
use market::StockRow;
use serde::Serialize;
use serde_json::{Map, Value};

/// A Kafka record as consumed.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    /// The record's timestamp, in milliseconds since the epoch.
    pub timestamp_ms: Option<i64>,
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

/// What a record turned out to be.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly every record is a change; a box would cost each an allocation")]
pub enum Decoded {
    /// A row was inserted, updated, read by a snapshot or deleted.
    Change(Change),
    /// The table was emptied: every row with a version at or below its own is gone.
    Truncate { position: Position, source: SourceInfo },
    /// Recognised, and without effect on any row.
    Control(Control),
}

/// Records that carry no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    Heartbeat,
    Transaction,
    SchemaChange,
    /// The tombstone that follows a delete of the same key.
    Tombstone,
}

/// What happened to the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    Create,
    /// Also what a flattened row is when it does not say.
    Update,
    /// Read by a snapshot.
    Read,
    Delete,
}

/// Where in a snapshot a record stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Snapshot {
    /// Streamed.
    #[default]
    No,
    /// The first of its table.
    First,
    Middle,
    /// The last of its table: the table is now known completely. A table of one row has only this.
    Last,
    Incremental,
}

/// What the source says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SourceInfo {
    /// When the source committed the change, as far as the record says.
    pub committed_at: Option<DateTime<Utc>>,
    /// When the connector read it.
    pub read_at: Option<DateTime<Utc>>,
    pub snapshot: Snapshot,
}

/// One change of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub op: Op,
    pub record_id: i64,
    /// The row after the change; `None` for a delete.
    pub after: Option<StockRow>,
    /// The row before the change, as far as the source sends it and when
    /// [`Decoder::keep_before`] is on. Postgres' default replica identity makes up every column but the key.
    pub before: Option<StockRow>,
    /// Columns that `stock` does not have, by name; kept aside, not refused.
    pub extra: Option<Box<Map<String, Value>>>,
    /// `None` for a tombstone that came without its delete, unless the partition is ordered by its offsets anyway.
    pub position: Option<Position>,
    pub source: SourceInfo,
}

impl Change {
    /// The business time of the change: the row's own event time, else the source's commit time, else `fallback` (the
    /// Kafka record's timestamp).
    pub fn event_time(&self, fallback: DateTime<Utc>) -> DateTime<Utc> {
        let own = self.after.as_ref().and_then(|row| row.event_time);
        own.or(self.source.committed_at).unwrap_or(fallback)
    }
}
