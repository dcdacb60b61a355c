//! Runs of a suite that are recorded: one at a time per checkpoint, whichever instance runs it.

use super::{Asset, AssetError, validate};
use crate::store::{Cause, Store};
use chrono::{DateTime, TimeDelta, Utc};
use quality::suite::{Suite, ValidationResult};
use sqlx::PgConnection;
use xxhash_rust::xxh3::xxh3_64;

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its name keeps instances from running the same thing at once.
    pub checkpoint: &'a str,
    pub table: &'a str,
    pub suite: &'a Suite,
    pub cause: Cause,
    /// Only if the suite's last run on this table began longer ago than this.
    pub not_within: Option<TimeDelta>,
}

/// Why a suite could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Asset(#[from] AssetError),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Store {
    /// Runs a suite against a table and records what it found; `None` when it is being run, or was run lately.
    ///
    /// # Errors
    /// There is no such table, or Postgres does not answer.
    pub async fn run_suite(
        &self,
        wanted: Wanted<'_>,
        now: DateTime<Utc>,
    ) -> Result<Option<(i64, ValidationResult)>, RunError> {
        let mut connection = self.pool.acquire().await?;
        // The lock goes with the session, also when this run is given up half-way.
        connection.close_on_drop();
        let lock = xxh3_64(format!("checkpoint {}", wanted.checkpoint).as_bytes()).cast_signed();
        let is_ours: bool =
            sqlx::query_scalar("select pg_try_advisory_lock($1)").bind(lock).fetch_one(&mut *connection).await?;
        if !is_ours {
            return Ok(None);
        }
        let outcome = self.run_alone(&mut connection, wanted, now).await;
        // At once, for whoever asks next: a session takes its time to end.
        sqlx::query("select pg_advisory_unlock($1)").bind(lock).execute(&mut *connection).await?;
        outcome
    }

    async fn run_alone(
        &self,
        connection: &mut PgConnection,
        wanted: Wanted<'_>,
        now: DateTime<Utc>,
    ) -> Result<Option<(i64, ValidationResult)>, RunError> {
        let asset = Asset::describe(connection, wanted.table).await?;
        if let Some(since) = wanted.not_within.and_then(|age| now.checked_sub_signed(age)) {
            let lately: bool = sqlx::query_scalar(
                "select exists (select from validation_run where suite = $1 and asset = $2 and started_at > $3)",
            )
            .bind(&wanted.suite.name)
            .bind(&asset.name)
            .bind(since)
            .fetch_one(&mut *connection)
            .await?;
            if lately {
                return Ok(None);
            }
        }
        let result = validate(connection, &asset, wanted.suite, now, |_| {}).await?;
        let run_id = self.record_validation(&asset.name, wanted.cause, now, Utc::now(), &result).await?;
        Ok(Some((run_id, result)))
    }
}
