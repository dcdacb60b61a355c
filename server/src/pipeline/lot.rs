//! What a reader hands to a writer: a batch that can be cut between any two of its records.

use crate::store::{Batch, Item};
use std::{borrow::Cow, ops::Range, time::Instant};

/// Where one record of a batch lies: what the store would have to remember if the batch ended with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub offset: i64,
    pub hash: i64,
}

/// Consecutive records of one partition, with the mark of each.
#[derive(Clone, Debug)]
pub struct Lot {
    batch: Batch,
    /// As many as the batch has items.
    marks: Vec<Mark>,
    /// When its first record was read.
    pub read_at: Instant,
}

impl Lot {
    pub fn new(batch: Batch, marks: Vec<Mark>, read_at: Instant) -> Self {
        debug_assert_eq!(batch.items.len(), marks.len(), "each record has its mark");
        Self { batch, marks, read_at }
    }

    pub fn len(&self) -> usize {
        self.marks.len()
    }

    pub fn mark(&self, index: usize) -> Mark {
        self.marks[index]
    }

    pub fn item(&self, index: usize) -> &Item {
        &self.batch.items[index]
    }

    /// Which of some records were refused, in order.
    pub fn refused(&self, records: Range<usize>) -> impl Iterator<Item = bool> {
        self.batch.items[records].iter().map(|item| matches!(item, Item::Refused(_)))
    }

    /// Some of its records as a batch of their own. Copies nothing when it is all of them.
    pub fn part(&self, records: Range<usize>) -> Cow<'_, Batch> {
        if records == (0..self.len()) {
            return Cow::Borrowed(&self.batch);
        }
        let items = self.batch.items[records.clone()].to_vec();
        Cow::Owned(self.ending(records.end - 1, items))
    }

    /// A batch of other items that leaves the partition where the record at `last` would.
    pub fn ending(&self, last: usize, items: Vec<Item>) -> Batch {
        let Mark { offset, hash } = self.marks[last];
        Batch { next_offset: offset + 1, last_hash: hash, received_at: self.batch.received_at, items }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Utc;

    #[test]
    fn a_part_ends_where_its_last_record_lies() {
        let marks = [3, 5, 6].map(|offset| Mark { offset, hash: offset * 10 });
        let items = vec![Item::Control; 3];
        let batch = Batch { next_offset: 7, last_hash: 60, received_at: Utc::now(), items };
        let lot = Lot::new(batch, marks.to_vec(), Instant::now());
        assert!(matches!(lot.part(0..3), Cow::Borrowed(_)));
        let part = lot.part(0..2);
        assert_eq!((part.next_offset, part.last_hash, part.items.len()), (6, 50, 2));
    }
}
