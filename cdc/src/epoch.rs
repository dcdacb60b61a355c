//! Which source a position belongs to, and how sources follow each other.

use serde::Serialize;
use std::{collections::HashMap, fmt, str::FromStr};

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

/// The epochs of one partition's sources, in the order in which they were first seen.
///
/// An old source that speaks again keeps its old, lower epoch: that is what a replay looks like after a failover. It also is
/// what a fail*back* to the former server looks like, whose changes then all count as duplicates: it must come
/// back under a server id of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochBook {
    known: HashMap<SourceIdent, i32>,
}

impl EpochBook {
    /// The book as stored: sources with their epochs, in any order.
    pub fn restore(stored: impl IntoIterator<Item = (SourceIdent, i32)>) -> Self {
        Self { known: stored.into_iter().collect() }
    }

    /// The epoch of a source, and whether it was first seen now (then it must be stored).
    ///
    /// Binlog server id 0 is no server of its own: it means the latest one of that base name. A real id that follows a
    /// current 0 names that one and shares its epoch, so that what is streamed after a snapshot continues it.
    pub fn epoch_of(&mut self, ident: SourceIdent) -> (i32, bool) {
        if let SourceIdent::Binlog { server_id: 0, base } = ident
            && let Some(epoch) = self.latest_of(base)
        {
            return (epoch, false);
        }
        if let Some(epoch) = self.known.get(&ident) {
            return (*epoch, false);
        }
        let last = self.known.values().max().copied();
        let epoch = match (ident, last) {
            (SourceIdent::Binlog { base, .. }, Some(last)) if self.unnamed(base, last) => last,
            _ => last.map_or(1, |last| last.saturating_add(1)),
        };
        self.known.insert(ident, epoch);
        (epoch, true)
    }

    fn latest_of(&self, base: u64) -> Option<i32> {
        let same = self
            .known
            .iter()
            .filter(|(known, _)| matches!(known, SourceIdent::Binlog { base: own, .. } if *own == base));
        same.map(|(_, epoch)| *epoch).max()
    }

    /// Whether the source of this epoch is known as server 0 only.
    fn unnamed(&self, base: u64, epoch: i32) -> bool {
        let mut at_epoch = self.known.iter().filter(|(_, known)| **known == epoch).map(|(ident, _)| *ident);
        at_epoch.next() == Some(SourceIdent::Binlog { server_id: 0, base }) && at_epoch.next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn binlog(server_id: u32) -> SourceIdent {
        SourceIdent::Binlog { server_id, base: 7 }
    }

    /// What the store keeps: the sources that were reported as new.
    fn stored_after(idents: &[SourceIdent]) -> (EpochBook, Vec<(SourceIdent, i32)>) {
        let mut book = EpochBook::default();
        let mut stored = Vec::new();
        for ident in idents {
            let (epoch, new) = book.epoch_of(*ident);
            if new {
                stored.push((*ident, epoch));
            }
        }
        (book, stored)
    }

    #[test]
    fn streaming_after_a_snapshot_continues_its_epoch() {
        let mut book = EpochBook::default();
        assert_eq!(book.epoch_of(binlog(0)), (1, true));
        assert_eq!(book.epoch_of(binlog(1001)), (1, true));
        assert_eq!(book.epoch_of(binlog(1001)), (1, false));
        assert_eq!(book.epoch_of(binlog(0)), (1, false));
    }

    #[test]
    fn a_new_server_and_a_new_base_name_start_new_epochs() {
        let mut book = EpochBook::default();
        assert_eq!(book.epoch_of(binlog(1001)), (1, true));
        assert_eq!(book.epoch_of(binlog(1002)), (2, true));
        assert_eq!(book.epoch_of(SourceIdent::Binlog { server_id: 1002, base: 8 }), (3, true));
        assert_eq!(book.epoch_of(SourceIdent::Postgres { name: 1 }), (4, true));
    }

    #[test]
    fn an_old_server_that_speaks_again_keeps_its_epoch() {
        let mut book = EpochBook::default();
        book.epoch_of(binlog(1001));
        book.epoch_of(binlog(1002));
        assert_eq!(book.epoch_of(binlog(1001)), (1, false));
    }

    #[test]
    fn a_snapshot_after_a_failover_belongs_to_the_new_server() {
        let mut book = EpochBook::default();
        for ident in [binlog(0), binlog(1001), binlog(1002)] {
            book.epoch_of(ident);
        }
        assert_eq!(book.epoch_of(binlog(0)), (2, false), "server 0 is the current one, not the first one");
    }

    #[test]
    fn a_restored_book_does_not_take_a_failover_for_the_naming_of_a_snapshot() {
        let (_, stored) = stored_after(&[binlog(0), binlog(1001)]);
        for order in [stored.clone(), stored.into_iter().rev().collect()] {
            assert_eq!(EpochBook::restore(order).epoch_of(binlog(1002)), (2, true));
        }
    }

    #[test]
    fn stored_names_are_read_back() {
        for ident in [
            SourceIdent::Binlog { server_id: 1001, base: 0xab },
            SourceIdent::Postgres { name: u64::MAX },
            SourceIdent::Kafka { incarnation: -1 },
        ] {
            assert_eq!(ident.to_string().parse(), Ok(ident));
        }
        assert_eq!(SourceIdent::Binlog { server_id: 1, base: 0xab }.to_string(), "binlog:1:00000000000000ab");
        for text in ["", "binlog", "binlog:1", "binlog:x:1", "postgres:1:2", "kafka:", "oracle:1"] {
            assert!(text.parse::<SourceIdent>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_restored_book_goes_on_like_the_one_that_was_stored(
            before in prop::collection::vec((0_u32..4, 0_u64..2), 0..8),
            after in prop::collection::vec((0_u32..4, 0_u64..2), 0..8),
        ) {
            let ident = |(server_id, base)| SourceIdent::Binlog { server_id, base };
            let (mut book, stored) = stored_after(&before.into_iter().map(ident).collect::<Vec<_>>());
            let mut restored = EpochBook::restore(stored);
            for next in after {
                prop_assert_eq!(book.epoch_of(ident(next)), restored.epoch_of(ident(next)));
            }
        }
    }
}
