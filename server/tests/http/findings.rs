//! Findings and rules, asked for.

use crate::site::Site;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use market::Severity;
use quality::pack::{Found, PackRule};
use serde_json::{Value, json};
use server::store::FoundAt;
use uuid::Uuid;

fn at(minute: i64) -> DateTime<Utc> {
    "2024-01-16T14:30:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minute)
}

/// Six findings at six minutes, by turns of AMZN and AAPL, the last of no symbol.
pub async fn fill(site: &Site) {
    let store = site.store();
    let ids: Vec<i32> =
        sqlx::query_scalar("insert into symbol (symbol) values ('AMZN'), ('AAPL') on conflict (symbol) do update set symbol = excluded.symbol returning symbol_id")
            .fetch_all(store.pool())
            .await
            .unwrap();
    let mut step = store.begin_pack_step(Uuid::new_v4()).await.unwrap().unwrap();
    let rules =
        [PackRule::Gap, PackRule::ScaleError, PackRule::Gap, PackRule::FrozenPrice, PackRule::Gap, PackRule::RowCount];
    let found = |(minute, rule): (usize, PackRule)| {
        let time = at(minute as i64);
        let symbol_id = if rule == PackRule::RowCount { 0 } else { ids[minute % 2] };
        let found = Found {
            rule,
            severity: rule.severity(),
            time,
            observed: Some(format!("number {minute}")),
            expected: None,
            text: format!("Finding {minute}."),
        };
        ((symbol_id, time, rule), found)
    };
    let found: FoundAt = rules.into_iter().enumerate().map(found).collect();
    step.find(&found, at(60)).await.unwrap();
    step.finish(0).await.unwrap();
    sqlx::query("update finding set resolved_at = $1 where rule = 'frozen_price'")
        .bind(at(61))
        .execute(store.pool())
        .await
        .unwrap();
}

fn texts(page: &Value) -> Vec<&str> {
    page["findings"].as_array().unwrap().iter().map(|finding| finding["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn findings_are_listed_newest_minute_first_by_symbol_rule_severity_and_time() {
    let site = Site::start().await;
    let nothing: Value = site.get("/api/v1/findings").await.ok();
    assert_eq!(nothing, json!({ "findings": [], "next_cursor": null }));
    fill(&site).await;
    for (query, expected) in [
        ("", vec![5, 4, 2, 1, 0]),
        ("resolved=true", vec![5, 4, 3, 2, 1, 0]),
        ("symbol=AMZN", vec![4, 2, 0]),
        ("symbol=NVDA", vec![]),
        ("rule=gap", vec![4, 2, 0]),
        ("severity=critical", vec![5, 1]),
        ("from=2024-01-16T14:32:00Z&to=2024-01-16T14:35:00Z", vec![4, 2]),
        ("from=2024-01-17", vec![]),
    ] {
        let page: Value = site.get(&format!("/api/v1/findings?{query}")).await.ok();
        let expected: Vec<String> = expected.iter().map(|number| format!("Finding {number}.")).collect();
        assert_eq!(texts(&page), expected, "{query}");
    }
    let page: Value = site.get("/api/v1/findings?rule=scale_error").await.ok();
    let finding = &page["findings"][0];
    assert_eq!((&finding["symbol"], &finding["severity"]), (&json!("AAPL"), &json!(Severity::Critical.as_str())));
    let page: Value = site.get("/api/v1/findings?rule=row_count").await.ok();
    assert_eq!(page["findings"][0]["symbol"], Value::Null);
}

#[tokio::test]
async fn pages_follow_each_other_and_a_cursor_fits_its_question_only() {
    let site = Site::start().await;
    fill(&site).await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page: Value = site.get(&format!("/api/v1/findings?limit=2&cursor={cursor}")).await.ok();
        seen.extend(texts(&page).into_iter().map(str::to_owned));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ["Finding 5.", "Finding 4.", "Finding 2.", "Finding 1.", "Finding 0."]);
    for query in [
        format!("limit=2&rule=gap&cursor={cursor}"),
        "cursor=x".to_owned(),
        "rule=envelope".to_owned(),
        "severity=bad".to_owned(),
        "symbol=amzn".to_owned(),
        "from=yesterday".to_owned(),
        "limit=0".to_owned(),
    ] {
        let answer = site.get(&format!("/api/v1/findings?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn every_rule_is_listed_with_what_to_do() {
    let site = Site::start().await;
    let list: Value = site.get("/api/v1/rules").await.ok();
    let rules = list["rules"].as_array().unwrap();
    assert_eq!(rules.len(), quality::Rule::ALL.len() + PackRule::ALL.len());
    let gap = rules.iter().find(|rule| rule["code"] == "gap").unwrap();
    assert_eq!(
        (&gap["scope"], &gap["severity"], &gap["configurable"]),
        (&json!("bars"), &json!("warning"), &json!(true))
    );
    assert!(rules.iter().all(|rule| rule["remedy"].as_str().is_some_and(|text| text.ends_with('.'))));
}
