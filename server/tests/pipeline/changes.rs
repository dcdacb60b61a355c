//! Changes as the store takes them, without Kafka.

use crate::stack::TOPIC;
use cdc::{Op, Position, Snapshot, SourceIdent};
use chrono::{DateTime, Utc};
use market::Bar;
use quality::RuleSet;
use rust_decimal::Decimal;
use server::store::{Batch, Item, PartitionKey, Store, Upsert, Writer};
use std::sync::Arc;

/// Seconds after 2024-01-16 14:30 UTC.
pub fn instant(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_705_415_400 + seconds, 0).expect("in range")
}

/// A change of one key, streamed by server 1001 unless it says otherwise. Its position is also its event time and, in
/// seconds, its stamp.
#[derive(Clone, Copy)]
pub struct Change {
    pub record_id: i64,
    pub position: i64,
    pub server_id: u32,
    pub at: i64,
    pub op: Op,
    pub snapshot: Snapshot,
    pub price: i64,
    pub volume: i64,
}

pub fn change(record_id: i64, position: i64) -> Change {
    let (op, snapshot) = (Op::Create, Snapshot::No);
    Change { record_id, position, server_id: 1001, at: position, op, snapshot, price: position, volume: 100 }
}

/// The same as a read of a snapshot.
pub fn read(record_id: i64, position: i64, snapshot: Snapshot) -> Change {
    Change { server_id: 0, op: Op::Read, snapshot, ..change(record_id, position) }
}

impl Change {
    pub fn place(&self) -> Position {
        let ident = SourceIdent::Binlog { server_id: self.server_id, base: 7 };
        Position { ident, hi: self.position, lo: 0 }
    }

    pub fn upsert(&self, offset: i64) -> Item {
        let price = Decimal::from(self.price);
        Item::Upsert(Upsert {
            offset,
            record_id: self.record_id,
            op: self.op,
            symbol: "AMZN".parse().expect("a symbol"),
            bar: Bar {
                time: instant(self.record_id * 60),
                open: price,
                high: price,
                low: price,
                close: price,
                volume: self.volume,
            },
            position: self.place(),
            event_time: instant(self.at),
            source_at: Some(instant(self.at)),
            snapshot: self.snapshot,
            rules: RuleSet::default(),
            tags: Vec::new(),
        })
    }

    pub fn delete(&self, offset: i64) -> Item {
        let (record_id, position, event_time) = (self.record_id, Some(self.place()), instant(self.at));
        Item::Delete { offset, record_id, position, event_time, source_at: Some(event_time) }
    }
}

pub fn truncate(offset: i64, position: i64) -> Item {
    let (position, event_time) = (change(0, position).place(), instant(position));
    Item::Truncate { offset, position, event_time, source_at: Some(event_time) }
}

pub async fn open(store: &Store, partition: i32) -> Writer {
    let key = PartitionKey { topic: TOPIC.to_owned(), partition };
    Writer::open(store.clone(), key, Arc::new(|_| false)).await.expect("the partition opens")
}

pub fn batch(writer: &Writer, items: Vec<Item>) -> Batch {
    let next_offset = writer.state().next_offset + items.len() as i64;
    Batch { next_offset, last_hash: 1, received_at: instant(0), items }
}

/// Applies changes at the partition's next offsets.
pub async fn apply(writer: &mut Writer, changes: impl IntoIterator<Item = Change>) -> server::store::Committed {
    let first = writer.state().next_offset;
    let items = (first..).zip(changes).map(|(offset, change)| change.upsert(offset)).collect();
    let batch = batch(writer, items);
    writer.apply(&batch).await.expect("the batch is applied")
}

pub async fn apply_item(writer: &mut Writer, item: impl FnOnce(i64) -> Item) -> server::store::Committed {
    let batch = batch(writer, vec![item(writer.state().next_offset)]);
    writer.apply(&batch).await.expect("the batch is applied")
}

/// Key and price of every row that stands.
pub async fn rows(store: &Store) -> Vec<(i64, Decimal)> {
    sqlx::query_as("select record_id, close from stock order by record_id").fetch_all(store.pool()).await.expect("rows")
}

pub fn prices(rows: &[(i64, i64)]) -> Vec<(i64, Decimal)> {
    rows.iter().map(|(id, price)| (*id, Decimal::from(*price))).collect()
}

pub async fn count(store: &Store, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(store.pool()).await.expect("a number")
}
