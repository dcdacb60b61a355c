//! Which source a position belongs to, and how sources follow each other.

use serde::Serialize;
use std::collections::HashMap;

/// Names one source log. A new server id or a new binlog base name is a new log, whose positions say nothing about the
/// old one's: it gets the next epoch.
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

/// The epochs of one partition's sources, in the order in which they were first seen. An old source that speaks again
/// (a replay after a failover) keeps its old, lower epoch.
#[derive(Clone, Debug, Default)]
pub struct EpochBook {
    known: HashMap<SourceIdent, i32>,
    current: Option<SourceIdent>,
}

impl EpochBook {
    /// The book as stored: sources with their epochs.
    pub fn restore(stored: impl IntoIterator<Item = (SourceIdent, i32)>) -> Self {
        let known: HashMap<_, _> = stored.into_iter().collect();
        let current = known.iter().max_by_key(|(_, epoch)| **epoch).map(|(ident, _)| *ident);
        Self { known, current }
    }

    /// The epoch of a source, and whether it was first seen now (then it must be stored).
    pub fn epoch_of(&mut self, ident: SourceIdent) -> (i32, bool) {
        if let Some(epoch) = self.known.get(&ident) {
            return (*epoch, false);
        }
        // A server id of 0 means the current server, and the first real id names the one known as 0.
        if let (SourceIdent::Binlog { server_id: new, base }, Some(current)) = (ident, self.current)
            && let SourceIdent::Binlog { server_id: old, base: old_base } = current
            && base == old_base
            && (new == 0 || old == 0)
        {
            let epoch = self.known.get(&current).copied().unwrap_or_default();
            self.known.insert(ident, epoch);
            if new != 0 {
                self.current = Some(ident);
            }
            return (epoch, true);
        }
        let epoch = self.known.values().max().map_or(1, |last| last + 1);
        self.known.insert(ident, epoch);
        self.current = Some(ident);
        (epoch, true)
    }
}
