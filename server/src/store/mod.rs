//! All SQL lives here, and nothing but SQL: what the rows mean is decided by `cdc`, `quality` and `pipeline`.

mod api_key;
mod apply;
mod audit;
mod bar;
mod clear;
mod copy;
mod dictionary;
mod finding;
mod fold;
mod freshness;
mod head;
mod judgement;
mod lease;
mod missed;
#[cfg(test)]
mod model;
mod pack;
mod partition;
mod pools;
mod progress;
mod provenance;
mod quarantine;
mod read;
mod recent;
mod redrive;
mod retention;
mod schema;
mod snapshot;
mod stored;
mod topic;
pub mod validate;
mod validation;
mod verify;
mod watchlist;
mod write;

pub use api_key::{ActiveKey, KeyChanges, KeyRow, NewKey};
pub use apply::{ApplyError, Batch, Committed, IsSimulated, Writer};
pub use audit::{AuditEntry, AuditOutcome, AuditRow, GivenOrder, append_audit};
pub use clear::SnapshotSweep;
pub use finding::{FindingFilter, FindingPlace};
pub use fold::{Counts, Item, Refused, RefusedReason, Touched, Upsert};
pub use freshness::{FreshMinute, FreshSpan};
pub use head::{ChangedCandle, ChangesSince, Head};
pub use judgement::{Judgement, SuiteSet};
pub use missed::Missed;
pub use pack::{FoundAt, Judged, LoggedChange, Newest, PackStep, RowCount, Window};
pub use partition::{FeedPosition, PartitionKey, PartitionState, RetentionGap};
pub use progress::PartitionProgress;
pub use provenance::MinuteRow;
pub use quarantine::{
    QuarantineFilter, QuarantinePlace, QuarantinedBytes, QuarantinedRecord, RecordId, Resolution, ResolutionState,
};
pub use read::*;
pub use recent::RecentWindow;
pub use redrive::{RedriveError, RedriveReport, RedriveRequest, RedriveResult, RedrivenRecord, Selection, Understand};
pub use retention::{Policy, Pruned};
pub use schema::SchemaError;
pub use validation::{Cause, RunFilter, TrendPoint, ValidationRun};
pub use verify::{
    ConsumedPartition, Grave, Provenance, RedrivenPlace, RefusedBytes, RefusedPlace, StandingRow, StoreSnapshot,
    TopicFacts, Twice,
};

use sqlx::PgPool;
use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

/// Postgres, as every part of the program sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    readers: PgPool,
    /// When this process last found the schema up to date.
    migrated: Arc<OnceLock<Instant>>,
    /// The newest bars, in memory.
    recent: recent::Recent,
    policy: Policy,
}
