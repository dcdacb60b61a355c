//! Rows that go without a record of their own: a truncation empties the table, a snapshot does not mention them.

use super::{PartitionState, topic::version, write::take_seq};
use cdc::{SourceIdent, Version};
use chrono::{DateTime, Utc};
use sqlx::{Postgres, Row, Transaction};

/// Lines of the change log in one of its rows.
const LOGGED_TOGETHER: i64 = 50_000;

/// A truncation as the store needs it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Truncation {
    pub offset: i64,
    pub ident: SourceIdent,
    pub version: Version,
    pub event_time: DateTime<Utc>,
}

/// What became of the rows that a snapshot did not mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Swept {
    /// This many are gone; the head of the stream is now here.
    Gone { rows: i64, head: i64 },
    /// They are too many to believe it: `unmentioned` of `present`.
    Refused { unmentioned: i64, present: i64 },
}

/// Deletes every row of the topic at or below its version and logs each; gives back the new head. There are no tombstones:
/// the topic remembers the truncation itself, for this and every other partition. Where versions are offsets of one
/// partition they say nothing of the others' rows, which then stay.
pub(super) async fn truncate(
    tx: &mut Transaction<'_, Postgres>,
    state: &PartitionState,
    truncation: Truncation,
    committed_at: DateTime<Utc>,
) -> Result<i64, sqlx::Error> {
    let Truncation { offset, ident, version, event_time } = truncation;
    sqlx::raw_sql(GONE).execute(&mut **tx).await?;
    sqlx::query(
        "with gone_now as (
            delete from stock where topic_id = $1 and (version_epoch, version_hi, version_lo) <= ($2, $3, $4)
                and ($5 or partition = $6)
            returning record_id, symbol_id, time)
         insert into gone select * from gone_now",
    )
    .bind(state.topic_id)
    .bind(version.epoch)
    .bind(version.hi)
    .bind(version.lo)
    .bind(ident.is_log())
    .bind(state.partition)
    .execute(&mut **tx)
    .await?;
    log_gone(tx, state, offset, event_time, committed_at).await.map(|(_, head)| head)
}

/// Deletes the partition's rows below the version of a snapshot that the partition has passed: a row's own version is its
/// mark, for reading it gave it the snapshot's. A row of whose key a record is open in quarantine is left alone, because the
/// snapshot may have mentioned it there.
///
/// Their tombstones stand just below the snapshot: older changes stay out, and a key that another partition's part of the
/// snapshot does mention (it moved there when partitions were added) comes back with it.
pub(super) async fn sweep(
    tx: &mut Transaction<'_, Postgres>,
    state: &PartitionState,
    snapshot: Version,
    limit_percent: u8,
    last_offset: i64,
    committed_at: DateTime<Utc>,
) -> Result<Swept, sqlx::Error> {
    sqlx::raw_sql(GONE).execute(&mut **tx).await?;
    let row = sqlx::query(
        "with refused as (
            select distinct (regexp_match(encode(key, 'escape'), '\"record_id\"\\s*:\\s*\"?(-?\\d{1,18})\\y'))[1]::bigint
                as record_id
            from quarantine where topic_id = $1 and resolution in ('open', 'refused_again')),
         unmentioned as (
            insert into gone
            select record_id, symbol_id, time from stock
            where topic_id = $1 and partition = $2 and (version_epoch, version_hi, version_lo) < ($3, $4, $5)
                and not exists (select from refused where refused.record_id = stock.record_id)
            returning 1)
         select (select count(*) from unmentioned), (select count(*) from stock where topic_id = $1 and partition = $2)",
    )
    .bind(state.topic_id)
    .bind(state.partition)
    .bind(snapshot.epoch)
    .bind(snapshot.hi)
    .bind(snapshot.lo)
    .fetch_one(&mut **tx)
    .await?;
    let (unmentioned, present): (i64, i64) = (row.get(0), row.get(1));
    let refused = unmentioned.saturating_mul(100) > present.saturating_mul(limit_percent.into());
    sqlx::query(
        "insert into snapshot_sweep (topic_id, partition, version_epoch, version_hi, version_lo, outcome, present,
            unmentioned, limit_percent, at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         on conflict (topic_id, partition, version_epoch, version_hi, version_lo) do update set
            outcome = excluded.outcome, present = excluded.present, unmentioned = excluded.unmentioned,
            limit_percent = excluded.limit_percent, at = excluded.at",
    )
    .bind(state.topic_id)
    .bind(state.partition)
    .bind(snapshot.epoch)
    .bind(snapshot.hi)
    .bind(snapshot.lo)
    .bind(if refused { "refused" } else { "swept" })
    .bind(present)
    .bind(unmentioned)
    .bind(i16::from(limit_percent))
    .bind(committed_at)
    .execute(&mut **tx)
    .await?;
    if refused {
        return Ok(Swept::Refused { unmentioned, present });
    }
    sqlx::query(
        "with gone_now as (
            delete from stock using gone
            where stock.topic_id = $1 and stock.record_id = gone.record_id
                and (version_epoch, version_hi, version_lo) < ($2, $3, $4)
            returning stock.record_id)
         insert into tombstone (topic_id, record_id, event_time, version_epoch, version_hi, version_lo, incarnation,
            partition, \"offset\", deleted_at)
         select $1, record_id, $5, $2, $3, $4 - 1, $6, $7, $8, $5 from gone_now
         on conflict (topic_id, record_id) do nothing",
    )
    .bind(state.topic_id)
    .bind(snapshot.epoch)
    .bind(snapshot.hi)
    .bind(snapshot.lo)
    .bind(committed_at)
    .bind(state.incarnation)
    .bind(state.partition)
    .bind(last_offset)
    .execute(&mut **tx)
    .await?;
    let (rows, head) = log_gone(tx, state, last_offset, committed_at, committed_at).await?;
    Ok(Swept::Gone { rows, head })
}

/// Where the rows that go are remembered until they are logged.
const GONE: &str = "create temporary table gone (record_id bigint, symbol_id integer, time timestamptz) on commit drop";

/// Logs what is in `gone`; gives back how many rows that are and the new head.
async fn log_gone(
    tx: &mut Transaction<'_, Postgres>,
    state: &PartitionState,
    offset: i64,
    event_time: DateTime<Utc>,
    committed_at: DateTime<Utc>,
) -> Result<(i64, i64), sqlx::Error> {
    let rows: i64 = sqlx::query_scalar("select count(*) from gone").fetch_one(&mut **tx).await?;
    let head = take_seq(tx, rows).await?;
    sqlx::query(
        "insert into change_log (first_seq, last_seq, topic_id, partition, incarnation, committed_at, offsets,
            record_ids, symbol_ids, times, event_times, ops, outcomes)
         select min(seq), max(seq), $2, $3, $4, $5, array_agg($6), array_agg(record_id order by seq),
            array_agg(symbol_id order by seq), array_agg(time order by seq), array_agg($7),
            array_agg('d'::\"char\"), array_agg('d'::\"char\")
         from (select *, $1 + row_number() over (order by record_id) as seq from gone) numbered
         group by (seq - $1 - 1) / $8",
    )
    .bind(head - rows)
    .bind(state.topic_id)
    .bind(state.partition)
    .bind(state.incarnation)
    .bind(committed_at)
    .bind(offset)
    .bind(event_time)
    .bind(LOGGED_TOGETHER)
    .execute(&mut **tx)
    .await?;
    Ok((rows, head))
}

/// One partition's part of a snapshot's sweep.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct SnapshotSweep {
    pub topic: String,
    pub partition: i32,
    /// Of the snapshot's records.
    #[schema(value_type = Object)]
    pub version: Version,
    /// `false`: more rows than allowed were not mentioned, so they were kept.
    pub swept: bool,
    pub present: i64,
    pub unmentioned: i64,
    pub limit_percent: i16,
    pub at: DateTime<Utc>,
}

impl super::Store {
    /// The sweeps after snapshots, the newest first, at most `limit`.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn snapshot_sweeps(&self, limit: i64) -> Result<Vec<SnapshotSweep>, sqlx::Error> {
        let rows = sqlx::query(
            "select version_epoch, version_hi, version_lo, name, partition, outcome, present, unmentioned, limit_percent, at
             from snapshot_sweep join topic using (topic_id) order by at desc, name, partition limit $1",
        )
        .bind(limit)
        .fetch_all(&self.readers)
        .await?;
        Ok(rows
            .iter()
            .map(|row| SnapshotSweep {
                topic: row.get("name"),
                partition: row.get("partition"),
                version: version(row, 0),
                swept: row.get::<&str, _>("outcome") == "swept",
                present: row.get("present"),
                unmentioned: row.get("unmentioned"),
                limit_percent: row.get("limit_percent"),
                at: row.get("at"),
            })
            .collect())
    }
}
