//! `feed replay` into a real Postgres as the source database.

use clap::Parser;
use secrecy::{ExposeSecret, SecretString};
use server::embedded::Postgres;
use server::source::{ReplayArgs, Summary, replay};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::io::Write;
use std::time::Duration;
use tempfile::{NamedTempFile, TempDir};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: ReplayArgs,
}

fn args(url: &SecretString, options: &[&str]) -> ReplayArgs {
    let mut all = vec!["replay", "--database-url", url.expose_secret()];
    all.extend(options);
    Cli::parse_from(all).args
}

async fn run(url: &SecretString, options: &[&str]) -> anyhow::Result<Summary> {
    timeout(PATIENCE, replay(args(url, options), CancellationToken::new())).await.expect("the replay ends in time")
}

async fn source() -> (TempDir, Postgres, PgConnection) {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let postgres = Postgres::start(directory.path()).await.expect("the server starts");
    let connection = PgConnection::connect(postgres.url().expose_secret()).await.expect("the server answers");
    (directory, postgres, connection)
}

async fn count(connection: &mut PgConnection, what: &str) -> i64 {
    let sql = AssertSqlSafe(format!("select {what} from stock"));
    sqlx::query_scalar(sql).fetch_one(connection).await.expect("the table can be read")
}

fn file(lines: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file can be made");
    write!(file, "time,open,high,low,close,volume\n{lines}").expect("the file can be written");
    file
}

#[tokio::test]
async fn a_file_is_written_once_and_continued_after_its_newest_row() {
    let (_directory, postgres, mut connection) = source().await;
    let url = postgres.url();
    let lines = "2024-01-16 09:32:00,153.36,153.6,153.3,153.55,18987\n2024-01-16 09:31:00,153.42,153.5,153.27,153.36,18250\nx\n";
    let first = file(lines);
    let csv = format!("AMZN={}", first.path().display());
    let summary = run(&url, &["--csv", &csv, "--speed", "0", "--create-table"]).await.unwrap();
    assert_eq!((summary.rows, summary.statements, summary.skipped), (2, 1, 1));
    let row: (String, f32, f64, bool) = sqlx::query_as(
        "select time::text, close, volume, event_time between now() - interval '1 minute' and now() \
         from stock order by record_id limit 1",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(row, ("2024-01-16 14:31:00".to_owned(), 153.36, 18250.0, true));

    let more = file(&("2024-01-16 09:33:00,153.55,153.7,153.5,153.6,100\n".to_owned() + lines));
    let csv = format!("AMZN={}", more.path().display());
    let summary = run(&url, &["--csv", &csv, "--speed", "0", "--continue"]).await.unwrap();
    assert_eq!(summary.rows, 1);
    assert_eq!(count(&mut connection, "count(*)").await, 3);

    let looped = ["--csv", &csv, "--speed", "0", "--loop", "--rows", "10"];
    assert_eq!(run(&url, &looped).await.unwrap().rows, 10);
    assert_eq!(count(&mut connection, "count(*)").await, 13);
    assert_eq!(count(&mut connection, "count(distinct time)").await, 3);
}

#[tokio::test]
async fn lost_connections_neither_lose_nor_double_rows() {
    const ROWS: i64 = 20_000;
    let (_directory, postgres, mut connection) = source().await;
    let url = postgres.url();
    let rows = ROWS.to_string();
    let options = ["--simulated", "--speed", "0", "--create-table", "--batch", "50", "--rows", &rows];
    let replaying = tokio::spawn(replay(args(&url, &options), CancellationToken::new()));
    let mut lost = 0;
    while !replaying.is_finished() && lost < 5 {
        // Whenever it has come on, its connection is cut.
        let ended: i64 = sqlx::query_scalar(
            "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity \
             where datname = current_database() and pid <> pg_backend_pid() and query like 'insert%'",
        )
        .fetch_one(&mut connection)
        .await
        .unwrap();
        lost += ended;
        tokio::task::yield_now().await;
    }
    let summary = timeout(PATIENCE, replaying).await.unwrap().unwrap().unwrap();
    assert!(summary.reconnects >= 1, "{summary}");
    assert_eq!(summary.rows, ROWS as u64);
    assert_eq!(count(&mut connection, "count(*)").await, ROWS);
    assert_eq!(count(&mut connection, "count(distinct (symbol, time))").await, ROWS);
}

#[tokio::test]
async fn what_will_not_go_away_is_said_at_once_and_with_advice() {
    let (_directory, postgres, _connection) = source().await;
    let url = postgres.url();
    let one = file("2024-01-16 09:31:00,1,1,1,1,1\n");
    let csv = format!("AMZN={}", one.path().display());
    let said = |result: anyhow::Result<Summary>| format!("{:#}", result.unwrap_err());

    let message = said(run(&url, &["--csv", &csv]).await);
    assert!(message.contains("table stock is not there") && message.contains("--create-table"), "{message}");

    let (user, rest) = url.expose_secret().split_once("://").unwrap().1.split_once(':').unwrap();
    let password = rest.split_once('@').unwrap().0;
    let wrong = SecretString::from(url.expose_secret().replace(password, "wrong"));
    let message = said(run(&wrong, &["--csv", &csv]).await);
    assert!(message.contains("refuses this user or password") && !message.contains(password), "{user}: {message}");

    let message = said(run(&url, &["--csv", "AMZN=/nonexistent/x.csv"]).await);
    assert!(message.contains("/nonexistent/x.csv"), "{message}");
}

#[tokio::test]
async fn a_source_that_is_away_is_waited_for_until_the_shutdown() {
    let away = SecretString::from("postgres://a:b@127.0.0.1:1/d");
    let shutdown = CancellationToken::new();
    let waiting = tokio::spawn(replay(args(&away, &["--simulated"]), shutdown.clone()));
    shutdown.cancel();
    let summary = timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(summary.rows, 0);
}
