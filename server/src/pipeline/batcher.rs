//! Turns the records of one partition into batches: decode, check, collect.

use super::{
    hops::{Hop, Hops},
    judge::Judge,
    lot::{Lot, Mark},
    understand::{encode_headers, interpret},
};
use crate::store::{Batch, Item, Refused, RefusedReason, Upsert};
use cdc::{Decoder, RawRecord, Snapshot};
use chrono::{DateTime, Utc};
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

/// Of a batch, this many records are measured one by one, and of the rest each one of as many stands for all of them: a
/// look at the clock costs as much as a tenth of a record.
const MEASURED: usize = 16;

/// Collects one partition's records.
pub struct Batcher {
    decoder: Decoder,
    items: Vec<Item>,
    marks: Vec<Mark>,
    /// The last item must stand alone.
    full: bool,
    started: Instant,
    next_offset: i64,
    /// The partition's number at the judge.
    number: usize,
    hops: Hops,
    /// Records since the last one that stood for others.
    unmeasured: u64,
}

impl Batcher {
    pub fn new(incarnation: i32, next_offset: i64, number: usize, hops: Hops) -> Self {
        Self {
            decoder: Decoder::new(incarnation),
            items: Vec::new(),
            marks: Vec::new(),
            full: false,
            started: Instant::now(),
            next_offset,
            number,
            hops,
            unmeasured: 0,
        }
    }

    /// Adds a record. Gives back the batch that had to end before it, when it must stand alone.
    pub fn push(&mut self, message: &BorrowedMessage<'_>, judge: &mut Judge) -> Option<Lot> {
        if self.items.is_empty() {
            self.started = Instant::now();
            judge.limits.now = Utc::now();
        }
        judge.enter(self.number);
        let item = self.read(message, judge);
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
        Some(Lot::new(batch, std::mem::take(&mut self.marks), self.started))
    }

    /// For how many records the next one is measured; 0: it is not.
    fn stands_for(&mut self) -> u64 {
        if self.items.len() < MEASURED {
            return 1;
        }
        self.unmeasured += 1;
        if self.unmeasured < MEASURED as u64 { 0 } else { std::mem::take(&mut self.unmeasured) }
    }

    fn read(&mut self, message: &BorrowedMessage<'_>, judge: &mut Judge) -> Item {
        let record = raw(message);
        let stands_for = self.stands_for();
        let began = (stands_for > 0).then(|| (Utc::now(), Instant::now()));
        let decoded = self.decoder.decode(&record).map_err(RefusedReason::Decode);
        let decoding = began.map(|(_, began)| began.elapsed());
        let item = decoded.and_then(|decoded| interpret(decoded, &record, judge));
        if let (Some((arrived, began)), Some(decoding)) = (began, decoding) {
            self.hops.record(Hop::Decode, decoding, stands_for);
            self.hops.record(Hop::Check, began.elapsed() - decoding, stands_for);
            if let Some(appended) = record.timestamp_ms {
                self.hops.record_between(Hop::Fetch, appended, arrived.timestamp_millis(), stands_for);
                if let Some(committed) = item.as_ref().ok().and_then(source_at) {
                    self.hops.record_between(Hop::Capture, committed.timestamp_millis(), appended, stands_for);
                }
            }
        }
        item.unwrap_or_else(|reason| Item::Refused(Box::new(refuse(message, reason))))
    }
}

/// When the source committed the change; what a snapshot read was committed at any time before.
fn source_at(item: &Item) -> Option<DateTime<Utc>> {
    match item {
        Item::Upsert(Upsert { source_at, snapshot: Snapshot::No, .. })
        | Item::Delete { source_at, .. }
        | Item::Truncate { source_at, .. } => *source_at,
        _ => None,
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
