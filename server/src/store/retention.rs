//! What is deleted because it is old, and what must not be.
//!
//! Tombstones and the change log are pruned in small steps, off the way of the records. Quarantine and the audit trail are
//! never pruned: they are obligations.

use super::Store;
use chrono::{DateTime, Utc};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What may be deleted, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How much of a partition's rows a snapshot may leave unmentioned and have them deleted, in percent.
    pub sweep_limit_percent: u8,
    /// How long a deleted key is remembered.
    pub tombstones: Duration,
    /// How far back the change log reaches …
    pub change_log: Duration,
    /// … and how many changes it holds at most.
    pub change_log_changes: i64,
}

impl Default for Policy {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self { sweep_limit_percent: 20, tombstones: DAY * 30, change_log: DAY, change_log_changes: 5_000_000 }
    }
}

/// What one step deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub tombstones: u64,
    /// Rows of the change log, of one batch each.
    pub batches: u64,
    /// Runs of expectation suites.
    pub runs: u64,
    pub findings: u64,
    /// Minutes of the history of freshness.
    pub minutes: u64,
}

/// How long what suites found is kept; of each suite the last run stays.
const VALIDATION_RUNS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long a finding is kept after it last changed, whether it holds or not.
const FINDINGS: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// Rows deleted by one statement.
const STEP: i64 = 5_000;
/// Between two rounds.
const ROUND: Duration = Duration::from_secs(60);
/// Between two steps of one round: the way of the records comes first.
const BREATH: Duration = Duration::from_millis(200);

impl Store {
    /// The same store, which deletes by this policy.
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Deletes what the policy no longer keeps as of `now`, at most a few thousand rows of each table. Any number of
    /// instances may do this at once.
    ///
    /// A tombstone refuses what its key said before it was deleted. Such a change comes again in three ways. A connector
    /// that replays goes on to the delete itself. So does reading a topic again. What lies in quarantine comes alone,
    /// whenever a person sends it on: so a tombstone stays while an older record of its partition is open there.
    /// One at or below the topic's truncation is needed no more, for the truncation refuses the same.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn prune(&self, now: DateTime<Utc>) -> Result<Pruned, sqlx::Error> {
        let before = |age: Duration| chrono::TimeDelta::from_std(age).ok().and_then(|age| now.checked_sub_signed(age));
        let mut pruned = Pruned::default();
        if let Some(before) = before(self.policy.tombstones) {
            pruned.tombstones = sqlx::query(
                "delete from tombstone where ctid = any(array(
                    with oldest_open as (
                        select distinct on (topic_id, partition) topic_id, partition, incarnation, \"offset\"
                        from quarantine where resolution in ('open', 'refused_again')
                        order by topic_id, partition, incarnation, \"offset\")
                    select old.ctid from tombstone old join topic using (topic_id)
                    left join oldest_open q using (topic_id, partition)
                    where deleted_at < $1 and ((version_epoch, version_hi, version_lo)
                            <= (truncated_epoch, truncated_hi, truncated_lo)
                        or q.\"offset\" is null or (old.incarnation, old.\"offset\") <= (q.incarnation, q.\"offset\"))
                    limit $2 for update of old skip locked))",
            )
            .bind(before)
            .bind(STEP)
            .execute(&self.pool)
            .await?
            .rows_affected();
        }
        pruned.batches = sqlx::query(
            "delete from change_log where last_seq = any(array(
                select last_seq from (select last_seq, committed_at from change_log order by last_seq limit $3) oldest
                where committed_at < $1 or last_seq <= (select seq from stream_head) - $2))",
        )
        .bind(before(self.policy.change_log))
        .bind(self.policy.change_log_changes)
        .bind(STEP)
        .execute(&self.pool)
        .await?
        .rows_affected();
        if let Some(before) = before(VALIDATION_RUNS) {
            pruned.runs = self.prune_validations(before).await?;
        }
        if let Some(before) = before(FINDINGS) {
            pruned.findings = self.prune_findings(before, STEP).await?;
        }
        pruned.minutes = self.prune_freshness(now).await?;
        Ok(pruned)
    }

    /// Prunes every minute until `shutdown`.
    pub async fn keep_pruned(self, shutdown: CancellationToken) {
        loop {
            let pause = match self.prune(Utc::now()).await {
                Ok(pruned) if pruned == Pruned::default() => ROUND,
                Ok(pruned) => {
                    metrics::counter!("stockstream_pruned_rows_total", "table" => "tombstone")
                        .increment(pruned.tombstones);
                    metrics::counter!("stockstream_pruned_rows_total", "table" => "change_log")
                        .increment(pruned.batches);
                    metrics::counter!("stockstream_pruned_rows_total", "table" => "validation_run")
                        .increment(pruned.runs);
                    metrics::counter!("stockstream_pruned_rows_total", "table" => "finding").increment(pruned.findings);
                    metrics::counter!("stockstream_pruned_rows_total", "table" => "freshness_minute")
                        .increment(pruned.minutes);
                    BREATH
                }
                // Away, or not migrated yet.
                Err(error) => {
                    tracing::debug!(%error, "not pruned");
                    ROUND
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }
}
