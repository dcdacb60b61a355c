//! The second layer of a history: how the source's log reaches the topic.
//!
//! The records of one key arrive in the log's order, unless a connector that crashed emits them again. Records of
//! different keys may overtake each other. Nothing is lost: what was not delivered when the hops end is delivered then.

use super::source::{Entry, Mark, Origin, Place, What};
use proptest::prelude::*;

/// One thing that the connector, the broker or the topic does.
#[derive(Clone, Debug)]
pub enum Hop {
    /// Emits the next entries of the log.
    Next(usize),
    /// Crashes, and starts again this many entries back.
    Replay(usize),
    /// The producer tries again what had arrived after all.
    Twice,
    /// The last two records arrive the other way round, if they may.
    Overtake,
    /// A heartbeat, a transaction's end.
    Control,
    /// A record that nothing can be made of.
    Bad,
    /// The topic is created anew; the connector starts its log again.
    Recreate,
}

/// What the connector's transforms make of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The envelope; each delete is followed by a tombstone, which says nothing new.
    Envelope,
    /// A flattened row that tells its place and says of itself that it is deleted.
    Flattened,
    /// A flattened row without a place.
    Unplaced,
    /// A flattened row that tells its place; a delete is a bare tombstone, which cannot.
    BareTombstones,
}

/// One record of the topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    pub incarnation: i32,
    pub offset: i64,
    pub message: Message,
    /// Which entry of the log it stems from.
    pub entry: Option<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    Change {
        key: i64,
        what: What,
        /// `None`: a bare tombstone, of which nobody knows the place.
        place: Option<Place>,
        /// The record's own event time, of an upsert; of anything else the time of its commit.
        event_time: i64,
        /// `None`: a bare tombstone.
        committed_at: Option<i64>,
        mark: Mark,
    },
    Control,
    Bad,
}

/// A topic that is being filled.
#[derive(Clone, Debug)]
pub struct Topic {
    pub shape: Shape,
    /// The life that the topic is in.
    pub incarnation: i32,
    pub records: Vec<Delivered>,
    /// The next entry of the log.
    cursor: usize,
}

impl Topic {
    pub fn new(shape: Shape) -> Self {
        Self { shape, incarnation: 1, records: Vec::new(), cursor: 0 }
    }

    /// All records, when `hops` happen to `log` and the rest arrives undisturbed.
    pub fn of(shape: Shape, log: &[Entry], hops: &[Hop]) -> Vec<Delivered> {
        let mut topic = Self::new(shape);
        for hop in hops {
            topic.hop(log, hop);
        }
        topic.hop(log, &Hop::Next(log.len()));
        topic.records
    }

    pub fn hop(&mut self, log: &[Entry], hop: &Hop) {
        match hop {
            Hop::Next(count) => {
                let end = (self.cursor + count).min(log.len());
                for (index, entry) in log.iter().enumerate().take(end).skip(self.cursor) {
                    self.emit(index, entry);
                }
                self.cursor = end;
            }
            Hop::Replay(back) => self.cursor = self.cursor.saturating_sub(*back).max(self.snapshot_end(log)),
            Hop::Twice => {
                if let Some(last) = self.records.last().filter(|last| last.incarnation == self.incarnation).cloned() {
                    self.append(last.message, last.entry);
                }
            }
            Hop::Overtake => self.overtake(log),
            Hop::Control => self.append(Message::Control, None),
            Hop::Bad => self.append(Message::Bad, None),
            Hop::Recreate => {
                self.incarnation += 1;
                self.cursor = 0;
            }
        }
    }

    /// How far back a connector can start again: a snapshot that is complete is not read another time, one that is not
    /// starts over.
    fn snapshot_end(&self, log: &[Entry]) -> usize {
        let read = log[..self.cursor].iter().rposition(|entry| entry.mark != Mark::Streamed);
        match read.map(|last| (last, &log[last])) {
            None => 0,
            Some((last, Entry { mark: Mark::Last, .. })) => last + 1,
            Some((_, Entry { place, .. })) => log.iter().position(|entry| entry.place == *place).unwrap_or(0),
        }
    }

    fn emit(&mut self, index: usize, entry: &Entry) {
        let delete = entry.what == What::Delete;
        let place = match self.shape {
            Shape::Unplaced => None,
            Shape::BareTombstones if delete => None,
            _ => Some(entry.place),
        };
        let event_time = match &entry.what {
            What::Upsert { row, .. } => row.event_time,
            _ => entry.committed_at,
        };
        let change = Message::Change {
            key: entry.key,
            what: entry.what.clone(),
            place,
            event_time,
            committed_at: place.map(|_| entry.committed_at),
            mark: entry.mark,
        };
        self.append(change, Some(index));
        if delete && self.shape == Shape::Envelope {
            self.append(Message::Control, None);
        }
    }

    fn append(&mut self, message: Message, entry: Option<usize>) {
        let offset = match self.records.last() {
            Some(last) if last.incarnation == self.incarnation => last.offset + 1,
            _ => 0,
        };
        let incarnation = self.incarnation;
        let mut message = message;
        if let Message::Change { place, .. } = &mut message
            && self.shape == Shape::Unplaced
        {
            let (origin, reign) = (Origin::Topic { incarnation }, incarnation as usize);
            *place = Some(Place { origin, file: 0, pos: offset, row: 0, reign });
        }
        self.records.push(Delivered { incarnation, offset, message, entry });
    }

    /// Swaps the last two, when they are row changes of different keys that stand next to each other in one source's log:
    /// a connector reads one log at a time, and a snapshot or a truncate is a line that nothing crosses.
    fn overtake(&mut self, log: &[Entry]) {
        let [.., first, second] = self.records.as_slice() else { return };
        let (Some(one), Some(other)) = (first.entry, second.entry) else { return };
        let streamed = |entry: &Entry| entry.mark == Mark::Streamed && entry.what != What::Truncate;
        let (a, b) = (&log[one], &log[other]);
        // Which server a snapshot was read from, its records do not say: only the first streamed one after it does, by its
        // place. A new server's first record that comes second is not told from a replay, and no rule could: see `EpochBook`.
        let reign_is_known =
            log[..one].iter().any(|entry| entry.mark == Mark::Streamed && entry.place.reign == a.place.reign);
        let may = first.incarnation == second.incarnation
            && reign_is_known
            && a.key != b.key
            && a.place.origin == b.place.origin
            && streamed(a)
            && streamed(b);
        if may {
            let (second, first) = (self.records.pop().unwrap(), self.records.pop().unwrap());
            self.append(second.message, second.entry);
            self.append(first.message, first.entry);
        }
    }
}

/// Cuts records into batches as the pipeline does: of one life of the topic, a truncate always alone.
pub fn cut<'a>(records: &'a [Delivered], sizes: &[usize]) -> Vec<&'a [Delivered]> {
    let is_truncate = |record: &Delivered| matches!(&record.message, Message::Change { what: What::Truncate, .. });
    let mut batches = Vec::new();
    let mut sizes = sizes.iter().cycle();
    let mut rest = records;
    while let Some(first) = rest.first() {
        let most = *sizes.next().unwrap_or(&1);
        let fits = |record: &&Delivered| record.incarnation == first.incarnation && !is_truncate(record);
        let size = if is_truncate(first) { 1 } else { rest.iter().take(most).take_while(fits).count() };
        let (batch, others) = rest.split_at(size);
        batches.push(batch);
        rest = others;
    }
    batches
}

pub fn hop() -> impl Strategy<Value = Hop> {
    prop_oneof![
        10 => (1..6_usize).prop_map(Hop::Next),
        4 => (1..12_usize).prop_map(Hop::Replay),
        1 => Just(Hop::Twice),
        2 => Just(Hop::Overtake),
        1 => Just(Hop::Control),
        1 => Just(Hop::Bad),
        1 => Just(Hop::Recreate),
    ]
}

pub fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        6 => Just(Shape::Envelope),
        2 => Just(Shape::Flattened),
        2 => Just(Shape::Unplaced),
        1 => Just(Shape::BareTombstones),
    ]
}
