//! The pipeline's page as the server renders it, and what it is rendered from.

use crate::site::Site;
use axum::http::{Method, StatusCode, header};
use serde_json::{Value, json};
use server::{
    pipeline::{Hop, PartitionState, Phase},
    store::PartitionKey,
};
use std::time::Duration;

const TOKEN: &str = "a-token-of-sixteen-or-more";
const BEARER: &str = "Bearer a-token-of-sixteen-or-more";

async fn site() -> Site {
    let site = Site::start().await.controlled_by(TOKEN);
    site.pipeline.enter(Phase::Assigned);
    let key = PartitionKey { topic: "t".to_owned(), partition: 0 };
    site.pipeline.partition(&key, |partition| partition.enter(PartitionState::Running, None));
    sqlx::raw_sql(
        "insert into topic (name) values ('t');
         insert into kafka_offset (topic_id, partition, next_offset, last_hash, consumed, applied, late, duplicate, deleted,
             control, quarantined, tagged, fence, updated_at)
         select topic_id, 0, 4321, 1, 4321, 4300, 1, 2, 3, 4, 11, 5, 7, now() from topic",
    )
    .execute(site.store().pool())
    .await
    .unwrap();
    site
}

#[tokio::test]
async fn the_answer_tells_of_hops_and_of_orders_but_not_of_who_gave_them() {
    let site = site().await;
    site.pipeline.hops().record(Hop::Store, Duration::from_micros(1_500), 8);
    for order in ["pause", "resume"] {
        let path = format!("/api/v1/pipeline/{order}");
        assert_eq!(site.ask(Method::POST, &path, &[(header::AUTHORIZATION, BEARER)]).await.status, StatusCode::OK);
        assert_eq!(site.ask(Method::POST, &path, &[]).await.status, StatusCode::UNAUTHORIZED);
    }
    let answer: Value = site.get("/api/v1/pipeline").await.ok();
    let hops = answer["hops"].as_array().unwrap();
    let names: Vec<_> = hops.iter().map(|hop| hop["hop"].as_str().unwrap()).collect();
    assert_eq!(names, ["capture", "fetch", "decode", "check", "store", "publish", "whole"]);
    assert_eq!(hops[4]["since_start"], json!({ "count": 8, "p50_us": 1_535, "p99_us": 1_535 }));
    assert_eq!(hops[0]["last_minute"], Value::Null);
    let orders = answer["orders"].as_array().unwrap();
    let words = |order: &Value| format!("{} {}", order["order"].as_str().unwrap(), order["subject"].as_str().unwrap());
    let given: Vec<_> = orders.iter().map(words).collect();
    assert_eq!(given, ["resume all", "pause all"], "the newest first, and only those that were taken");
    assert!(orders.iter().all(|order| order.get("actor").is_none()), "{orders:?}");
    assert_eq!(answer["partitions"][0]["fence"], 7);
}

#[tokio::test]
async fn the_page_is_useful_without_a_script() {
    let site = site().await;
    site.pipeline.hops().record(Hop::Decode, Duration::from_micros(7), 3);
    let answer = site.get("/pipeline?theme=dark").await;
    assert_eq!(answer.status, StatusCode::OK);
    let html = answer.text();
    for expected in
        ["RUNNING", "7\u{a0}µs", "4\u{2009}321", "It adds up in every partition", "t[0]", "this server process"]
    {
        assert!(html.contains(expected), "{expected}");
    }
    assert!(html.contains("href=\"/quarantine?theme=dark\""), "refused records are one step away");
    assert!(!html.contains(" style=\""), "an inline style");
    let without_token = Site::start().await.get("/pipeline").await.text();
    assert!(without_token.contains("--control-token") && !without_token.contains("type=\"password\""));
    assert!(without_token.contains("No partition is being read."));
}
