//! How far every partition is and what became of its records, as committed.

use super::{READ_TIMEOUT, ReadError, Store};
use chrono::{DateTime, Utc};
use sqlx::FromRow;

/// A partition's committed state. All counters are of records, since the partition was first read.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub struct PartitionProgress {
    pub topic: String,
    pub partition: i32,
    pub incarnation: i32,
    /// Offset after the last committed record.
    pub next_offset: i64,
    /// Raised by each taker, and by a redrive that changed a row.
    pub fence: i64,
    pub consumed: i64,
    pub applied: i64,
    pub late: i64,
    pub duplicate: i64,
    pub deleted: i64,
    pub control: i64,
    pub quarantined: i64,
    /// Of the applied ones.
    pub tagged: i64,
    pub updated_at: DateTime<Utc>,
}

impl Store {
    /// Every partition that was ever read, by topic and number.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn list_progress(&self) -> Result<Vec<PartitionProgress>, ReadError> {
        let query = sqlx::query_as(
            "select t.name as topic, o.partition, o.incarnation, o.next_offset, o.fence, o.consumed, o.applied, o.late, o.duplicate,
                    o.deleted, o.control, o.quarantined, o.tagged, o.updated_at
             from kafka_offset o join topic t using (topic_id) order by t.name, o.partition",
        );
        match tokio::time::timeout(READ_TIMEOUT, query.fetch_all(&self.readers)).await {
            Ok(rows) => Ok(rows?),
            Err(_elapsed) => Err(ReadError::Timeout),
        }
    }
}
