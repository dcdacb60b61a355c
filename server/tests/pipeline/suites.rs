//! Suites in the stream: records that they refuse, rows that they tag, windows that they judge, and who can tell afterwards.

use crate::{
    records::{Row, insert},
    stack::{Database, Server, Source, TOPIC, broker, broker_with, until},
    verify::{Program, execute, kinds},
};
use axum::{Router, body::Bytes, extract::State, routing::post};
use market::provenance::{Provenance, RuleOrigin};
use serde_json::{Value, json};
use server::{
    checkpoint::Checkpoints,
    config::WebConfig,
    pipeline::{Assignment, RecordSuites},
    store::{QuarantineFilter, RunFilter, Store, ValidationRun},
};
use sqlx::Row as _;
use std::{
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::mpsc};

/// `stockstream.toml` and its suite, in a directory of their own.
struct Files {
    directory: TempDir,
}

impl Files {
    fn new(stream: &str, expectations: &Value) -> Self {
        let files = Self { directory: tempfile::tempdir().expect("a directory") };
        let text = format!("[alerts]\ngroup_seconds = 0\n[[stream]]\nname = 'live'\nsuite = 'bars.json'\n{stream}\n");
        std::fs::write(files.toml(), text).expect("it can be written");
        files.write(expectations);
        files
    }

    fn toml(&self) -> PathBuf {
        self.directory.path().join("stockstream.toml")
    }

    fn write(&self, expectations: &Value) {
        let suite = json!({"name": "bars", "expectations": expectations}).to_string();
        std::fs::write(self.directory.path().join("bars.json"), suite).expect("it can be written");
    }

    fn read(&self) -> Checkpoints {
        Checkpoints::read(&self.toml()).expect("it is right")
    }
}

fn between(column: &str, max: f64, severity: &str) -> Value {
    json!({"type": "expect_column_values_to_be_between", "kwargs": {"column": column, "max_value": max}, "severity": severity})
}

const CLOSE: &str = "suite:bars:expect_column_values_to_be_between:close";
const VOLUME: &str = "suite:bars:expect_column_values_to_be_between:volume";

async fn serve(store: Store, bootstrap: &str, web: WebConfig) -> Server {
    let listener = TcpListener::bind(web.listen).await.expect("a free port");
    let server = Server::launch_on(listener, web, store, bootstrap, Assignment::Static);
    server.until_ready_is(200).await;
    server
}

async fn serve_with(store: Store, bootstrap: &str, files: &Files) -> Server {
    serve(store, bootstrap, WebConfig { checkpoints: files.read(), ..Server::web() }).await
}

/// `record_id`, and the expectations that tagged the row.
async fn tags(store: &Store) -> Vec<(i64, Vec<String>)> {
    let rows = sqlx::query("select record_id, rules from stock order by record_id").fetch_all(store.pool());
    let mut tags = Vec::new();
    for row in rows.await.expect("rows") {
        tags.push((row.get("record_id"), store.suite_tags(row.get("rules")).await.expect("Postgres answers")));
    }
    tags
}

async fn windows(store: &Store, count: usize) -> Vec<(ValidationRun, Value)> {
    let runs = until("the windows are recorded", || async {
        let mut runs = store.validation_runs(&RunFilter::default(), 50).await.expect("Postgres answers");
        runs.retain(|run| run.cause == "window");
        runs.reverse();
        (runs.len() >= count).then_some(runs)
    })
    .await;
    let mut found = Vec::new();
    for run in runs {
        found.push(store.validation_run(run.run_id).await.expect("Postgres answers").expect("it is recorded"));
    }
    found
}

/// Prices in cents, volumes: who is dear is refused, who is traded much is tagged.
fn bar(id: i64, cents: i64, volume: i64) -> crate::records::Record {
    insert(&Row { volume, ..Row::new(id, "AMZN", id, cents) }, id)
}

#[tokio::test]
async fn critical_refuses_the_record_warning_tags_the_row_and_info_is_only_counted() {
    let database = Database::start().await;
    let broker = broker();
    let files = Files::new(
        "window_records = 4\nwindow = '1h'",
        &json!([
            between("close", 200.0, "critical"),
            between("volume", 150.0, "warning"),
            between("open", 100.0, "info"),
            between("high", 1.0, "warning").as_object().map(|expectation| {
                // It speaks of one symbol only.
                let mut expectation = expectation.clone();
                expectation["kwargs"]["row_condition"] = json!("col(\"symbol\") == \"AAPL\"");
                expectation
            }),
        ]),
    );
    let server = serve_with(database.store(), &broker.bootstrap(), &files).await;
    Source::new(&broker.bootstrap())
        .send([bar(1, 15_000, 100), bar(2, 15_000, 151), bar(3, 20_001, 999), bar(4, 9_000, 100)])
        .await;
    server.until_consumed(4).await;

    assert_eq!(tags(&server.store).await, [(1, vec![]), (2, vec![VOLUME.to_owned()]), (4, vec![])]);
    let counted = sqlx::query("select applied, quarantined, tagged from kafka_offset").fetch_one(server.store.pool());
    let counted = counted.await.expect("one partition");
    assert_eq!([0, 1, 2].map(|column| counted.get::<i64, _>(column)), [3, 1, 1]);
    let refused = server.store.quarantined(&QuarantineFilter::open(), None, 10).await.expect("Postgres answers");
    let [(_, record)] = refused.as_slice() else { panic!("{refused:?}") };
    assert_eq!((record.offset, record.stage.as_str()), (2, "suite"));
    assert_eq!(record.codes, [CLOSE, VOLUME], "what matters most comes first");
    assert!(
        record.reason.starts_with(
            "close 200.01; suite bars expects: close is at most 200.0 (expect_column_values_to_be_between); volume 999;"
        ),
        "{}",
        record.reason
    );
    // The API finds it by the expectation's code and explains it.
    let (status, body) = server.get(&format!("/api/v1/quarantine?code={CLOSE}&stage=suite")).await;
    assert!(status == 200 && body.contains("\"offset\":2"), "{status} {body}");
    let (_, body) = server.get(&format!("/api/v1/quarantine/{TOPIC}/0/2")).await;
    let detail: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(detail["explanation"][0]["code"], CLOSE);
    let rule = "Suite bars expects: close is at most 200.0. (expect_column_values_to_be_between)";
    assert_eq!(detail["explanation"][0]["rule"], rule);
    assert_eq!(detail["acceptable"], false);

    // Refused or not, each record was counted, in the one window that four records made.
    let found = windows(&server.store, 1).await;
    let [(run, result)] = found.as_slice() else { panic!("one window") };
    assert_eq!((run.suite.as_str(), run.asset.as_str(), run.success), ("bars", "t.stream_db.stock[0]", false));
    let unexpected: Vec<_> = (0..4).map(|at| result["results"][at]["result"]["unexpected_count"].clone()).collect();
    assert_eq!(unexpected, [1, 2, 3, 0]);
    assert_eq!(result["results"][0]["result"]["partial_unexpected_index_list"], json!([3]));
    assert_eq!(result["meta"]["window"][0]["last_offset"], 3);
    server.stop().await;
}

#[tokio::test]
async fn a_suite_that_was_changed_lets_a_refused_record_through_and_verify_agrees_with_both() {
    let database = Database::start().await;
    let broker = broker();
    let program = Program::new(&database, &broker.bootstrap());
    let source = Source::new(&broker.bootstrap());
    let files = Files::new(
        "window = 'off'",
        &json!([between("close", 200.0, "critical"), between("volume", 150.0, "warning")]),
    );
    let toml = files.toml().to_string_lossy().into_owned();
    // Without any suite at first.
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    source.send([bar(1, 20_500, 100), bar(2, 15_000, 999)]).await;
    server.until_consumed(2).await;
    server.stop().await;
    let server = serve_with(database.store(), &broker.bootstrap(), &files).await;
    source.send([bar(3, 20_500, 100), bar(4, 15_000, 999), bar(5, 40_000, 999)]).await;
    server.until_consumed(5).await;
    let store = server.store.clone();
    let report = program.agrees().await;
    assert_eq!(report["partitions"][0]["judged_by"][0]["suites"], json!(["bars"]), "{report:#}");
    assert_eq!(report["partitions"][0]["judged_by"][0]["from_offset"], 2);

    // The file is changed: who asks by it hears what would come of it, while the server still judges by the old one.
    files.write(&json!([between("close", 300.0, "critical"), between("volume", 50.0, "warning")]));
    let redrive = ["quarantine", "redrive", "--all", "--json", "--dry-run"];
    let output = program.run(&[&redrive[..], &["--checkpoints", &toml]].concat()).await;
    let dry: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(dry["counts"], json!({"applied": 1, "refused_again": 1}), "{dry:#}");
    let output = program.run(&redrive).await;
    let dry: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(dry["counts"], json!({"refused_again": 2}), "{dry:#}");
    let output = program.run(&["quarantine", "show", &format!("{TOPIC}[0]@2"), "--checkpoints", &toml]).await;
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("would let it through") && shown.contains("; today by suites with the digest"), "{shown}");
    server.stop().await;

    let server = serve_with(database.store(), &broker.bootstrap(), &files).await;
    let output = program.run(&redrive[..4]).await;
    let done: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(done["counts"], json!({"applied": 1, "refused_again": 1}), "{done:#}");
    source.send([bar(6, 15_000, 100)]).await;
    server.until_consumed(6).await;
    server.stop().await;
    let tagged = |id| (id, vec![VOLUME.to_owned()]);
    // Rows 1 and 2 were judged by no suite, row 4 by the first one, rows 3 and 6 by the second.
    assert_eq!(tags(&store).await, [(1, vec![]), (2, vec![]), tagged(3), tagged(4), tagged(6)]);
    let again = store.quarantined(&QuarantineFilter::open(), None, 10).await.expect("Postgres answers");
    assert!(again[0].1.reason.contains("close is at most 300.0"), "{}", again[0].1.reason);
    let report = program.agrees().await;
    let judged_by = report["partitions"][0]["judged_by"].as_array().expect("an array");
    assert_eq!(judged_by.iter().map(|by| by["from_offset"].as_i64()).collect::<Vec<_>>(), [Some(2), Some(5)]);
    assert_ne!(judged_by[0]["digest"], judged_by[1]["digest"]);

    // What does not follow from the suites of its time is a difference.
    execute(&store, "update stock set rules = 0 where record_id = 6").await;
    assert_eq!(kinds(&program.verify().await), ["different"]);
    execute(&store, "update stock set rules = (select rules from stock where record_id = 4) where record_id in (1, 6)")
        .await;
    assert_eq!(kinds(&program.verify().await), ["different"]);
}

#[tokio::test]
async fn windows_follow_the_records_of_all_partitions_and_a_failing_one_is_told() {
    let (sent, mut told) = mpsc::channel(64);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("it has an address"));
    let receive = |State(sent): State<mpsc::Sender<Value>>, body: Bytes| async move {
        let _ = sent.send(serde_json::from_slice(&body).expect("JSON")).await;
    };
    let double =
        tokio::spawn(
            async move { axum::serve(listener, Router::new().route("/", post(receive)).with_state(sent)).await },
        );

    let database = Database::start().await;
    let broker = broker_with(2);
    let count = json!({"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}});
    let unique = json!({"type": "expect_column_values_to_be_unique", "kwargs": {"column": "record_id"}});
    let mut mostly = between("close", 160.0, "critical");
    mostly["kwargs"]["mostly"] = json!(0.5);
    let files = Files::new(
        "window = '1h'\nwindow_records = 4\nunsupported = 'leave_out'\nowner = 'U7'",
        &json!([count, unique, mostly]),
    );
    let args = ["stockstream", "demo", "--listen", "127.0.0.1:0", "--alert-json-url", &url, "--allow-loopback-targets"];
    let web = WebConfig { checkpoints: files.read(), ..Server::web_of(&args) };
    let server = serve(database.store(), &broker.bootstrap(), web).await;
    let source = Source::new(&broker.bootstrap());
    // Half of them are dear, which is as many as may be; then more than half; then few, in a window that the end cuts short.
    for (part, cents) in
        [(0, [15_000, 17_000]), (1, [17_000, 15_000]), (0, [17_000, 17_000]), (1, [17_000, 15_000]), (0, [15_000; 2])]
    {
        let first = server.status().partitions.iter().map(|partition| partition.next_offset).sum::<i64>();
        source.send_to(part, cents.into_iter().zip(first + 1..).map(|(cents, id)| bar(id, cents, 100))).await;
        server
            .until_status("both are consumed", |status| {
                status.partitions.iter().map(|partition| partition.next_offset).sum::<i64>() == first + 2
            })
            .await;
    }
    let told = told.recv().await.expect("an alert comes");
    assert_eq!(told["items"][0]["checkpoint"], "live", "{told:#}");
    assert_eq!((&told["items"][0]["event"], &told["items"][0]["owner"]), (&json!("firing"), &json!("U7")), "{told:#}");
    let store = server.store.clone();
    server.stop().await;
    double.abort();

    let found = windows(&store, 3).await;
    let each: Vec<_> = found
        .iter()
        .map(|(run, result)| (run.asset.as_str(), run.success, result["meta"]["row_count"].as_i64()))
        .collect();
    let both = "t.stream_db.stock[0,1]";
    assert_eq!(each, [(both, true, Some(4)), (both, false, Some(4)), ("t.stream_db.stock[0]", true, Some(2))]);
    let result = &found[0].1;
    assert_eq!(result["results"].as_array().map(Vec::len), Some(2), "what needs the whole table is left out");
    assert!(
        result["meta"]["left_out"][0]
            .as_str()
            .is_some_and(|name| name.starts_with("expect_column_values_to_be_unique"))
    );
    assert_eq!(
        store.quarantined(&QuarantineFilter::open(), None, 1).await.expect("Postgres answers").len(),
        0,
        "`mostly` refuses nothing"
    );
}

#[tokio::test]
async fn a_window_says_not_supported_of_what_needs_the_whole_table() {
    let database = Database::start().await;
    let broker = broker();
    let unique = json!({"type": "expect_column_values_to_be_unique", "kwargs": {"column": "record_id"}});
    let files = Files::new("window_records = 1", &json!([unique]));
    let server = serve_with(database.store(), &broker.bootstrap(), &files).await;
    Source::new(&broker.bootstrap()).send([bar(1, 15_000, 100)]).await;
    let found = windows(&server.store, 1).await;
    assert!(!found[0].0.success);
    let exception = found[0].1["results"][0]["exception_info"]["exception_message"].as_str().expect("a text");
    assert!(
        exception.starts_with("not supported: expect_column_values_to_be_unique needs the whole table"),
        "{exception}"
    );
    server.stop().await;
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panicked").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_is_not_judged_record_by_record_is_named_at_the_start() {
    let unique = json!({"type": "expect_column_values_to_be_unique", "kwargs": {"column": "record_id"}});
    let files = Files::new("", &json!([between("close", 200.0, "critical"), unique, between("price", 1.0, "info")]));
    let checkpoints = files.read();
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let suites = RecordSuites::new(checkpoints.streams.iter().map(|stream| stream.suite.clone()));
    tracing::subscriber::with_default(subscriber, || suites.announce());
    let said = String::from_utf8(log.0.lock().expect("nobody panicked").clone()).expect("text");
    for expected in
        ["expect_column_values_to_be_unique of record_id: needs the whole table", "no such column in the stream: price"]
    {
        assert!(said.contains(expected), "{said}");
    }
    assert_eq!(said.matches("not judged record by record").count(), 2, "{said}");
}

#[tokio::test]
async fn a_candle_tells_which_expectations_it_met_and_which_tagged_it() {
    let (database, broker) = (Database::start().await, broker());
    let expected =
        [between("close", 140.0, "warning"), between("volume", 1e9, "critical"), between("open", 1.0, "info")];
    let files = Files::new("", &expected.into_iter().collect());
    let server = serve_with(database.store(), &broker.bootstrap(), &files).await;
    Source::new(&broker.bootstrap()).send([insert(&Row::new(1, "AMZN", 0, 15_000), 10)]).await;
    server.until_consumed(1).await;
    let (status, body) = server.get("/api/v1/bars/AMZN/2024-01-16T14:30:00Z/provenance").await;
    assert_eq!(status, 200, "{body}");
    let found: Provenance = serde_json::from_str(&body).expect("a provenance");
    let of_suites: Vec<(&str, Option<bool>)> = found
        .verdicts
        .iter()
        .filter(|verdict| verdict.origin == RuleOrigin::Suite)
        .map(|verdict| (verdict.code.as_str(), verdict.passed))
        .collect();
    let open = "suite:bars:expect_column_values_to_be_between:open";
    assert_eq!(of_suites, [(CLOSE, Some(false)), (VOLUME, Some(true)), (open, None)]);
    assert_eq!(found.row.map(|row| row.tags), Some(vec![CLOSE.to_owned()]));
    server.stop().await;
}
