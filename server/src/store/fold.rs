//! One batch reduced to its net effect, by the two-stage rule: exactly what applying its changes one after the other
//! would do, in a form that can be written with a few bulk statements.

use cdc::{DecodeError, KeyState, Op, Outcome, Position, Snapshot, Version, is_coarser_copy, judge};
use chrono::{DateTime, Utc};
use market::{Bar, StockRow, Symbol};
use quality::{RuleSet, Violation, suite::Unmet};
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    sync::Arc,
};

/// One consumed record, decoded and checked, on its way into the store.
#[derive(Clone, Debug)]
pub enum Item {
    Upsert(Upsert),
    Delete {
        offset: i64,
        record_id: i64,
        position: Option<Position>,
        event_time: DateTime<Utc>,
        /// When the source committed it, as far as the record says.
        source_at: Option<DateTime<Utc>>,
    },
    /// The table was emptied. Always the only item of its batch.
    Truncate {
        offset: i64,
        position: Position,
        event_time: DateTime<Utc>,
        source_at: Option<DateTime<Utc>>,
    },
    Control,
    Refused(Box<Refused>),
}

impl Item {
    /// Its place in the source's log, if it has one.
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Upsert(upsert) => Some(upsert.position),
            Self::Delete { position, .. } => *position,
            Self::Truncate { position, .. } => Some(*position),
            Self::Control | Self::Refused(_) => None,
        }
    }

    /// When its source committed it, as far as the record says.
    pub fn source_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Upsert(Upsert { source_at, .. })
            | Self::Delete { source_at, .. }
            | Self::Truncate { source_at, .. } => *source_at,
            Self::Control | Self::Refused(_) => None,
        }
    }
}

/// A row to stand, with its provenance.
#[derive(Clone, Debug)]
pub struct Upsert {
    pub offset: i64,
    pub record_id: i64,
    pub op: Op,
    pub symbol: Symbol,
    pub bar: Bar,
    pub position: Position,
    pub event_time: DateTime<Utc>,
    pub source_at: Option<DateTime<Utc>>,
    /// Where in a snapshot it was read, if it was.
    pub snapshot: Snapshot,
    /// The built-in rules that tagged it.
    pub rules: RuleSet,
    /// The codes of the expectations of suites that tagged it.
    pub tags: Vec<Arc<str>>,
}

impl Upsert {
    fn is_tagged(&self) -> bool {
        !self.rules.is_empty() || !self.tags.is_empty()
    }
}

/// A record for quarantine: raw, with the reasons.
#[derive(Clone, Debug)]
pub struct Refused {
    pub offset: i64,
    pub timestamp_ms: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// JSON array of `[name, value]`.
    pub headers: Vec<u8>,
    pub reason: RefusedReason,
}

#[derive(Clone, Debug)]
pub enum RefusedReason {
    Decode(DecodeError),
    /// Broken rules and unmet expectations of suites, at least one of them critical.
    Rules {
        violations: Vec<Violation>,
        unmet: Vec<Unmet>,
    },
    /// Postgres refused the row.
    Store {
        message: String,
    },
}

/// What became of the records of a batch; the conservation equation in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub consumed: i64,
    pub applied: i64,
    pub late: i64,
    pub duplicate: i64,
    pub deleted: i64,
    pub control: i64,
    pub quarantined: i64,
    /// Of the applied ones: those that a rule tagged.
    pub tagged: i64,
}

/// A candle that a batch changed, for the live feed.
#[derive(Clone, Debug, PartialEq)]
pub struct Touched {
    pub symbol: Symbol,
    pub time: DateTime<Utc>,
    pub event_time: DateTime<Utc>,
    /// The row was not there before.
    pub new: bool,
}

/// A row as it stands in the store, as far as the fold needs it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    pub state: KeyState,
    /// Where the row shows; `None` for a tombstone.
    pub shows: Option<(Symbol, DateTime<Utc>)>,
    /// What it holds; known only of rows that a snapshot reads again.
    pub bar: Option<Bar>,
}

/// One line of the change log, less its seq.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Logged {
    pub offset: i64,
    pub record_id: i64,
    pub symbol: Symbol,
    pub time: DateTime<Utc>,
    pub event_time: DateTime<Utc>,
    pub op: u8,
    /// As the column tells: n, a, l, d.
    pub outcome: u8,
}

/// The net effect of a batch. Indices point into the batch's items.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Effect {
    /// Rows that stand and did not before; their version is the last one seen, which may belong to a later, late change.
    pub inserts: Vec<(usize, Version)>,
    /// Rows that stood before and are now different.
    pub updates: Vec<(usize, Version)>,
    /// Rows that stay, with a newer version seen.
    pub bumps: Vec<(i64, Version)>,
    /// Rows that stood before and are gone.
    pub removes: Vec<i64>,
    /// Deleted keys, with the offset of the delete.
    pub tombstones: Vec<(i64, KeyState, i64)>,
    /// Tombstones of keys that stand again.
    pub revived: Vec<i64>,
    pub log: Vec<Logged>,
    pub touched: Vec<Touched>,
    pub counts: Counts,
    pub max_record_id: i64,
}

impl Effect {
    /// The sets of tags of the rows that are written, each once.
    pub fn tags<'i>(&self, items: &'i [Item]) -> HashSet<&'i [Arc<str>]> {
        let rows = self.inserts.iter().chain(&self.updates).filter_map(|(index, _)| match &items[*index] {
            Item::Upsert(upsert) if !upsert.tags.is_empty() => Some(upsert.tags.as_slice()),
            _ => None,
        });
        rows.collect()
    }
}

struct Key {
    before: Option<Stored>,
    state: Option<KeyState>,
    shows: Option<(Symbol, DateTime<Utc>)>,
    /// The upsert that stands now, when this batch wrote it.
    row: Option<usize>,
    deleted_at_offset: Option<i64>,
}

impl Key {
    /// Whether a snapshot reads what stands already, or only a coarser copy of it.
    fn reads_the_same(&self, read: &Upsert, known: &KeyState, items: &[Item]) -> bool {
        if read.op != Op::Read || known.deleted {
            return false;
        }
        let standing = match self.row.and_then(|index| items.get(index)) {
            Some(Item::Upsert(row)) => Some((row.symbol.clone(), row.bar)),
            _ => self
                .before
                .as_ref()
                .and_then(|stored| stored.shows.as_ref().zip(stored.bar))
                .map(|((symbol, _), bar)| (symbol.clone(), bar)),
        };
        // A row without an event time of its own has its source's stamp, which differs between reading and streaming.
        let event_time = if read.source_at == Some(read.event_time) { read.event_time } else { known.event_time };
        standing.is_some_and(|(symbol, bar)| {
            let read_row = stock_row(read.record_id, &read.symbol, &read.bar, read.event_time);
            is_coarser_copy(&read_row, &stock_row(read.record_id, &symbol, &bar, event_time))
        })
    }
}

fn stock_row(record_id: i64, symbol: &Symbol, bar: &Bar, event_time: DateTime<Utc>) -> StockRow {
    StockRow {
        record_id,
        time: Some(bar.time),
        open: Some(bar.open),
        high: Some(bar.high),
        low: Some(bar.low),
        close: Some(bar.close),
        volume: Some(bar.volume),
        volume_fractional: false,
        symbol: Some(symbol.as_str().into()),
        event_time: Some(event_time),
    }
}

/// The letter of an operation, as the tables keep it.
pub(super) fn op_code(op: Op) -> u8 {
    match op {
        Op::Create => b'c',
        Op::Update => b'u',
        Op::Read => b'r',
        Op::Delete => b'd',
    }
}

/// Folds the items in order over what the store holds. `stored` has every key of the batch that the store knows;
/// `truncated` is the topic's newest truncation; `version_of` gives positions, with the stamp of their source, their epoch.
pub(super) fn fold(
    items: &[Item],
    mut stored: HashMap<i64, Stored>,
    truncated: Version,
    mut version_of: impl FnMut(Position, Option<DateTime<Utc>>) -> Version,
) -> Effect {
    let mut effect = Effect { log: Vec::with_capacity(items.len()), ..Effect::default() };
    let mut keys: HashMap<i64, Key> = HashMap::with_capacity(items.len());
    let mut order: Vec<i64> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        effect.counts.consumed += 1;
        let (record_id, offset, position, event_time, source_at, upsert) = match item {
            Item::Control => {
                effect.counts.control += 1;
                continue;
            }
            Item::Refused(_) => {
                effect.counts.quarantined += 1;
                continue;
            }
            // Truncation is applied by its own statement; here it only counts.
            Item::Truncate { .. } => {
                effect.counts.deleted += 1;
                continue;
            }
            Item::Upsert(upsert) => {
                let Upsert { record_id, offset, position, event_time, source_at, .. } = *upsert;
                (record_id, offset, Some(position), event_time, source_at, Some(upsert))
            }
            Item::Delete { offset, record_id, position, event_time, source_at } => {
                (*record_id, *offset, *position, *event_time, *source_at, None)
            }
        };
        effect.max_record_id = effect.max_record_id.max(record_id);
        let key = match keys.entry(record_id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                order.push(record_id);
                let before = stored.remove(&record_id);
                entry.insert(Key {
                    state: KeyState::under(before.as_ref().map(|stored| stored.state), truncated),
                    shows: before.as_ref().and_then(|stored| stored.shows.clone()),
                    before,
                    row: None,
                    deleted_at_offset: None,
                })
            }
        };
        let version = position.map(|position| version_of(position, source_at));
        let (mut outcome, mut state) = judge(key.state.as_ref(), upsert.is_none(), version, event_time);
        if outcome == Outcome::Applied
            && let (Some(read), Some(known), Some(judged)) = (upsert, key.state, &mut state)
            && key.reads_the_same(read, &known, items)
        {
            outcome = Outcome::Duplicate;
            *judged = KeyState { version: judged.version, ..known };
        }
        key.state = state;
        match (outcome, upsert) {
            (Outcome::Duplicate, _) => effect.counts.duplicate += 1,
            (Outcome::Late, Some(upsert)) => {
                effect.counts.late += 1;
                effect.log.push(Logged {
                    offset,
                    record_id,
                    symbol: upsert.symbol.clone(),
                    time: upsert.bar.time,
                    event_time,
                    op: op_code(upsert.op),
                    outcome: b'l',
                });
            }
            (Outcome::Applied, Some(upsert)) => {
                effect.counts.applied += 1;
                effect.counts.tagged += i64::from(upsert.is_tagged());
                let shows = (upsert.symbol.clone(), upsert.bar.time);
                let new = key.shows.is_none();
                let moved = key.shows.take().filter(|old| *old != shows);
                effect.touched.push(Touched { symbol: shows.0.clone(), time: shows.1, event_time, new });
                if let Some((symbol, time)) = moved {
                    // Also in the log: who comes back must learn that nothing is left where the row was.
                    effect.touched.push(Touched { symbol: symbol.clone(), time, event_time, new: false });
                    let op = op_code(upsert.op);
                    effect.log.push(Logged { offset, record_id, symbol, time, event_time, op, outcome: b'd' });
                }
                effect.log.push(Logged {
                    offset,
                    record_id,
                    symbol: shows.0.clone(),
                    time: shows.1,
                    event_time,
                    op: op_code(upsert.op),
                    outcome: if new { b'n' } else { b'a' },
                });
                key.shows = Some(shows);
                key.row = Some(index);
                key.deleted_at_offset = None;
            }
            (Outcome::Deleted, _) => {
                effect.counts.deleted += 1;
                if let Some((symbol, time)) = key.shows.take() {
                    effect.touched.push(Touched { symbol: symbol.clone(), time, event_time, new: false });
                    effect.log.push(Logged { offset, record_id, symbol, time, event_time, op: b'd', outcome: b'd' });
                }
                key.row = None;
                key.deleted_at_offset = Some(offset);
            }
            // `judge` answers Late and Applied to upserts only.
            (Outcome::Late | Outcome::Applied, None) => {}
        }
    }
    settle(&mut effect, keys, &order);
    effect
}

/// What each key needs in the store, in the order in which the batch first named the keys (so that inserts append).
fn settle(effect: &mut Effect, mut keys: HashMap<i64, Key>, order: &[i64]) {
    for record_id in order {
        let Some((key, state)) = keys.remove(record_id).and_then(|mut key| key.state.take().map(|state| (key, state)))
        else {
            continue;
        };
        let stood = key.before.as_ref().is_some_and(|stored| !stored.state.deleted);
        let was_tombstone = key.before.as_ref().is_some_and(|stored| stored.state.deleted);
        let unchanged = key.before.as_ref().is_some_and(|stored| stored.state == state);
        match (state.deleted, key.row) {
            (false, Some(row)) if stood => effect.updates.push((row, state.version)),
            (false, Some(row)) => {
                effect.inserts.push((row, state.version));
                if was_tombstone {
                    effect.revived.push(*record_id);
                }
            }
            (false, None) if !unchanged => effect.bumps.push((*record_id, state.version)),
            (true, _) => {
                if stood {
                    effect.removes.push(*record_id);
                }
                if !unchanged && let Some(offset) = key.deleted_at_offset {
                    effect.tombstones.push((*record_id, state, offset));
                }
            }
            (false, None) => {}
        }
    }
}
