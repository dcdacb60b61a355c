//! Upgrades and starts that meet: nothing is lost, and what cannot go on says why.

use crate::program::{Program, Services, stockstream, until};
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection, migrate::Migrator};
use std::collections::BTreeSet;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

fn newest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap()
}

async fn applied(connection: &mut PgConnection) -> BTreeSet<i64> {
    sqlx::query_scalar("select version from _sqlx_migrations where success")
        .fetch_all(connection)
        .await
        .unwrap()
        .into_iter()
        .collect()
}

fn all() -> BTreeSet<i64> {
    MIGRATIONS.iter().map(|migration| migration.version).collect()
}

/// Every row of every table, as text: what "nothing was written" is measured by.
async fn contents(connection: &mut PgConnection) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select quote_ident(tablename) from pg_tables where schemaname = 'public' order by tablename",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let mut contents = Vec::new();
    for table in tables {
        let rows: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(format!("select '{table}: ' || t::text from {table} t order by 1")))
                .fetch_all(&mut *connection)
                .await
                .unwrap();
        contents.extend(rows);
        contents.push(table);
    }
    contents
}

async fn advisory_locks(connection: &mut PgConnection) -> i64 {
    // Locks of a whole bigint, as sqlx takes one; those of a pair of numbers are the partitions'.
    sqlx::query_scalar("select count(*) from pg_locks where locktype = 'advisory' and objsubid = 1 and granted")
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn an_old_binary_refuses_a_newer_database_at_once_and_writes_nothing() {
    let services = Services::start().await;
    let mut connection = services.connect().await;
    MIGRATIONS.run_direct(None, &mut connection, false).await.unwrap();
    sqlx::query(
        "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
         values (9001, 'from the future', true, '\\x00', 0)",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    services.produce(0..3).await;
    let before = contents(&mut connection).await;

    let mut program = Program::start(services.serve());
    let (status, said) = program.ended().await;
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("error: this database was migrated by a newer version of stockstream"), "{said}");
    assert!(said.contains("migration 9001") && said.contains(&format!("up to {}", newest())), "{said}");
    assert!(!said.contains("trying again"), "{said}");
    assert_eq!(contents(&mut connection).await, before);
    assert_eq!(advisory_locks(&mut connection).await, 0);
}

#[tokio::test]
async fn a_database_of_another_build_is_refused() {
    let services = Services::start().await;
    let mut connection = services.connect().await;
    MIGRATIONS.run_direct(None, &mut connection, false).await.unwrap();
    sqlx::raw_sql("update _sqlx_migrations set checksum = '\\x00' where version = 1")
        .execute(&mut connection)
        .await
        .unwrap();
    let before = contents(&mut connection).await;
    let mut program = Program::start(services.serve());
    let (status, said) = program.ended().await;
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("migration 1 of this database is not the one"), "{said}");
    assert_eq!(contents(&mut connection).await, before);
}

#[tokio::test]
async fn a_migration_killed_half_way_is_completed_by_the_next_start() {
    let services = Services::start().await;
    let mut connection = services.connect().await;
    MIGRATIONS.run_to(1, &mut connection).await.unwrap();
    sqlx::raw_sql("insert into symbol (symbol) values ('KEPT')").execute(&mut connection).await.unwrap();
    // A migration records itself as its last step: whoever holds this table stops it with all its work done and nothing
    // committed.
    let mut holder = services.connect().await;
    let mut held = holder.begin().await.unwrap();
    sqlx::raw_sql("lock table _sqlx_migrations in share mode").execute(&mut *held).await.unwrap();
    let mut first = Program::start(services.serve());
    let waiting = "select count(*) from pg_locks where not granted and relation = '_sqlx_migrations'::regclass";
    let mut watch = services.connect().await;
    for _ in 0.. {
        if sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut watch).await.unwrap() == 1 {
            break;
        }
        assert!(!first.has_ended(), "{}", first.said());
        tokio::task::yield_now().await;
    }
    first.kill();
    assert_eq!(applied(&mut connection).await, BTreeSet::from([1]), "half a migration left nothing");
    held.rollback().await.unwrap();

    let second = Program::start(services.serve());
    second.until_ready().await;
    assert_eq!(applied(&mut connection).await, all());
    let kept: i64 = sqlx::query_scalar("select count(*) from symbol where symbol = 'KEPT'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(kept, 1, "old data are there after the upgrade");
    assert_eq!(advisory_locks(&mut connection).await, 0, "the lock of migrations is not left behind");
}

#[tokio::test]
async fn a_migration_that_fails_leaves_no_lock_behind_and_is_tried_again() {
    let services = Services::start().await;
    let mut connection = services.connect().await;
    // The first migration wants this name for itself.
    sqlx::raw_sql("create table symbol (mine integer)").execute(&mut connection).await.unwrap();
    let program = Program::start(services.serve());
    program.until_said("migration 1 failed").await;
    until("the lock is gone", || {
        let url = services.url();
        async move {
            let mut watch = PgConnection::connect(url.expose_secret()).await.unwrap();
            (advisory_locks(&mut watch).await == 0).then_some(())
        }
    })
    .await;
    sqlx::raw_sql("drop table symbol").execute(&mut connection).await.unwrap();
    program.until_ready().await;
    assert_eq!(applied(&mut connection).await, all());
}

#[tokio::test]
async fn two_servers_may_start_at_once_on_an_empty_database() {
    let services = Services::start().await;
    services.produce(0..5).await;
    let mut servers = [Program::start(services.serve()), Program::start(services.serve())];
    let mut connection = services.connect().await;
    for server in &servers {
        server.address().await;
    }
    let consumed = |wanted: i64| {
        let url = services.url();
        move || {
            let url = url.clone();
            async move {
                let mut connection = PgConnection::connect(url.expose_secret()).await.ok()?;
                let offset: Option<i64> = sqlx::query_scalar("select next_offset from kafka_offset")
                    .fetch_optional(&mut connection)
                    .await
                    .ok()?;
                (offset? >= wanted).then_some(())
            }
        }
    };
    until("five records are consumed", consumed(5)).await;
    services.produce(5..10).await;
    until("ten records are consumed", consumed(10)).await;
    let (rows, distinct, counted): (i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from stock), (select count(distinct record_id) from stock),
                (select (applied + quarantined)::bigint from kafka_offset)",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!((rows, distinct, counted), (10, 10, 10), "each record has its effect once");
    assert_eq!(applied(&mut connection).await, all());
    for server in &mut servers {
        assert!(!server.has_ended(), "{}", server.said());
        server.terminate();
    }
    for server in &mut servers {
        let (status, said) = server.ended().await;
        assert!(status.success(), "{status} {said}");
    }
}

#[tokio::test]
async fn a_second_demo_on_the_same_data_is_told_who_has_it_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let demo = || {
        let mut command = stockstream(&["demo", "--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(directory.path().join("data"));
        command
    };
    let mut first = Program::start(demo());
    first.until_said("PostgreSQL is running").await;
    let mut second = Program::start(demo());
    let (status, said) = second.ended().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("is in use by process {}", first.id())), "{said}");
    assert!(said.contains("end that one, or name another directory with --data-dir"), "{said}");
    first.until_ready().await;
    first.terminate();
    let (status, said) = first.ended().await;
    assert!(status.success(), "the first one is not disturbed: {said}");
}

#[tokio::test]
async fn a_current_schema_is_not_migrated_again_when_the_pipeline_starts_over() {
    let services = Services::start().await;
    let mut connection = services.connect().await;
    let first = Program::start(services.serve());
    first.until_ready().await;
    assert_eq!(first.said().matches("migrating the database").count(), 1, "{}", first.said());
    drop(first);
    let before: Vec<String> = sqlx::query_scalar("select t::text from _sqlx_migrations t order by 1")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    // Without the head of the stream the pipeline starts over and over.
    sqlx::raw_sql("alter table stream_head rename to elsewhere").execute(&mut connection).await.unwrap();
    let second = Program::start(services.serve());
    until("three attempts", || async { (second.said().matches("pipeline interrupted").count() >= 3).then_some(()) })
        .await;
    sqlx::raw_sql("alter table elsewhere rename to stream_head").execute(&mut connection).await.unwrap();
    second.until_ready().await;
    let said = second.said();
    assert!(!said.contains("migrating the database") && !said.contains("already exists"), "{said}");
    let after: Vec<String> = sqlx::query_scalar("select t::text from _sqlx_migrations t order by 1")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(before, after);
}
