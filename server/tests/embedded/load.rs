//! `feed replay --load`: files in bulk, into a real Postgres.

use super::table::{PATIENCE, Source};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser;
use server::source::{ReplayArgs, Tally, load};
use std::fmt::Write as _;
use std::io::Write as _;
use tempfile::NamedTempFile;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: ReplayArgs,
}

async fn run(options: Vec<&str>) -> anyhow::Result<Tally> {
    let args = Cli::try_parse_from(options)?.args;
    timeout(PATIENCE, load(args, CancellationToken::new())).await.expect("the load ends in time")
}

/// Lines of one minute after the other, the newest first, and some that are none.
fn file(minutes: i64, more: &str) -> NamedTempFile {
    let start: DateTime<Utc> = "2020-01-02T00:00:00Z".parse().unwrap();
    let mut lines = String::from("time,open,high,low,close,volume\n");
    for minute in (0..minutes).rev() {
        let time = start + TimeDelta::minutes(minute);
        writeln!(lines, "{},10,12,9,{}.{:02},{}", time.to_rfc3339(), 10 + minute % 2, minute % 100, minute).unwrap();
    }
    let mut file = NamedTempFile::new().unwrap();
    write!(file, "{lines}{more}").unwrap();
    file
}

#[tokio::test]
async fn a_file_is_loaded_in_pieces_checked_and_loading_it_again_changes_nothing() {
    const MINUTES: i64 = 60_000;
    let mut source = Source::start().await;
    let bad = "2020-01-01T00:00:00Z,10,9,9,10,1\nx,1,1,1,1,1\n2020-01-02T00:00:00Z,10,12,9,10.00,0\n";
    let first = file(MINUTES, bad);
    let csv = format!("AMZN={}", first.path().display());
    let tally = run(source.options("replay", &["--load", "--csv", &csv])).await.unwrap();
    assert_eq!(tally.read, MINUTES as u64 + 3, "{tally}");
    assert_eq!((tally.written.inserted, tally.refused(), tally.written.duplicates), (MINUTES as u64, 2, 1), "{tally}");
    let said = tally.to_string();
    assert!(said.contains(&format!("line {}", MINUTES + 2)) && said.contains("unreadable"), "{said}");
    assert_eq!(source.rows().await.len() as i64, MINUTES);

    let again = run(source.options("replay", &["--load", "--csv", &csv])).await.unwrap();
    assert_eq!((again.written.inserted, again.written.corrected), (0, 0), "{again}");
    assert_eq!(again.written.duplicates, MINUTES as u64 + 1, "{again}");

    let corrected = file(1, "2020-01-02T00:01:00Z,10,12,9,9.50,1\n2020-04-01T00:00:00Z,10,12,9,9.50,1\n");
    let csv = format!("AMZN={}", corrected.path().display());
    let tally = run(source.options("replay", &["--load", "--csv", &csv])).await.unwrap();
    assert_eq!((tally.written.inserted, tally.written.corrected, tally.written.duplicates), (1, 1, 1), "{tally}");
    let close: f32 = sqlx::query_scalar("select close from stock where time = '2020-01-02 00:01'")
        .fetch_one(&mut source.connection)
        .await
        .unwrap();
    assert_eq!(close, 9.5);
}

#[tokio::test]
async fn a_file_that_is_none_is_said_before_the_database_is_asked() {
    let options =
        ["replay", "--database-url", "postgres://a:b@127.0.0.1:1/d", "--load", "--csv", "AMZN=/nonexistent.csv"];
    let error = run(options.to_vec()).await.unwrap_err();
    assert!(format!("{error:#}").contains("/nonexistent.csv"), "{error:#}");
}
