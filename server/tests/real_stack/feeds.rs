//! Feeds into a real MariaDB, whose columns are FLOAT as in the original.

use super::{PATIENCE, address, unique};
use clap::Parser;
use server::source::{ReplayArgs, Tally, load};
use sqlx::{Connection, MySqlConnection};
use std::{fmt::Write as _, io::Write as _};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: ReplayArgs,
}

async fn run(symbol: &str, lines: &str) -> Tally {
    let mut file = tempfile::NamedTempFile::new().expect("a file can be made");
    write!(file, "time,open,high,low,close,volume\n{lines}").expect("it can be written");
    let csv = format!("{symbol}={}", file.path().display());
    let url = address("STACK_SOURCE_MARIADB_URL");
    let args = Cli::parse_from(["replay", "--database-url", &url, "--load", "--csv", &csv]).args;
    let loaded = timeout(PATIENCE, load(args, CancellationToken::new())).await;
    loaded.expect("the load ends in time").expect("MariaDB takes it")
}

#[tokio::test]
async fn a_file_loaded_twice_into_mariadb_is_there_once_and_a_corrected_line_corrects_its_row() {
    const MINUTES: usize = 20_000;
    let mut source = MySqlConnection::connect(&address("STACK_SOURCE_MARIADB_URL")).await.expect("MariaDB answers");
    let symbol: String = unique("F").to_uppercase();
    let mut lines = String::new();
    let start: chrono::DateTime<chrono::Utc> = "2024-01-16T14:30:00Z".parse().unwrap();
    for minute in 0..MINUTES {
        let time = start + chrono::TimeDelta::minutes(minute as i64);
        let close = 153 + minute % 7;
        writeln!(lines, "{},153.42,170.1,150.27,{close}.{:02},{}", time.to_rfc3339(), minute % 100, 18_250 + minute)
            .unwrap();
    }
    let first = run(&symbol, &lines).await;
    assert_eq!((first.written.inserted, first.refused()), (MINUTES as u64, 0), "{first}");
    let again = run(&symbol, &lines).await;
    assert_eq!(
        (again.written.duplicates, again.written.inserted, again.written.corrected),
        (MINUTES as u64, 0, 0),
        "{again}"
    );
    let corrected = run(&symbol, "2024-01-16T14:31:00Z,153.42,170.1,150.27,160.25,18251\n").await;
    assert_eq!(corrected.written.corrected, 1, "{corrected}");

    let count =
        "select count(*), cast(max(if(time = '2024-01-16 14:31:00', close, 0)) as double) from stock where symbol = ?";
    let (rows, close): (i64, f64) = sqlx::query_as(count).bind(&symbol).fetch_one(&mut source).await.unwrap();
    assert_eq!((rows, close), (MINUTES as i64, 160.25));
    // Others share the table.
    sqlx::query("delete from stock where symbol = ?").bind(&symbol).execute(&mut source).await.unwrap();
}
