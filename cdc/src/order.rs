//! Which change wins: versions, and the two-stage rule.

use chrono::{DateTime, Utc};
use market::StockRow;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Serialize;

use crate::SourceIdent;

/// Where in its source's log a change stands, before its source has been given an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Position {
    /// Which log: positions of different logs are compared by epoch only.
    pub ident: SourceIdent,
    /// MySQL and MariaDB: `file number << 40 | pos`. Postgres: the LSN. Without either: the Kafka offset.
    pub hi: i64,
    /// MySQL and MariaDB: `row`. Postgres: the order in the transaction when the record carries it, else 0.
    pub lo: i32,
}

/// The version of a row: totally ordered, newest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Version {
    pub epoch: i32,
    pub hi: i64,
    pub lo: i32,
}

/// What is known of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyState {
    /// The highest version seen, whether or not it was applied.
    pub version: Version,
    /// Event time of the row that stands, or of the delete.
    pub event_time: DateTime<Utc>,
    pub deleted: bool,
}

/// What became of one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The row now stands as the change says.
    Applied,
    /// The row is gone.
    Deleted,
    /// Older by event time than the row that stands: kept in the change log, its version advances.
    Late,
    /// Seen before: no effect.
    Duplicate,
}

impl Position {
    /// The version it stands for, once its source has an epoch.
    pub fn version(&self, epoch: i32) -> Version {
        Version { epoch, hi: self.hi, lo: self.lo }
    }
}

impl Version {
    /// Below every version that a source gives.
    pub const NONE: Self = Self { epoch: 0, hi: 0, lo: 0 };
}

impl KeyState {
    /// What is known of a key under a truncation: whatever the source said of it up to `floor` is gone, whether or not it
    /// has been read yet. Records of other partitions may still be on their way then.
    pub fn under(state: Option<Self>, floor: Version) -> Option<Self> {
        match state {
            _ if floor == Version::NONE => state,
            Some(known) if known.version >= floor || !known.deleted => state,
            _ => Some(Self { version: floor, event_time: DateTime::<Utc>::MIN_UTC, deleted: true }),
        }
    }
}

/// The two-stage rule for one change of one key: what becomes of it, and what is then known of the key (`None`: still
/// nothing).
///
/// `event_time` of an upsert is the row's own, or its source's commit time where the row has none; of a delete the
/// source's commit time.
///
/// Stage 1, transport: a version at or below the last one is a duplicate and changes nothing. Stage 2, business: a delete
/// always counts; an upsert counts when nothing stands or when it is not older by event time than what stands; otherwise
/// it is late, and only the version advances.
///
/// `version` is `None` for a tombstone that came without its delete. It has no place in the order, so stage 1 cannot
/// judge it: it deletes what stands, and the last version stays, so that a newer one can bring the row back. An upsert
/// always has a version; one without passes to stage 2 in the same way.
pub fn judge(
    state: Option<&KeyState>,
    delete: bool,
    version: Option<Version>,
    event_time: DateTime<Utc>,
) -> (Outcome, Option<KeyState>) {
    let last = state.map_or(Version::NONE, |state| state.version);
    let version = match version {
        Some(version) if state.is_some() && version <= last => return (Outcome::Duplicate, state.copied()),
        Some(version) => version,
        None if delete && state.is_none_or(|state| state.deleted) => return (Outcome::Duplicate, state.copied()),
        None => last,
    };
    match state {
        _ if delete => (Outcome::Deleted, Some(KeyState { version, event_time, deleted: true })),
        Some(state) if !state.deleted && event_time < state.event_time => {
            (Outcome::Late, Some(KeyState { version, ..*state }))
        }
        _ => (Outcome::Applied, Some(KeyState { version, event_time, deleted: false })),
    }
}

/// Whether a row read by a snapshot is only a coarser copy of the row that stands: MariaDB and MySQL round FLOAT columns to
/// six significant digits in snapshots, and only there. [`judge`] lets such a read win, for its version is newer; whoever
/// writes it then takes the version and keeps the standing values, event time and provenance, and counts it as a duplicate:
/// it says nothing that was not known. A read that equals the row is such a copy too.
pub fn is_coarser_copy(read: &StockRow, standing: &StockRow) -> bool {
    let price = |read: Option<Decimal>, standing: Option<Decimal>| match (read, standing) {
        (Some(read), Some(standing)) => is_rounded(read, standing),
        (read, standing) => read == standing,
    };
    (read.record_id, read.time, &read.symbol, read.event_time)
        == (standing.record_id, standing.time, &standing.symbol, standing.event_time)
        && price(read.open, standing.open)
        && price(read.high, standing.high)
        && price(read.low, standing.low)
        && price(read.close, standing.close)
        && price(read.volume.map(Decimal::from), standing.volume.map(Decimal::from))
}

/// Whether `read` is `standing` with six significant digits. A midpoint goes either way: the binary number behind the text
/// decides (1534.075 is read as 1534.07).
fn is_rounded(read: Decimal, standing: Decimal) -> bool {
    const DIGITS: u32 = 6;
    read == standing
        || [RoundingStrategy::MidpointAwayFromZero, RoundingStrategy::MidpointTowardZero]
            .into_iter()
            .any(|strategy| standing.round_sf_with_strategy(DIGITS, strategy) == Some(read))
}
