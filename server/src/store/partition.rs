//! How far each partition has been consumed, and what is remembered of its sources.

use super::{Store, dictionary};
use cdc::{EpochBook, SourceIdent};
use chrono::{DateTime, Utc};
use sqlx::Row;
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
}

impl Store {
    /// Reads a partition's state, creates it when the partition is new, and raises its fence: every writer that held
    /// the partition before is shut out from now on.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn open_partition(&self, key: &PartitionKey) -> Result<PartitionState, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        let topic_id = dictionary::topic_id(&mut tx, &key.topic).await?;
        let row = sqlx::query(
            "insert into kafka_offset (topic_id, partition, next_offset, last_hash, fence, updated_at)
             values ($1, $2, 0, 0, 1, now())
             on conflict (topic_id, partition) do update set fence = kafka_offset.fence + 1
             returning incarnation, next_offset, last_hash, fence",
        )
        .bind(topic_id)
        .bind(key.partition)
        .fetch_one(&mut *tx)
        .await?;
        let idents = sqlx::query("select ident, epoch from source_epoch where topic_id = $1 and partition = $2")
            .bind(topic_id)
            .bind(key.partition)
            .fetch_all(&mut *tx)
            .await?;
        let watermark: Option<i64> = sqlx::query_scalar(
            "select greatest(
                (select record_id from stock where topic_id = $1 order by record_id desc limit 1),
                (select record_id from tombstone where topic_id = $1 order by record_id desc limit 1))",
        )
        .bind(topic_id)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        let known = idents.iter().filter_map(|row| {
            let ident: SourceIdent = row.get::<String, _>("ident").parse().ok()?;
            Some((ident, row.get("epoch")))
        });
        Ok(PartitionState {
            topic_id,
            partition: key.partition,
            incarnation: row.get("incarnation"),
            next_offset: row.get("next_offset"),
            last_hash: row.get("last_hash"),
            fence: row.get("fence"),
            epochs: EpochBook::restore(known),
            watermark: watermark.unwrap_or(i64::MIN),
        })
    }

    /// Starts a new incarnation of a partition: the topic was re-created, so its offsets begin again.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn begin_incarnation(&self, state: &mut PartitionState, next_offset: i64) -> Result<(), sqlx::Error> {
        state.incarnation = sqlx::query_scalar(
            "update kafka_offset set incarnation = incarnation + 1, next_offset = $3, last_hash = 0, updated_at = now()
             where topic_id = $1 and partition = $2 returning incarnation",
        )
        .bind(state.topic_id)
        .bind(state.partition)
        .bind(next_offset)
        .fetch_one(&self.pool)
        .await?;
        state.next_offset = next_offset;
        state.last_hash = 0;
        Ok(())
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
