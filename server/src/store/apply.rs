//! The write side: one transaction per batch, with the offset in it.

use super::{
    Counts, Item, PartitionKey, PartitionState, Store, Touched,
    clear::{self, Swept, Truncation},
    dictionary::{self, TagIds},
    fold::{Effect, fold},
    lease, partition,
    stored::read_stored,
    topic::{self, Additions},
    write::RowWriter,
};
use crate::failpoint::{self, Place};
use cdc::{EpochBook, Snapshot, Version};
use chrono::{DateTime, Utc};
use market::Symbol;
use sqlx::{Connection, PgConnection, Postgres, Row, Transaction};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// The consecutive records of one partition, to be committed together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Offset after the last record, and the hash of that record.
    pub next_offset: i64,
    pub last_hash: i64,
    /// When the last of them was received here.
    pub received_at: DateTime<Utc>,
    pub items: Vec<Item>,
}

/// What a commit changed.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Head of the stream before and after the commit.
    pub seq_before: i64,
    pub seq: i64,
    pub committed_at: DateTime<Utc>,
    pub next_offset: i64,
    pub counts: Counts,
    pub touched: Vec<Touched>,
    /// Too much changed to name it: readers must start from a snapshot.
    pub reset: bool,
}

/// Why a batch was not applied. Nothing of it is in the store, unless the connection broke during the commit itself:
/// see [`Writer::recover`].
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Another instance took the partition over, or the offset moved: this writer must step down.
    #[error("{0}: another writer holds the partition")]
    Fenced(PartitionKey),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Decides whether a symbol's prices are made up.
pub type IsSimulated = Arc<dyn Fn(&Symbol) -> bool + Send + Sync>;

/// The only writer of one partition, for as long as its fence holds. It owns a connection and remembers what it wrote.
pub struct Writer {
    store: Store,
    key: PartitionKey,
    state: PartitionState,
    is_simulated: IsSimulated,
    connection: Option<PgConnection>,
    symbol_ids: HashMap<Symbol, i32>,
    /// The same the other way round, of the rows that were looked up.
    symbols: HashMap<i32, Symbol>,
    /// The sets of tags that were written.
    tag_ids: TagIds,
    /// The suites by which its records are judged.
    suite_set_id: Option<i32>,
}

/// The statement that advances the offset, with a share or an exclusive lock on what the topic's partitions share.
macro_rules! advance {
    ($lock:literal) => {
        concat!(
            "with shared as (select generation from topic where topic_id = $1 for ",
            $lock,
            "), reach as (
                insert into source_reach (topic_id, partition, epoch, hi, lo, at)
                select $1, $2, * from unnest($17::integer[], $18::bigint[], $19::integer[], $20::timestamptz[])
                on conflict (topic_id, partition, epoch) do update
                set hi = excluded.hi, lo = excluded.lo, at = excluded.at)
             update kafka_offset set next_offset = $6, last_hash = $7, updated_at = $8,
                consumed = consumed + $9, applied = applied + $10, late = late + $11, duplicate = duplicate + $12,
                deleted = deleted + $13, control = control + $14, quarantined = quarantined + $15, tagged = tagged + $16
             from shared
             where topic_id = $1 and partition = $2 and fence = $3 and incarnation = $4 and next_offset = $5
             returning generation"
        )
    };
}

/// What one attempt came to.
enum Attempt {
    Committed(Committed),
    /// Another partition's batch has changed what the topic's partitions share; it has been read again.
    Stale,
}

impl Writer {
    /// Takes the partition over: waits for its lock, ends a session that holds on to it, and raises the fence.
    ///
    /// # Errors
    /// Postgres does not answer, or the lock cannot be had.
    pub async fn open(store: Store, key: PartitionKey, is_simulated: IsSimulated) -> Result<Self, sqlx::Error> {
        let mut connection = lease::connect(&store).await?;
        let topic_id = dictionary::topic_id(&mut connection, &key.topic).await?;
        lease::lock(&mut connection, topic_id, key.partition).await?;
        let state = partition::take_over(&mut connection, topic_id, key.partition).await?;
        Ok(Self {
            store,
            key,
            state,
            is_simulated,
            connection: Some(connection),
            symbol_ids: HashMap::new(),
            symbols: HashMap::new(),
            tag_ids: HashMap::new(),
            suite_set_id: None,
        })
    }

    pub fn key(&self) -> &PartitionKey {
        &self.key
    }

    pub fn state(&self) -> &PartitionState {
        &self.state
    }

    /// Starts a new incarnation of the partition at `next_offset`: the topic was re-created, so its offsets begin again.
    ///
    /// # Errors
    /// Postgres does not answer, or another writer has taken over.
    pub async fn begin_incarnation(&mut self, next_offset: i64) -> Result<(), ApplyError> {
        let mut connection = self.connection().await?;
        let ours = partition::begin_incarnation(&mut connection, &mut self.state, next_offset).await?;
        self.connection = Some(connection);
        if ours { Ok(()) } else { Err(ApplyError::Fenced(self.key.clone())) }
    }

    /// Goes on at `next_offset`, because the records before it have expired: the same incarnation, and a gap that is
    /// recorded unless nothing was ever read of the partition.
    ///
    /// # Errors
    /// Postgres does not answer, or another writer has taken over.
    pub async fn skip_to(&mut self, next_offset: i64) -> Result<(), ApplyError> {
        let mut connection = self.connection().await?;
        let ours = partition::skip_to(&mut connection, &mut self.state, next_offset).await?;
        self.connection = Some(connection);
        if ours { Ok(()) } else { Err(ApplyError::Fenced(self.key.clone())) }
    }

    /// After a failure: reads the partition's state again, under the fence that this writer has, and says whether `batch`
    /// is in the store after all. The lock is had only once the session of the failure has ended, so the answer is final.
    ///
    /// # Errors
    /// Postgres does not answer, or another writer has taken over meanwhile.
    pub async fn recover(&mut self, batch: &Batch) -> Result<bool, ApplyError> {
        self.connection = None;
        self.symbol_ids.clear();
        self.tag_ids.clear();
        let mut connection = self.connection().await?;
        let fenced = || ApplyError::Fenced(self.key.clone());
        let state = partition::read_again(&mut connection, &self.state).await?.ok_or_else(fenced)?;
        let committed = state.next_offset == batch.next_offset;
        if state.incarnation != self.state.incarnation || !(committed || state.next_offset == self.state.next_offset) {
            return Err(fenced());
        }
        self.state = state;
        self.connection = Some(connection);
        // The commit may have come true after the failure was known.
        self.store.recent().forget_all();
        Ok(committed)
    }

    /// The writer's connection, which holds the partition's lock. A new one asks first whether the fence still is this
    /// writer's: who has lost the partition must not end its owner's session.
    pub(super) async fn connection(&mut self) -> Result<PgConnection, ApplyError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let mut connection = lease::connect(&self.store).await?;
        if !partition::is_ours(&mut connection, &self.state).await? {
            return Err(ApplyError::Fenced(self.key.clone()));
        }
        lease::lock(&mut connection, self.state.topic_id, self.state.partition).await?;
        Ok(connection)
    }

    /// Gives the connection back, and remembers by which suites records are judged from now on.
    pub(super) fn judging_by(&mut self, connection: PgConnection, suite_set_id: Option<i32>) {
        self.connection = Some(connection);
        self.suite_set_id = suite_set_id;
    }

    /// Applies a batch: its rows, tombstones, quarantine, log, counters and offset in one transaction.
    ///
    /// # Errors
    /// Nothing was committed, unless the connection broke during the commit: then [`Writer::recover`] tells.
    pub async fn apply(&mut self, batch: &Batch) -> Result<Committed, ApplyError> {
        let in_doubt = self.store.recent().in_doubt();
        let result = match self.attempt(batch, self.state.watermark).await {
            // A key above the watermark was there after all: look every key up.
            Err(ApplyError::Database(error)) if is_unique_violation(&error) => self.attempt(batch, i64::MAX).await,
            result => result,
        };
        if let Ok(committed) = &result
            && !committed.reset
        {
            in_doubt.touched(committed.touched.iter().map(|touched| &touched.symbol));
        }
        result
    }

    async fn attempt(&mut self, batch: &Batch, watermark: i64) -> Result<Committed, ApplyError> {
        loop {
            let mut connection = self.connection().await?;
            let result = self.transact(&mut connection, batch, watermark).await;
            // A connection that broke is not kept; one that only reported an error is fine after the rollback.
            match &result {
                Err(ApplyError::Database(error)) if error.as_database_error().is_none() => {}
                _ => self.connection = Some(connection),
            }
            match result? {
                Attempt::Committed(committed) => return Ok(committed),
                Attempt::Stale => {}
            }
        }
    }

    async fn transact(
        &mut self,
        connection: &mut PgConnection,
        batch: &Batch,
        watermark: i64,
    ) -> Result<Attempt, ApplyError> {
        failpoint::pass(Place::BeforeTransaction);
        let mut tx = connection.begin().await?;
        let committed_at = Utc::now();
        let stored = read_stored(&mut tx, self.state.topic_id, &batch.items, watermark, &mut self.symbols).await?;
        let mut epochs = self.state.epochs.clone();
        let effect =
            fold(&batch.items, stored, self.state.topic.truncated, |position, at| epochs.version_of(position, at));
        let truncation = match batch.items.as_slice() {
            [Item::Truncate { offset, position, event_time, source_at }] => Some(Truncation {
                offset: *offset,
                ident: position.ident,
                version: epochs.version_of(*position, *source_at),
                event_time: *event_time,
            }),
            _ => None,
        };
        let completed = completed_snapshot(&batch.items, &mut epochs);
        let additions = Additions {
            epochs: topic::new_epochs(&self.state.epochs, &epochs),
            truncated: truncation
                .filter(|truncation| truncation.ident.is_log())
                .map(|truncation| truncation.version)
                .filter(|version| *version > self.state.topic.truncated),
            snapshot: completed.filter(|version| *version > self.state.topic.snapshot),
        };

        let generation =
            self.advance_offset(&mut tx, batch, &effect.counts, &epochs, !additions.is_empty(), committed_at).await?;
        if generation != self.state.topic.generation {
            tx.rollback().await?;
            let (topic, known) = topic::read(connection, self.state.topic_id).await?;
            self.state.topic = topic;
            self.state.epochs.replace_epochs(known);
            return Ok(Attempt::Stale);
        }
        let mut topic = self.state.topic;
        if !additions.is_empty() {
            topic::add(&mut tx, self.state.topic_id, &additions).await?;
            topic.generation += 1;
            topic.truncated = additions.truncated.unwrap_or(topic.truncated);
            topic.snapshot = additions.snapshot.unwrap_or(topic.snapshot);
        }
        let new_symbols = self.resolve_symbols(&mut tx, &effect).await?;
        let new_tags = dictionary::tag_ids(&mut tx, &effect.tags(&batch.items), &self.tag_ids).await?;
        let write = RowWriter {
            state: &self.state,
            symbol_ids: &self.symbol_ids,
            new_symbols: &new_symbols,
            tag_ids: [&self.tag_ids, &new_tags],
            suite_set_id: self.suite_set_id,
        };
        write.rows(&mut tx, batch, &effect, committed_at).await?;
        write.quarantine(&mut tx, batch).await?;
        let mut seq = write.log(&mut tx, &effect, committed_at).await?;
        let seq_before = seq - effect.log.len() as i64;
        let mut reset = false;
        if let Some(truncation) = truncation {
            seq = clear::truncate(&mut tx, &self.state, truncation, committed_at).await?;
            reset = true;
        }
        let mut swept = self.state.swept;
        if topic.snapshot > swept && (completed == Some(topic.snapshot) || is_past(&epochs, topic.snapshot)) {
            swept = topic.snapshot;
            let limit = self.store.policy().sweep_limit_percent;
            let last_offset = batch.next_offset - 1;
            match clear::sweep(&mut tx, &self.state, swept, limit, last_offset, committed_at).await? {
                Swept::Gone { rows: 0, .. } => {}
                Swept::Gone { rows, head } => {
                    tracing::info!(partition = %self.key, rows, "deleted the rows that a snapshot did not mention");
                    metrics::counter!("stockstream_swept_rows_total").increment(rows.unsigned_abs());
                    seq = head;
                    reset = true;
                }
                Swept::Refused { unmentioned, present } => {
                    tracing::warn!(
                        partition = %self.key, unmentioned, present, limit,
                        "kept rows that a snapshot did not mention, because they are too many; if they are really gone                          from the source, start again with a higher --sweep-limit-percent"
                    );
                    metrics::counter!("stockstream_sweeps_refused_total").increment(1);
                }
            }
        }
        failpoint::pass(Place::BeforeCommit);
        tx.commit().await?;
        failpoint::pass(Place::AfterCommit);

        self.symbol_ids.extend(new_symbols);
        self.tag_ids.extend(new_tags);
        self.state.epochs = epochs;
        self.state.topic = topic;
        self.state.swept = swept;
        self.state.next_offset = batch.next_offset;
        self.state.last_hash = batch.last_hash;
        self.state.watermark = self.state.watermark.max(effect.max_record_id);
        Ok(Attempt::Committed(Committed {
            seq_before,
            seq,
            committed_at,
            next_offset: batch.next_offset,
            counts: effect.counts,
            touched: effect.touched,
            reset,
        }))
    }

    /// Fence, offset, counters and reach in one statement; 0 rows means that this writer is no longer the one. Gives back
    /// the topic's generation, which stays until the commit: others wait who would change it.
    async fn advance_offset(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        batch: &Batch,
        counts: &Counts,
        epochs: &EpochBook,
        exclusive: bool,
        now: DateTime<Utc>,
    ) -> Result<i64, ApplyError> {
        let moved = epochs.moved_since(&self.state.epochs);
        sqlx::query(if exclusive { advance!("update") } else { advance!("share") })
            .bind(self.state.topic_id)
            .bind(self.state.partition)
            .bind(self.state.fence)
            .bind(self.state.incarnation)
            .bind(self.state.next_offset)
            .bind(batch.next_offset)
            .bind(batch.last_hash)
            .bind(now)
            .bind(counts.consumed)
            .bind(counts.applied)
            .bind(counts.late)
            .bind(counts.duplicate)
            .bind(counts.deleted)
            .bind(counts.control)
            .bind(counts.quarantined)
            .bind(counts.tagged)
            .bind(moved.iter().map(|(epoch, _)| *epoch).collect::<Vec<_>>())
            .bind(moved.iter().map(|(_, reach)| reach.to.0).collect::<Vec<_>>())
            .bind(moved.iter().map(|(_, reach)| reach.to.1).collect::<Vec<_>>())
            .bind(moved.iter().map(|(_, reach)| reach.at).collect::<Vec<_>>())
            .fetch_optional(&mut **tx)
            .await?
            .map(|row| row.get(0))
            .ok_or_else(|| ApplyError::Fenced(self.key.clone()))
    }

    /// Ids of the symbols that are not cached yet.
    async fn resolve_symbols(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        effect: &Effect,
    ) -> Result<HashMap<Symbol, i32>, sqlx::Error> {
        let unknown: HashSet<&Symbol> = effect
            .log
            .iter()
            .map(|line| &line.symbol)
            .filter(|symbol| !self.symbol_ids.contains_key(*symbol))
            .collect();
        if unknown.is_empty() {
            return Ok(HashMap::new());
        }
        let wanted: Vec<_> = unknown.into_iter().map(|symbol| (symbol.clone(), (self.is_simulated)(symbol))).collect();
        dictionary::symbol_ids(tx, &wanted).await
    }
}

/// The version of the snapshot whose last record is in the batch. A stream without positions has no such snapshot: there
/// each record has a version of its own.
fn completed_snapshot(items: &[Item], epochs: &mut EpochBook) -> Option<Version> {
    let last = items.iter().rev().find_map(|item| match item {
        Item::Upsert(upsert) if upsert.snapshot == Snapshot::Last && upsert.position.ident.is_log() => Some(upsert),
        _ => None,
    })?;
    Some(epochs.version_of(last.position, last.source_at))
}

/// Whether the partition has read something that was committed after a snapshot, and so all of the snapshot's records that
/// it has. The row within the event does not count: a snapshot's position has none.
fn is_past(epochs: &EpochBook, snapshot: Version) -> bool {
    let newest = epochs.newest();
    (newest.epoch, newest.hi) > (snapshot.epoch, snapshot.hi)
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
