//! Which suites judged which records: sets of suites, kept whole, and from which offset on each was in force.

use super::{ApplyError, ReadError, Store, StoreSnapshot, Writer, read::within};
use quality::RULE_VERSION;
use sqlx::{PgConnection, Row};

/// A set of suites, as it was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuiteSet {
    /// SHA-256 of the document, in hex.
    pub digest: String,
    /// JSON array of suites, as Great Expectations writes them.
    pub document: String,
}

/// From this offset on the partition's records were judged by this set; `None`: by no suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub partition: i32,
    pub incarnation: i32,
    pub from_offset: i64,
    pub suite_set_id: Option<i32>,
}

/// The number of a set, which is kept from now on.
pub(super) async fn suite_set_id(connection: &mut PgConnection, set: &SuiteSet) -> Result<i32, sqlx::Error> {
    // Looked up first: an insert that conflicts would still use a number up.
    const KNOWN: &str = "select suite_set_id from suite_set where digest = $1";
    if let Some(id) = sqlx::query_scalar(KNOWN).bind(&set.digest).fetch_optional(&mut *connection).await? {
        return Ok(id);
    }
    sqlx::query("insert into suite_set (digest, suites) values ($1, $2) on conflict (digest) do nothing")
        .bind(&set.digest)
        .bind(&set.document)
        .execute(&mut *connection)
        .await?;
    sqlx::query_scalar(KNOWN).bind(&set.digest).fetch_one(connection).await
}

impl Writer {
    /// Judges what comes from now on by these suites, and keeps that where it is another set than before.
    ///
    /// # Errors
    /// Postgres does not answer, or another writer has taken over.
    pub async fn judged_by(&mut self, set: Option<&SuiteSet>) -> Result<(), ApplyError> {
        let mut connection = self.connection().await?;
        let id = match set {
            Some(set) => Some(suite_set_id(&mut connection, set).await?),
            None => None,
        };
        let state = self.state();
        sqlx::query(
            "insert into judgement (topic_id, partition, incarnation, from_offset, suite_set_id, rule_version, since)
             select $1, $2, $3, $4, $5, $6, now()
             where $5 is distinct from (
                select suite_set_id from judgement where topic_id = $1 and partition = $2 and incarnation = $3
                order by from_offset desc limit 1)
             on conflict (topic_id, partition, incarnation, from_offset) do update
             set suite_set_id = excluded.suite_set_id, rule_version = excluded.rule_version, since = excluded.since",
        )
        .bind(state.topic_id)
        .bind(state.partition)
        .bind(state.incarnation)
        .bind(state.next_offset)
        .bind(id)
        .bind(RULE_VERSION)
        .execute(&mut connection)
        .await?;
        self.judging_by(connection, id);
        Ok(())
    }
}

impl Store {
    /// The suites by which records were judged last; `None` when by none.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn latest_suites(&self) -> Result<Option<SuiteSet>, ReadError> {
        within(async {
            let row = sqlx::query(
                "select digest, suites from judgement left join suite_set using (suite_set_id) order by since desc limit 1",
            )
            .fetch_optional(self.readers())
            .await?;
            let Some(row) = row else { return Ok(None) };
            let digest: Option<String> = row.try_get(0)?;
            let document: Option<String> = row.try_get(1)?;
            Ok(digest.zip(document).map(|(digest, document)| SuiteSet { digest, document }))
        })
        .await
    }

    /// The expectations that tagged a row, by the row's `rules`: codes, in the order of the suites.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn suite_tags(&self, rules: i32) -> Result<Vec<String>, ReadError> {
        let tag_id = rules >> TAG_SHIFT;
        if tag_id == 0 {
            return Ok(Vec::new());
        }
        let query = sqlx::query_scalar("select codes from suite_tag where tag_id = $1").bind(tag_id);
        Ok(within(query.fetch_optional(self.readers())).await?.unwrap_or_default())
    }
}

/// Where in a row's `rules` the number of its tags begins; below it are the bits of the built-in rules.
pub(super) const TAG_SHIFT: u32 = 16;

impl StoreSnapshot {
    /// When other suites came into force, in order.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn judgements(&mut self) -> Result<Vec<Judgement>, sqlx::Error> {
        let (tx, topic_id) = self.parts();
        let rows = sqlx::query(
            "select partition, incarnation, from_offset, suite_set_id from judgement where topic_id = $1
             order by partition, incarnation, from_offset",
        )
        .bind(topic_id)
        .fetch_all(&mut **tx)
        .await?;
        let judgement = |row: &sqlx::postgres::PgRow| Judgement {
            partition: row.get(0),
            incarnation: row.get(1),
            from_offset: row.get(2),
            suite_set_id: row.get(3),
        };
        Ok(rows.iter().map(judgement).collect())
    }

    /// Every set of suites that was ever in force, by its number.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn suite_sets(&mut self) -> Result<Vec<(i32, SuiteSet)>, sqlx::Error> {
        let (tx, _) = self.parts();
        let rows = sqlx::query("select suite_set_id, digest, suites from suite_set").fetch_all(&mut **tx).await?;
        Ok(rows.iter().map(|row| (row.get(0), SuiteSet { digest: row.get(1), document: row.get(2) })).collect())
    }
}
