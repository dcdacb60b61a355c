//! Refused records over HTTP: pages, filters, bytes.

use crate::site::Site;
use axum::http::StatusCode;
use serde_json::{Value, json};

const VALUE: &str = "{\"before\":null";

/// Records at offsets 0 to 9, a second apart: even ones broken, odd ones refused by a rule; some decided.
async fn fill(site: &Site) {
    sqlx::raw_sql(
        "insert into topic (name) values ('t.stock');
         insert into quarantine (topic_id, incarnation, partition, \"offset\", received_at, timestamp_ms, key, value,
            headers, stage, codes, reason, rule_version)
         select topic_id, 1, n % 2, n, timestamptz '2024-01-16 14:30:00Z' + n * interval '1 second', 1705415400000 + n,
            convert_to('{\"record_id\":' || n || '}', 'UTF8'),
            case n when 0 then null when 2 then '\\xff00'::bytea else convert_to('{\"before\":null', 'UTF8') end,
            convert_to('[[\"id\",\"7\"],[\"Authorization\",\"Bearer hunter2\"],[\"raw\",{\"base64\":\"/w==\"}]]', 'UTF8'),
            case n % 2 when 0 then 'decode' else 'rules' end,
            case n % 2 when 0 then array['not_json'] else array['envelope', 'session_minute'] end, 'because', 1
         from topic, generate_series(0, 9) n;
         update quarantine set resolution = 'redriven', outcome = 'late', resolved_at = now(), resolved_by = 'x',
            effect_incarnation = 1, effect_offset = 20 where \"offset\" = 8;
         update quarantine set resolution = 'refused_again', attempts = 2 where \"offset\" = 7;
         update quarantine set resolution = 'dismissed', resolved_at = now(), resolved_by = 'x', note = 'seen'
            where \"offset\" = 6;
         insert into quarantine select topic_id, 2, partition, \"offset\", received_at, timestamp_ms, key, value, headers,
            stage, codes, 'again', rule_version from quarantine where \"offset\" = 3",
    )
    .execute(site.store().pool())
    .await
    .unwrap();
}

fn offsets(page: &Value) -> Vec<i64> {
    page["records"].as_array().unwrap().iter().map(|record| record["offset"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn refused_records_are_listed_newest_first_page_by_page() {
    let site = Site::start().await;
    assert_eq!(site.get("/api/v1/quarantine").await.ok::<Value>(), json!({ "records": [], "next_cursor": null }));
    fill(&site).await;
    for (query, expected) in [
        ("", vec![9, 7, 5, 4, 3, 3, 2, 1, 0]),
        ("state=all", vec![9, 8, 7, 6, 5, 4, 3, 3, 2, 1, 0]),
        ("state=redriven", vec![8]),
        ("state=refused_again&topic=t.stock", vec![7]),
        ("code=session_minute&partition=1", vec![9, 7, 5, 3, 3, 1]),
        ("stage=decode&since=2024-01-16T14:30:03Z", vec![4]),
        ("topic=another", vec![]),
    ] {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page: Value = site.get(&format!("/api/v1/quarantine?{query}&limit=2&cursor={cursor}")).await.ok();
            found.extend(offsets(&page));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(found, expected, "{query}");
    }
    let page: Value = site.get("/api/v1/quarantine?limit=1").await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();
    let path = format!("/api/v1/quarantine?limit=1&state=all&cursor={cursor}");
    let body = site.get(&path).await.problem(StatusCode::BAD_REQUEST, "invalid_parameter");
    assert_eq!(body["errors"][0]["parameter"], "cursor");
    let path = "/api/v1/quarantine?topic=a%20b&partition=x&code=A&state=lost&limit=0&since=never&cursor=x&colour=red";
    let body = site.get(path).await.problem(StatusCode::BAD_REQUEST, "invalid_parameter");
    assert_eq!(body["errors"].as_array().unwrap().len(), 8, "{body}");
}

#[tokio::test]
async fn a_refused_record_shows_what_arrived_and_no_secrets() {
    let site = Site::start().await;
    fill(&site).await;
    let record: Value = site.get("/api/v1/quarantine/t.stock/1/1").await.ok();
    assert_eq!(record["codes"], json!(["envelope", "session_minute"]));
    assert_eq!(record["timestamp"], "2024-01-16T14:30:00.001Z");
    assert_eq!(record["value"], json!({ "base64": "eyJiZWZvcmUiOm51bGw=", "text": VALUE }));
    assert_eq!(record["value_bytes"], VALUE.len());
    assert_eq!(record["headers"], json!([["id", "7"], ["Authorization", "***"], ["raw", { "base64": "/w==" }]]));
    let binary: Value = site.get("/api/v1/quarantine/t.stock/0/2").await.ok();
    assert_eq!(binary["value"], json!({ "base64": "/wA=", "text": null }));
    assert_eq!(site.get("/api/v1/quarantine/t.stock/0/0").await.ok::<Value>()["value"], Value::Null);

    let incarnation = |path: &'static str| {
        let site = &site;
        async move { site.get(path).await.ok::<Value>()["incarnation"].clone() }
    };
    assert_eq!(incarnation("/api/v1/quarantine/t.stock/1/3").await, 2, "the newest");
    assert_eq!(incarnation("/api/v1/quarantine/t.stock/1/3?incarnation=1").await, 1);
    for path in ["t.stock/1/3?incarnation=3", "t.stock/0/99", "nope/0/1"] {
        site.get(&format!("/api/v1/quarantine/{path}")).await.is_problem(StatusCode::NOT_FOUND, "not_quarantined");
    }
    let body = site.get("/api/v1/quarantine/t/x/y").await.problem(StatusCode::BAD_REQUEST, "invalid_parameter");
    assert_eq!(body["errors"].as_array().unwrap().len(), 2);
}
