//! Reading the quarantine, and dismissing what is in it. How a record gets out of it again is `redrive`'s.

use super::{AuditEntry, AuditOutcome, ReadError, Store, append_audit, read::within};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{FromRow, Row, postgres::PgRow};
use std::{fmt, str::FromStr};
use utoipa::ToSchema;

/// Names one record of a partition, as people write it: `topic[0]@17`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordId {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Which life of the topic; `None`: the newest that has this offset in quarantine.
    pub incarnation: Option<i32>,
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]@{}", self.topic, self.partition, self.offset)
    }
}

impl FromStr for RecordId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (rest, offset) = text.rsplit_once('@')?;
            let (topic, partition) = rest.strip_suffix(']')?.rsplit_once('[')?;
            let (partition, offset) = (partition.parse().ok()?, offset.parse().ok()?);
            (!topic.is_empty()).then(|| Self { topic: topic.to_owned(), partition, offset, incarnation: None })
        };
        parse().ok_or("is not a record: write TOPIC[PARTITION]@OFFSET, such as dbserver1.stream_db.stock[0]@17")
    }
}

/// What became of a refused record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResolutionState {
    /// Nobody has decided yet.
    Open,
    /// A redrive was tried and refused; still open.
    RefusedAgain,
    /// It has had its effect after all.
    Redriven,
    /// Somebody decided that it stays refused.
    Dismissed,
}

impl ResolutionState {
    pub const ALL: [Self; 4] = [Self::Open, Self::RefusedAgain, Self::Redriven, Self::Dismissed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::RefusedAgain => "refused_again",
            Self::Redriven => "redriven",
            Self::Dismissed => "dismissed",
        }
    }

    /// Whether somebody still has to decide.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::RefusedAgain)
    }
}

/// What became of a refused record, by whom and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Resolution {
    pub state: ResolutionState,
    /// Of a redriven one: `applied`, `late`, `duplicate`, `deleted` or `control`.
    #[schema(required)]
    pub outcome: Option<String>,
    /// Redrives that were refused.
    pub attempts: i32,
    #[schema(required)]
    pub at: Option<DateTime<Utc>>,
    #[schema(required)]
    pub by: Option<String>,
    #[schema(required)]
    pub note: Option<String>,
    /// The newest row of the audit trail about it.
    #[schema(required)]
    pub audit_id: Option<i64>,
}

/// A refused record, less its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "topic": "dbserver1.stream_db.stock", "partition": 0, "incarnation": 1, "offset": 17,
    "received_at": "2024-01-16T14:31:00Z", "timestamp": "2024-01-16T14:30:59.870Z", "stage": "rules",
    "codes": ["envelope"], "reason": "open 153.6 is above high 153.5; expected low ≤ open, close ≤ high",
    "rule_version": 1, "suites_digest": null, "key_bytes": 15, "value_bytes": 612, "resolution": {
        "state": "open", "outcome": null, "attempts": 0, "at": null, "by": null, "note": null, "audit_id": null
    }
}))]
pub struct QuarantinedRecord {
    pub topic: String,
    pub partition: i32,
    /// Which life of the topic the offset belongs to, from 1.
    pub incarnation: i32,
    pub offset: i64,
    pub received_at: DateTime<Utc>,
    /// The record's own timestamp.
    #[schema(required)]
    pub timestamp: Option<DateTime<Utc>>,
    /// What refused it: `decode`, `rules`, `suite`, or later ones.
    pub stage: String,
    /// Why, for programs, worst first.
    pub codes: Vec<String>,
    /// Why, for people.
    pub reason: String,
    /// Version of the rules that refused it.
    pub rule_version: i32,
    /// SHA-256 of the suites that judged it last, in hex; `null`: none did.
    #[schema(required)]
    pub suites_digest: Option<String>,
    /// Length of the key; `null` when there is none.
    #[schema(required)]
    pub key_bytes: Option<i32>,
    /// Length of the value; `null` for a tombstone.
    #[schema(required)]
    pub value_bytes: Option<i32>,
    pub resolution: Resolution,
}

impl QuarantinedRecord {
    pub fn id(&self) -> RecordId {
        let Self { topic, partition, offset, incarnation, .. } = self;
        RecordId { topic: topic.clone(), partition: *partition, offset: *offset, incarnation: Some(*incarnation) }
    }
}

impl FromRow<'_, PgRow> for QuarantinedRecord {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let state: &str = row.try_get("resolution")?;
        let known = ResolutionState::ALL.into_iter().find(|known| known.as_str() == state);
        Ok(Self {
            topic: row.try_get("name")?,
            partition: row.try_get("partition")?,
            incarnation: row.try_get("incarnation")?,
            offset: row.try_get("offset")?,
            received_at: row.try_get("received_at")?,
            timestamp: row.try_get::<Option<i64>, _>("timestamp_ms")?.and_then(DateTime::from_timestamp_millis),
            stage: row.try_get("stage")?,
            codes: row.try_get("codes")?,
            reason: row.try_get("reason")?,
            rule_version: row.try_get("rule_version")?,
            suites_digest: row.try_get("suites_digest")?,
            key_bytes: row.try_get("key_bytes")?,
            value_bytes: row.try_get("value_bytes")?,
            resolution: Resolution {
                state: known.ok_or_else(|| sqlx::Error::Decode(format!("resolution {state:?}").into()))?,
                outcome: row.try_get("outcome")?,
                attempts: row.try_get("attempts")?,
                at: row.try_get("resolved_at")?,
                by: row.try_get("resolved_by")?,
                note: row.try_get("note")?,
                audit_id: row.try_get("audit_id")?,
            },
        })
    }
}

/// A refused record with its bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct QuarantinedBytes {
    pub record: QuarantinedRecord,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    /// JSON array of `[name, value]`; a value is text, `{"base64": …}` or null.
    pub headers: Value,
}

impl QuarantinedBytes {
    /// The headers with the values of those whose names sound like a secret as `***`.
    pub fn headers_without_secrets(&self) -> Value {
        const SECRETS: [&str; 6] = ["authorization", "cookie", "credential", "password", "secret", "token"];
        let mut headers = self.headers.clone();
        for header in headers.as_array_mut().into_iter().flatten() {
            let name = header[0].as_str().unwrap_or_default().to_ascii_lowercase();
            if SECRETS.iter().any(|secret| name.contains(secret)) && !header[1].is_null() {
                header[1] = Value::from("***");
            }
        }
        headers
    }
}

/// Which refused records. `None` is any.
#[derive(Clone, Debug, Default)]
pub struct QuarantineFilter {
    pub topic: Option<String>,
    pub partition: Option<i32>,
    pub code: Option<String>,
    pub stage: Option<String>,
    /// Received at this instant or later.
    pub since: Option<DateTime<Utc>>,
    /// In one of these states; empty: in any.
    pub states: Vec<ResolutionState>,
}

impl QuarantineFilter {
    /// Those about which somebody still has to decide.
    pub fn open() -> Self {
        Self { states: vec![ResolutionState::Open, ResolutionState::RefusedAgain], ..Self::default() }
    }
}

/// Where a page ended: its last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuarantinePlace {
    pub received_at: DateTime<Utc>,
    pub topic_id: i16,
    pub incarnation: i32,
    pub partition: i32,
    pub offset: i64,
}

/// All of these fail with [`ReadError`] when Postgres does not answer.
impl Store {
    /// The refused records, newest first, each with its place; at most `limit`, behind `after`.
    pub async fn quarantined(
        &self,
        filter: &QuarantineFilter,
        after: Option<QuarantinePlace>,
        limit: u32,
    ) -> Result<Vec<(QuarantinePlace, QuarantinedRecord)>, ReadError> {
        let states: Option<Vec<&str>> =
            (!filter.states.is_empty()).then(|| filter.states.iter().map(|state| state.as_str()).collect());
        let query = sqlx::query(
            "select t.name, q.topic_id, q.incarnation, q.partition, q.\"offset\", q.received_at, q.timestamp_ms,
                octet_length(q.key) as key_bytes, octet_length(q.value) as value_bytes, q.stage, q.codes, q.reason,
                q.rule_version, s.digest as suites_digest, q.resolution, q.outcome, q.attempts, q.resolved_at, q.resolved_by, q.note, q.audit_id
             from quarantine q join topic t using (topic_id) left join suite_set s using (suite_set_id)
             where ($1::text is null or t.name = $1)
                and ($2::integer is null or q.partition = $2)
                and ($3::text is null or $3 = any(q.codes))
                and ($4::text is null or q.stage = $4)
                and ($5::timestamptz is null or q.received_at >= $5)
                and ($6::text[] is null or q.resolution = any($6))
                and ($7::timestamptz is null
                    or (q.received_at, q.topic_id, q.incarnation, q.partition, q.\"offset\") < ($7, $8, $9, $10, $11))
             order by q.received_at desc, q.topic_id desc, q.incarnation desc, q.partition desc, q.\"offset\" desc
             limit $12",
        )
        .bind(&filter.topic)
        .bind(filter.partition)
        .bind(&filter.code)
        .bind(&filter.stage)
        .bind(filter.since)
        .bind(states)
        .bind(after.map(|after| after.received_at))
        .bind(after.map(|after| after.topic_id))
        .bind(after.map(|after| after.incarnation))
        .bind(after.map(|after| after.partition))
        .bind(after.map(|after| after.offset))
        .bind(i64::from(limit));
        let rows = within(query.fetch_all(self.readers())).await?;
        rows.iter()
            .map(|row| {
                let record = QuarantinedRecord::from_row(row)?;
                let place = QuarantinePlace {
                    received_at: record.received_at,
                    topic_id: row.try_get("topic_id")?,
                    incarnation: record.incarnation,
                    partition: record.partition,
                    offset: record.offset,
                };
                Ok((place, record))
            })
            .collect()
    }

    /// How many records somebody still has to decide about; not counted further than `most`.
    pub async fn count_open(&self, most: i64) -> Result<i64, ReadError> {
        let query = sqlx::query_scalar(
            "select count(*) from (
                select from quarantine where resolution in ('open', 'refused_again') limit $1
             ) open",
        )
        .bind(most);
        within(query.fetch_one(self.readers())).await
    }

    /// The topics that were ever consumed, by name.
    pub async fn topics(&self) -> Result<Vec<String>, ReadError> {
        within(sqlx::query_scalar("select name from topic order by name").fetch_all(self.readers())).await
    }

    /// One refused record with its bytes; `None` when it is not in quarantine.
    pub async fn find_quarantined(&self, id: &RecordId) -> Result<Option<QuarantinedBytes>, ReadError> {
        let query = sqlx::query(
            "select t.name, q.*, s.digest as suites_digest, octet_length(q.key) as key_bytes,
                octet_length(q.value) as value_bytes
             from quarantine q join topic t using (topic_id) left join suite_set s using (suite_set_id)
             where t.name = $1 and q.partition = $2 and q.\"offset\" = $3 and ($4::integer is null or q.incarnation = $4)
             order by q.incarnation desc limit 1",
        )
        .bind(&id.topic)
        .bind(id.partition)
        .bind(id.offset)
        .bind(id.incarnation);
        let Some(row) = within(query.fetch_optional(self.readers())).await? else { return Ok(None) };
        Ok(Some(QuarantinedBytes {
            record: QuarantinedRecord::from_row(&row)?,
            key: row.try_get("key")?,
            value: row.try_get("value")?,
            headers: serde_json::from_slice(row.try_get("headers")?).unwrap_or(Value::Null),
        }))
    }

    /// Decides that a record stays refused; its bytes stay. `false`: it was decided before, and nothing changed.
    ///
    /// The counters stay as they are: a dismissed record was refused.
    pub async fn dismiss(&self, record: &QuarantinedRecord, note: &str, actor: &str) -> Result<bool, ReadError> {
        let dismiss = async {
            let mut tx = self.pool().begin().await?;
            let changed = sqlx::query(
                "update quarantine set resolution = 'dismissed', resolved_at = now(), resolved_by = $5, note = $6
                 where topic_id = (select topic_id from topic where name = $1) and incarnation = $2 and partition = $3
                    and \"offset\" = $4 and resolution in ('open', 'refused_again')",
            )
            .bind(&record.topic)
            .bind(record.incarnation)
            .bind(record.partition)
            .bind(record.offset)
            .bind(actor)
            .bind(note)
            .execute(&mut *tx)
            .await?
            .rows_affected()
                > 0;
            let entry = AuditEntry {
                actor: actor.to_owned(),
                action: "quarantine.dismiss",
                subject: record.id().to_string(),
                outcome: if changed { AuditOutcome::Done } else { AuditOutcome::Refused },
                detail: json!({ "incarnation": record.incarnation, "note": note }),
            };
            let audit_id = append_audit(&mut tx, &entry).await?;
            if changed {
                sqlx::query(
                    "update quarantine set audit_id = $5
                     where topic_id = (select topic_id from topic where name = $1) and incarnation = $2
                        and partition = $3 and \"offset\" = $4",
                )
                .bind(&record.topic)
                .bind(record.incarnation)
                .bind(record.partition)
                .bind(record.offset)
                .bind(audit_id)
                .execute(&mut *tx)
                .await?;
            }
            tx.commit().await?;
            Ok(changed)
        };
        within(dismiss).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_named_as_it_is_printed() {
        let id: RecordId = "t.stream_db.stock[3]@17".parse().unwrap();
        assert_eq!((id.topic.as_str(), id.partition, id.offset), ("t.stream_db.stock", 3, 17));
        assert_eq!(id.to_string(), "t.stream_db.stock[3]@17");
        for wrong in ["", "t", "t[0]", "t@1", "[0]@1", "t[x]@1", "t[0]@", "t[0@1"] {
            assert!(wrong.parse::<RecordId>().is_err(), "{wrong}");
        }
    }
}
