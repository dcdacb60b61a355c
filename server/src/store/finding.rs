//! Findings, as people and programs ask for them.

use super::{ReadError, Store, read::within};
use chrono::{DateTime, Utc};
use market::{Severity, Symbol, wire::Finding};
use sqlx::{Row, postgres::PgRow};

/// Which findings to list.
#[derive(Clone, Debug, Default)]
pub struct FindingFilter {
    pub symbol: Option<Symbol>,
    /// Of minutes from this one on.
    pub from: Option<DateTime<Utc>>,
    /// Of minutes before this one.
    pub to: Option<DateTime<Utc>>,
    pub rule: Option<String>,
    pub severity: Option<Severity>,
    /// Also those that no longer hold.
    pub resolved: bool,
    /// Only what comes after this one in the list.
    pub after: Option<FindingPlace>,
}

/// Where a finding is in the list: its time, then its symbol's number, then its rule, all descending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingPlace {
    pub time: DateTime<Utc>,
    pub symbol_id: i32,
    pub rule: String,
}

const COLUMNS: &str = "select symbol_id, symbol, time, rule, severity, observed, expected, text, first_seen, count,
    resolved_at, revision from finding left join symbol using (symbol_id)";

fn finding(row: &PgRow) -> Option<Finding> {
    Some(Finding {
        rule: row.get("rule"),
        severity: Severity::from_name(row.get("severity"))?,
        symbol: row.get::<Option<&str>, _>("symbol").and_then(|symbol| symbol.parse().ok()),
        time: row.get("time"),
        observed: row.get("observed"),
        expected: row.get("expected"),
        text: row.get("text"),
        first_seen: row.get("first_seen"),
        count: row.get("count"),
        resolved_at: row.get("resolved_at"),
    })
}

impl Store {
    /// The findings that a filter allows, newest minute first, at most `limit`, each with its place.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn findings(
        &self,
        filter: &FindingFilter,
        limit: u32,
    ) -> Result<Vec<(FindingPlace, Finding)>, ReadError> {
        let sql = format!(
            "{COLUMNS} where ($1::text is null or symbol_id = (select symbol_id from symbol where symbol = $1))
                and ($2::timestamptz is null or time >= $2) and ($3::timestamptz is null or time < $3)
                and ($4::text is null or rule = $4) and ($5::text is null or severity = $5)
                and ($6 or resolved_at is null)
                and ($7::timestamptz is null or (time, symbol_id, rule) < ($7, $8, $9))
             order by time desc, symbol_id desc, rule desc limit $10"
        );
        let after = filter.after.as_ref();
        let query = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(filter.symbol.as_ref().map(Symbol::as_str))
            .bind(filter.from)
            .bind(filter.to)
            .bind(filter.rule.as_deref())
            .bind(filter.severity.map(Severity::as_str))
            .bind(filter.resolved)
            .bind(after.map(|place| place.time))
            .bind(after.map(|place| place.symbol_id))
            .bind(after.map(|place| place.rule.as_str()))
            .bind(i64::from(limit));
        let rows = within(query.fetch_all(self.readers())).await?;
        let place = |row: &PgRow| FindingPlace {
            time: row.get("time"),
            symbol_id: row.get("symbol_id"),
            rule: row.get("rule"),
        };
        Ok(rows.iter().filter_map(|row| Some((place(row), finding(row)?))).collect())
    }

    /// The newest revision of any finding.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn findings_revision(&self) -> Result<i64, ReadError> {
        let newest = sqlx::query_scalar("select coalesce(max(revision), 0) from finding");
        within(newest.fetch_one(self.readers())).await
    }

    /// What changed after a revision, oldest first, at most `limit`, each with its revision.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn findings_since(&self, revision: i64, limit: i64) -> Result<Vec<(i64, Finding)>, ReadError> {
        let sql = format!("{COLUMNS} where revision > $1 order by revision, time limit $2");
        let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(revision).bind(limit);
        let rows = within(query.fetch_all(self.readers())).await?;
        Ok(rows.iter().filter_map(|row| Some((row.get("revision"), finding(row)?))).collect())
    }

    /// How many of a severity hold.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn open_findings(&self, severity: Severity) -> Result<i64, ReadError> {
        let count = sqlx::query_scalar("select count(*) from finding where severity = $1 and resolved_at is null");
        within(count.bind(severity.as_str()).fetch_one(self.readers())).await
    }

    /// Deletes what has not changed since `before`, some thousand at most.
    pub(super) async fn prune_findings(&self, before: DateTime<Utc>, limit: i64) -> Result<u64, sqlx::Error> {
        let deleted = sqlx::query(
            "delete from finding where ctid = any(array(
                select ctid from finding where changed_at < $1 limit $2 for update skip locked))",
        );
        Ok(deleted.bind(before).bind(limit).execute(&self.pool).await?.rows_affected())
    }
}
