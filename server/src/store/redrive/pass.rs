//! One transaction of a redrive on one partition: what each record means now, and its effect. What is kept of it
//! is [`keep`](super::keep)'s.

use super::{
    RedriveError, RedriveReport, RedriveRequest, RedriveResult, RedrivenRecord, Selection, Understand, keep::sha256,
};
use crate::store::{
    Batch, IsSimulated, Item, PartitionKey, PartitionState, RefusedReason, ResolutionState,
    clear::{self, Truncation},
    dictionary::{self, TagIds},
    fold::fold,
    partition,
    stored::read_stored,
    topic::{self, Additions},
    write::{RowWriter, reasons},
};
use cdc::{RawRecord, SourceIdent, Version, check_copy};
use chrono::{DateTime, Utc};
use market::Symbol;
use sqlx::{Connection, Postgres, Row, Transaction};
use std::collections::HashMap;

/// After so many refused redrives a record is left alone, unless forced.
const MAX_ATTEMPTS: i32 = 3;

/// Why a record stays in quarantine.
pub(super) struct Refusal {
    pub stage: &'static str,
    pub codes: Vec<String>,
    pub reason: String,
}

impl Refusal {
    fn new(code: &str, reason: impl Into<String>) -> Self {
        Self { stage: "redrive", codes: vec![code.to_owned()], reason: reason.into() }
    }
}

impl From<RefusedReason> for Refusal {
    fn from(reason: RefusedReason) -> Self {
        let (stage, codes, reason) = reasons(&reason);
        Self { stage, codes, reason }
    }
}

/// A record about to be redriven. Its bytes are no longer needed.
struct Planned {
    incarnation: i32,
    offset: i64,
    received_at: DateTime<Utc>,
    /// Of the value, when a corrected copy takes its place.
    original_sha256: Option<String>,
    step: Step,
}

enum Step {
    Leave(RedriveResult, String),
    Refuse(Refusal),
    /// Carries no row.
    Nothing,
    Apply(Box<Item>, Version),
}

/// One transaction on one partition.
pub(super) struct Pass<'a> {
    pub key: &'a PartitionKey,
    pub state: PartitionState,
    pub request: &'a RedriveRequest,
    pub understand: Understand<'a>,
    /// The suites by which it judges.
    pub suite_set_id: Option<i32>,
    pub is_simulated: &'a IsSimulated,
}

/// Locks the partition against its writer, and the topic against changes of what its partitions share; reads the state.
pub(super) async fn lock(
    tx: &mut Transaction<'_, Postgres>,
    topic_id: i16,
    key: &PartitionKey,
) -> Result<Option<PartitionState>, RedriveError> {
    match partition::read_locked(tx, topic_id, key.partition).await {
        // 55P03: lock_not_available
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("55P03") => {
            Err(RedriveError::Busy(key.clone()))
        }
        state => Ok(state?.map(|state| PartitionState { watermark: i64::MAX, ..state })),
    }
}

impl Pass<'_> {
    /// Redrives these records, given by incarnation and offset, in this order.
    pub async fn run(
        self,
        tx: &mut Transaction<'_, Postgres>,
        offsets: &[(i32, i64)],
        report: &mut RedriveReport,
    ) -> Result<(), RedriveError> {
        let mut planned = Vec::with_capacity(offsets.len());
        for (incarnation, offset) in offsets {
            planned.push(self.plan(tx, *incarnation, *offset).await?);
        }
        // Before the stream's head is taken: another partition's writer may hold a new symbol while it waits for that.
        let symbols = self.symbols(tx, &planned).await?;
        let tags = tags(tx, &planned).await?;
        let at = Utc::now();
        let mut results = Vec::with_capacity(planned.len());
        let mut tagged = 0;
        let original_sha256 = planned.iter().find_map(|record| record.original_sha256.clone());
        for record in planned {
            let Planned { incarnation, offset, received_at, step, .. } = record;
            let (result, refusal) = match step {
                Step::Leave(result, reason) => (result, Some(Refusal::new(result.as_str(), reason))),
                Step::Refuse(refusal) => (RedriveResult::RefusedAgain, Some(refusal)),
                Step::Nothing => (RedriveResult::Control, None),
                Step::Apply(item, version) => {
                    let state = PartitionState { incarnation, ..self.state.clone() };
                    let mut savepoint = tx.begin().await?;
                    let ids = (&symbols, &tags);
                    match apply(&mut savepoint, &state, *item, version, received_at, at, ids).await {
                        Ok((result, tags)) => {
                            savepoint.commit().await?;
                            tagged += tags;
                            (result, None)
                        }
                        Err(error) => {
                            savepoint.rollback().await?;
                            (RedriveResult::RefusedAgain, Some(refused_by_database(error)?))
                        }
                    }
                }
            };
            results.push((incarnation, offset, result, refusal));
        }
        self.keep(tx, &results, tagged, original_sha256, at).await?;
        for (incarnation, offset, result, refusal) in results {
            let PartitionKey { topic, partition } = self.key.clone();
            let reason = refusal.map(|refusal| refusal.reason);
            report.push(RedrivenRecord { topic, partition, incarnation, offset, result, reason });
        }
        Ok(())
    }

    /// What to do with one record, by its bytes and its resolution so far.
    async fn plan(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        incarnation: i32,
        offset: i64,
    ) -> Result<Planned, sqlx::Error> {
        let row = sqlx::query(
            "select received_at, timestamp_ms, key, value, resolution, outcome, attempts, resolved_at from quarantine
             where topic_id = $1 and partition = $2 and incarnation = $3 and \"offset\" = $4 for update",
        )
        .bind(self.state.topic_id)
        .bind(self.state.partition)
        .bind(incarnation)
        .bind(offset)
        .fetch_one(&mut **tx)
        .await?;
        let resolution: &str = row.try_get("resolution")?;
        let attempts: i32 = row.try_get("attempts")?;
        let original: Option<&[u8]> = row.try_get("value")?;
        let step = if resolution == ResolutionState::Redriven.as_str() {
            let outcome: Option<String> = row.try_get("outcome")?;
            let reason = format!("was redriven before: {}", outcome.unwrap_or_default());
            Step::Leave(RedriveResult::AlreadyRedriven, reason)
        } else if resolution == ResolutionState::Dismissed.as_str() && !self.request.force {
            Step::Leave(RedriveResult::Dismissed, "was dismissed; --force redrives it anyway".to_owned())
        } else if attempts >= MAX_ATTEMPTS && !self.request.force {
            let reason = format!("was refused by {attempts} redrives; --force tries it once more");
            Step::Leave(RedriveResult::HeldBack, reason)
        } else {
            let raw = RawRecord {
                topic: &self.key.topic,
                partition: self.key.partition,
                offset,
                timestamp_ms: row.try_get("timestamp_ms")?,
                key: row.try_get("key")?,
                value: self.copy().map(str::as_bytes).or(original),
            };
            let is_copy = self.copy().map_or(Ok(()), |copy| check_copy(original.unwrap_or_default(), copy.as_bytes()));
            match is_copy.map(|()| (self.understand)(&raw, incarnation)) {
                Err(error) => Step::Refuse(Refusal::new("copy_differs", error.to_string())),
                Ok(Err(reason)) => Step::Refuse(reason.into()),
                Ok(Ok(Item::Control)) => Step::Nothing,
                Ok(Ok(item)) => self.place(item),
            }
        };
        let original_sha256 = self.copy().map(|_| sha256(original.unwrap_or_default()));
        Ok(Planned { incarnation, offset, received_at: row.try_get("received_at")?, original_sha256, step })
    }

    /// What takes the value's place, if anything does.
    pub(super) fn copy(&self) -> Option<&str> {
        match &self.request.selection {
            Selection::Copy { value, .. } => Some(value),
            _ => None,
        }
    }

    /// Gives a change the version that it had.
    fn place(&self, item: Item) -> Step {
        let Some(position) = item.position() else {
            return Step::Refuse(Refusal::new(
                "no_version",
                "a tombstone without its delete has no place in the order: redriven now, it could delete a newer row",
            ));
        };
        let epochs = &self.state.epochs;
        // A snapshot does not name its server. Others have reigned since: which one it meant is known no more.
        let is_ambiguous = |version: &Version| {
            let unnamed = matches!(position.ident, SourceIdent::Binlog { server_id: 0, .. });
            unnamed && epochs.epochs().len() > 1 && *version > epochs.newest()
        };
        match epochs.known_version(position, item.source_at()).filter(|version| !is_ambiguous(version)) {
            Some(version) => Step::Apply(Box::new(item), version),
            None => Step::Refuse(Refusal::new(
                "unknown_source",
                "no record of its source was applied yet, so its place in the order is not known; redrive it after one was",
            )),
        }
    }

    async fn symbols(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        planned: &[Planned],
    ) -> Result<HashMap<Symbol, i32>, sqlx::Error> {
        let symbol = |record: &Planned| match &record.step {
            Step::Apply(item, _) => match item.as_ref() {
                Item::Upsert(upsert) => Some(upsert.symbol.clone()),
                _ => None,
            },
            _ => None,
        };
        let mut wanted: Vec<Symbol> = planned.iter().filter_map(symbol).collect();
        wanted.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        let wanted: Vec<_> = wanted.into_iter().map(|symbol| ((self.is_simulated)(&symbol), symbol)).collect();
        let wanted: Vec<_> = wanted.into_iter().map(|(simulated, symbol)| (symbol, simulated)).collect();
        dictionary::symbol_ids(tx, &wanted).await
    }
}

/// The numbers of the sets of tags that the records' rows have, before the stream's head is taken, like symbols.
async fn tags(tx: &mut Transaction<'_, Postgres>, planned: &[Planned]) -> Result<TagIds, sqlx::Error> {
    let wanted = planned.iter().filter_map(|record| match &record.step {
        Step::Apply(item, _) => match item.as_ref() {
            Item::Upsert(upsert) if !upsert.tags.is_empty() => Some(upsert.tags.as_slice()),
            _ => None,
        },
        _ => None,
    });
    dictionary::tag_ids(tx, &wanted.collect(), &TagIds::new()).await
}

/// Applies one change by the rule, as a batch of its own; also how many rules tagged it.
async fn apply(
    tx: &mut Transaction<'_, Postgres>,
    state: &PartitionState,
    item: Item,
    version: Version,
    received_at: DateTime<Utc>,
    at: DateTime<Utc>,
    (symbols, tags): (&HashMap<Symbol, i32>, &TagIds),
) -> Result<(RedriveResult, i64), sqlx::Error> {
    let batch = Batch { next_offset: state.next_offset, last_hash: state.last_hash, received_at, items: vec![item] };
    if let [Item::Truncate { offset, event_time, position, .. }] = batch.items.as_slice() {
        let truncation = Truncation { offset: *offset, ident: position.ident, version, event_time: *event_time };
        clear::truncate(tx, state, truncation, at).await?;
        if position.ident.is_log() && version > state.topic.truncated {
            let additions = Additions { truncated: Some(version), ..Additions::default() };
            topic::add(tx, state.topic_id, &additions).await?;
        }
        return Ok((RedriveResult::Deleted, 0));
    }
    let mut shown = HashMap::new();
    let stored = read_stored(tx, state.topic_id, &batch.items, i64::MAX, &mut shown).await?;
    let effect = fold(&batch.items, stored, state.topic.truncated, |_, _| version);
    // A deleted row is logged under the symbol that it had.
    let had: HashMap<Symbol, i32> = shown.into_iter().map(|(id, symbol)| (symbol, id)).collect();
    // Nothing is put into quarantine here, which would say by which suites it was judged.
    let write = RowWriter { state, symbol_ids: symbols, new_symbols: &had, tag_ids: [tags, tags], suite_set_id: None };
    write.rows(tx, &batch, &effect, at).await?;
    write.log(tx, &effect, at).await?;
    let counts = &effect.counts;
    let result = if counts.applied > 0 {
        RedriveResult::Applied
    } else if counts.deleted > 0 {
        RedriveResult::Deleted
    } else if counts.late > 0 {
        RedriveResult::Late
    } else {
        RedriveResult::Duplicate
    };
    Ok((result, counts.tagged))
}

/// What the database says of a value (class 22) or of a constraint (class 23) is about the record; everything else is
/// not.
fn refused_by_database(error: sqlx::Error) -> Result<Refusal, sqlx::Error> {
    match error.as_database_error() {
        Some(refused) if refused.code().is_some_and(|code| code.starts_with("22") || code.starts_with("23")) => {
            Ok(RefusedReason::Store { message: refused.message().to_owned() }.into())
        }
        _ => Err(error),
    }
}
