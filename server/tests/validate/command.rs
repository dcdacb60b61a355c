//! The command: what it prints, what it writes, how it ends.

use crate::table::{Database, fill, odd_rows};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

fn validate(arguments: &[&str], url: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stockstream"))
        .arg("validate")
        .args(arguments)
        .env_clear()
        .env("DATABASE_URL", url)
        .output()
        .unwrap()
}

fn write(directory: &Path, name: &str, severity: &str, max_value: i64) -> PathBuf {
    let file = directory.join(format!("{name}.json"));
    let suite = json!({"name": name, "expectations": [
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}},
        {"type": "expect_column_values_to_be_between", "severity": severity,
            "kwargs": {"column": "volume", "max_value": max_value}},
    ]});
    fs::write(&file, suite.to_string()).unwrap();
    file
}

#[tokio::test]
async fn results_are_printed_and_written_and_decide_the_exit_code() {
    let database = Database::start().await;
    fill(&mut database.connect().await, "odd", &odd_rows(50)).await;
    let directory = tempfile::tempdir().unwrap();
    let met = write(directory.path(), "met", "critical", 100_000);
    let unmet = write(directory.path(), "unmet", "warning", 5_000);
    let (met, unmet) = (met.to_str().unwrap(), unmet.to_str().unwrap());
    let (json, junit) = (directory.path().join("out.json"), directory.path().join("out.xml"));

    let output = validate(&[met, "--table", "odd"], &database.url());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("2 of 2 expectations met\n"));

    let files = ["--json", json.to_str().unwrap(), "--junit", junit.to_str().unwrap()];
    let output = validate(&[&[met, unmet, "--table", "public.odd"], &files[..]].concat(), &database.url());
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("✗ warning") && text.contains("unexpected (") && text.contains("1 of 2 expectations met"),
        "{text}"
    );
    let lines: Vec<Value> =
        fs::read_to_string(&json).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|run| run["success"].as_bool().unwrap()).collect::<Vec<_>>(), [true, false]);
    assert_eq!(lines[1]["statistics"]["successful_expectations"], 1);
    let xml = fs::read_to_string(&junit).unwrap();
    assert!(xml.contains(r#"tests="4" failures="1" errors="0""#), "{xml}");

    // A warning does not fail whom only the critical ones concern.
    let output = validate(&[unmet, "--table", "odd", "--fail-on", "critical", "--json", "-"], &database.url());
    assert_eq!(output.status.code(), Some(0));
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(line["suite_name"], "unmet", "nothing else is on standard output");
}

#[tokio::test]
async fn what_cannot_run_says_why_and_ends_with_two() {
    let database = Database::start().await;
    let directory = tempfile::tempdir().unwrap();
    let suite = write(directory.path(), "s", "info", 1);
    let suite = suite.to_str().unwrap();
    let broken = directory.path().join("broken.json");
    fs::write(&broken, r#"{"name": "b", "expectations": [{"kwargs": {}}]}"#).unwrap();
    let url = database.url();
    let cases = [
        (vec![suite, "--table", "nowhere"], url.as_str(), "there is no table or view nowhere"),
        (vec![suite, broken.to_str().unwrap(), "--table", "pg_class"], &url, "expectations[0].type"),
        (vec!["missing.json"], &url, "cannot read missing.json"),
        (vec![suite], "postgres://nobody:secret@127.0.0.1:1/x", "cannot use postgres://"),
        (vec![suite], "", "--database-url"),
    ];
    for (arguments, url, expected) in cases {
        let output = validate(&arguments, url);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
}
