//! Turns the records of one partition into batches: decode, check, collect.

use crate::store::{Batch, Item, Refused, RefusedReason, Upsert};
use cdc::{Decoded, Decoder, Op, RawRecord};
use chrono::{DateTime, TimeDelta, Utc};
use quality::{Limits, RuleSet, Verdict, check_row};
use rdkafka::{
    Message, Timestamp,
    message::{BorrowedMessage, Headers},
};
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A batch is closed when it holds this many records …
const MAX_RECORDS: usize = 20_000;
/// … or is this old and the writer is free: a busy writer gets larger batches, which cost it less per record. A quiet
/// stream is flushed at once.
const MAX_AGE: Duration = Duration::from_millis(20);

/// How far ahead of our clock a bar may start.
const FUTURE_TOLERANCE: TimeDelta = TimeDelta::minutes(2);

/// Collects one partition's records.
pub struct Batcher {
    decoder: Decoder,
    items: Vec<Item>,
    /// The last item must stand alone.
    full: bool,
    started: Instant,
    next_offset: i64,
    last_hash: i64,
    limits: Limits,
}

impl Batcher {
    pub fn new(incarnation: i32, next_offset: i64) -> Self {
        Self {
            decoder: Decoder::new(incarnation),
            items: Vec::new(),
            full: false,
            started: Instant::now(),
            next_offset,
            last_hash: 0,
            limits: Limits { now: Utc::now(), future_tolerance: FUTURE_TOLERANCE },
        }
    }

    /// Adds a record. Gives back the batch that had to end before it, when it must stand alone.
    pub fn push(&mut self, message: &BorrowedMessage<'_>) -> Option<Batch> {
        if self.items.is_empty() {
            self.started = Instant::now();
            self.limits.now = Utc::now();
        }
        let item = self.read(message);
        let alone = matches!(item, Item::Truncate { .. });
        let before = if alone { self.take() } else { None };
        self.full = alone;
        self.items.push(item);
        self.next_offset = message.offset() + 1;
        self.last_hash = record_hash(message);
        before
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether nothing more may be added.
    pub fn is_full(&self) -> bool {
        self.full || self.items.len() >= MAX_RECORDS
    }

    /// Whether what was collected has waited long enough, if the writer can take it.
    pub fn is_due(&self) -> bool {
        !self.items.is_empty() && self.started.elapsed() >= MAX_AGE
    }

    /// What has been collected, if anything.
    pub fn take(&mut self) -> Option<Batch> {
        if self.items.is_empty() {
            return None;
        }
        self.full = false;
        Some(Batch {
            next_offset: self.next_offset,
            last_hash: self.last_hash,
            received_at: Utc::now(),
            items: std::mem::take(&mut self.items),
        })
    }

    fn read(&mut self, message: &BorrowedMessage<'_>) -> Item {
        let offset = message.offset();
        let timestamp_ms = match message.timestamp() {
            Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) => Some(ms),
            Timestamp::NotAvailable => None,
        };
        let record = RawRecord {
            topic: message.topic(),
            partition: message.partition(),
            offset,
            timestamp_ms,
            key: message.key(),
            value: message.payload(),
        };
        let change = match self.decoder.decode(&record) {
            Ok(Decoded::Change(change)) => change,
            Ok(Decoded::Control(_)) => return Item::Control,
            Ok(Decoded::Truncate { position, source }) => {
                let event_time = source.committed_at.unwrap_or_else(|| self.arrival(timestamp_ms));
                return Item::Truncate { offset, position, event_time };
            }
            Err(error) => return refuse(message, timestamp_ms, RefusedReason::Decode(error)),
        };
        let event_time = change.event_time(self.arrival(timestamp_ms));
        let (Some(row), Some(position)) = (&change.after, change.position) else {
            let (record_id, position) = (change.record_id, change.position);
            return Item::Delete { offset, record_id, position, event_time };
        };
        if change.op == Op::Delete {
            return Item::Delete { offset, record_id: change.record_id, position: Some(position), event_time };
        }
        let rules = match check_row(row, &self.limits) {
            Verdict::Accepted => RuleSet::default(),
            Verdict::Tagged(violations) => violations.iter().map(|violation| violation.rule).collect(),
            Verdict::Rejected(violations) => return refuse(message, timestamp_ms, RefusedReason::Rules(violations)),
        };
        let Some((symbol, bar)) = row.bar() else {
            // The completeness and symbol rules are critical: a row that passed them is a bar.
            return refuse(message, timestamp_ms, RefusedReason::Rules(Vec::new()));
        };
        Item::Upsert(Upsert {
            offset,
            record_id: change.record_id,
            op: change.op,
            symbol,
            bar,
            position,
            event_time,
            source_at: change.source.committed_at,
            rules,
        })
    }

    fn arrival(&self, timestamp_ms: Option<i64>) -> DateTime<Utc> {
        timestamp_ms.and_then(DateTime::from_timestamp_millis).unwrap_or(self.limits.now)
    }
}

fn refuse(message: &BorrowedMessage<'_>, timestamp_ms: Option<i64>, reason: RefusedReason) -> Item {
    let headers: Vec<(&str, Option<String>)> = message
        .headers()
        .map(|headers| {
            headers
                .iter()
                .map(|header| (header.key, header.value.map(|value| String::from_utf8_lossy(value).into_owned())))
                .collect()
        })
        .unwrap_or_default();
    Item::Refused(Box::new(Refused {
        offset: message.offset(),
        timestamp_ms,
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: serde_json::to_vec(&headers).unwrap_or_else(|_| b"[]".to_vec()),
        reason,
    }))
}

/// Tells a record from another one at the same offset of a re-created topic: by key, value and timestamp.
pub fn record_hash(message: &BorrowedMessage<'_>) -> i64 {
    let timestamp = message.timestamp().to_millis().unwrap_or(-1).cast_unsigned();
    // An absent part must differ from an empty one.
    let part = |bytes: Option<&[u8]>, seed: u64| bytes.map_or(!seed, |bytes| xxh3_64_with_seed(bytes, seed));
    part(message.payload(), part(message.key(), timestamp)).cast_signed()
}
