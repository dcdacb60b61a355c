//! The binary as its users call it.

use serde_json::Value;
use std::{
    io::Write,
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

fn stockstream(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stockstream"));
    command.args(arguments).env_clear().env("HOME", "/nonexistent");
    command
}

fn run(arguments: &[&str]) -> Output {
    stockstream(arguments).output().expect("the binary runs")
}

fn decode(input: &[u8]) -> Vec<Value> {
    let mut child =
        stockstream(&["decode"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the binary runs");
    let mut stdin = child.stdin.take().expect("it is piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("no panic").expect("all input is read");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("one JSON value per line")).collect()
}

#[test]
fn decode_answers_every_captured_line() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/debezium");
    let mut files = 0;
    for entry in std::fs::read_dir(fixtures).expect("fixtures") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        files += 1;
        let text = std::fs::read(&path).expect("a fixture");
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        let results = decode(&text);
        assert_eq!(results.len(), lines, "{}", path.display());
        for result in results {
            assert!(result["kind"].is_string() && result["topic"].is_string(), "{result}");
        }
    }
    assert!(files >= 30, "only {files} fixtures");
}

#[test]
fn decode_says_what_it_understood() {
    let text = include_bytes!("../../fixtures/debezium/mariadb_a_envelope_schemas_on.stock.jsonl");
    let first = decode(text).into_iter().next().expect("a result");
    assert_eq!(first["kind"], "change");
    assert_eq!(first["op"], "read");
    assert_eq!(first["key"]["record_id"], 1);
    assert_eq!(first["row"]["close"], "153.3600");
    assert_eq!(first["row"]["symbol"], "AMZN");
    assert!(first["version"]["hi"].is_i64(), "{first}");
    assert_eq!(first["verdict"], "tagged", "9:30 UTC on a holiday is no session minute");
}

#[test]
fn decode_never_stops_at_a_bad_line() {
    let good = r#"{"topic":"t","partition":0,"offset":1,"key":"{\"record_id\":1}","value":"{\"record_id\":1,\"symbol\":\"AMZN\"}"}"#;
    let input = [
        b"{not json".to_vec(),
        b"[1,2]".to_vec(),
        vec![0xff, 0xfe],
        br#"{"topic":"t","value":"\ud800"}"#.to_vec(),
        good.as_bytes().to_vec(),
    ]
    .join(&b'\n');
    let results = decode(&input);
    assert_eq!(results.len(), 5);
    for bad in &results[..4] {
        assert_eq!(bad["kind"], "error", "{bad}");
        assert!(bad["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    }
    assert_eq!(results[4]["kind"], "change");
    assert_eq!(results[4]["verdict"], "rejected", "prices are missing");
}

#[test]
fn a_wrong_configuration_is_told_whole_and_at_once() {
    let started = Instant::now();
    let output = run(&["serve", "--listen", "nowhere", "--database-url", "mysql://x", "--kafka-property", "novalue"]);
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr);
    for flag in ["--listen", "--database-url", "--brokers", "--topic", "--kafka-property"] {
        assert!(text.contains(flag), "{flag} is missing in:\n{text}");
    }
}

#[test]
fn verify_and_quarantine_refuse_a_wrong_configuration_and_say_what_to_do() {
    let output = run(&["verify", "--brokers", "nowhere", "--topic", "a b"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    for flag in ["--database-url", "--brokers", "--topic"] {
        assert!(text.contains(flag), "{flag} is missing in:\n{text}");
    }
    for (arguments, told) in [
        (&["quarantine", "ls"][..], "--database-url"),
        (&["quarantine", "ls", "--since", "yesterday"], "2024-01-16T14:30:00Z"),
        (&["quarantine", "show", "topic@1"], "TOPIC[PARTITION]@OFFSET"),
        (&["quarantine", "redrive"], "--all"),
        (&["quarantine", "redrive", "--all", "t[0]@1"], "cannot be used with"),
        (&["quarantine", "dismiss", "t[0]@1"], "--note"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(told), "{arguments:?}: {text}");
    }
}

#[test]
fn commands_on_a_store_that_is_away_say_so_without_its_password() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    let url = format!("postgres://app:hunter2@{free}/stock");
    for (arguments, code) in [
        (&["quarantine", "ls", "--database-url", &url][..], 1),
        (&["verify", "--database-url", &url, "--brokers", &free, "--topic", "t"], 2),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(&free) && !text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_port_in_use_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let output = run(&["demo", "--listen", &address, "--data-dir", "/nonexistent/stockstream"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(&address) && text.contains("--listen"), "{text}");
}

#[test]
fn config_check_prints_what_is_in_force_without_secrets() {
    let output = run(&[
        "config",
        "check",
        "--database-url",
        "postgres://app:hunter2@db/stock",
        "--brokers",
        "kafka:9092",
        "--topic",
        "a",
    ]);
    assert!(output.status.success(), "{output:?}");
    let printed: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(printed["database_url"], "postgres://app:***@db/stock");
    assert_eq!(printed["topics"][0], "a");
}

#[test]
fn openapi_prints_the_document() {
    let output = run(&["openapi"]);
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    assert!(document["paths"]["/api/v1/bars"].is_object());
}

#[test]
fn health_fails_plainly_when_nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").to_string();
    let output = run(&["health", "--listen", &free]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&free));
}

#[test]
fn suite_lint_says_what_a_suite_really_checks() {
    let suite = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/suites/stock_0x.json");
    let output = run(&["suite", "lint", suite]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("it counts columns, not rows: it is met by an empty table"), "{text}");
    assert!(text.ends_with("5 findings\n"), "{text}");
    let output = run(&["suite", "lint", concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/suites/bars_1x.json")]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn suite_migrate_prints_the_newer_dialect_and_says_what_is_no_suite() {
    let output = run(&["suite", "migrate", concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/suites/stock_0x.json")]);
    let suite: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(suite["name"], "stock.ingest");
    assert_eq!(suite["expectations"][1]["type"], "expect_column_values_to_not_be_null");
    let output = run(&["suite", "migrate", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(said.contains("Cargo.toml is no suite: not JSON"), "{said}");
}
