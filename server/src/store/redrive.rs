//! Gives refused records another chance: through the same two-stage rule, at the place in the order that they had.
//!
//! A redrive runs beside a live writer. It locks the partition's offset row, so that the two take turns; it looks every
//! key up, for it has no watermark; and when it changed anything it raises the fence, so that the writer, whose memory
//! of the partition is now wrong, opens the partition anew.

mod keep;
mod pass;

use super::{
    IsSimulated, Item, PartitionKey, ReadError, RecordId, RefusedReason, Store, SuiteSet, judgement::suite_set_id,
    lease,
};
use cdc::RawRecord;
use pass::Pass;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection, Postgres, Row, Transaction};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Records in one transaction: the partition's writer waits for it.
const CHUNK: i64 = 200;
/// Records in one redrive; who has more asks again.
const MAX_RECORDS: usize = 10_000;

/// Which records to redrive.
#[derive(Clone, Debug)]
pub enum Selection {
    /// Every open one, of one topic or of all, with one code or with any.
    Open { topic: Option<String>, code: Option<String> },
    /// This one, also when it was dismissed, if that is forced.
    One(RecordId),
    /// This one with a corrected copy of its value, which has the place in the order that the original had. The original's
    /// bytes stay; the audit trail keeps the hash of both, and the copy when it has its effect.
    Copy { of: RecordId, value: String },
}

/// A redrive as asked for.
#[derive(Clone, Debug)]
pub struct RedriveRequest {
    pub selection: Selection,
    /// Say what would happen and change nothing.
    pub dry_run: bool,
    /// Also what was refused again and again, or dismissed.
    pub force: bool,
    /// Who asks, for the audit trail.
    pub actor: String,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RedriveResult {
    /// The row now stands as the record says.
    Applied,
    /// A newer event stands: kept in the change log only.
    Late,
    /// A newer change of the row is known: no effect.
    Duplicate,
    /// The row is gone.
    Deleted,
    /// It carries no row.
    Control,
    /// Refused as before, or for another reason.
    RefusedAgain,
    /// Not tried: it was refused too often.
    HeldBack,
    /// Not tried: an earlier redrive has had its effect.
    AlreadyRedriven,
    /// Not tried: it was dismissed.
    Dismissed,
}

impl RedriveResult {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::Deleted => "deleted",
            Self::Control => "control",
            Self::RefusedAgain => "refused_again",
            Self::HeldBack => "held_back",
            Self::AlreadyRedriven => "already_redriven",
            Self::Dismissed => "dismissed",
        }
    }

    /// Whether the record has left the quarantine by this.
    fn is_redriven(self) -> bool {
        matches!(self, Self::Applied | Self::Late | Self::Duplicate | Self::Deleted | Self::Control)
    }
}

/// One record of a redrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RedrivenRecord {
    pub topic: String,
    pub partition: i32,
    pub incarnation: i32,
    pub offset: i64,
    pub result: RedriveResult,
    /// Why it was refused, or not tried.
    #[schema(required)]
    pub reason: Option<String>,
}

/// What a redrive did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RedriveReport {
    pub dry_run: bool,
    pub records: Vec<RedrivenRecord>,
    /// How many records had each result.
    #[schema(value_type = Object)]
    pub counts: BTreeMap<RedriveResult, u64>,
    /// There are more than one redrive takes: ask again.
    pub more: bool,
}

impl RedriveReport {
    /// Whether rows changed, so that live readers must look again.
    pub fn changed(&self) -> bool {
        !self.dry_run
            && [RedriveResult::Applied, RedriveResult::Deleted].iter().any(|result| self.counts.contains_key(result))
    }

    fn push(&mut self, record: RedrivenRecord) {
        *self.counts.entry(record.result).or_default() += 1;
        self.records.push(record);
    }
}

/// Why a redrive did not run. What was committed of it before stays, and is in the audit trail.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    #[error("{0} is not in quarantine")]
    NotFound(RecordId),
    #[error("{0}: its writer does not let go of the partition; try again")]
    Busy(PartitionKey),
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<sqlx::Error> for RedriveError {
    fn from(error: sqlx::Error) -> Self {
        Self::Read(error.into())
    }
}

/// Says what a record means, by today's decoder, rules and suites; the incarnation is the one of its offset.
pub type Understand<'a> = &'a (dyn Fn(&RawRecord<'_>, i32) -> Result<Item, RefusedReason> + Sync);

impl Store {
    /// Redrives the selected records, partition by partition in the order of their offsets. Each transaction holds the
    /// rows, the change log, the counters, the resolutions and the line of the audit trail. `suites` are those by which
    /// `understand` judges.
    ///
    /// # Errors
    /// The record is not there, or Postgres does not answer, or a writer holds a partition for too long.
    pub async fn redrive(
        &self,
        request: &RedriveRequest,
        understand: Understand<'_>,
        suites: Option<&SuiteSet>,
        is_simulated: &IsSimulated,
    ) -> Result<RedriveReport, RedriveError> {
        let mut request = request.clone();
        if let Selection::One(id) | Selection::Copy { of: id, .. } = &mut request.selection {
            let found = self.find_quarantined(id).await?.ok_or_else(|| RedriveError::NotFound(id.clone()))?;
            id.incarnation = Some(found.record.incarnation);
        }
        let mut report = RedriveReport { dry_run: request.dry_run, ..RedriveReport::default() };
        let mut connection = lease::connect(self).await?;
        sqlx::raw_sql("set lock_timeout = '10s'").execute(&mut connection).await?;
        let suite_set_id = match suites {
            Some(set) if !request.dry_run => Some(suite_set_id(&mut connection, set).await?),
            _ => None,
        };
        for (topic_id, key) in partitions(&mut connection, &request.selection).await? {
            let mut after = (0, -1);
            // A dry run sees its own effects only within one transaction, and ends with it.
            let chunk = if request.dry_run { MAX_RECORDS as i64 } else { CHUNK };
            loop {
                let room = MAX_RECORDS.saturating_sub(report.records.len()) as i64;
                let mut tx = connection.begin().await?;
                let Some(state) = pass::lock(&mut tx, topic_id, &key).await? else { break };
                let offsets = select(&mut tx, topic_id, &key, &request.selection, after, chunk.min(room) + 1).await?;
                let pass = Pass { key: &key, state, request: &request, understand, suite_set_id, is_simulated };
                let taken = offsets.len().min(chunk.min(room) as usize);
                if taken > 0 {
                    pass.run(&mut tx, &offsets[..taken], &mut report).await?;
                }
                if request.dry_run {
                    tx.rollback().await?;
                } else {
                    let in_doubt = self.recent().in_doubt();
                    tx.commit().await?;
                    drop(in_doubt);
                }
                report.more |= offsets.len() as i64 > room;
                match offsets.get(taken.wrapping_sub(1)) {
                    Some(last) if offsets.len() > taken && (taken as i64) < room && !request.dry_run => after = *last,
                    _ => break,
                }
            }
        }
        connection.close().await?;
        Ok(report)
    }
}

/// The partitions that have such records.
async fn partitions(
    connection: &mut PgConnection,
    selection: &Selection,
) -> Result<Vec<(i16, PartitionKey)>, sqlx::Error> {
    let (topic, partition, code) = match selection {
        Selection::One(id) | Selection::Copy { of: id, .. } => (Some(&id.topic), Some(id.partition), None),
        Selection::Open { topic, code } => (topic.as_ref(), None, code.as_ref()),
    };
    let rows = sqlx::query(
        "select distinct q.topic_id, t.name, q.partition from quarantine q join topic t using (topic_id)
         where ($1::text is null or t.name = $1)
            and case when $2::integer is null then q.resolution in ('open', 'refused_again') else q.partition = $2 end
            and ($3::text is null or $3 = any(q.codes))
         order by t.name, q.partition",
    )
    .bind(topic)
    .bind(partition)
    .bind(code)
    .fetch_all(connection)
    .await?;
    Ok(rows.iter().map(|row| (row.get(0), PartitionKey { topic: row.get(1), partition: row.get(2) })).collect())
}

/// The incarnations and offsets to redrive in one transaction, in order.
async fn select(
    tx: &mut Transaction<'_, Postgres>,
    topic_id: i16,
    key: &PartitionKey,
    selection: &Selection,
    after: (i32, i64),
    limit: i64,
) -> Result<Vec<(i32, i64)>, sqlx::Error> {
    let code = match selection {
        Selection::One(id) | Selection::Copy { of: id, .. } => {
            return Ok(id.incarnation.map(|incarnation| (incarnation, id.offset)).into_iter().collect());
        }
        Selection::Open { code, .. } => code,
    };
    let rows = sqlx::query(
        "select incarnation, \"offset\" from quarantine
         where topic_id = $1 and partition = $2 and resolution in ('open', 'refused_again')
            and ($3::text is null or $3 = any(codes)) and (incarnation, \"offset\") > ($4, $5)
         order by incarnation, \"offset\" limit $6",
    )
    .bind(topic_id)
    .bind(key.partition)
    .bind(code)
    .bind(after.0)
    .bind(after.1)
    .bind(limit)
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
