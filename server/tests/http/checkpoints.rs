//! Checkpoints: how they stand, and runs that somebody asked for.

use crate::{
    site::{Answer, Site, row},
    validations::SUITE,
};
use axum::http::{HeaderName, Method, StatusCode, header};
use quality::suite::Suite;
use serde_json::{Value, json};
use server::{
    alert::NotifyOn,
    checkpoint::{Checkpoint, built_in},
    store::AuditRow,
};
use std::time::Duration;

const TOKEN: &str = "a-token-of-some-length";
const BEARER: (HeaderName, &str) = (header::AUTHORIZATION, "Bearer a-token-of-some-length");
const JSON: (HeaderName, &str) = (header::CONTENT_TYPE, "application/json");

fn checkpoint(name: &str, table: &str) -> Checkpoint {
    Checkpoint {
        name: name.to_owned(),
        suite: Suite::parse(SUITE.as_bytes()).unwrap(),
        table: table.to_owned(),
        every: None,
        notify_on: NotifyOn::Failure,
        owner: None,
    }
}

/// With the built-in checkpoint, one of a table by hand, and one of a table that is not there.
async fn site() -> Site {
    let mut checkpoints = built_in().unwrap().list;
    checkpoints.extend([checkpoint("prices / all", "public.source_stock"), checkpoint("nowhere", "no_such_table")]);
    Site::start().await.controlled_by(TOKEN).with_checkpoints(checkpoints)
}

async fn order(site: &Site, headers: &[(HeaderName, &str)], checkpoint: &str) -> Answer {
    let body = json!({ "checkpoint": checkpoint }).to_string();
    site.send(Method::POST, "/api/v1/validations", &[headers, &[JSON]].concat(), &body).await
}

async fn trail(site: &Site) -> Vec<String> {
    let rows: Vec<AuditRow> = site.store().list_audit(None, 1_000).await.unwrap();
    rows.into_iter().rev().map(|row| format!("{} {} {}", row.action, row.subject, row.outcome)).collect()
}

#[tokio::test]
async fn a_run_on_demand_answers_with_the_run_and_leaves_a_row() {
    let site = site().await;
    site.insert(&[row("AMZN", "2024-01-16T14:31:00Z", "153.5")]).await;
    let answer = order(&site, &[BEARER], "prices / all").await;
    assert_eq!((answer.status, answer.header(header::LOCATION)), (StatusCode::CREATED, "/api/v1/validations/1"));
    let run: Value = answer.json();
    assert_eq!((&run["suite"], &run["asset"]), (&json!("prices & volumes"), &json!("source_stock")));
    assert_eq!((&run["cause"], &run["evaluated"], &run["success"]), (&json!("demand"), &json!(3), &json!(false)));
    let recorded: Value = site.get("/api/v1/validations/1").await.ok();
    assert_eq!(recorded["result"]["results"][0]["result"]["observed_value"], 1);

    let all: Value = site.get("/api/v1/checkpoints").await.ok();
    let last: Vec<&Value> = all["checkpoints"].as_array().unwrap().iter().map(|one| &one["last_run"]).collect();
    assert_eq!(last, [&Value::Null, &run, &Value::Null], "by suite and table, however the table is written");
    let one: Value = site.get("/api/v1/checkpoints/prices%20%2F%20all").await.ok();
    assert_eq!(one, all["checkpoints"][1]);
    assert_eq!(
        (&one["running_since"], &one["next_run_at"], &one["trouble"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(trail(&site).await, ["validation.run prices / all done"]);
}

#[tokio::test]
async fn what_a_run_did_not_expect_is_named_by_its_row_as_great_expectations_names_it() {
    let site = site().await;
    site.insert(&[row("AMZN", "2024-01-16T14:31:00Z", "153.5"), row("AAPL", "2024-01-16T14:32:00Z", "-2.25")]).await;
    order(&site, &[BEARER], "prices / all").await;
    let run: Value = site.get("/api/v1/validations/1").await.ok();
    let result = &run["result"]["results"][1]["result"];
    assert_eq!(result["unexpected_index_column_names"], json!(["record_id", "symbol", "time"]));
    assert_eq!(
        result["partial_unexpected_index_list"],
        json!([{ "close": -2.25, "record_id": 2, "symbol": "AAPL", "time": "2024-01-16T14:32:00Z" }])
    );
    let page = site.get("/quality/runs/1").await.text();
    assert!(page.contains("/dashboard?a=AAPL#AAPL@2024-01-16T14:32Z"), "{page}");
}

#[tokio::test]
async fn only_the_token_orders_a_run_and_a_refusal_says_why() {
    let site = site().await;
    order(&site, &[], "bars").await.is_problem(StatusCode::UNAUTHORIZED, "unauthorized");
    let problem = order(&site, &[BEARER], "bats").await.problem(StatusCode::NOT_FOUND, "unknown_checkpoint");
    assert!(problem["detail"].as_str().unwrap().contains("/api/v1/checkpoints"), "{problem}");
    order(&site, &[BEARER], "a\0b").await.is_problem(StatusCode::NOT_FOUND, "unknown_checkpoint");
    for (body, status, code) in [
        ("", StatusCode::BAD_REQUEST, "invalid_parameter"),
        (r#"{"checkpoint":7}"#, StatusCode::BAD_REQUEST, "invalid_parameter"),
        (r#"{"checkpoint":"bars","table":"x"}"#, StatusCode::BAD_REQUEST, "invalid_parameter"),
    ] {
        let answer = site.send(Method::POST, "/api/v1/validations", &[BEARER, JSON], body).await;
        answer.is_problem(status, code);
    }
    let problem = order(&site, &[BEARER], "nowhere").await.problem(StatusCode::CONFLICT, "unknown_table");
    assert!(problem["detail"].as_str().unwrap().contains("no_such_table"), "{problem}");
    let nowhere: Value = site.get("/api/v1/checkpoints/nowhere").await.ok();
    assert_eq!(nowhere["trouble"], "there is no table or view no_such_table");
    assert_eq!(site.get("/api/v1/validations").await.ok::<Value>()["runs"], json!([]), "nothing was run");
    assert_eq!(
        trail(&site).await,
        [
            "validation.run bars refused",
            "validation.run unknown refused",
            "validation.run unknown refused",
            "validation.run unknown refused",
            "validation.run unknown refused",
            "validation.run unknown refused",
            "validation.run nowhere done",
            "validation.run nowhere failed",
        ]
    );
    let closed = Site::start().await.with_checkpoints(built_in().unwrap().list);
    order(&closed, &[BEARER], "bars").await.is_problem(StatusCode::FORBIDDEN, "control_off");
}

#[tokio::test]
async fn a_run_that_takes_long_goes_on_by_itself_and_is_not_begun_twice() {
    let site = site().await;
    let mut holder = site.store().pool().begin().await.unwrap();
    sqlx::query("lock table stock in access exclusive mode").execute(&mut *holder).await.unwrap();
    let at_once = [BEARER, (HeaderName::from_static("prefer"), "respond-async, wait=9")];
    let answer = order(&site, &at_once, "prices / all").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    let place = answer.header(header::LOCATION).to_owned();
    let begun: Value = answer.json();
    assert!(begun["running_since"].is_string() && begun["last_run"].is_null(), "{begun}");
    order(&site, &[BEARER], "prices / all").await.is_problem(StatusCode::CONFLICT, "already_running");
    let page = site.get("/quality").await.text();
    assert!(page.contains("not yet run") && page.contains("running since"), "{page}");

    holder.rollback().await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let now: Value = site.get(&place).await.ok();
            if now["running_since"].is_null() {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let ended = ended.await.expect("it ends when the table is free");
    assert_eq!(ended["last_run"]["cause"], "demand", "{ended}");
}

#[tokio::test]
async fn a_suite_that_never_ran_is_there_with_what_it_expects_and_how_to_run_it() {
    let site = site().await;
    let overview = site.get("/quality").await.text();
    assert!(
        overview.contains("not yet run") && overview.contains("/quality/suites/prices%20%26%20volumes"),
        "{overview}"
    );
    let suite = site.get("/quality/suites/prices%20%26%20volumes").await;
    assert_eq!(suite.status, StatusCode::OK);
    let html = suite.text();
    for expected in
        ["It was not run yet.", "close", "Run prices / all now", "stockstream checkpoint run", "only on demand"]
    {
        assert!(html.contains(expected), "{expected:?} is not in {html}");
    }
    order(&site, &[BEARER], "prices / all").await;
    let html = site.get("/quality/suites/prices%20%26%20volumes").await.text();
    assert!(html.contains("in its newest run") && html.contains("Run prices / all now"), "{html}");
    let closed = Site::start().await.with_checkpoints(built_in().unwrap().list);
    let html = closed.get("/quality/suites/bars").await.text();
    assert!(html.contains("This page takes no orders") && !html.contains("Run bars now"), "{html}");
}
