//! Which source a position belongs to, and how sources follow each other.

use crate::{Position, Version};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, str::FromStr};

/// Names one source log. A new server id or a new binlog base name is a new log, whose positions say nothing about the
/// old one's: it gets the next epoch.
///
/// Its text form is what is stored: `binlog:<server id>:<hash>`, `postgres:<hash>`, `kafka:<incarnation>`, hashes in
/// hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceIdent {
    /// MySQL or MariaDB. `server_id` 0 (snapshots and flattened records do not carry it) means "the current one";
    /// `base` is a hash of the file name without its number.
    Binlog { server_id: u32, base: u64 },
    /// Postgres; `name` is a hash of connector name and database.
    Postgres { name: u64 },
    /// No source position at all: ordered by Kafka offset within one incarnation of the topic.
    Kafka { incarnation: i32 },
}

impl SourceIdent {
    /// Whether positions are places in the source's own log, and so mean the same in every partition.
    pub fn is_log(self) -> bool {
        !matches!(self, Self::Kafka { .. })
    }

    /// Whether records of both may stand in one log: the same one, or one of them does not say its server.
    fn may_be(self, other: Self) -> bool {
        match (self, other) {
            (Self::Binlog { server_id: a, base }, Self::Binlog { server_id: b, base: other }) => {
                base == other && (a == b || a == 0 || b == 0)
            }
            _ => self == other,
        }
    }

    fn is_unnamed(self) -> bool {
        matches!(self, Self::Binlog { server_id: 0, .. })
    }
}

impl fmt::Display for SourceIdent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binlog { server_id, base } => write!(f, "binlog:{server_id}:{base:016x}"),
            Self::Postgres { name } => write!(f, "postgres:{name:016x}"),
            Self::Kafka { incarnation } => write!(f, "kafka:{incarnation}"),
        }
    }
}

/// The text is not the stored form of a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no source: binlog:<server id>:<hash>, postgres:<hash> or kafka:<incarnation>")]
pub struct InvalidSourceIdent(pub String);

impl FromStr for SourceIdent {
    type Err = InvalidSourceIdent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hash = |text: &str| u64::from_str_radix(text, 16).ok();
        let mut parts = text.splitn(3, ':');
        let ident = match (parts.next(), parts.next(), parts.next()) {
            (Some("binlog"), Some(id), Some(base)) => {
                id.parse().ok().zip(hash(base)).map(|(server_id, base)| Self::Binlog { server_id, base })
            }
            (Some("postgres"), Some(name), None) => hash(name).map(|name| Self::Postgres { name }),
            (Some("kafka"), Some(incarnation), None) => {
                incarnation.parse().ok().map(|incarnation| Self::Kafka { incarnation })
            }
            _ => None,
        };
        ident.ok_or_else(|| InvalidSourceIdent(text.chars().take(80).collect()))
    }
}

/// One reign of a source over a topic. Its number is its place in the book, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    pub ident: SourceIdent,
    /// `(hi, lo)` of the record that began it.
    pub from: (i64, i32),
}

/// How far one partition has read in one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The highest `(hi, lo)`.
    pub to: (i64, i32),
    /// The latest stamp of its source; `None` when no record carried one.
    pub at: Option<DateTime<Utc>>,
}

impl Reach {
    /// Whether a record at this place may be one of those read. A record that was read carries no later stamp than the
    /// latest of them; a later one stands at this place in another log.
    fn covers(&self, here: (i64, i32), at: Option<DateTime<Utc>>) -> bool {
        here <= self.to && !self.is_before(at)
    }

    fn is_before(&self, at: Option<DateTime<Utc>>) -> bool {
        matches!((self.at, at), (Some(own), Some(at)) if at > own)
    }
}

/// The epochs of a topic's sources, and how far one of its partitions has read in each.
///
/// The epochs belong to the topic, so that versions mean the same in all of its partitions and a key may move from one to
/// another. What a partition has read is its own: partitions are read at their own pace.
///
/// The rule, for a record of a partition, by its source, its place in the source's log and its stamp:
///
/// 1. What the partition has read before (the place is within an epoch's reach, the stamp not later than the reach's) is a
///    replay, and belongs to the epoch that it belonged to.
/// 2. A binlog in which a record stands lower than what was read and is stamped later has begun again under its old name (a
///    server set up anew): a new epoch.
/// 3. The source of the partition's current epoch goes on in it, or in a later epoch of the same source that began at or
///    below this place.
/// 4. Another source that has an epoch after the current one goes there: another partition was faster.
/// 5. Everything else is a failover, or a failback to a source that reigned before: a new epoch.
///
/// So within a partition what is new has a higher version than everything before it, and what comes again has the version it
/// had. Stamps never put two records in order; they only prove that a record is not one of those read.
///
/// Not seen: a Postgres server whose LSNs begin again under the same connector name, because there a lower LSN with a later
/// stamp is ordinary (transactions overlap). Such a server needs a connector name of its own. Nor a server that took over
/// right after a snapshot, whose records do not name their server, when its very first record is overtaken by its second:
/// Kafka keeps the order of an idempotent producer, which Connect's is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochBook {
    epochs: Vec<Epoch>,
    reached: BTreeMap<i32, Reach>,
}

impl EpochBook {
    /// The book as stored: the topic's epochs in their order, and the partition's reach in those that it has read.
    pub fn restore(epochs: Vec<Epoch>, reached: impl IntoIterator<Item = (i32, Reach)>) -> Self {
        Self { epochs, reached: reached.into_iter().collect() }
    }

    /// All epochs, the first one first.
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// The epochs as other partitions have meanwhile made them.
    pub fn replace_epochs(&mut self, epochs: Vec<Epoch>) {
        self.epochs = epochs;
    }

    /// The partition's current epoch and its reach there. Of the others the reach does not change any more.
    pub fn current(&self) -> Option<(i32, Reach)> {
        self.reached.last_key_value().map(|(epoch, reach)| (*epoch, *reach))
    }

    /// The reach of each epoch in which the partition has read on since `before`: of two, where a batch holds the last
    /// records of one source and the first of the next.
    pub fn moved_since(&self, before: &Self) -> Vec<(i32, Reach)> {
        let moved = self.reached.iter().filter(|(epoch, reach)| before.reached.get(epoch) != Some(reach));
        moved.map(|(epoch, reach)| (*epoch, *reach)).collect()
    }

    /// The newest version that the partition has read.
    pub fn newest(&self) -> Version {
        self.current().map_or(Version::NONE, |(epoch, Reach { to: (hi, lo), .. })| Version { epoch, hi, lo })
    }

    /// The version of a record, which counts as read from now on. `at` is the stamp of its source.
    pub fn version_of(&mut self, position: Position, at: Option<DateTime<Utc>>) -> Version {
        let here = (position.hi, position.lo);
        // Only a binlog is written in the order of its commits, so only there a stamp says something of a place.
        let at = at.filter(|_| matches!(position.ident, SourceIdent::Binlog { .. }));
        let epoch = self.epoch_of(position.ident, here, at);
        if self.reached.last_key_value().is_none_or(|(current, _)| epoch >= *current) {
            let reach = self.reached.entry(epoch).or_insert(Reach { to: here, at });
            reach.to = reach.to.max(here);
            reach.at = reach.at.max(at);
        }
        position.version(epoch)
    }

    /// The version of a record that is not read now, but looked at again; `None` when it would begin an epoch.
    pub fn known_version(&self, position: Position, at: Option<DateTime<Utc>>) -> Option<Version> {
        let mut book = self.clone();
        let version = book.version_of(position, at);
        (book.epochs.len() == self.epochs.len()).then_some(version)
    }

    fn epoch_of(&mut self, ident: SourceIdent, here: (i64, i32), at: Option<DateTime<Utc>>) -> i32 {
        let current = self.current();
        // The way of nearly every record: the newest epoch goes on.
        if let (Some((epoch, reach)), Some(last)) = (current, self.epochs.last())
            && epoch as usize == self.epochs.len()
            && last.ident == ident
            && here >= reach.to
            && at >= reach.at
        {
            return epoch;
        }
        let own: Vec<i32> = (1..).zip(&self.epochs).filter(|(_, e)| e.ident.may_be(ident)).map(|(n, _)| n).collect();
        let Some((&first, &last)) = own.first().zip(own.last()) else { return self.open(ident, here) };
        let covers = |epoch: &&i32| self.reached.get(epoch).is_some_and(|reach| reach.covers(here, at));
        if let Some(epoch) = own.iter().find(covers) {
            return self.named(*epoch, ident);
        }
        let Some((current, _)) = current else { return self.named(last, ident) };
        let latest = own.iter().rev().find_map(|epoch| self.reached.get(epoch));
        if latest.is_some_and(|reach| here.0 < reach.to.0 && reach.is_before(at)) {
            return self.open(ident, here);
        }
        // A record that does not name its server is the current one's, if that has this log.
        let began = |epoch: &&i32| ident.is_unnamed() || self.epochs[**epoch as usize - 1].from <= here;
        let found = own.iter().rev().find(began).copied().unwrap_or(first);
        let later = own.iter().copied().find(|epoch| *epoch > current);
        if found >= current || own.contains(&current) {
            self.named(found.max(current), ident)
        } else if let Some(later) = later {
            self.named(later, ident)
        } else {
            self.open(ident, here)
        }
    }

    fn open(&mut self, ident: SourceIdent, here: (i64, i32)) -> i32 {
        self.epochs.push(Epoch { ident, from: here });
        i32::try_from(self.epochs.len()).unwrap_or(i32::MAX)
    }

    /// A real server id that continues an epoch of server 0 names it, so that what is streamed after a snapshot shares the
    /// snapshot's epoch.
    fn named(&mut self, epoch: i32, ident: SourceIdent) -> i32 {
        if let Some(known) = self.epochs.get_mut(epoch as usize - 1)
            && known.ident.is_unnamed()
        {
            known.ident = ident;
        }
        epoch
    }
}

#[cfg(test)]
mod tests;
