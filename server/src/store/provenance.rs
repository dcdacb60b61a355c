//! What the store knows of one minute: its rows, the changes that made them, and what was refused of the same records.

use super::{QuarantinedRecord, ReadError, Store, SuiteSet, judgement::TAG_SHIFT, read::within};
use chrono::{DateTime, Utc};
use market::{
    Bar, Symbol,
    provenance::{ChangeEvent, ChangeOutcome, Original, RecordPlace, RowVersion, SourceRow},
};
use quality::RuleSet;
use sqlx::{FromRow, Row, postgres::PgRow};

/// Rows that hold one minute, beyond which none are told.
const ROWS: i64 = 20;
/// The newest refused records are looked through, and no more: there is no index by record.
const REFUSED_LOOKED_AT: i64 = 10_000;
const REFUSED: i64 = 20;

/// A row that holds a minute.
#[derive(Clone, Debug, PartialEq)]
pub struct MinuteRow {
    pub row: SourceRow,
    pub rules: RuleSet,
    /// The expectations of suites that tagged it.
    pub suite_tags: Vec<String>,
    /// Whether it is the one that people see.
    pub shown: bool,
}

fn place(row: &PgRow) -> Result<RecordPlace, sqlx::Error> {
    Ok(RecordPlace {
        topic: row.try_get("name")?,
        partition: row.try_get("partition")?,
        incarnation: row.try_get("incarnation")?,
        offset: row.try_get("offset")?,
    })
}

/// A column of type `"char"`.
fn letter(row: &PgRow, column: &str) -> Result<char, sqlx::Error> {
    Ok(char::from(row.try_get::<i8, _>(column)?.unsigned_abs()))
}

/// All of these fail with [`ReadError`] when Postgres does not answer.
impl Store {
    /// The rows that hold this minute, the best first; the view `bar` says which of them is shown.
    pub async fn rows_at(&self, symbol: &Symbol, time: DateTime<Utc>) -> Result<Vec<MinuteRow>, ReadError> {
        let query = sqlx::query(
            "select name, s.*, (select codes from suite_tag where tag_id = s.rules >> $4) as suite_tags, (s.topic_id, s.record_id) = (
                select topic_id, record_id from bar where bar.symbol_id = s.symbol_id and bar.time = s.time) as shown
             from stock s join topic using (topic_id)
             where symbol_id = (select symbol_id from symbol where symbol = $1) and time = $2
             order by shown desc, event_time desc, version_epoch desc, version_hi desc, version_lo desc limit $3",
        )
        .bind(symbol.as_str())
        .bind(time)
        .bind(ROWS)
        .bind(TAG_SHIFT as i32);
        let rows = within(query.fetch_all(self.readers())).await?;
        let row = |row: &PgRow| {
            let rules = RuleSet(row.try_get("rules")?);
            let suite_tags = row.try_get::<Option<Vec<String>>, _>("suite_tags")?.unwrap_or_default();
            let bar = Bar {
                time: row.try_get("time")?,
                open: row.try_get("open")?,
                high: row.try_get("high")?,
                low: row.try_get("low")?,
                close: row.try_get("close")?,
                volume: row.try_get("volume")?,
            };
            let version = RowVersion {
                epoch: row.try_get("version_epoch")?,
                hi: row.try_get("version_hi")?,
                lo: row.try_get("version_lo")?,
            };
            let source = SourceRow {
                record_id: row.try_get("record_id")?,
                bar,
                event_time: row.try_get("event_time")?,
                place: place(row)?,
                op: letter(row, "op")?,
                version,
                source_at: row.try_get("source_at")?,
                received_at: row.try_get("received_at")?,
                committed_at: row.try_get("committed_at")?,
                tags: rules.codes().into_iter().map(str::to_owned).chain(suite_tags.iter().cloned()).collect(),
            };
            Ok(MinuteRow { row: source, rules, suite_tags, shown: row.try_get("shown")? })
        };
        Ok(rows.iter().map(row).collect::<Result<_, sqlx::Error>>()?)
    }

    /// The newest `limit` changes of this minute that the change log still has, the newest last.
    ///
    /// The log has one row per batch and no index by symbol or minute, which would cost the ingest more than this question
    /// is worth: the minutes of all batches are looked through, 0.8 s for 4.5 million changes. Neither is a summary of the
    /// first and last minute per block range (BRIN): ingest does not notice it, but pruned pages are written again, so that its
    /// ranges only grow, and once the log was pruned it reads all that is newer than the minute.
    pub async fn changes_at(
        &self,
        symbol: &Symbol,
        time: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<ChangeEvent>, ReadError> {
        let query = sqlx::query(
            "select first_seq + place - 1 as seq, name, partition, incarnation, change.\"offset\", record_id, op, outcome,
                event_time, committed_at
             from change_log join topic using (topic_id)
             cross join lateral unnest(offsets, record_ids, symbol_ids, times, event_times, ops, outcomes) with ordinality
                as change (\"offset\", record_id, symbol_id, time, event_time, op, outcome, place)
             where $2 = any(times) and time = $2 and symbol_id = (select symbol_id from symbol where symbol = $1)
             order by seq desc limit $3",
        )
        .bind(symbol.as_str())
        .bind(time)
        .bind(limit);
        let rows = within(query.fetch_all(self.readers())).await?;
        let change = |row: &PgRow| {
            Ok(ChangeEvent {
                seq: row.try_get("seq")?,
                record_id: row.try_get("record_id")?,
                op: letter(row, "op")?,
                outcome: match letter(row, "outcome")? {
                    'n' => ChangeOutcome::New,
                    'a' => ChangeOutcome::Applied,
                    'l' => ChangeOutcome::Late,
                    'd' => ChangeOutcome::Deleted,
                    other => return Err(sqlx::Error::Decode(format!("outcome {other:?}").into())),
                },
                place: place(row)?,
                event_time: row.try_get("event_time")?,
                received_at: None,
                committed_at: row.try_get("committed_at")?,
                original: Original::default(),
            })
        };
        Ok(rows.iter().rev().map(change).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Refused records with one of these keys, each a topic and a `record_id`, the newest first.
    pub async fn refused_of(&self, records: &[(String, i64)]) -> Result<Vec<QuarantinedRecord>, ReadError> {
        let (topics, ids): (Vec<&str>, Vec<i64>) = records.iter().map(|(topic, id)| (topic.as_str(), *id)).unzip();
        let query = sqlx::query(
            "select t.name, q.*, s.digest as suites_digest, octet_length(q.key) as key_bytes,
                octet_length(q.value) as value_bytes
             from (select * from quarantine order by received_at desc limit $3) q join topic t using (topic_id)
                left join suite_set s using (suite_set_id)
             where (t.name, (regexp_match(encode(key, 'escape'), '\"record_id\"\\s*:\\s*\"?(-?\\d{1,18})\\y'))[1]::bigint)
                in (select * from unnest($1::text[], $2::bigint[]))
             order by q.received_at desc, q.\"offset\" desc limit $4",
        )
        .bind(topics)
        .bind(ids)
        .bind(REFUSED_LOOKED_AT)
        .bind(REFUSED);
        let rows = within(query.fetch_all(self.readers())).await?;
        Ok(rows.iter().map(QuarantinedRecord::from_row).collect::<Result<_, sqlx::Error>>()?)
    }

    /// The suites that a record was held to; `None`: none, or it is not known any more.
    pub async fn suites_at(&self, place: &RecordPlace) -> Result<Option<SuiteSet>, ReadError> {
        let query = sqlx::query(
            "select digest, suites from judgement join topic using (topic_id) left join suite_set using (suite_set_id)
             where name = $1 and partition = $2 and incarnation = $3 and from_offset <= $4
             order by from_offset desc limit 1",
        )
        .bind(&place.topic)
        .bind(place.partition)
        .bind(place.incarnation)
        .bind(place.offset);
        let Some(row) = within(query.fetch_optional(self.readers())).await? else { return Ok(None) };
        let digest: Option<String> = row.try_get("digest")?;
        let document: Option<String> = row.try_get("suites")?;
        Ok(digest.zip(document).map(|(digest, document)| SuiteSet { digest, document }))
    }

    /// The newest change that the rules over several bars have looked at.
    pub async fn judged_to(&self) -> Result<i64, ReadError> {
        within(sqlx::query_scalar("select seq from pack_watch").fetch_one(self.readers())).await
    }

    /// The instant since which the change log knows everything; `None`: it is empty.
    pub async fn log_since(&self) -> Result<Option<DateTime<Utc>>, ReadError> {
        let query = sqlx::query_scalar("select committed_at from change_log order by last_seq limit 1");
        within(query.fetch_optional(self.readers())).await
    }
}
