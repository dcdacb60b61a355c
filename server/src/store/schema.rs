//! Bringing the schema up to date, and refusing a database that this program must not touch.

use super::Store;
use sqlx::{
    Connection, PgConnection, Row,
    migrate::{MigrateError, Migrator},
};
use std::time::Instant;

/// The schema this program works with.
static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// Why the schema is not as this program needs it.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error(
        "this database was migrated by a newer version of stockstream (it has migration {found}, this one knows up to \
         {known}): run that version, or restore a backup from before its upgrade. Nothing was written"
    )]
    Newer { found: i64, known: i64 },
    #[error(
        "migration {0} of this database is not the one this version of stockstream has: the database belongs to another \
         build; run that one, or name another database. Nothing was written"
    )]
    Other(i64),
    #[error("migration {version} failed: {source}")]
    Failed { version: i64, source: sqlx::Error },
    #[error(
        "this database has not been brought up to this version of stockstream: start `stockstream serve` of this version \
         on it first"
    )]
    Behind,
    #[error("Postgres: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Migrator(MigrateError),
}

impl SchemaError {
    /// Whether trying again cannot help: a person has to choose another program or another database.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Newer { .. } | Self::Other(_))
    }
}

impl From<MigrateError> for SchemaError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(found) => Self::Newer { found, known: known() },
            MigrateError::VersionMismatch(version) => Self::Other(version),
            MigrateError::ExecuteMigration(source, version) => Self::Failed { version, source },
            MigrateError::Execute(error) => Self::Database(error),
            other => Self::Migrator(other),
        }
    }
}

/// The newest migration this program has.
fn known() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

impl Store {
    /// Brings the schema up to date; asks one question when it is. Any number of instances may do this at once: an
    /// advisory lock of the session makes one of them work and the others wait.
    ///
    /// Each migration is one transaction with its own record, so that a process killed half-way leaves either all of it
    /// or nothing. The connection is this call's own and ends with it: sqlx keeps the lock when a migration fails, and in
    /// a pool it would stay behind and block every later start.
    ///
    /// # Errors
    /// Postgres does not answer or a migration fails, which is worth trying again; or the database belongs to another
    /// version, which is [final](SchemaError::is_final), and then nothing was written.
    pub async fn migrate(&self) -> Result<(), SchemaError> {
        let mut connection = self.pool.acquire().await?.detach();
        let result = bring_up_to_date(&mut connection).await;
        match &result {
            Ok(()) => {
                self.migrated.get_or_init(Instant::now);
                connection.close().await?;
            }
            Err(_) => drop(connection.close_hard().await),
        }
        result
    }
}

impl Store {
    /// Makes sure that the schema is the one of this program, by reading alone: for commands that work beside a server
    /// and leave migrating to it.
    ///
    /// # Errors
    /// It is not, or Postgres does not answer.
    pub async fn require_current(&self) -> Result<(), SchemaError> {
        let mut connection = self.pool.acquire().await?;
        if is_current(&mut connection).await? { Ok(()) } else { Err(SchemaError::Behind) }
    }
}

async fn bring_up_to_date(connection: &mut PgConnection) -> Result<(), SchemaError> {
    if is_current(connection).await? {
        return Ok(());
    }
    tracing::info!(to = known(), "migrating the database");
    // A change of a table waits for its readers, and everybody else then waits for the change: rather give up soon and
    // try again. What only says that something is there already is noise.
    sqlx::raw_sql("set lock_timeout = '10s'; set statement_timeout = 0; set client_min_messages = warning")
        .execute(&mut *connection)
        .await?;
    Ok(MIGRATIONS.run_direct(None, connection, false).await?)
}

/// Whether every migration has run, by reading alone.
async fn is_current(connection: &mut PgConnection) -> Result<bool, SchemaError> {
    let begun: bool =
        sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut *connection).await?;
    if !begun {
        return Ok(false);
    }
    let applied = sqlx::query("select version, checksum from _sqlx_migrations where success order by version desc")
        .fetch_all(&mut *connection)
        .await?;
    for row in &applied {
        let version: i64 = row.get("version");
        match MIGRATIONS.iter().find(|migration| migration.version == version) {
            None => return Err(SchemaError::Newer { found: version, known: known() }),
            Some(migration) if migration.checksum[..] != row.get::<&[u8], _>("checksum")[..] => {
                return Err(SchemaError::Other(version));
            }
            Some(_) => {}
        }
    }
    Ok(applied.len() == MIGRATIONS.iter().count())
}
