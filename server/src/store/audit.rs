//! The audit trail: who changed what by hand, and who tried to. Rows are added and read, never changed.

use super::{PartitionKey, ReadError, RecordId, Store, read::READ_TIMEOUT};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, Row};
use utoipa::ToSchema;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditOutcome {
    /// What was asked for has happened.
    Done,
    /// It was not allowed, or not possible as asked.
    Refused,
    /// It was tried and went wrong.
    Failed,
}

impl AuditOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// One attempt, to be recorded. Nothing in it may be a secret.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// Who: `token` or `anonymous` with an address, `command` for the command line.
    pub actor: String,
    /// What was tried: `pipeline.pause`, `quarantine.redrive`.
    pub action: &'static str,
    /// What it was about: a partition as `topic[0]`, or `all`.
    pub subject: String,
    pub outcome: AuditOutcome,
    /// Parameters and counts, a JSON object.
    pub detail: Value,
}

/// One recorded attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "audit_id": 7, "at": "2024-01-16T14:31:00Z", "actor": "token 127.0.0.1", "action": "pipeline.pause",
    "subject": "dbserver1.stream_db.stock[0]", "outcome": "done", "detail": {}
}))]
pub struct AuditRow {
    pub audit_id: i64,
    /// When it was recorded.
    pub at: DateTime<Utc>,
    /// Who: `token` or `anonymous` with an address, `command` for the command line.
    pub actor: String,
    /// What was tried.
    pub action: String,
    /// What it was about.
    pub subject: String,
    /// `done`, `refused` or `failed`.
    #[schema(value_type = AuditOutcome)]
    pub outcome: String,
    /// Parameters and counts.
    #[schema(value_type = Object)]
    pub detail: Value,
}

/// An order to the pipeline that was given and taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema, sqlx::FromRow)]
pub struct GivenOrder {
    pub at: DateTime<Utc>,
    /// `pause`, `resume`, `start` or `drain`.
    pub order: String,
    /// A partition as `topic[0]`, a topic, or `all`.
    pub subject: String,
}

/// Records an attempt within the caller's transaction or on its connection, and answers with its `audit_id`.
///
/// # Errors
/// Postgres does not answer, or the transaction has already failed.
pub async fn append_audit(connection: &mut PgConnection, entry: &AuditEntry) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "insert into audit (actor, action, subject, outcome, detail) values ($1, $2, $3, $4, $5) returning audit_id",
    )
    .bind(&entry.actor)
    .bind(entry.action)
    .bind(&entry.subject)
    .bind(entry.outcome.as_str())
    .bind(&entry.detail)
    .fetch_one(connection)
    .await
}

impl Store {
    /// Records an attempt by itself.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn record_audit(&self, entry: &AuditEntry) -> Result<i64, ReadError> {
        let record = async {
            let mut connection = self.pool.acquire().await?;
            append_audit(&mut connection, entry).await
        };
        match tokio::time::timeout(READ_TIMEOUT, record).await {
            Ok(result) => Ok(result?),
            Err(_elapsed) => Err(ReadError::Timeout),
        }
    }

    /// The newest orders to the pipeline that were taken, among the last 10,000 attempts. By whom is not for everybody: [`Store::list_audit`] has it.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn given_orders(&self, limit: i64) -> Result<Vec<GivenOrder>, ReadError> {
        let query = sqlx::query_as(
            "select at, substr(action, 10) as \"order\", subject from audit
             where action like 'pipeline.%' and outcome = 'done' and audit_id > (select max(audit_id) from audit) - 10000
             order by audit_id desc limit $1",
        );
        match tokio::time::timeout(READ_TIMEOUT, query.bind(limit).fetch_all(&self.readers)).await {
            Ok(rows) => Ok(rows?),
            Err(_elapsed) => Err(ReadError::Timeout),
        }
    }

    /// At most `limit` attempts, newest first; with `before`, only those older than that `audit_id`.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn list_audit(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditRow>, ReadError> {
        self.attempts(None, before, limit).await
    }

    /// The same of one refused record; without an incarnation, of that offset in any life of the topic.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn audit_of(
        &self,
        record: &RecordId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, ReadError> {
        self.attempts(Some(record), before, limit).await
    }

    async fn attempts(
        &self,
        record: Option<&RecordId>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, ReadError> {
        let partition =
            |record: &RecordId| PartitionKey { topic: record.topic.clone(), partition: record.partition }.to_string();
        // A redrive is one row of its partition with all its records in it, everything else a row of the record's.
        let query = sqlx::query(
            "select audit_id, at, actor, action, subject, outcome, detail from audit
             where audit_id < $1 and ($3::text is null
                or subject = $3 and ($6::integer is null or coalesce((detail ->> 'incarnation')::integer, $6) = $6)
                or subject = $4 and action = 'quarantine.redrive' and exists (
                    select from jsonb_array_elements(detail -> 'incarnations_offsets') place
                    where (place ->> 1)::bigint = $5 and ($6 is null or (place ->> 0)::integer = $6)))
             order by audit_id desc limit $2",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .bind(record.map(RecordId::to_string))
        .bind(record.map(partition))
        .bind(record.map(|record| record.offset))
        .bind(record.and_then(|record| record.incarnation))
        .fetch_all(&self.readers);
        let rows = match tokio::time::timeout(READ_TIMEOUT, query).await {
            Ok(rows) => rows?,
            Err(_elapsed) => return Err(ReadError::Timeout),
        };
        let row = |row: &sqlx::postgres::PgRow| AuditRow {
            audit_id: row.get(0),
            at: row.get(1),
            actor: row.get(2),
            action: row.get(3),
            subject: row.get(4),
            outcome: row.get(5),
            detail: row.get(6),
        };
        Ok(rows.iter().map(row).collect())
    }
}
