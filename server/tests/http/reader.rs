//! Questions can change nothing, are ended when they take too long, and leave the writers' connections alone.

use crate::{site::Site, wire::until};
use axum::http::{StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use server::store::Store;
use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use std::str::FromStr;

fn code(error: sqlx::Error) -> String {
    error.as_database_error().and_then(|error| error.code().map(Into::into)).unwrap_or_else(|| error.to_string())
}

#[tokio::test]
async fn a_readers_session_cannot_change_anything_even_when_it_tries() {
    let site = Site::start().await;
    site.fill("AMZN", 1).await;
    let mut reader = site.store().readers().acquire().await.unwrap();
    let user: String = sqlx::query_scalar("select current_user::text").fetch_one(&mut *reader).await.unwrap();
    assert_eq!(user, "stockstream_reader");
    // As it is given out, and after talking itself out of the read-only transaction.
    for (begin, refused_with) in [("begin", "25006"), ("begin read write", "42501")] {
        for change in [
            "delete from stock",
            "insert into symbol (symbol) values ('X')",
            "update stream_head set seq = 0",
            "truncate quarantine",
            "create table loot (a integer)",
            "drop table stock",
            "alter table stock disable trigger all",
        ] {
            sqlx::query(begin).execute(&mut *reader).await.unwrap();
            let refused = sqlx::query(change).execute(&mut *reader).await.unwrap_err();
            assert_eq!(code(refused), refused_with, "{begin}: {change}");
            sqlx::query("rollback").execute(&mut *reader).await.unwrap();
        }
    }
    for setting in ["statement_timeout", "idle_in_transaction_session_timeout"] {
        let value: String =
            sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(&mut *reader).await.unwrap();
        assert_ne!(value, "0", "{setting}");
    }
}

#[tokio::test]
async fn a_question_that_takes_too_long_is_ended_with_503_and_writers_do_not_wait_for_it() {
    let site = Site::start().await;
    site.fill("AMZN", 1).await;
    // Whoever holds this lock makes every question about bars wait.
    let mut writer = site.store().pool().begin().await.unwrap();
    sqlx::query("lock table stock in access exclusive mode").execute(&mut *writer).await.unwrap();
    // A second connection of the writers is open: a busy machine opens one too slowly to judge by.
    drop(site.store().pool().acquire().await.unwrap());
    let questions = (0..12).map(|_| site.get("/api/v1/bars?symbol=AMZN"));
    let answers = futures::future::join_all(questions);
    let (answers, ()) = tokio::join!(answers, async {
        // More questions than there are connections for them, and still the writers have theirs.
        sqlx::query("update stream_head set seq = seq + 1").execute(site.store().pool()).await.unwrap();
        assert_eq!(site.get("/livez").await.status, StatusCode::OK);
    });
    for answer in answers {
        assert_eq!(answer.header(header::RETRY_AFTER), "5");
        let code = answer.json::<Value>()["code"].as_str().unwrap().to_owned();
        assert!(["too_slow", "unavailable"].contains(&code.as_str()), "{code}");
        answer.is_problem(StatusCode::SERVICE_UNAVAILABLE, &code);
    }
    until("Postgres itself has ended every question", || async {
        let waiting: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        )
        .fetch_one(site.store().pool())
        .await
        .unwrap();
        (waiting == 0).then_some(())
    })
    .await;
    writer.rollback().await.unwrap();
    site.get("/api/v1/bars?symbol=AMZN").await.ok::<Value>();
}

#[tokio::test]
async fn a_user_who_may_not_make_roles_reads_in_read_only_transactions() {
    let directory = tempfile::tempdir().unwrap();
    let postgres = server::embedded::Postgres::start(directory.path()).await.unwrap();
    let mut admin = PgConnection::connect(postgres.url().expose_secret()).await.unwrap();
    for sql in ["create role plain login password 'p'", "create database plain owner plain"] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
    }
    let options = PgConnectOptions::from_str(postgres.url().expose_secret()).unwrap();
    let url: SecretString =
        sqlx::ConnectOptions::to_url_lossy(&options.username("plain").password("p").database("plain"))
            .to_string()
            .into();
    let site = Site::on(&url).await;
    site.fill("AMZN", 1).await;
    site.get("/api/v1/bars?symbol=AMZN").await.ok::<Value>();
    let change = sqlx::query("delete from stock").execute(site.store().readers()).await.unwrap_err();
    assert_eq!(code(change), "25006");

    // Where somebody has made the role and granted it, the same user takes it.
    for sql in ["create role stockstream_reader nologin", "grant stockstream_reader to plain"] {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
    }
    sqlx::query("create database later owner plain").execute(&mut admin).await.unwrap();
    let store = Store::new(PgConnectOptions::from_str(url.expose_secret()).unwrap().database("later"), 1);
    let before: String =
        sqlx::query_scalar("select 'a connection from before'").fetch_one(store.readers()).await.unwrap();
    assert_eq!(before, "a connection from before");
    store.migrate().await.unwrap();
    let user: String = sqlx::query_scalar("select current_user::text").fetch_one(store.readers()).await.unwrap();
    assert_eq!(user, "stockstream_reader");
    sqlx::query("select from stock").execute(store.readers()).await.unwrap();
    postgres.stop().await.unwrap();
}
