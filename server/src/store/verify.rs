//! What `verify` reads: one snapshot of everything that the store says of a topic.

use super::{RecordId, Store, topic};
use cdc::{Epoch, Version};
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt};
use market::Bar;
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};

/// A repeatable-read transaction: whatever the server commits meanwhile, it goes on seeing the same.
pub struct StoreSnapshot {
    tx: Transaction<'static, Postgres>,
    topic_id: i16,
}

/// How far a partition has been consumed, and its counters.
#[derive(Clone, Debug)]
pub struct ConsumedPartition {
    pub partition: i32,
    pub incarnation: i32,
    pub next_offset: i64,
    /// Hash of the record before `next_offset`; 0 when it is not known.
    pub last_hash: i64,
    pub consumed: i64,
    pub applied: i64,
    pub late: i64,
    pub duplicate: i64,
    pub deleted: i64,
    pub control: i64,
    pub quarantined: i64,
}

/// What the partitions of a topic share.
#[derive(Clone, Debug)]
pub struct TopicFacts {
    pub epochs: Vec<Epoch>,
    /// The snapshots, by their versions, of which a partition has deleted what they did not mention; lowest first.
    pub sweeps: Vec<(i32, Version)>,
}

/// A refused record: which, and where in the order its effect lies if it was redriven.
#[derive(Clone, Debug)]
pub struct RefusedPlace {
    pub partition: i32,
    pub incarnation: i32,
    pub offset: i64,
    pub redriven: Option<RedrivenPlace>,
    /// The set of suites that it was last judged by.
    pub suite_set_id: Option<i32>,
    /// The key, as far as it can be made out.
    pub record_id: Option<i64>,
}

/// Where in the partition's order a redrive took effect: before the record at `effect`, in the order of `order`.
#[derive(Clone, Debug)]
pub struct RedrivenPlace {
    pub effect: (i32, i64),
    pub order: i64,
    pub outcome: String,
}

/// A refused record's own bytes.
#[derive(Clone, Debug)]
pub struct RefusedBytes {
    pub timestamp_ms: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// Which record made a row or deleted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Provenance {
    pub incarnation: i32,
    pub partition: i32,
    pub offset: i64,
}

/// A row as it stands.
#[derive(Clone, Debug)]
pub struct StandingRow {
    pub record_id: i64,
    pub symbol: String,
    pub bar: Bar,
    pub event_time: DateTime<Utc>,
    pub version: Version,
    /// The expectations of suites that tagged it.
    pub tags: Vec<String>,
    pub by: Provenance,
    /// Also a tombstone says that the key is deleted.
    pub buried: bool,
}

/// A deleted key.
#[derive(Clone, Copy, Debug)]
pub struct Grave {
    pub record_id: i64,
    pub version: Version,
    pub by: Provenance,
}

/// One record that stands in the store twice.
#[derive(Clone, Debug)]
pub struct Twice {
    pub by: Provenance,
    pub detail: String,
}

fn provenance(row: &PgRow) -> Provenance {
    Provenance { incarnation: row.get("incarnation"), partition: row.get("partition"), offset: row.get("offset") }
}

fn version(row: &PgRow) -> Version {
    Version { epoch: row.get("version_epoch"), hi: row.get("version_hi"), lo: row.get("version_lo") }
}

impl Store {
    /// Takes the snapshot; `None` when nothing was ever consumed of the topic.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn snapshot_of_topic(&self, topic: &str) -> Result<Option<StoreSnapshot>, sqlx::Error> {
        let mut tx = self.pool().begin_with("begin transaction isolation level repeatable read, read only").await?;
        // Reading a large topic takes as long as it takes; the transaction is idle while Kafka is read.
        sqlx::raw_sql("set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0")
            .execute(&mut *tx)
            .await?;
        let topic_id = sqlx::query_scalar("select topic_id from topic where name = $1")
            .bind(topic)
            .fetch_optional(&mut *tx)
            .await?;
        Ok(topic_id.map(|topic_id| StoreSnapshot { tx, topic_id }))
    }
}

/// All of these fail when Postgres does not answer.
impl StoreSnapshot {
    pub async fn partitions(&mut self) -> Result<Vec<ConsumedPartition>, sqlx::Error> {
        let rows = sqlx::query(
            "select partition, incarnation, next_offset, last_hash, consumed, applied, late, duplicate, deleted, control,
                quarantined
             from kafka_offset where topic_id = $1 order by partition",
        )
        .bind(self.topic_id)
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows
            .iter()
            .map(|row| ConsumedPartition {
                partition: row.get("partition"),
                incarnation: row.get("incarnation"),
                next_offset: row.get("next_offset"),
                last_hash: row.get("last_hash"),
                consumed: row.get("consumed"),
                applied: row.get("applied"),
                late: row.get("late"),
                duplicate: row.get("duplicate"),
                deleted: row.get("deleted"),
                control: row.get("control"),
                quarantined: row.get("quarantined"),
            })
            .collect())
    }

    pub async fn facts(&mut self) -> Result<TopicFacts, sqlx::Error> {
        let (_, epochs) = topic::read(&mut self.tx, self.topic_id).await?;
        let sweeps = sqlx::query(
            "select partition, version_epoch, version_hi, version_lo from snapshot_sweep
             where topic_id = $1 and outcome = 'swept' order by version_epoch, version_hi, version_lo",
        )
        .bind(self.topic_id)
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(TopicFacts { epochs, sweeps: sweeps.iter().map(|row| (row.get("partition"), version(row))).collect() })
    }

    pub async fn refused(&mut self) -> Result<Vec<RefusedPlace>, sqlx::Error> {
        let rows = sqlx::query(
            "select partition, incarnation, \"offset\", outcome, effect_incarnation, effect_offset, audit_id, suite_set_id,
                (regexp_match(encode(key, 'escape'), '\"record_id\"\\s*:\\s*\"?(-?\\d{1,18})\\y'))[1]::bigint as record_id
             from quarantine where topic_id = $1",
        )
        .bind(self.topic_id)
        .fetch_all(&mut *self.tx)
        .await?;
        let place = |row: &PgRow| RefusedPlace {
            partition: row.get("partition"),
            incarnation: row.get("incarnation"),
            offset: row.get("offset"),
            record_id: row.get("record_id"),
            suite_set_id: row.get("suite_set_id"),
            redriven: row.get::<Option<String>, _>("outcome").map(|outcome| RedrivenPlace {
                // The table's own constraint: who has an outcome has a place.
                effect: (
                    row.get::<Option<i32>, _>("effect_incarnation").unwrap_or_default(),
                    row.get::<Option<i64>, _>("effect_offset").unwrap_or_default(),
                ),
                order: row.get::<Option<i64>, _>("audit_id").unwrap_or_default(),
                outcome,
            }),
        };
        Ok(rows.iter().map(place).collect())
    }

    /// What a refused record says; of one that was redriven with a corrected copy, what the copy says.
    pub async fn refused_bytes(&mut self, place: &RefusedPlace) -> Result<RefusedBytes, sqlx::Error> {
        let row = sqlx::query(
            "select q.timestamp_ms, q.key, coalesce(convert_to(a.detail ->> 'copy', 'UTF8'), q.value)
             from quarantine q left join audit a on a.audit_id = q.audit_id and q.resolution = 'redriven'
             where q.topic_id = $1 and q.partition = $2 and q.incarnation = $3 and q.\"offset\" = $4",
        )
        .bind(self.topic_id)
        .bind(place.partition)
        .bind(place.incarnation)
        .bind(place.offset)
        .fetch_one(&mut *self.tx)
        .await?;
        Ok(RefusedBytes { timestamp_ms: row.get(0), key: row.get(1), value: row.get(2) })
    }

    /// Every row that stands.
    pub fn rows(&mut self) -> impl Stream<Item = Result<StandingRow, sqlx::Error>> + '_ {
        sqlx::query(
            "select s.*, symbol, suite_tag.codes as tags, exists (select from tombstone t where t.topic_id = s.topic_id and t.record_id = s.record_id)
                as buried
             from stock s left join symbol using (symbol_id) left join suite_tag on suite_tag.tag_id = s.rules >> 16
             where s.topic_id = $1",
        )
        .bind(self.topic_id)
        .fetch(&mut *self.tx)
        .map(|row| {
            let row = row?;
            Ok(StandingRow {
                record_id: row.try_get("record_id")?,
                symbol: row.try_get::<Option<String>, _>("symbol")?.unwrap_or_default(),
                bar: Bar {
                    time: row.try_get("time")?,
                    open: row.try_get("open")?,
                    high: row.try_get("high")?,
                    low: row.try_get("low")?,
                    close: row.try_get("close")?,
                    volume: row.try_get("volume")?,
                },
                event_time: row.try_get("event_time")?,
                version: version(&row),
                tags: row.try_get::<Option<Vec<String>>, _>("tags")?.unwrap_or_default(),
                by: provenance(&row),
                buried: row.try_get("buried")?,
            })
        })
    }

    /// Every key that was deleted and is not forgotten.
    pub fn graves(&mut self) -> impl Stream<Item = Result<Grave, sqlx::Error>> + '_ {
        sqlx::query(
            "select record_id, version_epoch, version_hi, version_lo, incarnation, partition, \"offset\"
             from tombstone where topic_id = $1",
        )
        .bind(self.topic_id)
        .fetch(&mut *self.tx)
        .map(|row| {
            let row = row?;
            Ok(Grave { record_id: row.try_get("record_id")?, version: version(&row), by: provenance(&row) })
        })
    }

    /// Records that made more than one row, or that the change log names more than once for one row; at most `limit`.
    pub async fn twice(&mut self, limit: i64) -> Result<Vec<Twice>, sqlx::Error> {
        let rows = sqlx::query(
            "(select incarnation, partition, \"offset\", count(*) as times,
                'the rows ' || string_agg(record_id::text, ', ' order by record_id) || ' name one record' as detail
              from stock where topic_id = $1 group by incarnation, partition, \"offset\" having count(*) > 1 limit $2)
             union all
             (select incarnation, partition, change.\"offset\", count(*),
                'the change log names it ' || count(*) || ' times for record_id ' || record_id
              from change_log
              cross join lateral unnest(offsets, record_ids, ops, outcomes) as change (\"offset\", record_id, op, outcome)
              -- What is not a delete and takes a row away has moved it: the line beside it says where to.
              where topic_id = $1 and not (outcome = 'd' and op <> 'd') group by incarnation, partition, change.\"offset\", record_id
              having count(*) > 1 limit $2)",
        )
        .bind(self.topic_id)
        .bind(limit)
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows.iter().map(|row| Twice { by: provenance(row), detail: row.get("detail") }).collect())
    }

    pub(super) fn parts(&mut self) -> (&mut Transaction<'static, Postgres>, i16) {
        (&mut self.tx, self.topic_id)
    }

    /// Lets go of the snapshot.
    pub async fn close(self) -> Result<(), sqlx::Error> {
        self.tx.rollback().await
    }
}

impl Provenance {
    /// The record, as people name it.
    pub fn record(&self, topic: &str) -> RecordId {
        RecordId {
            topic: topic.to_owned(),
            partition: self.partition,
            offset: self.offset,
            incarnation: Some(self.incarnation),
        }
    }
}
