//! The written rule, applied to one record after the other, in memory.
//!
//! On purpose it shares nothing with the store's own fold but the rule itself (`cdc::judge`): no batches, no watermark, no
//! net effects. It is the other opinion.
//!
//! Per key it remembers about 140 bytes, 200 with the map's free room: ten million keys need two gigabytes.

use crate::store::{Item, Provenance, Upsert};
use cdc::{KeyState, Op, Outcome, Version, is_coarser_copy, judge};
use chrono::{DateTime, Utc};
use market::{Bar, StockRow, Symbol};
use rust_decimal::Decimal;
use std::{collections::HashMap, sync::Arc};

/// What is known of a key.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub version: Version,
    /// Microseconds, as Postgres keeps them.
    event_time: i64,
    time: i64,
    prices: [Decimal; 4],
    volume: i64,
    /// The record that made the row or deleted it.
    pub by: Provenance,
    symbol: u32,
    /// Its set of tags, from 1; 0 for none.
    tags: u16,
    pub deleted: bool,
    /// It has records in more than one partition, whose order among each other no offset tells.
    pub several: bool,
}

/// What one record amounted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folded {
    Change(Outcome),
    Control,
}

impl Folded {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Change(Outcome::Applied) => "applied",
            Self::Change(Outcome::Deleted) => "deleted",
            Self::Change(Outcome::Late) => "late",
            Self::Change(Outcome::Duplicate) => "duplicate",
        }
    }
}

/// The state of a topic by the rule.
#[derive(Debug, Default)]
pub struct Fold {
    keys: HashMap<i64, Known>,
    symbols: Vec<Symbol>,
    numbers: HashMap<Symbol, u32>,
    tags: Vec<Vec<Arc<str>>>,
    /// The newest truncation: what is not newer is gone, also when it comes later.
    truncated: Option<Version>,
}

fn instant(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or_default()
}

impl Known {
    fn state(&self) -> KeyState {
        KeyState { version: self.version, event_time: instant(self.event_time), deleted: self.deleted }
    }

    pub fn event_time(&self) -> DateTime<Utc> {
        instant(self.event_time)
    }

    pub fn bar(&self) -> Bar {
        let [open, high, low, close] = self.prices;
        Bar { time: instant(self.time), open, high, low, close, volume: self.volume }
    }
}

impl Fold {
    /// Number of keys that are known.
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// Whether the newest truncation covers a version.
    pub fn is_truncated(&self, version: Version) -> bool {
        self.truncated.is_some_and(|floor| version <= floor)
    }

    /// Whether the topic was ever truncated.
    pub fn has_truncation(&self) -> bool {
        self.truncated.is_some()
    }

    /// Forgets a key and gives back what was known of it.
    pub fn take(&mut self, record_id: i64) -> Option<Known> {
        self.keys.remove(&record_id)
    }

    /// What is left, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &Known)> {
        self.keys.iter().map(|(record_id, known)| (*record_id, known))
    }

    pub fn symbol(&self, known: &Known) -> &str {
        self.symbols.get(known.symbol as usize).map_or("", Symbol::as_str)
    }

    /// The tags of a row; `None` when there are too many kinds of them to tell.
    pub fn tags(&self, known: &Known) -> Option<&[Arc<str>]> {
        match known.tags {
            0 => Some(&[]),
            u16::MAX => None,
            tags => self.tags.get(usize::from(tags) - 1).map(Vec::as_slice),
        }
    }

    fn tag_number(&mut self, tags: &[Arc<str>]) -> u16 {
        if tags.is_empty() {
            return 0;
        }
        let place = self.tags.iter().position(|known| known == tags).unwrap_or_else(|| {
            if self.tags.len() < usize::from(u16::MAX) {
                self.tags.push(tags.to_vec());
            }
            self.tags.len() - 1
        });
        u16::try_from(place + 1).unwrap_or(u16::MAX)
    }

    /// Folds one record. `version` is the item's position with its epoch.
    pub fn apply(&mut self, item: &Item, version: Option<Version>, by: Provenance) -> Folded {
        match item {
            Item::Upsert(upsert) => {
                Folded::Change(self.change(upsert.record_id, Some(upsert), version, upsert.event_time, by))
            }
            Item::Delete { record_id, event_time, .. } => {
                Folded::Change(self.change(*record_id, None, version, *event_time, by))
            }
            Item::Truncate { position, .. } => {
                if let Some(version) = version {
                    self.truncate(version, position.ident.is_log(), by.partition);
                }
                Folded::Change(Outcome::Deleted)
            }
            Item::Control | Item::Refused(_) => Folded::Control,
        }
    }

    fn change(
        &mut self,
        record_id: i64,
        upsert: Option<&Upsert>,
        version: Option<Version>,
        event_time: DateTime<Utc>,
        by: Provenance,
    ) -> Outcome {
        let known = self.keys.get(&record_id).copied();
        let state = self.under_truncation(known.as_ref().map(Known::state));
        let (outcome, state) = judge(state.as_ref(), upsert.is_none(), version, event_time);
        let Some(state) = state else { return outcome };
        let several = known.is_some_and(|known| known.several || known.by.partition != by.partition);
        match (outcome, upsert, known) {
            (Outcome::Applied, Some(read), Some(standing)) if self.reads_the_same(read, &standing) => {
                // It says nothing that was not known, perhaps less precisely: only its version counts.
                self.keys.insert(record_id, Known { version: state.version, several, ..standing });
                return Outcome::Duplicate;
            }
            (Outcome::Applied, Some(upsert), _) => {
                let Bar { time, open, high, low, close, volume } = upsert.bar;
                let known = Known {
                    version: state.version,
                    event_time: state.event_time.timestamp_micros(),
                    time: time.timestamp_micros(),
                    prices: [open, high, low, close],
                    volume,
                    by,
                    symbol: self.number(&upsert.symbol),
                    tags: self.tag_number(&upsert.tags),
                    deleted: false,
                    several,
                };
                self.keys.insert(record_id, known);
            }
            (Outcome::Deleted, ..) => {
                let nothing = Known {
                    version: state.version,
                    event_time: state.event_time.timestamp_micros(),
                    time: 0,
                    prices: [Decimal::ZERO; 4],
                    volume: 0,
                    by,
                    symbol: 0,
                    tags: 0,
                    deleted: true,
                    several,
                };
                self.keys.insert(record_id, nothing);
            }
            (_, _, Some(standing)) => {
                self.keys.insert(record_id, Known { version: state.version, several, ..standing });
            }
            (_, _, None) => {}
        }
        outcome
    }

    /// What is known of a key that has no newer word than a truncation: it is gone.
    fn under_truncation(&self, state: Option<KeyState>) -> Option<KeyState> {
        match (self.truncated, state) {
            (Some(floor), Some(state)) if state.deleted && state.version < floor => {
                Some(KeyState { version: floor, event_time: DateTime::<Utc>::MIN_UTC, deleted: true })
            }
            (Some(floor), None) => {
                Some(KeyState { version: floor, event_time: DateTime::<Utc>::MIN_UTC, deleted: true })
            }
            (_, state) => state,
        }
    }

    fn truncate(&mut self, version: Version, everywhere: bool, partition: i32) {
        self.keys.retain(|_, known| {
            known.deleted || known.version > version || (!everywhere && known.by.partition != partition)
        });
        if everywhere {
            self.truncated = self.truncated.max(Some(version));
        }
    }

    /// Whether a snapshot reads what stands already, or only a coarser copy of it.
    fn reads_the_same(&self, read: &Upsert, standing: &Known) -> bool {
        if read.op != Op::Read || standing.deleted {
            return false;
        }
        let row = |symbol: &str, bar: Bar, event_time: DateTime<Utc>| StockRow {
            record_id: read.record_id,
            time: Some(bar.time),
            open: Some(bar.open),
            high: Some(bar.high),
            low: Some(bar.low),
            close: Some(bar.close),
            volume: Some(bar.volume),
            volume_fractional: false,
            symbol: Some(symbol.into()),
            event_time: Some(event_time),
        };
        // A row without an event time of its own has its source's stamp, which differs between reading and streaming.
        let known_time = if read.source_at == Some(read.event_time) { read.event_time } else { standing.event_time() };
        let standing = row(self.symbol(standing), standing.bar(), known_time);
        is_coarser_copy(&row(read.symbol.as_str(), read.bar, read.event_time), &standing)
    }

    /// Deletes what a snapshot at `version` did not mention of a partition, but for the keys in `spared`.
    pub fn sweep(&mut self, partition: i32, version: Version, by: Provenance, spared: impl Fn(i64) -> bool) {
        let below = Version { lo: version.lo.saturating_sub(1), ..version };
        for (record_id, known) in &mut self.keys {
            if !known.deleted && known.by.partition == partition && known.version < version && !spared(*record_id) {
                *known = Known { version: below, by, deleted: true, ..*known };
            }
        }
    }

    fn number(&mut self, symbol: &Symbol) -> u32 {
        if let Some(number) = self.numbers.get(symbol) {
            return *number;
        }
        let number = u32::try_from(self.symbols.len()).unwrap_or(u32::MAX);
        self.symbols.push(symbol.clone());
        self.numbers.insert(symbol.clone(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_needs_what_the_manual_says() {
        let bytes = size_of::<(i64, Known)>();
        assert!(bytes <= 152, "{bytes}");
    }
}
