//! The same suite over the same rows, by Great Expectations and by `validate`: `scripts/oracle.sh` installs the one and runs
//! this. Great Expectations answers twice, by SQL and by pandas; where they differ, SQL counts, as ours is SQL.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without has failed it")]

#[path = "validate/table.rs"]
mod table;

use chrono::Utc;
use quality::suite::{ExpectationResult, KNOWN, Suite};
use serde_json::{Map, Value};
use server::store::validate::{Asset, validate};
use std::{collections::BTreeSet, process::Command};
use table::{Database, fill, odd_rows};

const SUITE: &[u8] = include_bytes!("../../fixtures/suites/every_1x.json");

/// What of a result must be the same.
const COUNTS: [&str; 6] = [
    "element_count",
    "unexpected_count",
    "missing_count",
    "unexpected_percent",
    "missing_percent",
    "unexpected_percent_nonmissing",
];

/// Where the two differ on purpose, by the expectation's place in the suite, and why.
const DIFFERENT: &[(usize, &str)] = &[
    (23, "it looks at the declared type once and counts nothing; here every value counts"),
    (24, "as before"),
    (49, "Great Expectations 1.24 fails on it with an IndexError"),
];

#[test]
fn every_supported_expectation_is_in_the_suite() {
    let suite = Suite::parse(SUITE).unwrap();
    let there: BTreeSet<&str> = suite.expectations.iter().map(|expectation| expectation.kind.as_str()).collect();
    let supported: BTreeSet<&str> =
        KNOWN.iter().filter(|known| known.refused.is_none()).map(|known| known.kind).collect();
    assert_eq!(there, supported);
}

#[tokio::test]
async fn great_expectations_says_the_same() {
    let python = std::env::var("STOCKSTREAM_ORACLE_PYTHON").expect("run it by scripts/oracle.sh");
    let database = Database::start().await;
    let mut connection = database.connect().await;
    fill(&mut connection, "odd", &odd_rows(400)).await;
    let suite = Suite::parse(SUITE).unwrap();
    let asset = Asset::describe(&mut connection, "odd").await.unwrap();
    let ours = validate(&mut connection, &asset, &suite, Utc::now(), |_| {}).await.unwrap();

    let here = env!("CARGO_MANIFEST_DIR");
    let output = Command::new(python)
        .arg(format!("{here}/tests/oracle.py"))
        .args([&database.url(), "odd"])
        .arg(format!("{here}/../fixtures/suites/every_1x.json"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(theirs.len(), ours.results.len());

    let mut differences = Vec::new();
    let (mut by_sql, mut by_pandas) = (0, 0);
    for (place, (ours, theirs)) in ours.results.iter().zip(&theirs).enumerate() {
        let mine = &ours.expectation;
        let theirs = match (theirs["sql"].get("error"), theirs["pandas"].get("error")) {
            (None, _) => {
                by_sql += 1;
                &theirs["sql"]
            }
            (Some(_), None) => {
                by_pandas += 1;
                &theirs["pandas"]
            }
            (Some(_), Some(_)) => theirs,
        };
        let different = difference(ours, theirs);
        let expected = DIFFERENT.iter().find(|(known, _)| *known == place);
        match (different, expected) {
            (Some(what), None) => differences.push(format!("[{place}] {} {:?}: {what}", mine.kind, mine.kwargs)),
            (None, Some((_, why))) => {
                differences.push(format!("[{place}] {}: is the same now, though: {why}", mine.kind))
            }
            _ => {}
        }
    }
    println!("oracle: {by_sql} expectations compared with its SQL, {by_pandas} with its pandas");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn difference(ours: &ExpectationResult, theirs: &Value) -> Option<String> {
    let nothing = Map::new();
    let their_result = theirs["result"].as_object().unwrap_or(&nothing);
    if let Some(exception) = &ours.exception {
        return Some(format!("ours could not: {exception}; theirs {theirs}"));
    }
    if theirs.get("success").is_none() {
        return Some(format!("only ours could: {theirs}"));
    }
    if theirs["success"] != ours.success {
        return Some(format!("success {} here; theirs {theirs}; ours {:?}", ours.success, ours.result));
    }
    for key in COUNTS {
        let (Some(mine), Some(yours)) = (ours.result.get(key), their_result.get(key)) else { continue };
        if !is_close(mine, yours) {
            return Some(format!("{key} {mine} here, {yours} there"));
        }
    }
    match (ours.result.get("observed_value"), their_result.get("observed_value")) {
        // Of sets it shows none where it runs as SQL.
        (Some(_), Some(Value::Null)) => None,
        (Some(mine), Some(yours)) if !is_close(mine, yours) => {
            Some(format!("observed_value {mine} here, {yours} there"))
        }
        (Some(mine), None) => Some(format!("observed_value {mine} here only; theirs {theirs}")),
        (None, Some(yours)) => Some(format!("observed_value {yours} there only")),
        _ => None,
    }
}

/// Equal, as numbers where they are some: Great Expectations computes in doubles. Sets come in any order.
fn is_close(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().all(|left| right.iter().any(|right| is_close(left, right)))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| is_close(value, other)))
        }
        _ => match (number(left), number(right)) {
            (Some(left), Some(right)) => (left - right).abs() <= 1e-9 * left.abs().max(1.0),
            // Names of types come in capitals there.
            _ => left == right || left.as_str().zip(right.as_str()).is_some_and(|(l, r)| l.eq_ignore_ascii_case(r)),
        },
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}
