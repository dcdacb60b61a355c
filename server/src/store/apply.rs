//! The write side: one transaction per batch, with the offset in it.

use super::{
    Counts, Item, PartitionKey, PartitionState, Store, Touched, dictionary,
    fold::{Effect, Stored, fold},
    write::RowWriter,
};
use crate::failpoint::{self, Place};
use cdc::{KeyState, Position, SourceIdent, Version};
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
}

/// Tables that have just been filled have no statistics yet: the planner is told to look rows up by key. What it then has
/// to scan looks so dear to it that it would compile each statement first, for longer than the statement runs.
pub(super) const SESSION: &str = "set jit = off; set enable_hashjoin = off; set enable_mergejoin = off; set enable_seqscan = off; \
     create temporary table incoming (like stock) on commit delete rows";

impl Writer {
    /// Takes the partition over.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn open(store: Store, key: PartitionKey, is_simulated: IsSimulated) -> Result<Self, sqlx::Error> {
        let state = store.open_partition(&key).await?;
        Ok(Self {
            store,
            key,
            state,
            is_simulated,
            connection: None,
            symbol_ids: HashMap::new(),
            symbols: HashMap::new(),
        })
    }

    pub fn key(&self) -> &PartitionKey {
        &self.key
    }

    pub fn state(&self) -> &PartitionState {
        &self.state
    }

    /// See [`Store::begin_incarnation`].
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn begin_incarnation(&mut self, next_offset: i64) -> Result<(), sqlx::Error> {
        self.store.begin_incarnation(&mut self.state, next_offset).await
    }

    /// After a failure: reads the partition's state again, and says whether `batch` is in the store after all.
    ///
    /// # Errors
    /// Postgres does not answer, or another writer has taken over meanwhile.
    pub async fn recover(&mut self, batch: &Batch) -> Result<bool, ApplyError> {
        self.connection = None;
        self.symbol_ids.clear();
        let row = sqlx::query("select fence, next_offset from kafka_offset where topic_id = $1 and partition = $2")
            .bind(self.state.topic_id)
            .bind(self.state.partition)
            .fetch_one(self.store.pool())
            .await?;
        if row.get::<i64, _>("fence") != self.state.fence {
            return Err(ApplyError::Fenced(self.key.clone()));
        }
        self.state = self.store.open_partition(&self.key).await?;
        Ok(self.state.next_offset == batch.next_offset)
    }

    /// Applies a batch: its rows, tombstones, quarantine, log, counters and offset in one transaction.
    ///
    /// # Errors
    /// Nothing was committed, unless the connection broke during the commit: then [`Writer::recover`] tells.
    pub async fn apply(&mut self, batch: &Batch) -> Result<Committed, ApplyError> {
        match self.attempt(batch, self.state.watermark).await {
            // A key above the watermark was there after all: look every key up.
            Err(ApplyError::Database(error)) if is_unique_violation(&error) => self.attempt(batch, i64::MAX).await,
            result => result,
        }
    }

    async fn attempt(&mut self, batch: &Batch, watermark: i64) -> Result<Committed, ApplyError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let mut connection = self.store.pool().acquire().await?.detach();
                sqlx::raw_sql(SESSION).execute(&mut connection).await?;
                connection
            }
        };
        let result = self.transact(&mut connection, batch, watermark).await;
        // A connection that broke is not kept; one that only reported an error is fine after the rollback.
        match &result {
            Err(ApplyError::Database(error)) if error.as_database_error().is_none() => {}
            _ => self.connection = Some(connection),
        }
        result
    }

    async fn transact(
        &mut self,
        connection: &mut PgConnection,
        batch: &Batch,
        watermark: i64,
    ) -> Result<Committed, ApplyError> {
        failpoint::pass(Place::BeforeTransaction);
        let mut tx = connection.begin().await?;
        let committed_at = Utc::now();
        let stored = read_stored(&mut tx, self.state.topic_id, &batch.items, watermark, &mut self.symbols).await?;
        let mut epochs = self.state.epochs.clone();
        let mut new_idents: Vec<(SourceIdent, i32)> = Vec::new();
        let mut version_of = |position: Position| {
            let (epoch, new) = epochs.epoch_of(position.ident);
            if new {
                new_idents.push((position.ident, epoch));
            }
            Version { epoch, hi: position.hi, lo: position.lo }
        };
        let effect = fold(&batch.items, stored, &mut version_of);
        let truncate = match batch.items.as_slice() {
            [Item::Truncate { offset, position, event_time, .. }] => {
                Some((*offset, version_of(*position), *event_time))
            }
            _ => None,
        };

        self.advance_offset(&mut tx, batch, &effect.counts, committed_at).await?;
        for (ident, epoch) in &new_idents {
            sqlx::query("insert into source_epoch (topic_id, partition, ident, epoch) values ($1, $2, $3, $4)")
                .bind(self.state.topic_id)
                .bind(self.state.partition)
                .bind(ident.to_string())
                .bind(epoch)
                .execute(&mut *tx)
                .await?;
        }
        let new_symbols = self.resolve_symbols(&mut tx, &effect).await?;
        let write = RowWriter { state: &self.state, symbol_ids: &self.symbol_ids, new_symbols: &new_symbols };
        write.rows(&mut tx, batch, &effect, committed_at).await?;
        write.quarantine(&mut tx, batch).await?;
        let mut reset = false;
        let logged = effect.log.len() as i64;
        let seq = if let Some((offset, version, event_time)) = truncate {
            reset = true;
            write.truncate(&mut tx, offset, version, event_time, committed_at).await?
        } else {
            write.log(&mut tx, &effect, committed_at).await?
        };
        failpoint::pass(Place::BeforeCommit);
        tx.commit().await?;
        failpoint::pass(Place::AfterCommit);

        self.symbol_ids.extend(new_symbols);
        self.state.epochs = epochs;
        self.state.next_offset = batch.next_offset;
        self.state.last_hash = batch.last_hash;
        self.state.watermark = self.state.watermark.max(effect.max_record_id);
        Ok(Committed {
            seq_before: seq - logged,
            seq,
            committed_at,
            next_offset: batch.next_offset,
            counts: effect.counts,
            touched: effect.touched,
            reset,
        })
    }

    /// Fence, offset and counters in one statement; 0 rows means that this writer is no longer the one.
    async fn advance_offset(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        batch: &Batch,
        counts: &Counts,
        now: DateTime<Utc>,
    ) -> Result<(), ApplyError> {
        let advanced = sqlx::query(
            "update kafka_offset set next_offset = $6, last_hash = $7, updated_at = $8,
                consumed = consumed + $9, applied = applied + $10, late = late + $11, duplicate = duplicate + $12,
                deleted = deleted + $13, control = control + $14, quarantined = quarantined + $15, tagged = tagged + $16
             where topic_id = $1 and partition = $2 and fence = $3 and incarnation = $4 and next_offset = $5",
        )
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
        .execute(&mut **tx)
        .await?
        .rows_affected();
        if advanced == 1 { Ok(()) } else { Err(ApplyError::Fenced(self.key.clone())) }
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

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// What the store knows of the batch's keys. Keys above the watermark are new and not looked up. Symbols are resolved
/// here and not by a join, which a planner without statistics could begin at the wrong end.
pub(super) async fn read_stored(
    tx: &mut Transaction<'_, Postgres>,
    topic_id: i16,
    items: &[Item],
    watermark: i64,
    symbols: &mut HashMap<i32, Symbol>,
) -> Result<HashMap<i64, Stored>, sqlx::Error> {
    let wanted: HashSet<i64> = items
        .iter()
        .filter_map(|item| match item {
            Item::Upsert(upsert) => Some(upsert.record_id),
            Item::Delete { record_id, .. } => Some(*record_id),
            Item::Truncate { .. } | Item::Control | Item::Refused(_) => None,
        })
        .filter(|id| *id <= watermark)
        .collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let wanted: Vec<i64> = wanted.into_iter().collect();
    let rows = sqlx::query(
        "select record_id, version_epoch, version_hi, version_lo, event_time, symbol_id, time
         from stock where topic_id = $1 and record_id = any($2)
         union all
         select record_id, version_epoch, version_hi, version_lo, event_time, null, null
         from tombstone where topic_id = $1 and record_id = any($2)",
    )
    .bind(topic_id)
    .bind(&wanted)
    .fetch_all(&mut **tx)
    .await?;
    let ids = rows.iter().filter_map(|row| row.get::<Option<i32>, _>(5)).filter(|id| !symbols.contains_key(id));
    let unknown: HashSet<i32> = ids.collect();
    if !unknown.is_empty() {
        symbols.extend(dictionary::symbols(tx, unknown.into_iter().collect()).await?);
    }
    Ok(rows
        .iter()
        .map(|row| {
            let shows = row.get::<Option<i32>, _>(5).and_then(|id| symbols.get(&id).cloned()).zip(row.get(6));
            let state = KeyState {
                version: Version { epoch: row.get(1), hi: row.get(2), lo: row.get(3) },
                event_time: row.get(4),
                deleted: shows.is_none(),
            };
            (row.get::<i64, _>(0), Stored { state, shows })
        })
        .collect())
}
