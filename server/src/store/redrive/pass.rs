//! One transaction of a redrive on one partition: what each record means now, its effect, and everything that is kept of it.

use super::{RedriveError, RedriveReport, RedriveRequest, RedriveResult, RedrivenRecord, Selection, Understand};
use crate::store::{
    AuditEntry, AuditOutcome, Batch, IsSimulated, Item, PartitionKey, PartitionState, RefusedReason, ResolutionState,
    append_audit,
    clear::{self, Truncation},
    dictionary,
    fold::fold,
    partition,
    stored::read_stored,
    topic::{self, Additions},
    write::{RowWriter, reasons},
};
use cdc::{RawRecord, SourceIdent, Version, check_copy};
use chrono::{DateTime, Utc};
use market::Symbol;
use quality::RULE_VERSION;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use sqlx::{Connection, Postgres, Row, Transaction};
use std::collections::{BTreeMap, HashMap};

/// After so many refused redrives a record is left alone, unless forced.
const MAX_ATTEMPTS: i32 = 3;

/// Why a record stays in quarantine.
struct Refusal {
    stage: &'static str,
    codes: Vec<String>,
    reason: String,
}

impl Refusal {
    fn new(code: &str, reason: impl Into<String>) -> Self {
        Self { stage: "redrive", codes: vec![code.to_owned()], reason: reason.into() }
    }
}

impl From<RefusedReason> for Refusal {
    fn from(reason: RefusedReason) -> Self {
        let (stage, codes, reason) = reasons(&reason);
        Self { stage, codes: codes.into_iter().map(str::to_owned).collect(), reason }
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
                    match apply(&mut savepoint, &state, *item, version, received_at, at, &symbols).await {
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
    fn copy(&self) -> Option<&str> {
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

    /// Counters, fence, sources, audit trail and resolutions.
    async fn keep(
        &self,
        tx: &mut Transaction<'_, Postgres>,
        results: &[(i32, i64, RedriveResult, Option<Refusal>)],
        tagged: i64,
        original_sha256: Option<String>,
        at: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        let count = |wanted: RedriveResult| results.iter().filter(|(_, _, result, _)| *result == wanted).count() as i64;
        let redriven = results.iter().filter(|(_, _, result, _)| result.is_redriven()).count() as i64;
        let stale = count(RedriveResult::Applied) + count(RedriveResult::Deleted) > 0;
        sqlx::query(
            "update kafka_offset set quarantined = quarantined - $3, applied = applied + $4, late = late + $5,
                duplicate = duplicate + $6, deleted = deleted + $7, control = control + $8, tagged = tagged + $9,
                fence = fence + $10, updated_at = $11
             where topic_id = $1 and partition = $2",
        )
        .bind(self.state.topic_id)
        .bind(self.state.partition)
        .bind(redriven)
        .bind(count(RedriveResult::Applied))
        .bind(count(RedriveResult::Late))
        .bind(count(RedriveResult::Duplicate))
        .bind(count(RedriveResult::Deleted))
        .bind(count(RedriveResult::Control))
        .bind(tagged)
        .bind(i64::from(stale))
        .bind(at)
        .execute(&mut **tx)
        .await?;
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, _, result, _) in results {
            *counts.entry(result.as_str()).or_default() += 1;
        }
        let offsets: Vec<(i32, i64)> =
            results.iter().map(|(incarnation, offset, ..)| (*incarnation, *offset)).collect();
        let mut detail = json!({ "counts": counts, "incarnations_offsets": offsets, "force": self.request.force });
        if let (Some(copy), Some(detail)) = (self.copy(), detail.as_object_mut()) {
            detail.extend(told_of_copy(copy, original_sha256, redriven > 0));
        }
        let entry = AuditEntry {
            actor: self.request.actor.clone(),
            action: "quarantine.redrive",
            subject: self.key.to_string(),
            outcome: if redriven > 0 { AuditOutcome::Done } else { AuditOutcome::Refused },
            detail,
        };
        let audit_id = append_audit(tx, &entry).await?;
        for (incarnation, offset, result, refusal) in results {
            match refusal {
                None => {
                    sqlx::query(
                        "update quarantine set resolution = 'redriven', outcome = $5, resolved_at = $6, resolved_by = $7,
                            audit_id = $8, effect_incarnation = $9, effect_offset = $10
                         where topic_id = $1 and partition = $2 and incarnation = $3 and \"offset\" = $4",
                    )
                    .bind(self.state.topic_id)
                    .bind(self.state.partition)
                    .bind(incarnation)
                    .bind(offset)
                    .bind(result.as_str())
                    .bind(at)
                    .bind(&self.request.actor)
                    .bind(audit_id)
                    .bind(self.state.incarnation)
                    .bind(self.state.next_offset)
                    .execute(&mut **tx)
                    .await?;
                }
                Some(refusal) if *result == RedriveResult::RefusedAgain => {
                    // What is wrong with a copy is not what was wrong with the record.
                    sqlx::query(
                        "update quarantine set resolution = 'refused_again', attempts = attempts + 1,
                            stage = case when $10 then stage else $5 end, codes = case when $10 then codes else $6 end,
                            reason = case when $10 then reason else $7 end,
                            rule_version = case when $10 then rule_version else $8 end,
                            audit_id = $9, resolved_at = null, resolved_by = null
                         where topic_id = $1 and partition = $2 and incarnation = $3 and \"offset\" = $4",
                    )
                    .bind(self.state.topic_id)
                    .bind(self.state.partition)
                    .bind(incarnation)
                    .bind(offset)
                    .bind(refusal.stage)
                    .bind(&refusal.codes)
                    .bind(&refusal.reason)
                    .bind(RULE_VERSION)
                    .bind(audit_id)
                    .bind(self.copy().is_some())
                    .execute(&mut **tx)
                    .await?;
                }
                Some(_) => {} // left alone: its resolution stays
            }
        }
        Ok(())
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the audit trail keeps of a corrected copy: its hash and the original's, and the copy itself when it took effect,
/// for whoever wants to know why the row is as it is; `verify` does.
fn told_of_copy(copy: &str, original_sha256: Option<String>, took_effect: bool) -> Map<String, Value> {
    let mut told = Map::new();
    told.insert("original_sha256".to_owned(), original_sha256.into());
    told.insert("copy_sha256".to_owned(), sha256(copy.as_bytes()).into());
    if took_effect {
        told.insert("copy".to_owned(), copy.into());
    }
    told
}

/// Applies one change by the rule, as a batch of its own; also how many rules tagged it.
async fn apply(
    tx: &mut Transaction<'_, Postgres>,
    state: &PartitionState,
    item: Item,
    version: Version,
    received_at: DateTime<Utc>,
    at: DateTime<Utc>,
    symbols: &HashMap<Symbol, i32>,
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
    let write = RowWriter { state, symbol_ids: symbols, new_symbols: &had };
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
