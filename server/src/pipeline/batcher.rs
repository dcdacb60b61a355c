//! Turns the records of one partition into batches: decode, check, collect.

use super::{
    lot::{Lot, Mark},
    understand::{encode_headers, limits_at, understand},
};
use crate::store::{Batch, Item, Refused, RefusedReason};
use cdc::{Decoder, RawRecord};
use chrono::Utc;
use quality::Limits;
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

/// Collects one partition's records.
pub struct Batcher {
    decoder: Decoder,
    items: Vec<Item>,
    marks: Vec<Mark>,
    /// The last item must stand alone.
    full: bool,
    started: Instant,
    next_offset: i64,
    limits: Limits,
}

impl Batcher {
    pub fn new(incarnation: i32, next_offset: i64) -> Self {
        Self {
            decoder: Decoder::new(incarnation),
            items: Vec::new(),
            marks: Vec::new(),
            full: false,
            started: Instant::now(),
            next_offset,
            limits: limits_at(Utc::now()),
        }
    }

    /// Adds a record. Gives back the batch that had to end before it, when it must stand alone.
    pub fn push(&mut self, message: &BorrowedMessage<'_>) -> Option<Lot> {
        if self.items.is_empty() {
            self.started = Instant::now();
            self.limits.now = Utc::now();
        }
        let item = self.read(message);
        let alone = matches!(item, Item::Truncate { .. });
        let before = if alone { self.take() } else { None };
        self.full = alone;
        self.items.push(item);
        self.marks.push(Mark { offset: message.offset(), hash: record_hash(message) });
        self.next_offset = message.offset() + 1;
        before
    }

    /// Learns from a record that was applied before: whether it is a delete decides what the tombstone after it means. A
    /// replayed delete may be the last record of one life of this program, and its tombstone the first of the next.
    pub fn recall(&mut self, message: &BorrowedMessage<'_>) {
        if self.items.is_empty() && message.offset() + 1 == self.next_offset {
            // What it was is in the store.
            drop(self.decoder.decode(&raw(message)));
        }
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

    /// Whether the record at `offset` is one that has not been added yet.
    pub fn expects(&self, offset: i64) -> bool {
        offset >= self.next_offset
    }

    /// What has been collected, if anything.
    pub fn take(&mut self) -> Option<Lot> {
        let last = self.marks.last()?;
        self.full = false;
        let batch = Batch {
            next_offset: last.offset + 1,
            last_hash: last.hash,
            received_at: Utc::now(),
            items: std::mem::take(&mut self.items),
        };
        Some(Lot::new(batch, std::mem::take(&mut self.marks)))
    }

    fn read(&mut self, message: &BorrowedMessage<'_>) -> Item {
        understand(&mut self.decoder, &raw(message), &self.limits)
            .unwrap_or_else(|reason| Item::Refused(Box::new(refuse(message, reason))))
    }
}

fn raw<'m>(message: &'m BorrowedMessage<'_>) -> RawRecord<'m> {
    RawRecord {
        topic: message.topic(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: timestamp_ms(message),
        key: message.key(),
        value: message.payload(),
    }
}

fn timestamp_ms(message: &BorrowedMessage<'_>) -> Option<i64> {
    match message.timestamp() {
        Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) => Some(ms),
        Timestamp::NotAvailable => None,
    }
}

/// A record for quarantine, raw.
pub fn refuse(message: &BorrowedMessage<'_>, reason: RefusedReason) -> Refused {
    let headers = message.headers().into_iter().flat_map(Headers::iter).map(|header| (header.key, header.value));
    Refused {
        offset: message.offset(),
        timestamp_ms: timestamp_ms(message),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: encode_headers(headers),
        reason,
    }
}

/// Tells a record from another one at the same offset of a re-created topic: by key, value and timestamp.
pub fn record_hash(message: &BorrowedMessage<'_>) -> i64 {
    let timestamp = message.timestamp().to_millis().unwrap_or(-1).cast_unsigned();
    // An absent part must differ from an empty one.
    let part = |bytes: Option<&[u8]>, seed: u64| bytes.map_or(!seed, |bytes| xxh3_64_with_seed(bytes, seed));
    part(message.payload(), part(message.key(), timestamp)).cast_signed()
}
