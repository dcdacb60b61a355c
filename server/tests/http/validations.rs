//! What suites found, asked for run by run.

use crate::site::Site;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use quality::suite::{ExpectationResult, Suite, ValidationResult};
use serde_json::{Map, Value, json};
use server::store::Cause;

/// Three expectations: of the table, of a column, and one that cannot be evaluated.
pub const SUITE: &str = r#"{"name": "prices & volumes", "meta": {}, "expectations": [
    {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 10, "max_value": 20000}},
    {"type": "expect_column_values_to_be_between", "kwargs": {"column": "close", "min_value": 0, "mostly": 0.99},
     "severity": "warning"},
    {"type": "expect_column_values_to_be_divine", "kwargs": {"column": "close"}, "severity": "info"}]}"#;

pub fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// What such a suite finds where the table has so many rows, some of them with these closing prices.
pub fn found(suite: &str, rows: u64, wrong: &[&str]) -> ValidationResult {
    let suite = Suite::parse(suite.as_bytes()).unwrap();
    let results = suite.expectations.into_iter().map(|expectation| match expectation.compile() {
        Err(reason) => expectation.refused(&reason),
        Ok(_) if expectation.column().is_none() => ExpectationResult {
            success: rows >= 10,
            result: object(json!({ "observed_value": rows })),
            expectation,
            exception: None,
        },
        Ok(_) => ExpectationResult {
            success: wrong.is_empty(),
            result: object(json!({
                "element_count": rows, "unexpected_count": wrong.len(), "missing_count": 0, "missing_percent": 0.0,
                "unexpected_percent": wrong.len() as f64 / rows as f64 * 100.0, "partial_unexpected_list": wrong,
                "partial_unexpected_index_list": (0..wrong.len()).map(|key| key + 700).collect::<Vec<_>>(),
            })),
            expectation,
            exception: None,
        },
    });
    ValidationResult { suite_name: suite.name, results: results.collect(), meta: Map::new() }
}

/// The same, with the unexpected rows named as those of bars are.
pub fn named(mut result: ValidationResult) -> ValidationResult {
    for found in &mut result.results {
        let Some(Value::Array(keys)) = found.result.remove("partial_unexpected_index_list") else { continue };
        let row = |key: &Value| json!({ "close": "-1.50", "record_id": key, "symbol": "AMZN", "time": "2024-01-16T14:31:00Z" });
        found.result.insert("unexpected_index_column_names".into(), json!(["record_id", "symbol", "time"]));
        found.result.insert("partial_unexpected_index_list".into(), keys.iter().map(row).collect());
    }
    result
}

pub fn at(run: i64) -> DateTime<Utc> {
    "2024-01-16T21:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(run)
}

/// Five runs of that suite, of which the third and the fifth find too little or wrong prices, and one of another.
pub async fn fill(site: &Site) {
    let store = site.store();
    for (run, (rows, wrong)) in
        [(100, &[][..]), (110, &[]), (4, &[]), (120, &[]), (130, &["-1.50", "<b>0</b>"])].into_iter().enumerate()
    {
        let started = at(run as i64);
        let result = found(SUITE, rows, wrong);
        let finished = started + TimeDelta::milliseconds(180);
        store.record_validation("stock", Cause::Schedule, started, finished, &result).await.unwrap();
    }
    let met = ValidationResult { suite_name: "nothing".to_owned(), results: Vec::new(), meta: Map::new() };
    store.record_validation("stock", Cause::Demand, at(9), at(9), &met).await.unwrap();
}

fn ids(page: &Value) -> Vec<i64> {
    page["runs"].as_array().unwrap().iter().map(|run| run["run_id"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn runs_are_listed_newest_first_page_by_page_all_or_only_the_failed() {
    let site = Site::start().await;
    let nothing: Value = site.get("/api/v1/validations").await.ok();
    assert_eq!(nothing, json!({ "runs": [], "next_cursor": null }));
    assert_eq!(site.get("/api/v1/validations/suites").await.ok::<Value>(), json!({ "suites": [] }));
    fill(&site).await;
    for (query, expected) in [
        ("", vec![6, 5, 4, 3, 2, 1]),
        ("failed=false&suite=", vec![6, 5, 4, 3, 2, 1]),
        ("failed=true", vec![5, 4, 3, 2, 1]),
        ("suite=nothing", vec![6]),
        ("suite=prices%20%26%20volumes&failed=true", vec![5, 4, 3, 2, 1]),
        ("suite=%00", vec![]),
    ] {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page: Value = site.get(&format!("/api/v1/validations?{query}&limit=2&cursor={cursor}")).await.ok();
            found.extend(ids(&page));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(found, expected, "{query}");
    }
    let suites: Value = site.get("/api/v1/validations/suites").await.ok();
    let newest: Vec<_> = suites["suites"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| (run["suite"].as_str().unwrap(), &run["run_id"]))
        .collect();
    assert_eq!(newest, [("nothing", &json!(6)), ("prices & volumes", &json!(5))]);

    let page: Value = site.get("/api/v1/validations?limit=1").await.ok();
    let path = format!("/api/v1/validations?limit=1&failed=true&cursor={}", page["next_cursor"].as_str().unwrap());
    let body = site.get(&path).await.problem(StatusCode::BAD_REQUEST, "invalid_parameter");
    assert_eq!(body["errors"][0]["parameter"], "cursor");
    let path = "/api/v1/validations?failed=perhaps&limit=0&cursor=x&colour=red";
    let body = site.get(path).await.problem(StatusCode::BAD_REQUEST, "invalid_parameter");
    assert_eq!(body["errors"].as_array().unwrap().len(), 4, "{body}");
}

#[tokio::test]
async fn a_run_is_answered_in_great_expectations_form_and_reads_back_as_it_was_recorded() {
    let site = Site::start().await;
    fill(&site).await;
    let run: Value = site.get("/api/v1/validations/5").await.ok();
    assert_eq!((&run["met"], &run["evaluated"], &run["success"]), (&json!(1), &json!(3), &json!(false)));
    assert_eq!(run["cause"], "schedule");
    assert_eq!(run["result"]["statistics"]["unsuccessful_expectations"], 2);
    let recorded = found(SUITE, 130, &["-1.50", "<b>0</b>"]);
    assert_eq!(ValidationResult::from_json(run["result"].clone()), Some(recorded));

    site.get("/api/v1/validations/99").await.is_problem(StatusCode::NOT_FOUND, "unknown_run");
    site.get("/api/v1/validations/99/trends").await.is_problem(StatusCode::NOT_FOUND, "unknown_run");
    for path in ["x", "0", "-1", "99999999999999999999", "x/trends", "1/trends?limit=0"] {
        let answer = site.get(&format!("/api/v1/validations/{path}")).await;
        answer.is_problem(StatusCode::BAD_REQUEST, "invalid_parameter");
    }
}

#[tokio::test]
async fn each_expectation_has_its_trend_up_to_the_run_that_is_looked_at() {
    let site = Site::start().await;
    fill(&site).await;
    let trends: Value = site.get("/api/v1/validations/4/trends?limit=3").await.ok();
    let observed = |place: usize, member: &str| -> Vec<Value> {
        trends["trends"][place].as_array().unwrap().iter().map(|point| point[member].clone()).collect()
    };
    assert_eq!(observed(0, "run_id"), [2, 3, 4]);
    assert_eq!(observed(0, "observed"), [110.0, 4.0, 120.0]);
    assert_eq!(observed(0, "success"), [true, false, true]);
    assert_eq!(observed(1, "unexpected"), [0.0, 0.0, 0.0]);
    assert_eq!(observed(2, "success"), [false, false, false]);
    assert_eq!(site.get("/api/v1/validations/6/trends").await.ok::<Value>(), json!({ "trends": [] }));
}
