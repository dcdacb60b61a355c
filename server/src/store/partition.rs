//! How far each partition has been consumed, and what is remembered of its sources.

use super::{
    Store,
    topic::{self, Topic},
};
use cdc::{EpochBook, Reach, Version};
use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Connection, PgConnection, Row, postgres::PgRow};
use std::fmt;

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionKey {
    pub topic: String,
    pub partition: i32,
}

impl fmt::Display for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// The committed state of a partition, as the writer needs it to continue.
#[derive(Clone, Debug)]
pub struct PartitionState {
    pub topic_id: i16,
    pub partition: i32,
    pub incarnation: i32,
    pub next_offset: i64,
    /// Hash of the record before `next_offset`; 0 when none was consumed.
    pub last_hash: i64,
    pub fence: i64,
    pub epochs: EpochBook,
    /// No key above this one is in the store for this partition.
    pub watermark: i64,
    pub(super) topic: Topic,
    /// The newest snapshot whose unmentioned rows were dealt with.
    pub(super) swept: Version,
}

/// Raises the fence of a partition, which is created when it is new, and reads its state: every writer that held it before
/// is shut out from now on. The caller's session holds the partition's lock.
pub(super) async fn take_over(
    connection: &mut PgConnection,
    topic_id: i16,
    partition: i32,
) -> Result<PartitionState, sqlx::Error> {
    let row = sqlx::query(
        "insert into kafka_offset (topic_id, partition, next_offset, last_hash, fence, updated_at)
         values ($1, $2, 0, 0, 1, now())
         on conflict (topic_id, partition) do update set fence = kafka_offset.fence + 1
         returning incarnation, next_offset, last_hash, fence",
    )
    .bind(topic_id)
    .bind(partition)
    .fetch_one(&mut *connection)
    .await?;
    complete(connection, topic_id, partition, &row).await
}

/// Whether the writer's fence is still the partition's.
pub(super) async fn is_ours(connection: &mut PgConnection, state: &PartitionState) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select fence = $3 from kafka_offset where topic_id = $1 and partition = $2")
        .bind(state.topic_id)
        .bind(state.partition)
        .bind(state.fence)
        .fetch_one(connection)
        .await
}

/// Reads the state again under the fence that the writer already has; `None` when another one has been raised.
pub(super) async fn read_again(
    connection: &mut PgConnection,
    known: &PartitionState,
) -> Result<Option<PartitionState>, sqlx::Error> {
    let row = sqlx::query(
        "select incarnation, next_offset, last_hash, fence from kafka_offset
         where topic_id = $1 and partition = $2 and fence = $3",
    )
    .bind(known.topic_id)
    .bind(known.partition)
    .bind(known.fence)
    .fetch_optional(&mut *connection)
    .await?;
    match row {
        Some(row) => complete(connection, known.topic_id, known.partition, &row).await.map(Some),
        None => Ok(None),
    }
}

/// Locks the partition's offset and what the topic's partitions share, in the order in which every writer does, and reads
/// the state; `None` for a partition of which nothing was ever read.
pub(super) async fn read_locked(
    connection: &mut PgConnection,
    topic_id: i16,
    partition: i32,
) -> Result<Option<PartitionState>, sqlx::Error> {
    sqlx::query("select from topic where topic_id = $1 for update").bind(topic_id).execute(&mut *connection).await?;
    let row = sqlx::query(
        "select incarnation, next_offset, last_hash, fence from kafka_offset
         where topic_id = $1 and partition = $2 for update",
    )
    .bind(topic_id)
    .bind(partition)
    .fetch_optional(&mut *connection)
    .await?;
    match row {
        Some(row) => complete(connection, topic_id, partition, &row).await.map(Some),
        None => Ok(None),
    }
}

async fn complete(
    connection: &mut PgConnection,
    topic_id: i16,
    partition: i32,
    offset: &PgRow,
) -> Result<PartitionState, sqlx::Error> {
    let (topic, epochs) = topic::read(connection, topic_id).await?;
    let reached = sqlx::query("select epoch, hi, lo, at from source_reach where topic_id = $1 and partition = $2")
        .bind(topic_id)
        .bind(partition)
        .fetch_all(&mut *connection)
        .await?;
    let reached = reached.iter().map(|row| (row.get(0), Reach { to: (row.get(1), row.get(2)), at: row.get(3) }));
    let watermark: Option<i64> = sqlx::query_scalar(
        "select greatest(
            (select record_id from stock where topic_id = $1 order by record_id desc limit 1),
            (select record_id from tombstone where topic_id = $1 order by record_id desc limit 1))",
    )
    .bind(topic_id)
    .fetch_one(&mut *connection)
    .await?;
    // A refused sweep is not done: it is tried again once by each writer, which may have been given a higher limit.
    let swept = sqlx::query(
        "select version_epoch, version_hi, version_lo from snapshot_sweep
         where topic_id = $1 and partition = $2 and outcome = 'swept'
         order by version_epoch desc, version_hi desc, version_lo desc limit 1",
    )
    .bind(topic_id)
    .bind(partition)
    .fetch_optional(&mut *connection)
    .await?;
    Ok(PartitionState {
        topic_id,
        partition,
        incarnation: offset.get("incarnation"),
        next_offset: offset.get("next_offset"),
        last_hash: offset.get("last_hash"),
        fence: offset.get("fence"),
        epochs: EpochBook::restore(epochs, reached),
        watermark: watermark.unwrap_or(i64::MIN),
        topic,
        swept: swept.map_or(Version::NONE, |row| topic::version(&row, 0)),
    })
}

/// Starts a new incarnation: the topic was re-created, so its offsets begin again. `false` when the fence is not ours.
pub(super) async fn begin_incarnation(
    connection: &mut PgConnection,
    state: &mut PartitionState,
    next_offset: i64,
) -> Result<bool, sqlx::Error> {
    let incarnation = sqlx::query_scalar(
        "update kafka_offset set incarnation = incarnation + 1, next_offset = $4, last_hash = 0, updated_at = now()
         where topic_id = $1 and partition = $2 and fence = $3 returning incarnation",
    )
    .bind(state.topic_id)
    .bind(state.partition)
    .bind(state.fence)
    .bind(next_offset)
    .fetch_optional(connection)
    .await?;
    let Some(incarnation) = incarnation else { return Ok(false) };
    *state = PartitionState { incarnation, next_offset, last_hash: 0, ..state.clone() };
    Ok(true)
}

/// Goes on at a later offset of the same incarnation: those before it have expired. Records the gap, unless nothing was
/// ever read of the partition. `false` when the fence is not ours.
pub(super) async fn skip_to(
    connection: &mut PgConnection,
    state: &mut PartitionState,
    next_offset: i64,
) -> Result<bool, sqlx::Error> {
    let mut tx = connection.begin().await?;
    let moved = sqlx::query(
        "update kafka_offset set next_offset = $5, last_hash = 0, updated_at = now()
         where topic_id = $1 and partition = $2 and fence = $3 and next_offset = $4",
    )
    .bind(state.topic_id)
    .bind(state.partition)
    .bind(state.fence)
    .bind(state.next_offset)
    .bind(next_offset)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    if moved == 0 {
        return Ok(false);
    }
    if state.next_offset > 0 || state.incarnation > 1 {
        sqlx::query(
            "insert into retention_gap (topic_id, partition, incarnation, from_offset, to_offset, at)
             values ($1, $2, $3, $4, $5, now())",
        )
        .bind(state.topic_id)
        .bind(state.partition)
        .bind(state.incarnation)
        .bind(state.next_offset)
        .bind(next_offset)
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    state.next_offset = next_offset;
    state.last_hash = 0;
    Ok(true)
}

/// Offsets of a partition that expired before they were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RetentionGap {
    pub topic: String,
    pub partition: i32,
    pub incarnation: i32,
    /// The first offset missing, and the first one that is there again.
    pub from_offset: i64,
    pub to_offset: i64,
    /// When it was found.
    pub at: DateTime<Utc>,
}

impl Store {
    /// All retention gaps, the newest first, at most `limit`.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn retention_gaps(&self, limit: i64) -> Result<Vec<RetentionGap>, sqlx::Error> {
        let rows = sqlx::query(
            "select name, partition, incarnation, from_offset, to_offset, at
             from retention_gap join topic using (topic_id) order by at desc, name, partition limit $1",
        )
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        let gap = |row: &PgRow| RetentionGap {
            topic: row.get(0),
            partition: row.get(1),
            incarnation: row.get(2),
            from_offset: row.get(3),
            to_offset: row.get(4),
            at: row.get(5),
        };
        Ok(rows.iter().map(gap).collect())
    }
}

/// Where a source stood, as far as its rows tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedPosition {
    pub record_id: i64,
    /// Number and position of its newest change in the binary log.
    pub binlog: (i64, i64),
    /// Start of its newest bar.
    pub time: DateTime<Utc>,
}

impl Store {
    /// The newest position that a topic's rows and tombstones tell of; `None` for an empty topic.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn feed_position(&self, topic: &str) -> Result<Option<FeedPosition>, sqlx::Error> {
        let row = sqlx::query(
            "select greatest(max(s.record_id), (select max(record_id) from tombstone where topic_id = t.topic_id)),
                    greatest(max(s.version_hi), (select max(version_hi) from tombstone where topic_id = t.topic_id)),
                    max(s.time)
             from topic t join stock s using (topic_id) where t.name = $1 group by t.topic_id",
        )
        .bind(topic)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| {
            // As `cdc::Position` packs them.
            let packed: i64 = row.get(1);
            let binlog = (packed >> 40, packed & ((1 << 40) - 1));
            FeedPosition { record_id: row.get(0), binlog, time: row.get(2) }
        }))
    }
}
