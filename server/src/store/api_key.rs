//! Keys of programs: made, listed, revoked, and read as a whole by every instance.

use super::{AuditEntry, AuditOutcome, ReadError, Store, append_audit, read::within};
use crate::access::{ApiKey, KeyId, Scope};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use sqlx::{
    Row,
    postgres::{PgListener, PgPoolOptions, PgRow},
};
use std::num::NonZeroU32;

/// On which PostgreSQL tells that keys have changed.
const CHANNEL: &str = "stockstream_api_key";

/// A key to be made.
#[derive(Debug)]
pub struct NewKey<'a> {
    pub key: &'a ApiKey,
    /// Who or what it is for, 1 to 100 characters.
    pub name: &'a str,
    pub scopes: &'a [Scope],
    /// `None`: any number.
    pub requests_per_second: Option<NonZeroU32>,
}

/// A key that is in force, with what it takes to recognise it.
#[derive(Clone, Debug)]
pub struct ActiveKey {
    pub id: KeyId,
    /// SHA-256 of its secret.
    pub digest: [u8; 32],
    pub scopes: Vec<Scope>,
    /// `None`: any number.
    pub requests_per_second: Option<NonZeroU32>,
}

/// A key as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow)]
pub struct KeyRow {
    pub key_id: String,
    pub name: String,
    pub scopes: Vec<String>,
    /// `None`: any number.
    pub requests_per_second: Option<i32>,
    pub created_at: DateTime<Utc>,
    /// `None`: it is in force.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// Says when keys have changed, whoever changed them.
#[derive(Debug)]
pub struct KeyChanges(PgListener);

impl KeyChanges {
    /// The next change; also comes back when the connection was lost and is there again, for changes may have been missed.
    ///
    /// # Errors
    /// The connection is lost.
    pub async fn next(&mut self) -> Result<(), sqlx::Error> {
        self.0.try_recv().await.map(drop)
    }
}

fn active(row: &PgRow) -> Option<ActiveKey> {
    Some(ActiveKey {
        id: row.get::<&str, _>(0).parse().ok()?,
        digest: row.get::<&[u8], _>(1).try_into().ok()?,
        scopes: row.get::<Vec<String>, _>(2).iter().filter_map(|scope| scope.parse().ok()).collect(),
        requests_per_second: row.get::<Option<i32>, _>(3).and_then(|rate| NonZeroU32::new(rate.unsigned_abs())),
    })
}

fn by_command(action: &'static str, id: &KeyId, detail: serde_json::Value) -> AuditEntry {
    let outcome = AuditOutcome::Done;
    AuditEntry { actor: "command".to_owned(), action, subject: id.to_string(), outcome, detail }
}

impl Store {
    /// Makes a key, and a row of the audit trail.
    ///
    /// # Errors
    /// Postgres does not answer, or does not take it.
    pub async fn create_api_key(&self, new: &NewKey<'_>) -> Result<(), ReadError> {
        let scopes: Vec<&str> = new.scopes.iter().map(|scope| scope.as_str()).collect();
        let rate = new.requests_per_second.map(|rate| i32::try_from(rate.get()).unwrap_or(i32::MAX));
        let detail = json!({ "name": new.name, "scopes": scopes, "requests_per_second": rate });
        within(async {
            let mut transaction = self.pool.begin().await?;
            sqlx::query(
                "insert into api_key (key_id, secret_sha256, name, scopes, requests_per_second) values ($1, $2, $3, $4, $5)",
            )
            .bind(new.key.id.as_str())
            .bind(new.key.digest().as_slice())
            .bind(new.name)
            .bind(&scopes)
            .bind(rate)
            .execute(&mut *transaction)
            .await?;
            append_audit(&mut transaction, &by_command("key.create", &new.key.id, detail)).await?;
            transaction.commit().await
        })
        .await
    }

    /// Revokes a key, with a row of the audit trail; gives it as it is now. `None`: there is none. A key that was revoked
    /// before stays as it was.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn revoke_api_key(&self, id: &KeyId) -> Result<Option<KeyRow>, ReadError> {
        within(async {
            let mut transaction = self.pool.begin().await?;
            let revoked = sqlx::query("update api_key set revoked_at = now() where key_id = $1 and revoked_at is null")
                .bind(id.as_str())
                .execute(&mut *transaction)
                .await?;
            if revoked.rows_affected() > 0 {
                append_audit(&mut transaction, &by_command("key.revoke", id, json!({}))).await?;
            }
            let row = sqlx::query_as(
                "select key_id, name, scopes, requests_per_second, created_at, revoked_at from api_key where key_id = $1",
            )
            .bind(id.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
            transaction.commit().await?;
            Ok(row)
        })
        .await
    }

    /// Keys, newest first; those that were revoked only when asked for.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn list_api_keys(&self, revoked: bool) -> Result<Vec<KeyRow>, ReadError> {
        let query = sqlx::query_as(
            "select key_id, name, scopes, requests_per_second, created_at, revoked_at from api_key
             where $1 or revoked_at is null order by created_at desc, key_id",
        );
        within(query.bind(revoked).fetch_all(&self.pool)).await
    }

    /// Every key that is in force.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn active_api_keys(&self) -> Result<Vec<ActiveKey>, ReadError> {
        let query = sqlx::query(
            "select key_id, secret_sha256, scopes, requests_per_second from api_key where revoked_at is null",
        );
        let rows = within(query.fetch_all(&self.pool)).await?;
        Ok(rows.iter().filter_map(active).collect())
    }

    /// Listens, on a connection of its own, for changes of keys.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn listen_for_api_keys(&self) -> Result<KeyChanges, ReadError> {
        within(async {
            let options = self.pool.connect_options().as_ref().clone().application_name("stockstream keys");
            let own = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
            let mut listener = PgListener::connect_with(&own).await?;
            listener.listen(CHANNEL).await?;
            Ok(KeyChanges(listener))
        })
        .await
    }
}
