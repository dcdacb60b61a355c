//! `verify`: does the store say what the topic says?
//!
//! It takes a snapshot of the store, reads the topic up to exactly where that snapshot stands, folds it by the written rule
//! one record after the other, and compares. A server may go on working meanwhile: what it commits later is in neither.
//!
//! **What is no longer kept.** Of a topic whose beginning has expired, was compacted away or belonged to an earlier
//! incarnation, only a part can be folded. For a key that this part mentions, one thing still follows: it starts from an
//! unknown state, so either its row comes from a record that is gone, and nothing since has beaten that one; or some record
//! won, and then the same record wins by the fold, for from there on both know the same. Both are checked. A row whose key
//! is not mentioned and whose record is gone is only counted.

mod fold;
mod judges;
mod partition;
mod report;
mod walk;

pub use fold::{Fold, Folded, Known};
pub use judges::JudgedBy;
pub use report::{Difference, Differences, Kind, PartitionReport, Report};
pub use walk::WalkError;

use crate::{
    pipeline::{ConsumerConfig, understand_alone},
    store::{Grave, Item, PartitionKey, Provenance, RedrivenPlace, StandingRow, Store, StoreSnapshot},
};
use cdc::RawRecord;
use futures::TryStreamExt;
use indicatif::ProgressBar;
use judges::Judges;
use partition::{Folding, Verified};
use std::{collections::HashMap, pin::pin};
use tokio_util::sync::CancellationToken;
use walk::Walk;

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("nothing of topic {0} was ever consumed into this store")]
    NothingConsumed(String),
    #[error(transparent)]
    Walk(#[from] WalkError),
    #[error("Postgres: {0}")]
    Postgres(#[from] sqlx::Error),
    #[error("records were judged by suites (digest {digest}) that this version cannot read: {message}")]
    Suites { digest: String, message: String },
    #[error("the reading thread ended: {0}")]
    Thread(String),
}

/// A record that was redriven, understood again.
#[derive(Clone, Debug)]
struct Redriven {
    by: Provenance,
    place: RedrivenPlace,
    /// `None`: today's decoder or rules refuse it.
    item: Option<Item>,
}

/// Verifies one topic. At most `examples` of each kind of difference are kept.
///
/// # Errors
/// It cannot be said whether they agree: a service is away, or the topic is not the one that was consumed.
pub async fn verify(
    store: &Store,
    config: &ConsumerConfig,
    topic: &str,
    examples: usize,
    progress: ProgressBar,
    stop: CancellationToken,
) -> Result<Report, VerifyError> {
    let nothing = || VerifyError::NothingConsumed(topic.to_owned());
    let mut snapshot = store.snapshot_of_topic(topic).await?.ok_or_else(nothing)?;
    let partitions = snapshot.partitions().await?;
    if partitions.is_empty() {
        return Err(nothing());
    }
    let facts = snapshot.facts().await?;
    let refused = snapshot.refused().await?;
    let judges = Judges::read(&mut snapshot).await?;
    let mut redriven = Vec::new();
    for place in &refused {
        let Some(effect) = place.redriven.clone() else { continue };
        let by = Provenance { incarnation: place.incarnation, partition: place.partition, offset: place.offset };
        let bytes = snapshot.refused_bytes(place).await?;
        let raw = RawRecord {
            topic,
            partition: place.partition,
            offset: place.offset,
            timestamp_ms: bytes.timestamp_ms,
            key: bytes.key.as_deref(),
            value: bytes.value.as_deref(),
        };
        let item = understand_alone(&raw, place.incarnation, &judges.set(place.suite_set_id)).ok();
        redriven.push(Redriven { by, place: effect, item });
    }
    redriven.sort_by_key(|record| (record.place.effect, record.place.order, record.by.incarnation, record.by.offset));

    let (config, name) = (config.clone(), topic.to_owned());
    let reading = tokio::task::spawn_blocking(move || -> Result<_, WalkError> {
        let walk = Walk::new(&config)?;
        let mut fold = Fold::default();
        let mut differences = Differences::new(&name, examples);
        let mut lows = Vec::new();
        for stored in &partitions {
            let key = PartitionKey { topic: name.clone(), partition: stored.partition };
            let low = walk.low(&key, stored.next_offset)?;
            progress.inc_length((stored.next_offset - low).unsigned_abs());
            lows.push((key, low));
        }
        let alone = lows.len() == 1;
        let mut verified = HashMap::new();
        for (stored, (key, low)) in partitions.into_iter().zip(lows) {
            let own = redriven.iter().filter(|record| record.by.partition == stored.partition).cloned();
            let places = refused.iter().filter(|place| place.partition == stored.partition);
            let mut folding = Folding::new(&key.topic, &stored, low, alone, &facts, places, own);
            folding.judged_by(judges.of(stored.partition, stored.incarnation));
            let kept = walk.partition(&key, low, &stored, |record| {
                progress.inc(1);
                if stop.is_cancelled() {
                    return Err(WalkError::Interrupted);
                }
                folding.take(&mut fold, record, &mut differences);
                Ok(())
            })?;
            verified.insert(stored.partition, folding.finish(&mut fold, stored, kept, &mut differences));
        }
        progress.finish_and_clear();
        Ok((fold, verified, differences))
    });
    let (fold, verified, differences) = reading.await.map_err(|error| VerifyError::Thread(error.to_string()))??;
    let mut comparison = Comparison {
        keys: fold.key_count() as u64,
        fold,
        verified,
        differences,
        rows: 0,
        graves: 0,
        out_of_reach: 0,
        several: 0,
    };
    comparison.run(&mut snapshot, examples).await?;
    snapshot.close().await?;
    Ok(comparison.report(topic))
}

/// The fold beside the tables.
struct Comparison {
    keys: u64,
    fold: Fold,
    verified: HashMap<i32, Verified>,
    differences: Differences,
    rows: u64,
    graves: u64,
    /// Rows of which nothing is kept in the topic.
    out_of_reach: u64,
    /// Keys with records in several partitions.
    several: u64,
}

impl Comparison {
    async fn run(&mut self, snapshot: &mut StoreSnapshot, examples: usize) -> Result<(), sqlx::Error> {
        {
            let mut rows = pin!(snapshot.rows());
            while let Some(row) = rows.try_next().await? {
                self.row(&row);
            }
        }
        {
            let mut graves = pin!(snapshot.graves());
            while let Some(grave) = graves.try_next().await? {
                self.grave(&grave);
            }
        }
        let missing: Vec<(i64, Provenance)> = self
            .fold
            .iter()
            .filter(|(_, known)| !known.deleted && !known.several)
            .map(|(record_id, known)| (record_id, known.by))
            .collect();
        for (record_id, by) in missing {
            self.differences.add(Kind::Missing, Some(record_id), Some(by), || {
                "by the rule this record's row stands; it is not in the table".to_owned()
            });
        }
        let limit = i64::try_from(examples.max(1_000)).unwrap_or(i64::MAX);
        for twice in snapshot.twice(limit).await? {
            self.differences.add(Kind::Duplicate, None, Some(twice.by), || twice.detail);
        }
        // What a partition's records amounted to depends on what came between them from another one.
        let sure = self.several == 0 && (self.verified.len() == 1 || !self.fold.has_truncation());
        let mut all: Vec<_> = self.verified.values().collect();
        all.sort_by_key(|verified| verified.stored.partition);
        for verified in all {
            verified.check_counters(sure, &mut self.differences);
        }
        Ok(())
    }

    /// Whether the record is in the topic that was read.
    fn is_kept(&self, by: &Provenance) -> bool {
        self.verified
            .get(&by.partition)
            .is_some_and(|verified| verified.stored.incarnation == by.incarnation && verified.kept.has(by.offset))
    }

    /// Whether all that was ever consumed of the partition has been folded.
    fn is_complete(&self, partition: i32) -> bool {
        self.verified.get(&partition).is_some_and(Verified::is_complete)
    }

    fn row(&mut self, row: &StandingRow) {
        self.rows += 1;
        let id = Some(row.record_id);
        if row.buried {
            self.differences.add(Kind::Duplicate, id, Some(row.by), || "it stands, and has a tombstone".to_owned());
        }
        // The record that the row names may be one that is gone.
        let may_be_gone = !self.is_kept(&row.by) && !self.is_complete(row.by.partition);
        let Some(known) = self.fold.take(row.record_id) else {
            if may_be_gone {
                self.out_of_reach += 1;
            } else {
                self.differences
                    .add(Kind::Ghost, id, Some(row.by), || "no record that is folded has this key".to_owned());
            }
            return;
        };
        if known.several {
            self.several += 1;
            return;
        }
        // Read once more in a later incarnation: no effect, and the same values.
        let is_the_same_change = (row.version, row.event_time) == (known.version, known.event_time());
        // All that was folded of the key was seen before, or came late.
        let unbeaten =
            row.version > known.version || (row.version == known.version && row.event_time > known.event_time());
        if known.deleted {
            if !(may_be_gone && row.version >= known.version) {
                let deleted = known.by.record(self.differences.topic());
                self.differences.add(Kind::Ghost, id, Some(row.by), || format!("by the rule {deleted} has deleted it"));
            }
        } else if row.by == known.by || (may_be_gone && is_the_same_change) {
            if let Some(detail) = mismatch(row, &known, &self.fold) {
                self.differences.add(Kind::Different, id, Some(row.by), || detail);
            }
        } else if !(may_be_gone && unbeaten) {
            let winner = known.by.record(self.differences.topic());
            self.differences.add(Kind::Different, id, Some(row.by), || format!("by the rule {winner} has won"));
        }
    }

    fn grave(&mut self, grave: &Grave) {
        self.graves += 1;
        let id = Some(grave.record_id);
        let may_be_gone = !self.is_kept(&grave.by) && !self.is_complete(grave.by.partition);
        let Some(known) = self.fold.take(grave.record_id) else {
            // A row with the same key was compared before, and says that it is there twice; a truncation may leave graves.
            if !may_be_gone && !self.fold.is_truncated(grave.version) && !self.differences.names(grave.record_id) {
                self.differences
                    .add(Kind::Ghost, id, Some(grave.by), || "a tombstone of a key that no record deletes".to_owned());
            }
            return;
        };
        if known.several {
            self.several += 1;
        } else if !known.deleted {
            if !(may_be_gone && grave.version >= known.version) {
                self.differences.add(Kind::Missing, id, Some(known.by), || {
                    "by the rule this record's row stands; the table has a tombstone instead".to_owned()
                });
            }
        } else if grave.version != known.version && !(may_be_gone && grave.version > known.version) {
            self.differences.add(Kind::Different, id, Some(grave.by), || {
                format!("its tombstone has version {:?}; by the rule {:?}", grave.version, known.version)
            });
        }
    }

    fn report(self, topic: &str) -> Report {
        let mut partitions: Vec<PartitionReport> = self.verified.values().map(Verified::report).collect();
        partitions.sort_by_key(|partition| partition.partition);
        Report {
            topic: topic.to_owned(),
            agrees: self.differences.is_empty(),
            keys: self.keys,
            rows: self.rows,
            tombstones: self.graves,
            out_of_reach: self.out_of_reach,
            several_partitions: self.several,
            partitions,
            differences: self.differences,
        }
    }
}

/// Stands for tags that the store has no number for.
const MORE_TAGS: &str = "suite:more";

/// What of a row is not as the record that made it says; `None` when all is.
fn mismatch(row: &StandingRow, known: &Known, fold: &Fold) -> Option<String> {
    let bar = known.bar();
    let mut found = Vec::new();
    let mut compare = |name: &str, stored: String, expected: String| {
        if stored != expected {
            found.push(format!("{name} is {stored}, by the rule {expected}"));
        }
    };
    compare("symbol", row.symbol.clone(), fold.symbol(known).to_owned());
    compare("time", row.bar.time.to_rfc3339(), bar.time.to_rfc3339());
    for (name, stored, expected) in [
        ("open", row.bar.open, bar.open),
        ("high", row.bar.high, bar.high),
        ("low", row.bar.low, bar.low),
        ("close", row.bar.close, bar.close),
    ] {
        compare(name, stored.normalize().to_string(), expected.normalize().to_string());
    }
    compare("volume", row.bar.volume.to_string(), bar.volume.to_string());
    compare("event_time", row.event_time.to_rfc3339(), known.event_time().to_rfc3339());
    if let Some(tags) = fold.tags(known).filter(|_| row.tags != [MORE_TAGS]) {
        compare("tags of suites", row.tags.join(" "), tags.join(" "));
    }
    compare("version", format!("{:?}", row.version), format!("{:?}", known.version));
    (!found.is_empty()).then(|| found.join("; "))
}
