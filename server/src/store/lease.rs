//! Who may write a partition: one session at a time.
//!
//! A session-level advisory lock says who is alive: Postgres frees it when the session ends, however it ends, and not before
//! its transaction is settled. The fence number says who is entitled: every offset update must match it. A taker waits for
//! the lock for two seconds. A holder that has not let go by then is stopped, cut off or not told that it lost the
//! partition; its session is terminated, which rolls back what it has not committed. When such a writer wakes, its
//! connection is gone, its fence is old, and it steps down.

use super::Store;
use sqlx::{Executor, PgConnection};
use std::time::Duration;

/// How long a holder may take to let go; the model's tests take over too often to wait for it.
const PATIENCE: Duration = Duration::from_millis(if cfg!(test) { 40 } else { 2_000 });

/// The first half of the advisory lock's key, plus the topic's id: "ST" in front keeps it apart from other programs' locks.
const LOCK_SPACE: i32 = 0x5354_0000;

/// Tables that have just been filled have no statistics yet: the planner is told to look rows up by key. What it then has
/// to scan looks so dear to it that it would compile each statement first, for longer than the statement runs.
const SESSION: &str = "set jit = off; set enable_hashjoin = off; set enable_mergejoin = off; set enable_seqscan = off; \
     create temporary table incoming (like stock) on commit delete rows";

/// A connection of its own for a writer.
pub(super) async fn connect(store: &Store) -> Result<PgConnection, sqlx::Error> {
    let mut connection = store.pool().acquire().await?.detach();
    connection.execute(SESSION).await?;
    Ok(connection)
}

/// Waits until this session holds the partition's lock; terminates the session that does not let go.
///
/// # Errors
/// Postgres does not answer, or the lock cannot be had: then somebody holds it whom we may not terminate.
pub(super) async fn lock(connection: &mut PgConnection, topic_id: i16, partition: i32) -> Result<(), sqlx::Error> {
    if try_lock(connection, topic_id, partition).await? {
        return Ok(());
    }
    let terminated = sqlx::query_scalar::<_, bool>(
        "select pg_terminate_backend(pid, $3)
         from pg_locks join pg_stat_activity using (pid)
         where locktype = 'advisory' and granted and pg_locks.objsubid = 2
            and classid::bigint = $1 and objid::bigint = $2
            and database = (select oid from pg_database where datname = current_database())
            and usename = current_user and pid <> pg_backend_pid()",
    )
    .bind(i64::from(lock_class(topic_id)))
    .bind(i64::from(partition))
    .bind(i64::try_from(PATIENCE.as_millis()).unwrap_or(i64::MAX))
    .fetch_all(&mut *connection)
    .await?;
    tracing::warn!(
        topic_id,
        partition,
        sessions = terminated.len(),
        "took a partition over from a writer that held on"
    );
    if try_lock(connection, topic_id, partition).await? {
        return Ok(());
    }
    let message = "another session holds the partition's lock, and does not end";
    Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::WouldBlock, message)))
}

fn lock_class(topic_id: i16) -> i32 {
    LOCK_SPACE + i32::from(topic_id)
}

/// Whether the lock was had in time.
async fn try_lock(connection: &mut PgConnection, topic_id: i16, partition: i32) -> Result<bool, sqlx::Error> {
    sqlx::query("select set_config('lock_timeout', $1, false)")
        .bind(PATIENCE.as_millis().to_string())
        .execute(&mut *connection)
        .await?;
    let result = sqlx::query("select pg_advisory_lock($1, $2)")
        .bind(lock_class(topic_id))
        .bind(partition)
        .execute(&mut *connection)
        .await;
    connection.execute("set lock_timeout = 0").await?;
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("55P03")) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
