//! The store in memory: what `write` does to the tables with an [`Effect`], with the tables' own constraints.

use super::{
    source::{Mark, Origin, Place, What},
    transport::{Delivered, Message},
};
use crate::store::fold::{Counts, Effect, Item, Refused, RefusedReason, Stored, Upsert, fold, op_code};
use cdc::{DecodeError, EpochBook, KeyState, Op, Position, Snapshot, SourceIdent, Version};
use chrono::{DateTime, TimeDelta, Utc};
use market::{Bar, Symbol};
use quality::RuleSet;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, HashMap};

/// 2024-01-16 14:30 UTC.
const OPEN: i64 = 1_705_415_400;

pub fn instant(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(OPEN + seconds, 0).unwrap()
}

pub fn position(place: Place) -> Position {
    let ident = match place.origin {
        Origin::Binlog { server, base } => SourceIdent::Binlog { server_id: server, base },
        Origin::Postgres => SourceIdent::Postgres { name: 1 },
        Origin::Topic { incarnation } => SourceIdent::Kafka { incarnation },
    };
    Position { ident, hi: place.file << 40 | place.pos, lo: place.row }
}

/// A place in its log as the tables keep it. Of the epochs only the order matters, and that shows in the verdicts.
pub fn packed((_, file, pos, row): super::oracle::Version) -> (i64, i32) {
    (file << 40 | pos, row)
}

/// The record as the pipeline hands it to the store.
pub fn item(record: &Delivered) -> Item {
    let offset = record.offset;
    match &record.message {
        Message::Control => Item::Control,
        Message::Bad => Item::Refused(Box::new(Refused {
            offset,
            timestamp_ms: Some(offset),
            key: None,
            value: Some(format!("bad {offset}").into_bytes()),
            headers: b"[]".to_vec(),
            reason: RefusedReason::Decode(DecodeError::NoKey),
        })),
        Message::Change { key, what, place, event_time, committed_at, mark } => {
            let (record_id, event_time) = (*key, instant(*event_time));
            // Within its second, so that it is never the row's own event time by chance.
            let source_at = committed_at.map(|at| instant(at) + TimeDelta::milliseconds(500));
            match (what, place.map(position)) {
                (What::Delete, position) => Item::Delete { offset, record_id, position, event_time, source_at },
                (What::Truncate, Some(position)) => Item::Truncate { offset, position, event_time, source_at },
                (What::Upsert { op, row }, Some(position)) => Item::Upsert(Upsert {
                    offset,
                    record_id,
                    op: match op {
                        'c' => Op::Create,
                        'u' => Op::Update,
                        _ => Op::Read,
                    },
                    symbol: row.symbol.parse().unwrap(),
                    bar: Bar {
                        time: instant(row.minute * 60),
                        open: row.close,
                        high: row.close,
                        low: row.close,
                        close: row.close,
                        volume: row.volume,
                    },
                    position,
                    event_time,
                    source_at,
                    snapshot: match mark {
                        Mark::Streamed => Snapshot::No,
                        Mark::First => Snapshot::First,
                        Mark::Middle => Snapshot::Middle,
                        Mark::Last => Snapshot::Last,
                    },
                    rules: RuleSet::default(),
                    tags: Vec::new(),
                }),
                (_, None) => unreachable!("only deletes come without a place"),
            }
        }
    }
}

/// A row of `stock`.
#[derive(Clone, Debug, PartialEq)]
pub struct StockRow {
    pub symbol: Symbol,
    pub time: DateTime<Utc>,
    pub close: Decimal,
    pub volume: i64,
    pub event_time: DateTime<Utc>,
    pub version: Version,
    pub op: u8,
    pub offset: i64,
}

impl StockRow {
    fn bar(&self) -> Bar {
        let Self { time, close, volume, .. } = *self;
        Bar { time, open: close, high: close, low: close, close, volume }
    }
}

/// `stock`, `tombstone`, and what is remembered of the sources.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replica {
    pub stock: BTreeMap<i64, StockRow>,
    pub tombstones: BTreeMap<i64, KeyState>,
    epochs: EpochBook,
    truncated: Option<Version>,
}

impl Replica {
    /// Applies one batch: a truncate is always alone.
    pub fn apply(&mut self, items: &[Item]) -> Effect {
        let stored = self.stored(items);
        let truncated = self.truncated.unwrap_or(Version::NONE);
        let effect = fold(items, stored, truncated, |position, at| self.epochs.version_of(position, at));
        if let [Item::Truncate { position, source_at, .. }] = items {
            let version = self.epochs.version_of(*position, *source_at);
            self.stock.retain(|_, row| row.version >= version);
            if position.ident.is_log() {
                self.truncated = self.truncated.max(Some(version));
            }
        } else {
            self.write(items, &effect);
        }
        for key in self.stock.keys() {
            assert!(!self.tombstones.contains_key(key), "{key} stands and is deleted");
        }
        effect
    }

    fn stored(&self, items: &[Item]) -> HashMap<i64, Stored> {
        let keys = items.iter().filter_map(|item| match item {
            Item::Upsert(upsert) => Some(upsert.record_id),
            Item::Delete { record_id, .. } => Some(*record_id),
            Item::Truncate { .. } | Item::Control | Item::Refused(_) => None,
        });
        keys.filter_map(|key| {
            if let Some(row) = self.stock.get(&key) {
                let state = KeyState { version: row.version, event_time: row.event_time, deleted: false };
                let shows = Some((row.symbol.clone(), row.time));
                return Some((key, Stored { state, shows, bar: Some(row.bar()) }));
            }
            Some((key, Stored { state: *self.tombstones.get(&key)?, shows: None, bar: None }))
        })
        .collect()
    }

    fn write(&mut self, items: &[Item], effect: &Effect) {
        for key in &effect.revived {
            assert!(self.tombstones.remove(key).is_some(), "{key} has no tombstone");
        }
        for (index, version) in &effect.inserts {
            let (key, row) = row(&items[*index], *version);
            assert_eq!(self.stock.insert(key, row), None, "a primary key of stock");
        }
        for (index, version) in &effect.updates {
            let (key, row) = row(&items[*index], *version);
            assert!(self.stock.insert(key, row).is_some(), "{key} does not stand");
        }
        for (key, version) in &effect.bumps {
            self.stock.get_mut(key).unwrap().version = *version;
        }
        for key in &effect.removes {
            assert!(self.stock.remove(key).is_some(), "{key} does not stand");
        }
        for (key, state, _) in &effect.tombstones {
            self.tombstones.insert(*key, *state);
        }
    }
}

fn row(item: &Item, version: Version) -> (i64, StockRow) {
    let Item::Upsert(upsert) = item else { panic!("only upserts stand: {item:?}") };
    let row = StockRow {
        symbol: upsert.symbol.clone(),
        time: upsert.bar.time,
        close: upsert.bar.close,
        volume: upsert.bar.volume,
        event_time: upsert.event_time,
        version,
        op: op_code(upsert.op),
        offset: upsert.offset,
    };
    (upsert.record_id, row)
}

/// The conservation equation.
pub fn is_conserved(counts: &Counts) -> bool {
    let Counts { consumed, applied, late, duplicate, deleted, control, quarantined, .. } = *counts;
    consumed == applied + late + duplicate + deleted + control + quarantined
}
