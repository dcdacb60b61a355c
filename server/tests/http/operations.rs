//! What is the same for every caller: the description, outages, refusals, headers, files, counters.

use crate::site::{SCRIPT, Site};
use axum::http::{Method, StatusCode, header};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use server::{
    embedded::Postgres,
    http::PageBackend,
    pipeline::{PartitionState, Phase},
    store::PartitionKey,
};
use std::collections::BTreeSet;

#[tokio::test]
async fn the_document_describes_every_route_and_every_reference_resolves() {
    let site = Site::start().await;
    let answer = site.get("/api/openapi.json").await;
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/json");
    let document: Value = answer.ok();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    let paths: BTreeSet<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        paths,
        BTreeSet::from([
            "/api/v1/audit",
            "/api/v1/bars",
            "/api/v1/changes",
            "/api/v1/checkpoints",
            "/api/v1/checkpoints/{name}",
            "/api/v1/findings",
            "/api/v1/freshness",
            "/api/v1/bars/{symbol}/{time}/provenance",
            "/api/v1/latest",
            "/api/v1/pipeline",
            "/api/v1/pipeline/{order}",
            "/api/v1/quarantine",
            "/api/v1/quarantine/dismiss",
            "/api/v1/quarantine/redrive",
            "/api/v1/quarantine/{topic}/{partition}/{offset}",
            "/api/v1/rules",
            "/api/v1/snapshots",
            "/api/v1/stats",
            "/api/v1/stream",
            "/api/v1/symbols",
            "/api/v1/validations",
            "/api/v1/validations/suites",
            "/api/v1/validations/{run_id}",
            "/api/v1/validations/{run_id}/trends",
            "/api/v1/watchlist",
            "/apps.json",
            "/line/{n}",
            "/livez",
            "/metrics",
            "/readyz",
            "/stock",
            "/stock1",
            "/udf/config",
            "/udf/history",
            "/udf/marks",
            "/udf/quotes",
            "/udf/search",
            "/udf/symbols",
            "/udf/time",
            "/udf/timescale_marks",
            "/v2/stocks/bars",
            "/v2/stocks/bars/latest",
            "/v2/stocks/snapshots",
            "/v2/stocks/{symbol}/bars",
            "/v2/stocks/{symbol}/bars/latest",
            "/v2/stocks/{symbol}/snapshot",
            "/v2/{feed}",
            "/widgets.json",
        ])
    );
    let text = document.to_string();
    let references: BTreeSet<&str> =
        text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(references.contains("/components/schemas/Problem"), "{references:?}");
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let mut operations = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operations.insert(operation["operationId"].as_str().unwrap()), "{path}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].as_str().is_some_and(|text| text.len() > 5), "{path} {parameter}");
                assert!(parameter["schema"].is_object(), "{path} {parameter}");
            }
            // A documented route is a real one.
            let method = method.to_uppercase().parse().unwrap();
            let answer = site.ask(method, &path.replace("{n}", "0").replace("{order}", "pause"), &[]).await;
            let documented = &operation["responses"];
            assert!(documented[answer.status.as_str()].is_object(), "{path} answered {}", answer.status);
        }
    }
    let parameters = document["paths"]["/api/v1/bars"]["get"]["parameters"].as_array().unwrap();
    let parameter = |name: &str| parameters.iter().find(|parameter| parameter["name"] == name).unwrap();
    let limit = parameter("limit");
    assert_eq!((&limit["required"], &limit["schema"]["maximum"]), (&json!(false), &json!(10_000)), "{limit}");
    let sort = &parameter("sort")["schema"];
    assert_eq!((&sort["enum"], &sort["default"]), (&json!(["asc", "desc"]), &json!("asc")), "{sort}");
    assert_eq!(parameter("timeframe")["schema"]["default"], "1m");
    assert_eq!(parameter("start")["schema"]["oneOf"][0]["format"], "date-time");
}

#[tokio::test]
async fn readiness_names_what_is_missing() {
    let site = Site::start().await;
    assert_eq!(site.get("/livez").await.status, StatusCode::OK);
    let answer = site.get("/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let body: Value = answer.json();
    assert_eq!(body["dependencies"][0]["ready"], true);
    assert_eq!(body["dependencies"][1]["state"], "starting");

    site.pipeline.enter(Phase::Assigned);
    assert_eq!(site.get("/readyz").await.ok::<Value>()["ready"], true);

    let key = PartitionKey { topic: "t".to_owned(), partition: 0 };
    for state in [PartitionState::PausedByFloodGuard, PartitionState::PausedByOperator, PartitionState::Drained] {
        site.pipeline.partition(&PartitionKey { partition: 1, ..key.clone() }, |other| {
            other.enter(PartitionState::Running, None);
        });
        site.pipeline.partition(&key, |partition| partition.enter(state, Some("100 in a row".to_owned())));
        let answer = site.get("/readyz").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{state:?} is not ready");
        assert_eq!(answer.json::<Value>()["dependencies"][1]["reason"], "t[0]: 100 in a row");
    }
    site.pipeline.forget(&key);
    assert_eq!(site.get("/readyz").await.ok::<Value>()["ready"], true);

    site.pipeline.trouble(Some("Kafka does not answer".to_owned()));
    let answer = site.get("/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let body: Value = answer.json();
    assert_eq!(body["ready"], false);
    assert_eq!(body["dependencies"][1]["reason"], "Kafka does not answer");
    assert!(body["dependencies"][1]["since"].as_str().unwrap().parse::<DateTime<Utc>>().is_ok());
}

#[tokio::test]
async fn without_a_database_the_api_says_503_and_pages_still_answer() {
    use app::backend::Backend;
    let directory = tempfile::tempdir().unwrap();
    let postgres = Postgres::start(directory.path()).await.unwrap();
    let site = Site::on(&postgres.url()).await;
    site.pipeline.enter(Phase::Assigned);
    site.fill("AMZN", 2).await;
    site.get("/readyz").await.ok::<Value>();
    site.get("/api/v1/latest").await.ok::<Value>();

    postgres.stop().await.unwrap();
    for path in [
        "/api/v1/symbols",
        "/api/v1/bars?symbol=AMZN",
        "/api/v1/latest",
        "/api/v1/stats?symbol=AMZN",
        "/api/v1/watchlist",
        "/stock",
        "/line/0",
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.header(header::RETRY_AFTER), "5");
        let problem = answer.problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable");
        assert!(problem["instance"].as_str().unwrap().starts_with("urn:uuid:"));
        assert!(!problem.to_string().contains("sock"), "causes stay in the log: {problem}");
    }
    let body: Value = site.get("/readyz").await.json();
    assert_eq!(
        body["dependencies"][0],
        json!({
            "name": "postgres", "ready": false, "state": "away", "reason": "Postgres does not answer", "since": null
        })
    );
    assert_eq!(site.get("/livez").await.status, StatusCode::OK);
    for page in ["/", "/dashboard", "/watchlist", "/quarantine", "/quarantine/t.stock/0/1"] {
        let answer = site.get(page).await;
        assert_eq!(answer.status, StatusCode::OK, "{page}");
        let html = answer.text();
        assert!(
            html.contains("The database does not answer; trying again.") && html.contains("</html>"),
            "{page}: {html}"
        );
    }
    let told = PageBackend::new(&site.state).symbols().await.unwrap_err();
    assert_eq!(told.0, "The database does not answer; trying again.");
}

#[tokio::test]
async fn the_wrong_path_or_method_is_refused_in_the_callers_language() {
    let site = Site::start().await;
    for path in ["/api", "/api/", "/api/v1", "/api/v1/barz", "/api/v2/bars", "/api/v1/bars/"] {
        site.get(path).await.is_problem(StatusCode::NOT_FOUND, "not_found");
    }
    site.get("/api/v1/stream").await.is_problem(StatusCode::BAD_REQUEST, "no_handshake");
    let page = site.get("/no-such-page").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.header(header::CONTENT_TYPE).starts_with("text/html"), "{}", page.header(header::CONTENT_TYPE));

    for path in ["/api/v1/bars", "/stock", "/readyz", "/dashboard"] {
        let refused = site.ask(Method::DELETE, path, &[]).await;
        assert!(refused.header(header::ALLOW).contains("GET"), "{path}");
        refused.is_problem(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
        let options = site.ask(Method::OPTIONS, path, &[]).await;
        assert_eq!(options.status, StatusCode::NO_CONTENT, "{path}");
        assert!(options.header(header::ALLOW).contains("GET"), "{path}");
    }
    let head = site.ask(Method::HEAD, "/api/v1/symbols", &[]).await;
    assert_eq!((head.status, head.text().as_str()), (StatusCode::OK, ""));
}

#[tokio::test]
async fn answers_carry_the_headers_that_browsers_and_caches_need() {
    let site = Site::start().await;
    for (path, cache) in [
        ("/api/v1/symbols", "no-store"),
        ("/readyz", "no-store"),
        ("/api/openapi.json", "no-cache"),
        ("/api/v1/bars", "no-store"),
        ("/", "no-cache"),
        ("/pkg/stockstream.js", "no-cache"),
        ("/sw.js", "no-cache"),
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.header(header::CACHE_CONTROL), cache, "{path}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        assert!(answer.header(header::CONTENT_SECURITY_POLICY).contains("frame-ancestors 'none'"), "{path}");
    }
    let worker = site.get("/sw.js").await;
    assert!(worker.header(header::CONTENT_SECURITY_POLICY).contains("connect-src 'self'"), "it fetches what it keeps");
    let (page, again) = (site.get("/").await, site.get("/").await);
    let policy = page.header(header::CONTENT_SECURITY_POLICY);
    assert!(policy.contains("script-src 'self' 'nonce-") && policy.contains("'wasm-unsafe-eval'"), "{policy}");
    assert_ne!(policy, again.header(header::CONTENT_SECURITY_POLICY), "a nonce is used once");
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    let html = page.text();
    for script in html.split("<script").skip(1) {
        assert!(
            script.starts_with(" src=") || script.contains(nonce),
            "every inline script has the nonce: {script:.80}"
        );
    }
}

#[tokio::test]
async fn files_are_served_compressed_and_revalidated() {
    let site = Site::start().await;
    let file = site.get("/pkg/stockstream.js").await;
    assert_eq!((file.status, file.text().as_str()), (StatusCode::OK, SCRIPT));
    assert!(file.header(header::CONTENT_TYPE).contains("javascript"));
    let since = file.header(header::LAST_MODIFIED).to_owned();
    let unchanged = site.ask(Method::GET, "/pkg/stockstream.js", &[(header::IF_MODIFIED_SINCE, &since)]).await;
    assert_eq!(unchanged.status, StatusCode::NOT_MODIFIED);
    let gzip = site.ask(Method::GET, "/pkg/stockstream.js", &[(header::ACCEPT_ENCODING, "gzip")]).await;
    assert_eq!(gzip.header(header::CONTENT_ENCODING), "gzip");
    assert!(gzip.bytes.len() < SCRIPT.len());
    for path in ["/../Cargo.toml", "/pkg/%2e%2e/%2e%2e/etc/passwd", "/pkg/", "/pkg"] {
        assert_eq!(site.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn answers_are_compressed_in_the_way_that_is_asked_for() {
    let site = Site::start().await;
    site.fill("AMZN", 4).await;
    let path = "/api/v1/bars?symbol=AMZN&limit=1000";
    let plain = site.get(path).await;
    assert_eq!(plain.header(header::CONTENT_ENCODING), "");
    for (accepted, coding, magic) in [
        ("br", "br", &[][..]),
        ("gzip", "gzip", &[0x1f, 0x8b]),
        ("zstd", "zstd", &[0x28, 0xb5, 0x2f, 0xfd]),
        ("zstd;q=0.5, gzip;q=0.4", "zstd", &[0x28, 0xb5, 0x2f, 0xfd]),
        ("zstd;q=0, gzip", "gzip", &[0x1f, 0x8b]),
    ] {
        let answer = site.ask(Method::GET, path, &[(header::ACCEPT_ENCODING, accepted)]).await;
        assert_eq!(answer.header(header::CONTENT_ENCODING), coding, "{accepted}");
        assert!(answer.bytes.starts_with(magic), "{accepted}");
        assert!(answer.bytes.len() < plain.bytes.len() / 2, "{accepted}: {}", answer.bytes.len());
    }
    let zstd = site.ask(Method::GET, path, &[(header::ACCEPT_ENCODING, "zstd")]).await;
    assert_eq!(zstd::decode_all(&*zstd.bytes).unwrap(), plain.bytes);
    let file = format!("{path}&format=parquet");
    let file = site.ask(Method::GET, &file, &[(header::ACCEPT_ENCODING, "zstd, gzip, br")]).await;
    assert_eq!(file.header(header::CONTENT_ENCODING), "", "it is compressed in itself");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_path() {
    let site = Site::start().await;
    site.get("/line/12345").await;
    site.get("/no-such-page-either").await;
    let answer = site.get("/metrics").await;
    assert!(answer.header(header::CONTENT_TYPE).starts_with("text/plain; version=0.0.4"));
    let text = answer.text();
    assert!(text.contains(r#"stockstream_http_requests_total{method="GET",route="/line/{n}",status="404"}"#), "{text}");
    assert!(text.contains(r#"stockstream_http_request_seconds_bucket{route="/line/{n}",le="0.1"}"#), "{text}");
    assert!(text.contains("# HELP stockstream_postgres_connections "), "{text}");
    assert!(!text.contains("/12345") && !text.contains("no-such-page-either"), "{text}");
}
