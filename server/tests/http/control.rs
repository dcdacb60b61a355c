//! Orders for the pipeline: who may give them, what they do, and what stays of them.

use crate::site::{Answer, Site};
use axum::http::{HeaderName, Method, StatusCode, header};
use serde_json::{Value, json};
use server::{
    pipeline::{PartitionState, Phase},
    store::{AuditOutcome, AuditRow, PartitionKey},
};

const TOKEN: &str = "a-token-of-some-length";
const BEARER: (HeaderName, &str) = (header::AUTHORIZATION, "Bearer a-token-of-some-length");
const JSON: (HeaderName, &str) = (header::CONTENT_TYPE, "application/json");

/// A site with two running partitions and an open gate.
async fn site() -> Site {
    let site = Site::start().await.controlled_by(TOKEN);
    site.pipeline.enter(Phase::Assigned);
    for partition in [0, 1] {
        let key = PartitionKey { topic: "t".to_owned(), partition };
        site.pipeline.partition(&key, |partition| partition.enter(PartitionState::Running, None));
    }
    site
}

async fn order(site: &Site, order: &str, headers: &[(HeaderName, &str)], body: &str) -> Answer {
    site.send(Method::POST, &format!("/api/v1/pipeline/{order}"), headers, body).await
}

async fn audit(site: &Site) -> Vec<AuditRow> {
    site.store().list_audit(None, 1_000).await.unwrap()
}

#[tokio::test]
async fn without_a_token_control_is_off_and_says_how_to_switch_it_on() {
    let site = Site::start().await;
    for headers in [&[][..], &[BEARER]] {
        let problem = order(&site, "pause", headers, "").await.problem(StatusCode::FORBIDDEN, "control_off");
        assert!(problem["detail"].as_str().unwrap().contains("--control-token"), "{problem}");
        site.ask(Method::GET, "/api/v1/audit", headers).await.is_problem(StatusCode::FORBIDDEN, "control_off");
    }
    assert_eq!(audit(&site).await, []);
    assert_eq!(site.get("/api/v1/pipeline").await.ok::<Value>()["control"], false);
}

#[tokio::test]
async fn an_order_takes_the_token_and_leaves_a_row() {
    let site = site().await;
    let refused = order(&site, "pause", &[], "").await;
    assert_eq!(refused.header(header::WWW_AUTHENTICATE), "Bearer realm=\"stockstream\"");
    refused.is_problem(StatusCode::UNAUTHORIZED, "unauthorized");
    let wrong = [(header::AUTHORIZATION, "Bearer a-token-of-some-lengtH")];
    order(&site, "drain", &wrong, "").await.is_problem(StatusCode::UNAUTHORIZED, "unauthorized");
    let elsewhere = [BEARER, (header::HOST, "stocks.example"), (header::ORIGIN, "https://evil.example")];
    order(&site, "pause", &elsewhere, "").await.is_problem(StatusCode::FORBIDDEN, "wrong_origin");

    let taken: Value = order(&site, "pause", &[BEARER], "").await.ok();
    assert_eq!((&taken["changed"], &taken["pipeline"]["control"]), (&json!(true), &json!(true)));
    assert_eq!(order(&site, "pause", &[BEARER], "").await.ok::<Value>()["changed"], false);
    assert_eq!(order(&site, "resume", &[BEARER, JSON], "{}").await.ok::<Value>()["changed"], true);
    assert_eq!(order(&site, "drain", &[BEARER], "").await.ok::<Value>()["changed"], true);
    assert_eq!(order(&site, "start", &[BEARER], "").await.ok::<Value>()["changed"], true);

    let rows: Vec<(String, String, String)> =
        audit(&site).await.into_iter().rev().map(|row| (row.actor, row.action, row.outcome)).collect();
    let row = |actor: &str, action: &str, outcome: &str| (actor.to_owned(), action.to_owned(), outcome.to_owned());
    assert_eq!(
        rows,
        [
            row("anonymous", "pipeline.pause", "refused"),
            row("anonymous", "pipeline.drain", "refused"),
            row("anonymous", "pipeline.pause", "refused"),
            row("token", "pipeline.pause", "done"),
            row("token", "pipeline.pause", "done"),
            row("token", "pipeline.resume", "done"),
            row("token", "pipeline.drain", "done"),
            row("token", "pipeline.start", "done"),
        ]
    );
    let listed: Vec<AuditRow> = site.ask(Method::GET, "/api/v1/audit?limit=2", &[BEARER]).await.ok();
    assert_eq!(listed, audit(&site).await[..2]);
    let next: Vec<AuditRow> =
        site.ask(Method::GET, &format!("/api/v1/audit?before={}", listed[1].audit_id), &[BEARER]).await.ok();
    assert_eq!(next, audit(&site).await[2..]);
    site.get("/api/v1/audit").await.is_problem(StatusCode::UNAUTHORIZED, "unauthorized");
}

#[tokio::test]
async fn nothing_changes_by_get() {
    let site = site().await;
    for path in ["pause", "resume", "start", "drain"] {
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
            let answer = site.ask(method.clone(), &format!("/api/v1/pipeline/{path}"), &[BEARER]).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(answer.header(header::ALLOW), "POST", "{method} {path}");
        }
    }
    assert_eq!(audit(&site).await, []);
    assert_eq!(order(&site, "pause", &[BEARER], "").await.ok::<Value>()["changed"], true, "nothing was paused before");
}

#[tokio::test]
async fn an_order_may_be_about_one_topic_or_one_partition() {
    let site = site().await;
    let one = r#"{"topic":"t","partition":1}"#;
    assert_eq!(order(&site, "pause", &[BEARER, JSON], one).await.ok::<Value>()["changed"], true);
    assert_eq!(order(&site, "pause", &[BEARER, JSON], one).await.ok::<Value>()["changed"], false);
    let topic = r#"{"topic":"t"}"#;
    assert_eq!(order(&site, "pause", &[BEARER, JSON], topic).await.ok::<Value>()["changed"], true, "the other one");
    assert_eq!(order(&site, "resume", &[BEARER, JSON], topic).await.ok::<Value>()["changed"], true);
    let subjects: Vec<String> = audit(&site).await.into_iter().map(|row| row.subject).collect();
    assert_eq!(subjects, ["t", "t", "t[1]", "t[1]"]);

    for (body, status, code) in [
        (r#"{"topic":"t","partition":9}"#, StatusCode::NOT_FOUND, "unknown_partition"),
        (r#"{"topic":"u"}"#, StatusCode::NOT_FOUND, "unknown_partition"),
        (r#"{"partition":0}"#, StatusCode::BAD_REQUEST, "invalid_parameter"),
        (r#"{"topic":"a\u0000b"}"#, StatusCode::BAD_REQUEST, "invalid_parameter"),
        (r#"{"topik":"t"}"#, StatusCode::BAD_REQUEST, "invalid_parameter"),
        (r#"{"topic":"t""#, StatusCode::BAD_REQUEST, "invalid_parameter"),
        ("[]", StatusCode::BAD_REQUEST, "invalid_parameter"),
    ] {
        order(&site, "pause", &[BEARER, JSON], body).await.is_problem(status, code);
        assert_eq!(audit(&site).await[0].outcome, AuditOutcome::Refused.as_str(), "{body}");
    }
    order(&site, "drain", &[BEARER, JSON], topic).await.is_problem(StatusCode::BAD_REQUEST, "invalid_parameter");
    let form = [BEARER, (header::CONTENT_TYPE, "text/plain")];
    let refused = order(&site, "pause", &form, one).await;
    refused.is_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type");
    assert_eq!(refused.header(header::CACHE_CONTROL), "no-store");
    order(&site, "explode", &[BEARER], "").await.is_problem(StatusCode::NOT_FOUND, "not_found");
    assert_eq!(
        order(&site, "resume", &[BEARER], "").await.ok::<Value>()["changed"],
        false,
        "none of these did anything"
    );
}

#[tokio::test]
async fn guessing_a_token_fills_no_table() {
    let site = site().await;
    for guess in 0..200 {
        let guess = format!("Bearer guess-number-{guess:05}");
        let answer = order(&site, "drain", &[(header::AUTHORIZATION, &guess)], "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let rows = audit(&site).await;
    assert!((20..40).contains(&rows.len()), "{} rows", rows.len());
    assert!(rows.iter().all(|row| !format!("{row:?}").contains("guess-number")), "{rows:?}");
    assert_eq!(order(&site, "pause", &[BEARER], "").await.ok::<Value>()["changed"], true, "the right one still works");
}

#[tokio::test]
async fn an_order_that_cannot_be_recorded_is_not_carried_out() {
    let site = site().await;
    sqlx::raw_sql("alter table audit rename to elsewhere").execute(site.store().pool()).await.unwrap();
    order(&site, "pause", &[BEARER], "").await.is_problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable");
    sqlx::raw_sql("alter table elsewhere rename to audit").execute(site.store().pool()).await.unwrap();
    assert_eq!(order(&site, "pause", &[BEARER], "").await.ok::<Value>()["changed"], true, "it was not paused before");
}

#[tokio::test]
async fn the_audit_trail_cannot_be_changed() {
    let site = site().await;
    order(&site, "pause", &[BEARER], "").await.ok::<Value>();
    for change in ["update audit set actor = 'nobody'", "delete from audit"] {
        let refused = sqlx::query(sqlx::AssertSqlSafe(change)).execute(site.store().pool()).await.unwrap_err();
        assert!(refused.to_string().contains("the audit trail is only added to"), "{refused}");
    }
    assert_eq!(audit(&site).await.len(), 1);
}

#[tokio::test]
async fn the_pipeline_shows_partitions_reasons_and_the_conservation_of_records() {
    let site = site().await;
    let key = PartitionKey { topic: "t".to_owned(), partition: 1 };
    site.pipeline.partition(&key, |partition| {
        partition.enter(PartitionState::PausedByFloodGuard, Some("100 in a row were refused".to_owned()));
        partition.expired = 3;
    });
    sqlx::raw_sql(
        "insert into topic (name) values ('t');
         insert into kafka_offset (topic_id, partition, next_offset, last_hash, consumed, applied, late, duplicate, deleted,
             control, quarantined, tagged, updated_at)
         select topic_id, partition, 21, 1, 21, 11, 1, 2, 3, 3, 1, 4, now() from topic, unnest(array[0, 2]) as partition",
    )
    .execute(site.store().pool())
    .await
    .unwrap();
    let pipeline: Value = site.get("/api/v1/pipeline").await.ok();
    assert_eq!(pipeline["state"], "running");
    assert_eq!(pipeline["message"], "t[1]: 100 in a row were refused");
    let partitions = pipeline["partitions"].as_array().unwrap();
    assert_eq!(partitions.iter().map(|p| p["partition"].as_i64().unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(partitions[0]["state"], "running");
    let counts = &partitions[0]["counts"];
    assert_eq!((&counts["consumed"], &counts["applied"], &counts["holds"]), (&json!(21), &json!(11), &json!(true)));
    assert_eq!((&partitions[1]["state"], &partitions[1]["expired"]), (&json!("paused_by_flood_guard"), &json!(3)));
    assert_eq!(partitions[1]["counts"], Value::Null);
    assert_eq!((&partitions[2]["state"], &partitions[2]["next_offset"]), (&Value::Null, &json!(21)), "another's");
}
