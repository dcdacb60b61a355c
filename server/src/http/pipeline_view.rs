//! The pipeline as the API and the page about it show it: what this process does now, and what is committed.

use crate::{
    pipeline::{HopStatus, PartitionState, PartitionStatus, Status, StatusHandle},
    store::{GivenOrder, PartitionProgress, RetentionGap, SnapshotSweep, Store},
};
use chrono::{DateTime, Utc};
use market::wire::PipeState;
use serde::Serialize;
use utoipa::ToSchema;

/// Retention gaps and sweeps that are listed.
const LISTED: i64 = 100;
/// Orders that are listed.
const ORDERS: i64 = 20;

/// What the pipeline does, and what became of every record.
#[derive(Debug, Serialize, ToSchema)]
pub struct PipelineView {
    /// The whole in one word: `starting`, `running`, `retrying`, `paused` or `stopped`.
    #[schema(value_type = String)]
    state: PipeState,
    since: DateTime<Utc>,
    /// One sentence for the operator, when there is something to say.
    message: Option<String>,
    /// Records not yet committed; null until the broker has said so.
    lag: Option<i64>,
    /// Records consumed by this process.
    consumed: i64,
    /// When this process began to measure and to count.
    began_at: DateTime<Utc>,
    /// The server's clock.
    now: DateTime<Utc>,
    /// How long records take on their way, in its order.
    hops: Vec<HopStatus>,
    /// Whether this server takes orders.
    control: bool,
    /// Whether the counters could be read; without, `counts` are null.
    store_answers: bool,
    partitions: Vec<PartitionView>,
    /// Offsets that had expired in Kafka before they were read, whoever found it; the newest first, at most 100.
    retention_gaps: Vec<RetentionGap>,
    /// What became of the rows that snapshots did not mention; the newest first, at most 100.
    snapshot_sweeps: Vec<SnapshotSweep>,
    /// The newest orders that were given, by whichever instance took them; at most 20.
    orders: Vec<GivenOrder>,
}

/// One partition: what this process does with it, and what is committed of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartitionView {
    topic: String,
    partition: i32,
    /// Null: another process has it, or none.
    state: Option<PartitionState>,
    /// Why it is in this state, when there is something to say.
    reason: Option<String>,
    since: Option<DateTime<Utc>>,
    /// Which life of the topic its offsets belong to.
    incarnation: i32,
    /// How often the partition has changed hands or state: only the newest fence may write. Null without counters.
    fence: Option<i64>,
    /// Offset after the last committed record.
    next_offset: i64,
    lag: Option<i64>,
    /// Records that had expired in Kafka before they were read, found by this process.
    expired: i64,
    counts: Option<Conservation>,
}

/// What became of every record of a partition since it was first read.
#[derive(Debug, Serialize, ToSchema)]
pub struct Conservation {
    consumed: i64,
    applied: i64,
    late: i64,
    duplicate: i64,
    deleted: i64,
    control: i64,
    quarantined: i64,
    /// Of the applied ones.
    tagged: i64,
    /// Whether `consumed = applied + late + duplicate + deleted + control + quarantined`, which must always hold.
    holds: bool,
    updated_at: DateTime<Utc>,
}

impl PipelineView {
    /// As of now. What the pipeline does is worth telling above all while the database is away.
    pub async fn of(store: &Store, status: &StatusHandle, control: bool) -> Self {
        let stored = tokio::try_join!(
            store.list_progress(),
            async { Ok(store.retention_gaps(LISTED).await?) },
            async { Ok(store.snapshot_sweeps(LISTED).await?) },
            store.given_orders(ORDERS),
        );
        let (progress, retention_gaps, snapshot_sweeps, orders) = match stored {
            Ok((progress, gaps, sweeps, orders)) => (Some(progress), gaps, sweeps, orders),
            Err(error) => {
                tracing::debug!(%error, "counters cannot be read");
                Default::default()
            }
        };
        let view = Self::new(&status.borrow(), progress, control);
        Self { retention_gaps, snapshot_sweeps, orders, ..view }
    }

    fn new(status: &Status, progress: Option<Vec<PartitionProgress>>, control: bool) -> Self {
        let store_answers = progress.is_some();
        let mut progress = progress.unwrap_or_default();
        let mut partitions: Vec<_> = status
            .partitions
            .iter()
            .map(|live| {
                let stored = progress
                    .iter()
                    .position(|row| row.partition == live.partition && row.topic == live.topic)
                    .map(|index| progress.remove(index));
                PartitionView::live(live, stored)
            })
            .collect();
        partitions.extend(progress.into_iter().map(PartitionView::elsewhere));
        partitions.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        Self {
            state: status.state,
            since: status.since,
            message: status.message.clone(),
            lag: status.lag,
            consumed: status.consumed,
            began_at: status.hops.began_at(),
            now: Utc::now(),
            hops: status.hops.list(),
            control,
            store_answers,
            partitions,
            retention_gaps: Vec::new(),
            snapshot_sweeps: Vec::new(),
            orders: Vec::new(),
        }
    }
}

impl PartitionView {
    fn live(live: &PartitionStatus, stored: Option<PartitionProgress>) -> Self {
        Self {
            topic: live.topic.clone(),
            partition: live.partition,
            state: Some(live.state),
            reason: live.reason.clone(),
            since: Some(live.since),
            incarnation: live.incarnation,
            fence: stored.as_ref().map(|row| row.fence),
            next_offset: live.next_offset,
            lag: live.lag,
            expired: live.expired,
            counts: stored.map(Conservation::from),
        }
    }

    fn elsewhere(stored: PartitionProgress) -> Self {
        Self {
            topic: stored.topic.clone(),
            partition: stored.partition,
            state: None,
            reason: None,
            since: None,
            incarnation: stored.incarnation,
            fence: Some(stored.fence),
            next_offset: stored.next_offset,
            lag: None,
            expired: 0,
            counts: Some(stored.into()),
        }
    }
}

impl From<PartitionProgress> for Conservation {
    fn from(row: PartitionProgress) -> Self {
        let fates = row.applied + row.late + row.duplicate + row.deleted + row.control + row.quarantined;
        Self {
            consumed: row.consumed,
            applied: row.applied,
            late: row.late,
            duplicate: row.duplicate,
            deleted: row.deleted,
            control: row.control,
            quarantined: row.quarantined,
            tagged: row.tagged,
            holds: row.consumed == fates,
            updated_at: row.updated_at,
        }
    }
}
