//! `feed poll` against APIs that answer as the real ones were recorded to.

use super::table::{PATIENCE, Source, key_file};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use clap::Parser;
use server::source::{PollArgs, Tally, poll};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: PollArgs,
}

async fn run(options: Vec<&str>) -> anyhow::Result<Tally> {
    let args = Cli::try_parse_from(options)?.args;
    timeout(PATIENCE, poll(args, CancellationToken::new())).await.expect("the poll ends in time")
}

/// An API on loopback; its address.
async fn serve(api: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    tokio::spawn(async move { axum::serve(listener, api).await });
    format!("http://{address}")
}

#[derive(Clone, Default)]
struct Lines {
    lines: Arc<Mutex<Vec<String>>>,
    asked: Arc<AtomicUsize>,
    next: Arc<AtomicUsize>,
}

impl Lines {
    fn add(&self, minute: u32, close: &str) {
        self.lines.lock().unwrap().push(format!(
            r#"{{"time":"2024-01-16 09:{minute}:00","open":"153.42","high":"160.00","low":"150.27","close":"{close}","volume":"18250","symbol":"AMZN"}}"#
        ));
    }

    fn line(&self, n: usize) -> String {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.lines.lock().unwrap().get(n).cloned().unwrap_or_else(|| r#"{"error":"end of file"}"#.to_owned())
    }

    fn api(&self) -> Router {
        Router::new()
            .route("/line/{n}", get(|State(lines): State<Self>, Path(n): Path<usize>| async move { lines.line(n) }))
            .route(
                "/stock",
                get(|State(lines): State<Self>| async move {
                    let next = lines.next.load(Ordering::Relaxed);
                    let line = lines.line(next);
                    if !line.contains("error") {
                        lines.next.fetch_add(1, Ordering::Relaxed);
                    }
                    line
                }),
            )
            .with_state(self.clone())
    }
}

#[tokio::test]
async fn numbered_lines_are_read_once_and_the_next_run_goes_on_after_them() {
    let mut source = Source::start().await;
    let lines = Lines::default();
    for (minute, close) in [(31, "153.36"), (32, "170.00"), (33, "153.50"), (35, "153.61")] {
        lines.add(minute, close);
    }
    let url = format!("{}/line/{{n}}", serve(lines.api()).await);
    let state = tempfile::tempdir().unwrap();
    let state = state.path().join("state.json").display().to_string();
    let options = ["--preset", "original", "--url", &url, "--state", &state, "--polls", "1"];
    let first = run(source.options("poll", &options)).await.unwrap();
    assert_eq!((first.read, first.written.inserted, first.refused()), (4, 3, 1), "{first}");
    // 170 is above the high: the built-in rules would refuse it on its way out of Kafka.
    assert!(first.to_string().contains("above") || first.to_string().contains("high"), "{first}");
    assert_eq!(first.missing, 2, "09:32 was refused, 09:34 never came: {first}");

    lines.add(36, "153.70");
    let asked = lines.asked.load(Ordering::Relaxed);
    let second = run(source.options("poll", &options)).await.unwrap();
    assert_eq!((second.read, second.written.inserted), (1, 1), "{second}");
    assert_eq!(lines.asked.load(Ordering::Relaxed) - asked, 2, "the new line and the end");
    assert_eq!(
        source.rows().await,
        [
            "AMZN 2024-01-16 14:31:00 153.36 18250",
            "AMZN 2024-01-16 14:33:00 153.5 18250",
            "AMZN 2024-01-16 14:35:00 153.61 18250",
            "AMZN 2024-01-16 14:36:00 153.7 18250"
        ]
    );

    // Without its state it reads everything again, and changes nothing.
    let options = ["--preset", "original", "--url", &url, "--polls", "1"];
    let again = run(source.options("poll", &options)).await.unwrap();
    assert_eq!((again.written.inserted, again.written.corrected, again.written.duplicates), (0, 0, 4), "{again}");
    assert_eq!(source.rows().await.len(), 4);
}

#[tokio::test]
async fn an_api_that_remembers_its_clients_is_asked_until_the_end_of_its_file() {
    let mut source = Source::start().await;
    let lines = Lines::default();
    lines.add(31, "153.36");
    lines.add(32, "153.40");
    let url = format!("{}/stock", serve(lines.api()).await);
    let options = ["--preset", "original", "--url", &url, "--polls", "2", "--interval", "10ms"];
    let tally = run(source.options("poll", &options)).await.unwrap();
    assert_eq!((tally.read, tally.written.inserted), (2, 2), "{tally}");
    assert_eq!(source.rows().await.len(), 2);
}

const SERIES: &str = r#"{"Meta Data": {"2. Symbol": "AMZN", "4. Interval": "1min", "6. Time Zone": "US/Eastern"},
    "Time Series (1min)": {
        "2024-01-16 09:32:00": {"1. open": "153.36", "2. high": "153.60", "3. low": "153.30", "4. close": "CLOSE", "5. volume": "18987"},
        "2024-01-16 09:31:00": {"1. open": "153.42", "2. high": "153.50", "3. low": "153.27", "4. close": "153.36", "5. volume": "18250"}
    }}"#;

/// Alpha Vantage as it behaves: busy first, then away, then it answers; the newest minute changes while it is polled.
#[derive(Clone, Default)]
struct AlphaVantage(Arc<AtomicUsize>);

impl AlphaVantage {
    async fn answer(State(Self(asked)): State<Self>, Query(query): Query<HashMap<String, String>>) -> Response {
        assert_eq!((query["function"].as_str(), query["interval"].as_str()), ("TIME_SERIES_INTRADAY", "1min"));
        if query["apikey"] != "hunter2" {
            return r#"{"Error Message": "the parameter apikey is invalid or missing"}"#.into_response();
        }
        match (asked.fetch_add(1, Ordering::Relaxed), query["datatype"].as_str()) {
            (0, _) => {
                r#"{"Information": "We have detected your API key as hunter2: 25 requests per day."}"#.into_response()
            }
            (1, _) => (StatusCode::SERVICE_UNAVAILABLE, "busy").into_response(),
            (_, "csv") => {
                "timestamp,open,high,low,close,volume\r\n2024-01-16 09:32:00,153.36,153.60,153.30,153.5500,18987\r\n"
                    .into_response()
            }
            (2, _) => SERIES.replace("CLOSE", "153.40").into_response(),
            _ => SERIES.replace("CLOSE", "153.55").into_response(),
        }
    }

    fn api(&self) -> Router {
        Router::new().route("/query", get(Self::answer)).with_state(self.clone())
    }
}

#[tokio::test]
async fn alpha_vantage_is_waited_for_and_the_minute_that_changed_is_corrected() {
    let mut source = Source::start().await;
    let vendor = AlphaVantage::default();
    let url = format!("{}/query", serve(vendor.api()).await);
    let keys = key_file();
    let keys = keys.path().display().to_string();
    let options = [
        "--preset",
        "alpha-vantage",
        "--url",
        &url,
        "--symbol",
        "AMZN",
        "--key-file",
        &keys,
        "--polls",
        "3",
        "--interval",
        "10ms",
    ];
    let tally = run(source.options("poll", &options)).await.unwrap();
    assert_eq!(vendor.0.load(Ordering::Relaxed), 5, "busy, away, and three polls");
    assert_eq!(tally.read, 6, "{tally}");
    assert_eq!((tally.written.inserted, tally.written.corrected, tally.written.duplicates), (2, 1, 3), "{tally}");
    let rows = source.rows().await;
    assert_eq!(rows, ["AMZN 2024-01-16 14:31:00 153.36 18250", "AMZN 2024-01-16 14:32:00 153.55 18987"]);

    let options =
        ["--preset", "alpha-vantage-csv", "--url", &url, "--symbol", "AMZN", "--key-file", &keys, "--polls", "1"];
    let tally = run(source.options("poll", &options)).await.unwrap();
    assert_eq!((tally.read, tally.written.duplicates), (1, 1), "the same minute as CSV: {tally}");
}

#[tokio::test]
async fn what_will_not_go_away_ends_a_poll_with_a_reason_and_without_the_key() {
    let source = Source::start().await;
    let vendor = AlphaVantage::default();
    let url = serve(vendor.api()).await;
    let keys = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(keys.path(), "swordfish").unwrap();
    let keys = keys.path().display().to_string();
    let query = format!("{url}/query");
    let options = ["--preset", "alpha-vantage", "--url", &query, "--symbol", "AMZN", "--key-file", &keys];
    let error = run(source.options("poll", &options)).await.unwrap_err();
    assert!(format!("{error:#}").contains("apikey is invalid"), "{error:#}");

    let nowhere = format!("{url}/nowhere");
    let options = ["--preset", "original", "--url", &nowhere];
    let error = run(source.options("poll", &options)).await.unwrap_err();
    assert!(format!("{error:#}").contains("404"), "{error:#}");

    // Busy and away: two failures in a row are one too many.
    let keys = key_file();
    let keys = keys.path().display().to_string();
    let options = [
        "--preset",
        "alpha-vantage",
        "--url",
        &query,
        "--symbol",
        "AMZN",
        "--key-file",
        &keys,
        "--retries",
        "1",
        "--interval",
        "10ms",
    ];
    let error = format!("{:#}", run(source.options("poll", &options)).await.unwrap_err());
    assert!(error.contains("gave up after 2 failures") && !error.contains("hunter2"), "{error}");
}
