//! One partition on its way through the fold, and what its counters should say then.

use super::{
    Redriven,
    fold::{Fold, Folded},
    judges::{JudgedBy, OfPartition},
    report::{Differences, Kind, PartitionReport},
    walk::{Kept, Walked},
};
use crate::{
    pipeline::understand,
    store::{ConsumedPartition, Item, Provenance, RefusedPlace, TopicFacts},
};
use cdc::{Decoder, EpochBook, RawRecord, Snapshot, Version};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// A partition being folded.
pub struct Folding<'a> {
    topic: &'a str,
    partition: i32,
    incarnation: i32,
    book: EpochBook,
    decoder: Decoder,
    judges: OfPartition,
    /// Refused offsets of this incarnation, and whether each was redriven.
    refused: HashMap<i64, bool>,
    /// The versions of the snapshots after which the partition was swept.
    sweeps: VecDeque<Version>,
    /// Keys that a snapshot may have mentioned in a record that was refused, each with its place.
    spared: Vec<(i64, (i32, i64))>,
    /// Refused records of every incarnation that were not redriven.
    left: i64,
    schedule: VecDeque<Redriven>,
    counts: BTreeMap<&'static str, i64>,
    acceptable: u64,
}

/// A partition that has been folded.
pub struct Verified {
    pub stored: ConsumedPartition,
    pub kept: Kept,
    counts: BTreeMap<&'static str, i64>,
    left: i64,
    refused: u64,
    acceptable: u64,
    judged_by: Vec<JudgedBy>,
}

impl<'a> Folding<'a> {
    pub fn new<'r>(
        topic: &'a str,
        stored: &ConsumedPartition,
        low: i64,
        alone: bool,
        facts: &TopicFacts,
        refused: impl Iterator<Item = &'r RefusedPlace> + Clone,
        redriven: impl Iterator<Item = Redriven>,
    ) -> Self {
        let left = refused.clone().filter(|place| place.redriven.is_none()).count() as i64;
        let spared = refused.clone().filter_map(|place| Some((place.record_id?, (place.incarnation, place.offset))));
        let spared = spared.collect();
        let of_now = refused.filter(|place| place.incarnation == stored.incarnation);
        // From its very beginning a partition tells its sources itself. Otherwise those from before must be believed, and
        // of several partitions, which of them saw a source first.
        let from_the_beginning = stored.incarnation == 1 && low == 0 && alone;
        let epochs = if from_the_beginning { Vec::new() } else { facts.epochs.clone() };
        let sweeps = facts.sweeps.iter().filter(|(partition, _)| *partition == stored.partition);
        // What took effect before the part that is kept belongs to the unknown.
        let schedule = redriven.filter(|record| record.place.effect >= (stored.incarnation, low)).collect();
        Self {
            topic,
            partition: stored.partition,
            incarnation: stored.incarnation,
            book: EpochBook::restore(epochs, []),
            sweeps: sweeps.map(|(_, version)| *version).collect(),
            spared,
            decoder: Decoder::new(stored.incarnation),
            judges: OfPartition::of_nobody(),
            refused: of_now.map(|place| (place.offset, place.redriven.is_some())).collect(),
            left,
            schedule,
            counts: BTreeMap::new(),
            acceptable: 0,
        }
    }

    /// Says by whom its records were judged.
    pub fn judged_by(&mut self, judges: OfPartition) {
        self.judges = judges;
    }

    fn count(&mut self, outcome: &'static str) {
        *self.counts.entry(outcome).or_default() += 1;
    }

    /// Deletes what the snapshots that have now been passed did not mention. Whether a sweep was done or refused is the
    /// store's word: it depends on a limit that may change.
    fn sweep(&mut self, fold: &mut Fold, item: &Item, version: Option<Version>, by: Provenance) {
        let completes = matches!(item, Item::Upsert(upsert) if upsert.snapshot == Snapshot::Last);
        while let Some(snapshot) = self.sweeps.front().copied() {
            let newest = self.book.newest();
            let is_past = (newest.epoch, newest.hi) > (snapshot.epoch, snapshot.hi);
            let is_last = completes && version == Some(snapshot);
            if !is_past && !is_last {
                return;
            }
            self.sweeps.pop_front();
            let before = (by.incarnation, by.offset);
            fold.sweep(self.partition, snapshot, by, |record_id| {
                self.spared.iter().any(|(spared, place)| *spared == record_id && *place <= before)
            });
        }
    }

    pub fn take(&mut self, fold: &mut Fold, record: &Walked<'_>, differences: &mut Differences) {
        self.redrive_before(record.offset, fold, differences);
        let raw = RawRecord {
            topic: self.topic,
            partition: self.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key,
            value: record.value,
        };
        let by = Provenance { incarnation: self.incarnation, partition: self.partition, offset: record.offset };
        // Also a refused record passes the decoder, which remembers what came before.
        let refused = self.refused.get(&record.offset).copied();
        // What lies in quarantine would be judged as of today; what was let through was judged then.
        let judge = if refused.is_some() { self.judges.newest() } else { self.judges.at(record.offset) };
        match (refused, understand(&mut self.decoder, &raw, judge)) {
            (Some(true), _) => {}
            (Some(false), verdict) => {
                self.acceptable += u64::from(verdict.is_ok());
                self.count("quarantined");
            }
            (None, Ok(item)) => {
                let version = item.position().map(|position| self.book.version_of(position, item.source_at()));
                let folded = fold.apply(&item, version, by);
                self.count(folded.as_str());
                self.sweep(fold, &item, version, by);
            }
            (None, Err(_)) => differences.add(Kind::Unquarantined, None, Some(by), || {
                "the decoder, the rules or the suites of its time refuse this record; it is not in quarantine"
                    .to_owned()
            }),
        }
    }

    /// Redriven records take effect where they did: after the records before that offset.
    fn redrive_before(&mut self, offset: i64, fold: &mut Fold, differences: &mut Differences) {
        while self.schedule.front().is_some_and(|next| next.place.effect.1 <= offset) {
            let Some(Redriven { by, place, item }) = self.schedule.pop_front() else { return };
            let Some(item) = item else {
                differences.add(Kind::Unquarantined, None, Some(by), || {
                    format!(
                        "it was redriven ({}); today's decoder or rules, or the suites of its time, refuse it",
                        place.outcome
                    )
                });
                continue;
            };
            // It is an old record: it begins no epoch and moves no reach.
            let version = item.position().and_then(|position| self.book.known_version(position, item.source_at()));
            let folded = fold.apply(&item, version, by);
            self.count(folded.as_str());
            if folded.as_str() != place.outcome && folded != Folded::Control {
                differences.add(Kind::Different, None, Some(by), || {
                    format!("it was redriven as {}; by the rule it is {}", place.outcome, folded.as_str())
                });
            }
        }
    }

    pub fn finish(
        mut self,
        fold: &mut Fold,
        stored: ConsumedPartition,
        kept: Kept,
        differences: &mut Differences,
    ) -> Verified {
        self.redrive_before(i64::MAX, fold, differences);
        for offset in self.refused.keys().filter(|offset| **offset >= stored.next_offset) {
            let by = Provenance { incarnation: self.incarnation, partition: self.partition, offset: *offset };
            differences.add(Kind::Ghost, None, Some(by), || {
                "it is in quarantine, but the partition has not been consumed that far".to_owned()
            });
        }
        let refused = self.refused.len() as u64;
        let judged_by = self.judges.report;
        Verified { stored, kept, counts: self.counts, left: self.left, refused, acceptable: self.acceptable, judged_by }
    }
}

impl Verified {
    /// Whether all that was ever consumed of the partition has been folded.
    pub fn is_complete(&self) -> bool {
        self.is_whole() || self.kept.records == self.stored.consumed
    }

    /// Whether every offset from the very first one has its record.
    fn is_whole(&self) -> bool {
        self.stored.incarnation == 1 && self.kept.low == 0 && !self.kept.has_gaps()
    }

    /// The conservation equation, and each counter as far as the fold can tell; the outcomes only when `outcomes` are sure.
    pub fn check_counters(&self, outcomes: bool, differences: &mut Differences) {
        let stored = &self.stored;
        let by =
            Provenance { incarnation: stored.incarnation, partition: stored.partition, offset: stored.next_offset };
        let mut check = |name: &str, found: i64, expected: i64| {
            if found != expected {
                differences.add(Kind::Counter, None, Some(by), || format!("{name} is {found}, by the rule {expected}"));
            }
        };
        let ConsumedPartition { consumed, applied, late, duplicate, deleted, control, quarantined, .. } = *stored;
        let sum = applied + late + duplicate + deleted + control + quarantined;
        check("applied + late + duplicate + deleted + control + quarantined", sum, consumed);
        check("quarantined", quarantined, self.left);
        if self.is_whole() {
            check("consumed", consumed, self.kept.records);
        }
        if self.is_complete() && outcomes {
            let counted = |name: &str| self.counts.get(name).copied().unwrap_or_default();
            check("applied", applied, counted("applied"));
            check("late", late, counted("late"));
            check("deleted", deleted, counted("deleted"));
            // A tombstone behind its delete is control; to a decoder that was started between the two, a duplicate.
            check("duplicate + control", duplicate + control, counted("duplicate") + counted("control"));
        }
    }

    pub fn report(&self) -> PartitionReport {
        PartitionReport {
            partition: self.stored.partition,
            incarnation: self.stored.incarnation,
            from_offset: self.kept.low,
            to_offset: self.kept.end,
            records: self.kept.records.unsigned_abs(),
            complete: self.is_complete(),
            refused: self.refused,
            acceptable_today: self.acceptable,
            judged_by: self.judged_by.clone(),
        }
    }
}
