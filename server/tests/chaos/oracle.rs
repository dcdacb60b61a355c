//! What the table must be: the acknowledged log folded record after record by the rule of ARCHITECTURE.md ("Which event
//! wins"). Written from the rule's text, shares no code with what it judges.

use super::source::{Candle, Meaning, Place, Record};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// Epoch of the source, file and position, row of the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub epoch: i32,
    pub hi: i64,
    pub lo: i32,
}

/// A row that stands, with where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub candle: Candle,
    pub event_time: DateTime<Utc>,
    pub version: Version,
    pub op: char,
    pub partition: i32,
    pub offset: i64,
    pub rules: i32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub consumed: i64,
    pub applied: i64,
    pub late: i64,
    pub duplicate: i64,
    pub deleted: i64,
    pub control: i64,
    pub quarantined: i64,
    pub tagged: i64,
}

#[derive(Debug, Default)]
pub struct Fold {
    pub rows: BTreeMap<i64, Standing>,
    /// Deleted keys, with the last version seen.
    pub tombstones: BTreeMap<i64, Version>,
    pub counts: Vec<Counts>,
    /// Partition and offset.
    pub refused: BTreeSet<(i32, i64)>,
    /// Per partition, what the change log must hold: offset, key, outcome (new, applied to what was there, late, deleted;
    /// a row that moves to another candle is deleted from the former one and applied).
    pub log: Vec<Vec<(i64, i64, char)>>,
}

impl Fold {
    /// Folds the partitions; a key is always in the same one, so their order does not matter.
    pub fn of(partitions: &[Vec<Record>]) -> Self {
        let mut fold = Self::default();
        for (partition, records) in (0..).zip(partitions) {
            fold.counts.push(Counts::default());
            fold.log.push(Vec::new());
            // The sources in the order in which the partition first saw them.
            let mut servers: Vec<u32> = Vec::new();
            for (offset, record) in (0..).zip(records) {
                fold.step(partition, offset, &record.meaning, &mut servers);
            }
        }
        fold
    }

    fn step(&mut self, partition: i32, offset: i64, meaning: &Meaning, servers: &mut Vec<u32>) {
        let counts = &mut self.counts[partition as usize];
        let log = &mut self.log[partition as usize];
        counts.consumed += 1;
        let mut version_of = |place: &Place| {
            let known = servers.iter().position(|server| *server == place.server);
            let epoch = known.unwrap_or_else(|| {
                servers.push(place.server);
                servers.len() - 1
            });
            Version {
                epoch: epoch as i32 + 1,
                hi: i64::from(place.file) << 40 | place.pos as i64,
                lo: place.row as i32,
            }
        };
        match meaning {
            Meaning::Bad => {
                counts.quarantined += 1;
                self.refused.insert((partition, offset));
            }
            Meaning::Upsert { record_id, op, candle, event_time, place, rules } => {
                let version = version_of(place);
                let standing = self.rows.get_mut(record_id);
                let last = standing.as_ref().map(|row| row.version).or(self.tombstones.get(record_id).copied());
                if last.is_some_and(|last| version <= last) {
                    counts.duplicate += 1;
                    return;
                }
                if let Some(row) = standing.filter(|row| *event_time < row.event_time) {
                    counts.late += 1;
                    row.version = version;
                    log.push((offset, *record_id, 'l'));
                    return;
                }
                counts.applied += 1;
                counts.tagged += i64::from(*rules != 0);
                let place_of = |candle: &Candle| (candle.symbol.clone(), candle.time);
                let before = self.rows.get(record_id).map(|row| place_of(&row.candle));
                let outcome = if before.is_some() { 'a' } else { 'n' };
                if before.is_some_and(|before| before != place_of(candle)) {
                    log.push((offset, *record_id, 'd'));
                }
                log.push((offset, *record_id, outcome));
                self.tombstones.remove(record_id);
                let (candle, event_time) = (candle.clone(), *event_time);
                let row = Standing { candle, event_time, version, op: *op, partition, offset, rules: *rules };
                self.rows.insert(*record_id, row);
            }
            Meaning::Delete { record_id, place } => {
                let version = version_of(place);
                let standing = self.rows.get(record_id).map(|row| row.version);
                let last = standing.or(self.tombstones.get(record_id).copied());
                if last.is_some_and(|last| version <= last) {
                    counts.duplicate += 1;
                    return;
                }
                counts.deleted += 1;
                if self.rows.remove(record_id).is_some() {
                    log.push((offset, *record_id, 'd'));
                }
                self.tombstones.insert(*record_id, version);
            }
            Meaning::Companion => counts.control += 1,
        }
    }

    /// What people must see of a symbol: one candle per minute, of the newest row by event time, then by version.
    pub fn candles(&self, symbol: &str) -> BTreeMap<DateTime<Utc>, &Candle> {
        let mut winners: BTreeMap<DateTime<Utc>, (&i64, &Standing)> = BTreeMap::new();
        for (record_id, row) in self.rows.iter().filter(|(_, row)| row.candle.symbol == symbol) {
            let rank = |(id, row): (&i64, &Standing)| (row.event_time, row.version, *id);
            let winner = winners.entry(row.candle.time).or_insert((record_id, row));
            if rank((record_id, row)) > rank(*winner) {
                *winner = (record_id, row);
            }
        }
        winners.into_iter().map(|(time, (_, row))| (time, &row.candle)).collect()
    }
}
