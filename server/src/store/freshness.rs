//! How fresh the data was, minute by minute.

use super::{ReadError, Store, read::READ_TIMEOUT};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;

/// How long minutes are kept.
const KEPT: TimeDelta = TimeDelta::days(35);

/// What one process measured in one minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreshMinute {
    /// Its beginning.
    pub minute: DateTime<Utc>,
    /// Changes of candles that were committed.
    pub changes: i64,
    /// Of them, those within the budget.
    pub in_budget: i64,
    /// From the source's commit to ours, in microseconds; `None` without changes.
    pub p50_us: Option<i64>,
    pub p99_us: Option<i64>,
    /// Seconds in which the pipeline could not work although it should have.
    pub down_seconds: i16,
}

/// Minutes taken together. A minute is *fresh* when 99 of 100 changes in it were within the budget and the pipeline
/// worked all the time, *late* when not, and *quiet* when nothing changed. The others were not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, FromRow)]
pub struct FreshSpan {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub fresh: i64,
    pub late: i64,
    pub quiet: i64,
    /// Changes of candles.
    pub changes: i64,
    /// Of them, those within the budget.
    pub in_budget: i64,
    /// The worst minute's 99th percentile from the source's commit to ours, in microseconds; null without changes.
    pub worst_p99_us: Option<i64>,
    /// Seconds in which the pipeline could not work.
    pub down_seconds: i64,
}

impl Store {
    /// Adds what this process measured in a minute.
    ///
    /// # Errors
    /// Postgres does not answer, or is not migrated yet.
    pub async fn record_freshness(&self, measured: &FreshMinute) -> Result<(), ReadError> {
        let query = sqlx::query(
            "insert into freshness_minute as known (minute, changes, in_budget, p50_us, p99_us, down_seconds)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (minute) do update set
                changes = known.changes + excluded.changes,
                in_budget = known.in_budget + excluded.in_budget,
                p50_us = greatest(known.p50_us, excluded.p50_us),
                p99_us = greatest(known.p99_us, excluded.p99_us),
                down_seconds = greatest(known.down_seconds, excluded.down_seconds)",
        )
        .bind(measured.minute)
        .bind(measured.changes)
        .bind(measured.in_budget)
        .bind(measured.p50_us)
        .bind(measured.p99_us)
        .bind(measured.down_seconds);
        match tokio::time::timeout(READ_TIMEOUT, query.execute(&self.pool)).await {
            Ok(done) => Ok(done.map(|_| ())?),
            Err(_elapsed) => Err(ReadError::Timeout),
        }
    }

    /// Spans of so many minutes each, one after the other up to `to`, the oldest first.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn freshness(&self, to: DateTime<Utc>, minutes: i32, spans: i32) -> Result<Vec<FreshSpan>, ReadError> {
        let query = sqlx::query_as(
            "select span.from, span.to,
                count(*) filter (where changes > 0 and in_budget * 100 >= changes * 99 and down_seconds = 0) as fresh,
                count(*) filter (where in_budget * 100 < changes * 99 or down_seconds > 0) as late,
                count(*) filter (where changes = 0 and down_seconds = 0) as quiet,
                coalesce(sum(changes), 0)::bigint as changes, coalesce(sum(in_budget), 0)::bigint as in_budget,
                max(p99_us) as worst_p99_us, coalesce(sum(down_seconds), 0)::bigint as down_seconds
             from (select $1 - make_interval(mins => $2 * back) as \"from\", $1 - make_interval(mins => $2 * (back - 1)) as \"to\"
                from generate_series(1, $3) back) span
             left join freshness_minute on minute >= span.from and minute < span.to
             group by span.from, span.to order by span.from",
        );
        let query = query.bind(to).bind(minutes).bind(spans);
        match tokio::time::timeout(READ_TIMEOUT, query.fetch_all(&self.readers)).await {
            Ok(rows) => Ok(rows?),
            Err(_elapsed) => Err(ReadError::Timeout),
        }
    }

    /// Deletes minutes that are no longer kept as of `now`; how many.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub(super) async fn prune_freshness(&self, now: DateTime<Utc>) -> Result<u64, sqlx::Error> {
        let done = sqlx::query("delete from freshness_minute where minute < $1").bind(now - KEPT);
        Ok(done.execute(&self.pool).await?.rows_affected())
    }
}
