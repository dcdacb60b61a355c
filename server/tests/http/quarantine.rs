//! Refused records over HTTP: pages, filters, bytes.

use crate::site::Site;
use axum::http::{HeaderName, Method, StatusCode, header};
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
    let path =
        "/api/v1/quarantine?topic=a%20b&partition=x&code=A%20b&state=lost&limit=0&since=never&cursor=x&colour=red";
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

    let codes: Vec<&str> =
        record["explanation"].as_array().unwrap().iter().map(|e| e["code"].as_str().unwrap()).collect();
    assert_eq!((codes, &record["acceptable"]), (vec!["envelope", "session_minute"], &json!(false)));
    assert_eq!(record["explanation"][0]["found"], json!(["because"]), "its bytes tell nothing of this code");

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

#[tokio::test]
async fn the_pages_show_the_same_records_without_a_script() {
    let site = Site::start().await;
    let empty = site.get("/quarantine").await.text();
    assert!(empty.contains("No open records.") && empty.contains("Nothing waits for a decision."), "{empty}");
    fill(&site).await;
    let list = site.get("/quarantine").await.text();
    assert!(list.contains("9 open records.") && !list.contains("t.stock[0]@8"), "{list}");
    assert!(!list.contains(" style="), "no inline style");
    let narrow = site.get("/quarantine?state=redriven&theme=dark").await.text();
    assert!(narrow.contains("t.stock[0]@8") && narrow.contains("REDRIVEN, late") && !narrow.contains("t.stock[1]@9"));
    assert!(narrow.contains("/quarantine/t.stock/0/8?incarnation=1&amp;theme=dark"), "{narrow}");
    let none = site.get("/quarantine?code=no_such_code").await.text();
    assert!(none.contains("No record is all of this."), "{none}");
    let wrong = site.get("/quarantine?code=%3Cscript%3E").await.text();
    assert!(wrong.contains("This address cannot be understood: code: must be a code") && !wrong.contains("<script>\""));

    let record = site.get("/quarantine/t.stock/1/1?incarnation=1").await;
    assert_eq!(record.status, StatusCode::OK);
    let record = record.text();
    for part in
        ["Open and close lie between low and high.", "because", "{&quot;before&quot;:null", "***", "Nobody has decided"]
    {
        assert!(record.contains(part) || record.contains(&part.replace("&quot;", "\"")), "{part}: {record}");
    }
    assert!(!record.contains("hunter2"));
    let bytes = site.get("/quarantine/t.stock/0/2").await.text();
    assert!(bytes.contains("000000  ff 00"), "{bytes}");
    let dismissed = site.get("/quarantine/t.stock/0/6").await.text();
    assert!(dismissed.contains("It was dismissed by x, ") && dismissed.contains("seen"), "{dismissed}");
    for path in ["t.stock/0/99", "t.stock/x/y", "t.stock/0/1?incarnation=z"] {
        let answer = site.get(&format!("/quarantine/{path}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.text().contains("This record is not in quarantine."), "{path}");
    }
}

#[tokio::test]
async fn a_long_list_is_walked_by_its_links() {
    let site = Site::start().await;
    fill(&site).await;
    sqlx::raw_sql(
        "insert into quarantine (topic_id, incarnation, partition, \"offset\", received_at, headers, stage, codes, reason,
            rule_version)
         select topic_id, 1, 2, n, timestamptz '2024-01-17 14:30:00Z' + n * interval '1 second', '[]', 'decode',
            array['not_json'], 'because', 1
         from topic, generate_series(0, 59) n",
    )
    .execute(site.store().pool())
    .await
    .unwrap();
    let mut path = "/quarantine?stage=decode".to_owned();
    let mut found = 0;
    for page in 0.. {
        assert!(page < 3, "{path}");
        let html = site.get(&path).await.text();
        found += html.matches("role=\"rowheader\"").count();
        let Some((before, _)) = html.split_once("Older records") else { break };
        let (_, link) = before.rsplit_once("href=\"").expect("it is a link");
        path = link.split('"').next().expect("its address").replace("&amp;", "&");
    }
    assert_eq!(found, 60 + 3, "every open record of the stage, once");
}

#[tokio::test]
async fn a_page_says_how_orders_are_enabled_and_takes_them_when_they_are() {
    let site = Site::start().await;
    fill(&site).await;
    for path in ["/quarantine", "/quarantine/t.stock/0/0"] {
        let html = site.get(path).await.text();
        assert!(
            html.contains("STOCKSTREAM_CONTROL_TOKEN") && html.contains("stockstream quarantine redrive"),
            "{html}"
        );
        assert!(!html.contains("type=\"password\""), "{html}");
    }
    let site = site.controlled_by("a-token-of-some-length");
    for path in ["/quarantine", "/quarantine/t.stock/0/0"] {
        let html = site.get(path).await.text();
        assert!(html.contains("type=\"password\"") && !html.contains("a-token-of-some-length"), "{html}");
    }
    let whole = site.get("/quarantine?stage=decode").await.text();
    assert!(!whole.contains("Another chance"), "a redrive cannot be told of stages");
}

#[tokio::test]
async fn a_copy_is_of_one_record_and_the_trail_can_be_asked_for_one() {
    const BEARER: (HeaderName, &str) = (header::AUTHORIZATION, "Bearer a-token-of-some-length");
    const JSON: (HeaderName, &str) = (header::CONTENT_TYPE, "application/json");
    let site = Site::start().await.controlled_by("a-token-of-some-length");
    fill(&site).await;
    let order = site.send(Method::POST, "/api/v1/quarantine/redrive", &[BEARER, JSON], r#"{"value":"{}"}"#).await;
    let body = order.problem(StatusCode::BAD_REQUEST, "invalid_parameter");
    assert_eq!(body["errors"][0]["parameter"], "value");

    let id = "t.stock[1]@5".parse().unwrap();
    let record = site.store().find_quarantined(&id).await.unwrap().unwrap().record;
    assert!(site.store().dismiss(&record, "seen", "x").await.unwrap());
    let trail = |query: &'static str| {
        let site = &site;
        async move { site.ask(Method::GET, &format!("/api/v1/audit?{query}"), &[BEARER]).await }
    };
    let of_record: Value = trail("record=t.stock%5B1%5D@5&incarnation=1").await.ok();
    assert_eq!((of_record.as_array().unwrap().len(), &of_record[0]["action"]), (1, &json!("quarantine.dismiss")));
    for other in ["record=t.stock%5B1%5D@3", "record=t.stock%5B1%5D@5&incarnation=2"] {
        assert_eq!(trail(other).await.ok::<Value>(), json!([]), "{other}");
    }
    let wrong = trail("record=t.stock&incarnation=0").await.problem(StatusCode::BAD_REQUEST, "invalid_parameter");
    assert_eq!(wrong["errors"].as_array().unwrap().len(), 2, "{wrong}");
}

#[tokio::test]
async fn a_record_is_dismissed_once_and_with_a_reason() {
    const TOKEN: &str = "a-token-of-some-length";
    let bearer: (HeaderName, &str) = (header::AUTHORIZATION, "Bearer a-token-of-some-length");
    let json_body: (HeaderName, &str) = (header::CONTENT_TYPE, "application/json");
    let site = Site::start().await.controlled_by(TOKEN);
    fill(&site).await;
    let order = |body: Value, headers: Vec<(HeaderName, &'static str)>| {
        let site = &site;
        async move { site.send(Method::POST, "/api/v1/quarantine/dismiss", &headers, &body.to_string()).await }
    };
    let record = json!({ "record": "t.stock[1]@1", "incarnation": 1, "note": "a test row\0" });
    order(record.clone(), vec![json_body.clone()]).await.is_problem(StatusCode::UNAUTHORIZED, "unauthorized");
    let all = || vec![bearer.clone(), json_body.clone()];
    let dismissed: Value = order(record.clone(), all()).await.ok();
    let resolution = &dismissed["resolution"];
    assert_eq!((&resolution["state"], &resolution["note"]), (&json!("dismissed"), &json!("a test row\u{fffd}")));
    assert_eq!(resolution["by"], "token");
    let again = order(record, all()).await.problem(StatusCode::CONFLICT, "already_decided");
    assert!(again["detail"].as_str().unwrap().contains("dismissed already"), "{again}");
    order(json!({ "record": "t.stock[1]@99", "note": "x" }), all())
        .await
        .is_problem(StatusCode::NOT_FOUND, "not_quarantined");
    for wrong in [
        json!({}),
        json!({ "record": "t.stock[1]@1" }),
        json!({ "record": "t.stock[1]@1", "note": " \n" }),
        json!({ "record": "x", "note": "y" }),
    ] {
        order(wrong, all()).await.is_problem(StatusCode::BAD_REQUEST, "invalid_parameter");
    }
    let trail: Value =
        site.ask(Method::GET, "/api/v1/audit?record=t.stock%5B1%5D%401", std::slice::from_ref(&bearer)).await.ok();
    let trail: Vec<_> =
        trail.as_array().unwrap().iter().map(|row| format!("{} {}", row["actor"], row["outcome"])).collect();
    assert_eq!(trail, ["\"token\" \"refused\"", "\"token\" \"done\"", "\"anonymous\" \"refused\""]);

    let page = site.get("/quarantine/t.stock/1/1?incarnation=1").await.text();
    assert!(page.contains("It was dismissed by token") && !page.contains("Dismiss it instead"), "{page}");
    let open = site.get("/quarantine/t.stock/0/2?incarnation=1").await.text();
    assert!(open.contains("Dismiss it instead") && open.contains("stockstream quarantine dismiss"), "{open}");
}
