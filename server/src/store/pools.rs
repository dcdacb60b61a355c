//! The two sets of connections: those that write, and those that answer questions. Heavy questions use up their own and
//! never a writer's.
//!
//! A reader's session can do no harm three times over: it has stepped down to a role that may only read, its
//! transactions are read-only, and Postgres itself ends a statement, or an idle transaction, that takes too long.

use super::{Policy, Store, recent::Recent};
use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// Connections for all that is not a question of a client: each partition's writer takes one of these and keeps it apart.
const OWN_CONNECTIONS: u32 = 8;
/// How long a question or a batch waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// How long an idle connection may take to show that it still leads somewhere; then it is closed. One that swallows every
/// byte would otherwise hold up whoever is given it.
const ALIVE_WITHIN: Duration = Duration::from_millis(500);
/// For how long a reader's connection needs no such proof after it was given back, when sqlx asked for one: under load that
/// spares each question one of three ways to Postgres and back.
const TRUSTED: Duration = Duration::from_millis(500);
/// Postgres ends a reader's statement after this long: before [`super::READ_TIMEOUT`], so that it does not go on for nobody.
const STATEMENT_TIMEOUT: Duration = Duration::from_millis(4_500);
/// Postgres ends a reader's session that holds a transaction open and asks nothing.
const IDLE_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

impl Store {
    /// A store whose connections are opened when they are first needed: the program starts, and says so, also while
    /// Postgres is away. `connections` is how many questions are answered at once.
    pub fn new(options: PgConnectOptions, connections: u32) -> Self {
        let options = options.options([("timezone", "UTC")]);
        let pool = |connections| {
            PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .idle_timeout(IDLE_TIMEOUT)
                .test_before_acquire(false) // see `is_alive`
        };
        let migrated = Arc::new(OnceLock::new());
        let readers = readers(pool(connections), &options, migrated.clone());
        let pool = pool(OWN_CONNECTIONS)
            .before_acquire(|connection, _| Box::pin(async move { Ok(is_alive(connection).await) }))
            .connect_lazy_with(options.application_name("stockstream"));
        Self { pool, readers, migrated, recent: Recent::default(), policy: Policy::default() }
    }

    /// Whether this process has seen that the database is this version's: before that, it writes nothing into it.
    pub fn is_migrated(&self) -> bool {
        self.migrated.get().is_some()
    }

    /// For everything that changes something.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// For questions: what is asked here cannot change anything, and is ended when it takes too long.
    pub fn readers(&self) -> &PgPool {
        &self.readers
    }

    /// The same store, for the program's own questions: they do not wait behind those of clients.
    pub fn with_own_reads(&self) -> Self {
        Self { readers: self.pool.clone(), ..self.clone() }
    }

    /// Whether Postgres answers now.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        sqlx::query("select 1").execute(&self.pool).await.map(drop)
    }
}

fn readers(pool: PgPoolOptions, options: &PgConnectOptions, migrated: Arc<OnceLock<Instant>>) -> PgPool {
    let milliseconds = |time: Duration| time.as_millis().to_string();
    let options = options.clone().application_name("stockstream reader").options([
        ("default_transaction_read_only", "on".to_owned()),
        ("statement_timeout", milliseconds(STATEMENT_TIMEOUT)),
        ("idle_in_transaction_session_timeout", milliseconds(IDLE_TRANSACTION_TIMEOUT)),
    ]);
    let has_complained = Arc::new(AtomicBool::new(false));
    let knows = migrated.clone();
    pool.after_connect(move |connection, _| {
        let (knows, has_complained) = (knows.clone(), has_complained.clone());
        Box::pin(async move {
            let stepped_down = step_down(connection).await?;
            if !stepped_down && knows.get().is_some() && !has_complained.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "the database user may not use the role stockstream_reader; questions run in read-only \
                     transactions of its own role"
                );
            }
            Ok(())
        })
    })
    // The migration makes the role: connections from before it are not used again.
    .before_acquire(move |connection, meta| {
        let current = migrated.get().is_none_or(|at| meta.age < at.elapsed());
        let is_trusted = meta.idle_for < TRUSTED;
        Box::pin(async move { Ok(current && (is_trusted || is_alive(connection).await)) })
    })
    .connect_lazy_with(options)
}

async fn is_alive(connection: &mut PgConnection) -> bool {
    matches!(tokio::time::timeout(ALIVE_WITHIN, connection.ping()).await, Ok(Ok(())))
}

/// Takes the role that may only read; false when there is none or it may not be taken.
async fn step_down(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match sqlx::query("set role stockstream_reader").execute(connection).await {
        Ok(_) => Ok(true),
        // invalid_parameter_value: no such role; insufficient_privilege: no member of it
        Err(sqlx::Error::Database(error)) if matches!(error.code().as_deref(), Some("22023" | "42501")) => Ok(false),
        Err(error) => Err(error),
    }
}
