//! All SQL lives here, and nothing but SQL: what the rows mean is decided by `cdc`, `quality` and `pipeline`.

mod apply;
mod audit;
mod copy;
mod dictionary;
mod fold;
mod head;
mod partition;
mod quarantine;
mod read;
mod redrive;
mod schema;
mod write;

pub use apply::{ApplyError, Batch, Committed, IsSimulated, Writer};
pub use audit::{AuditEntry, AuditOutcome, AuditRow, append_audit};
pub use fold::{Counts, Item, Refused, RefusedReason, Touched, Upsert};
pub use head::{ChangedCandle, ChangesSince, Head};
pub use partition::{FeedPosition, PartitionKey, PartitionState};
pub use quarantine::{
    QuarantineFilter, QuarantinePlace, QuarantinedBytes, QuarantinedRecord, RecordId, Resolution, ResolutionState,
};
pub use read::*;
pub use redrive::{RedriveError, RedriveReport, RedriveRequest, RedriveResult, RedrivenRecord, Selection, Understand};
pub use schema::SchemaError;

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::time::Duration;

/// Postgres, as every part of the program sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// A store whose connections are opened when they are first needed: the program starts, and says so, also while
    /// Postgres is away.
    pub fn new(options: PgConnectOptions, connections: u32) -> Self {
        let options = options.application_name("stockstream").options([("timezone", "UTC")]);
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(Duration::from_secs(3))
            .idle_timeout(Duration::from_secs(300))
            .connect_lazy_with(options);
        Self { pool }
    }

    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Whether Postgres answers now.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        sqlx::query("select 1").execute(&self.pool).await.map(drop)
    }
}
