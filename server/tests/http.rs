//! The HTTP side on a real PostgreSQL: status, body and headers of everything that can be asked.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without has failed it")]

mod site;

use axum::http::{Method, StatusCode, header};
use chrono::{DateTime, TimeDelta, Utc};
use market::{
    Bar, Stats, Timeframe, aggregate,
    wire::{BarsPage, LatestBar, PipeState, ServerMessage, SymbolInfo},
};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use server::{embedded::Postgres, http::PageBackend, store::BarsQuery};
use site::{Site, row};
use std::collections::BTreeSet;

/// Asks for page after page, and says how many there were.
async fn every_page(site: &Site, timeframe: Timeframe, sort: &str, limit: usize) -> (Vec<Bar>, usize) {
    let mut bars: Vec<Bar> = Vec::new();
    let mut cursor = String::new();
    for pages in 1.. {
        let path = format!("/api/v1/bars?symbol=AMZN&timeframe={timeframe}&sort={sort}&limit={limit}&cursor={cursor}");
        let page: BarsPage = site.get(&path).await.ok();
        assert!(page.bars.len() <= limit);
        bars.extend(page.bars);
        match page.next_cursor {
            Some(next) => cursor = next,
            None => return (bars, pages),
        }
    }
    unreachable!("the loop has no end but the return")
}

#[tokio::test]
async fn pages_cover_every_bar_exactly_once_in_both_orders() {
    let site = Site::start().await;
    let minutes = site.fill("AMZN", 7).await;
    for timeframe in Timeframe::ALL {
        let expected = match timeframe {
            Timeframe::Minute1 => minutes.clone(),
            _ => aggregate(minutes.iter().copied(), timeframe),
        };
        let newest_first: Vec<Bar> = expected.iter().rev().copied().collect();
        for limit in [expected.len().div_ceil(3), expected.len(), 10_000] {
            let pages = expected.len().div_ceil(limit);
            assert_eq!(
                every_page(&site, timeframe, "asc", limit).await,
                (expected.clone(), pages),
                "{timeframe} {limit}"
            );
            assert_eq!(every_page(&site, timeframe, "desc", limit).await, (newest_first.clone(), pages), "{timeframe}");
        }
    }
}

#[tokio::test]
async fn any_window_has_the_bars_that_aggregating_all_minutes_has() {
    let site = Site::start().await;
    let minutes = site.fill("AMZN", 11).await;
    let mut random = ChaCha8Rng::seed_from_u64(12);
    let (first, last) = (minutes[0].time, minutes[minutes.len() - 1].time);
    let span = (last - first).num_seconds();
    for round in 0..60 {
        let timeframe = *Timeframe::ALL.choose(&mut random).unwrap();
        let start = first + TimeDelta::seconds(random.random_range(-90_000..span));
        let end = start + TimeDelta::seconds(random.random_range(1..2 * 86_400));
        let limit = random.random_range(1..40);
        let all = match timeframe {
            Timeframe::Minute1 => minutes.clone(),
            _ => aggregate(minutes.iter().copied(), timeframe),
        };
        let inside: Vec<Bar> = all.into_iter().filter(|bar| start <= bar.time && bar.time < end).collect();
        let query = format!(
            "symbol=AMZN&timeframe={timeframe}&start={}&end={}&limit={limit}",
            start.format("%FT%TZ"),
            end.format("%FT%TZ")
        );

        let oldest: BarsPage = site.get(&format!("/api/v1/bars?{query}&sort=asc")).await.ok();
        let expected: Vec<Bar> = inside.iter().take(limit).copied().collect();
        assert_eq!(oldest.bars, expected, "{round}: {query}");
        assert_eq!(oldest.next_cursor.is_some(), inside.len() > limit, "{round}: {query}");

        let newest: BarsPage = site.get(&format!("/api/v1/bars?{query}&sort=desc")).await.ok();
        let expected: Vec<Bar> = inside.iter().rev().take(limit).copied().collect();
        assert_eq!(newest.bars, expected, "{round}: {query}");

        let window: Vec<Bar> = expected.into_iter().rev().collect();
        let answer = site.get(&format!("/api/v1/stats?{query}")).await;
        match Stats::of(&window) {
            Some(stats) => assert_eq!(answer.ok::<Stats>(), stats, "{round}: {query}"),
            None => answer.is_problem(StatusCode::NOT_FOUND, "no_bars"),
        }
    }
}

#[tokio::test]
async fn a_minute_that_the_source_holds_twice_is_one_bar() {
    let site = Site::start().await;
    let early = row("AAPL", "2024-01-16T14:30:00Z", "10.5");
    let late =
        site::Row { event_time: early.event_time + TimeDelta::minutes(1), ..row("AAPL", "2024-01-16T14:30:00Z", "11") };
    site.insert(&[late, early]).await;
    let page: Value = site.get("/api/v1/bars?symbol=AAPL").await.ok();
    assert_eq!(
        page,
        json!({
            "bars": [{"time": "2024-01-16T14:30:00Z", "open": 11.0, "high": 11.0, "low": 11.0, "close": 11.0, "volume": 100}],
            "next_cursor": null
        })
    );
    let symbols: Vec<SymbolInfo> = site.get("/api/v1/symbols").await.ok();
    assert_eq!(symbols[0].bars, 1);
    let line: Value = site.get("/stock1").await.ok();
    assert_eq!(line["close"], "11.00");
}

#[tokio::test]
async fn symbols_and_latest_say_what_there_is() {
    let site = Site::start().await;
    let none: Value = site.get("/api/v1/symbols").await.ok();
    assert_eq!(none, json!([]));
    assert_eq!(site.get("/api/v1/latest").await.ok::<Value>(), json!([]));

    let amzn = site.fill("AMZN", 3).await;
    site.insert(&[row("BRK.B", "2024-01-16T14:30:00Z", "360.12")]).await;
    let symbols: Vec<SymbolInfo> = site.get("/api/v1/symbols").await.ok();
    assert_eq!(symbols.iter().map(|info| info.symbol.as_str()).collect::<Vec<_>>(), ["AMZN", "BRK.B"]);
    assert_eq!((symbols[0].first, symbols[0].last), (amzn[0].time, amzn[amzn.len() - 1].time));
    assert_eq!(symbols[0].bars, amzn.len() as i64);
    assert!(!symbols[0].simulated);

    let latest: Vec<LatestBar> = site.get("/api/v1/latest").await.ok();
    assert_eq!(latest.len(), 2);
    assert_eq!(latest[0].bar, amzn[amzn.len() - 1]);
    let one: Value = site.get("/api/v1/latest?symbols=BRK.B").await.ok();
    assert_eq!(
        one,
        json!([{
            "symbol": "BRK.B", "time": "2024-01-16T14:30:00Z", "open": 360.12, "high": 360.12, "low": 360.12,
            "close": 360.12, "volume": 100, "event_time": "2024-01-16T14:31:00Z", "committed_at": "2024-01-16T14:31:01Z"
        }])
    );
    let unknown = site.get("/api/v1/latest?symbols=NOPE,AMZN,GONE").await;
    let problem = unknown.problem(StatusCode::NOT_FOUND, "unknown_symbol");
    assert!(problem["detail"].as_str().unwrap().contains("GONE, NOPE was"), "{problem}");
}

#[tokio::test]
async fn every_wrong_parameter_is_named_with_its_reason() {
    let site = Site::start().await;
    site.fill("AMZN", 1).await;
    for (path, wrong) in [
        ("/api/v1/bars", &["symbol"][..]),
        ("/api/v1/bars?symbol=", &["symbol"]),
        (
            "/api/v1/bars?symbol=amzn&timeframe=2m&limit=0&sort=up&start=yesterday&cursor=x",
            &["symbol", "timeframe", "start", "limit", "sort", "cursor"],
        ),
        ("/api/v1/bars?symbol=AMZN&limit=10001", &["limit"]),
        ("/api/v1/bars?symbol=AMZN&limit=-1", &["limit"]),
        ("/api/v1/bars?symbol=AMZN&start=2024-01-17&end=2024-01-16", &["end"]),
        ("/api/v1/bars?symbol=AMZN&start=2024-01-16T09:30:00+01:00", &["start"]),
        ("/api/v1/bars?symbol=AMZN&timefrmae=5m", &["timefrmae"]),
        ("/api/v1/bars?symbol=AMZN&symbol=AAPL", &["symbol"]),
        ("/api/v1/bars?symbol=AMZN%00", &["symbol"]),
        ("/api/v1/latest?symbols=AMZN,,AAPL", &["symbols"]),
        ("/api/v1/stats?timeframe=1y&limit=x", &["symbol", "timeframe", "limit"]),
        ("/stock?client=a%20b", &["client"]),
        ("/line/-1", &["n"]),
        ("/line/one", &["n"]),
    ] {
        let problem = site.get(path).await.problem(StatusCode::BAD_REQUEST, "invalid_parameter");
        let named: Vec<&str> =
            problem["errors"].as_array().unwrap().iter().map(|e| e["parameter"].as_str().unwrap()).collect();
        assert_eq!(named, wrong, "{path}: {problem}");
        assert!(problem["errors"].as_array().unwrap().iter().all(|e| e["reason"].as_str().unwrap().len() > 8));
    }
}

#[tokio::test]
async fn a_cursor_fits_only_the_question_it_came_from() {
    let site = Site::start().await;
    site.fill("AMZN", 5).await;
    let page: BarsPage = site.get("/api/v1/bars?symbol=AMZN&limit=5").await.ok();
    let cursor = page.next_cursor.unwrap();
    for other in ["symbol=AAPL", "symbol=AMZN&timeframe=5m", "symbol=AMZN&sort=desc"] {
        site.get(&format!("/api/v1/bars?{other}&cursor={cursor}"))
            .await
            .is_problem(StatusCode::BAD_REQUEST, "invalid_parameter");
    }
}

#[tokio::test]
async fn an_unknown_symbol_is_404_and_an_empty_window_is_not() {
    let site = Site::start().await;
    site.fill("AMZN", 5).await;
    for path in ["/api/v1/bars?symbol=NOPE", "/api/v1/stats?symbol=NOPE", "/api/v1/latest?symbols=NOPE", "/stock1"] {
        site.get(path).await.is_problem(StatusCode::NOT_FOUND, "unknown_symbol");
    }
    let page: BarsPage = site.get("/api/v1/bars?symbol=AMZN&end=1999-01-01").await.ok();
    assert_eq!(page, BarsPage { bars: vec![], next_cursor: None });
    // Parameters without a value count as not given.
    let page: BarsPage = site.get("/api/v1/bars?symbol=AMZN&timeframe=1m&start=&end=&limit=&sort=&cursor=").await.ok();
    assert_eq!(page.bars.len(), 100);
}

#[tokio::test]
async fn each_client_of_the_original_api_replays_from_the_oldest_bar_at_its_own_pace() {
    let site = Site::start().await;
    site.insert(&[
        row("AMZN", "2024-01-16T14:31:00Z", "153.4200"),
        row("AMZN", "2024-07-16T13:30:00Z", "7"),
        row("AAPL", "2024-01-16T14:31:00Z", "185.12345"),
    ])
    .await;
    let first: Value = site.get("/stock").await.ok();
    assert_eq!(
        first,
        json!({
            "time": "2024-01-16 09:31:00", "open": "153.42", "high": "153.42", "low": "153.42", "close": "153.42",
            "volume": "100", "symbol": "AMZN"
        })
    );
    assert_eq!(site.get("/stock?client=other").await.ok::<Value>(), first);
    let second: Value = site.get("/stock").await.ok();
    assert_eq!((&second["time"], &second["close"]), (&json!("2024-07-16 09:30:00"), &json!("7.00")));
    let end = json!({"error": "end of file"});
    assert_eq!(site.get("/stock").await.ok::<Value>(), end);
    assert_eq!(site.get("/stock1").await.ok::<Value>()["close"], "185.12345");
    assert_eq!(site.get("/stock?client=other").await.ok::<Value>(), second);

    assert_eq!(site.get("/line/0").await.ok::<Value>(), first);
    assert_eq!(site.get("/line/1").await.ok::<Value>(), second);
    assert_eq!(site.get("/line/2").await.ok::<Value>(), end);
    assert_eq!(site.get("/line/9223372036854775807").await.ok::<Value>(), end);

    site.insert(&[row("AMZN", "2024-07-16T13:31:00Z", "8")]).await;
    assert_eq!(site.get("/stock").await.ok::<Value>()["close"], "8.00", "what came after the end is replayed too");
}

#[tokio::test]
async fn two_calls_at_once_give_two_lines() {
    let site = Site::start().await;
    let minutes = site.fill("AMZN", 9).await;
    let answers = futures::future::join_all((0..20).map(|_| site.get("/stock?client=many"))).await;
    let times: BTreeSet<String> =
        answers.into_iter().map(|answer| answer.ok::<Value>()["time"].as_str().unwrap().to_owned()).collect();
    assert_eq!(times.len(), 20.min(minutes.len()));
}

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
            "/api/v1/bars",
            "/api/v1/latest",
            "/api/v1/stats",
            "/api/v1/stream",
            "/api/v1/symbols",
            "/line/{n}",
            "/livez",
            "/metrics",
            "/readyz",
            "/stock",
            "/stock1",
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
        let operation = &item["get"];
        assert!(operations.insert(operation["operationId"].as_str().unwrap()), "{path}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].as_str().is_some_and(|text| text.len() > 5), "{path} {parameter}");
            assert!(parameter["schema"].is_object(), "{path} {parameter}");
        }
        // A documented route is a real one.
        let answer = site.get(&path.replace("{n}", "0")).await;
        let documented = &operation["responses"];
        assert!(documented[answer.status.as_str()].is_object(), "{path} answered {}", answer.status);
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
async fn a_snapshot_is_what_the_api_says_and_carries_the_head_of_the_stream() {
    use app::backend::Backend;
    let site = Site::start().await;
    let minutes = site.fill("AMZN", 21).await;
    sqlx::query("update stream_head set seq = 41").execute(site.store().pool()).await.unwrap();
    let backend = PageBackend::new(&site.state);
    for (timeframe, count) in [(Timeframe::Minute1, 30), (Timeframe::Minute5, 12), (Timeframe::Day1, 2)] {
        let all = match timeframe {
            Timeframe::Minute1 => minutes.clone(),
            _ => aggregate(minutes.iter().copied(), timeframe),
        };
        let bars = all[all.len() - count..].to_vec();
        let symbol: market::Symbol = "AMZN".parse().unwrap();
        let snap = backend.snapshot(symbol.clone(), timeframe, count as u32).await.unwrap();
        let stats = Stats::of(&bars);
        assert_eq!(snap, ServerMessage::Snap { symbol, timeframe, seq: 41, bars, stats });
    }
    assert_eq!(backend.symbols().await.unwrap().len(), 1);
    let symbol = "AMZN".parse().unwrap();
    let (from, to) = (minutes[3].time, minutes[9].time);
    assert_eq!(site.store().bars_in(&symbol, from, to).await.unwrap(), minutes[3..9]);
    let none = site.store().bars(&BarsQuery::newest("NOPE".parse().unwrap(), Timeframe::Hour1, 5)).await.unwrap();
    assert_eq!(none, []);
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

    site.pipeline.enter(PipeState::Running, None);
    assert_eq!(site.get("/readyz").await.ok::<Value>()["ready"], true);

    site.pipeline.enter(PipeState::Retrying, Some("Kafka does not answer".to_owned()));
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
    site.pipeline.enter(PipeState::Running, None);
    site.fill("AMZN", 2).await;
    site.get("/readyz").await.ok::<Value>();
    site.get("/api/v1/latest").await.ok::<Value>();

    postgres.stop().await.unwrap();
    for path in [
        "/api/v1/symbols",
        "/api/v1/bars?symbol=AMZN",
        "/api/v1/latest",
        "/api/v1/stats?symbol=AMZN",
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
    for page in ["/", "/dashboard"] {
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
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.header(header::CACHE_CONTROL), cache, "{path}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        assert_eq!(answer.header(header::REFERRER_POLICY), "same-origin", "{path}");
        assert!(answer.header(header::CONTENT_SECURITY_POLICY).contains("frame-ancestors 'none'"), "{path}");
    }
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
    assert_eq!((file.status, file.text().as_str()), (StatusCode::OK, site::SCRIPT));
    assert!(file.header(header::CONTENT_TYPE).contains("javascript"));
    let since = file.header(header::LAST_MODIFIED).to_owned();
    let unchanged = site.ask(Method::GET, "/pkg/stockstream.js", &[(header::IF_MODIFIED_SINCE, &since)]).await;
    assert_eq!(unchanged.status, StatusCode::NOT_MODIFIED);
    let gzip = site.ask(Method::GET, "/pkg/stockstream.js", &[(header::ACCEPT_ENCODING, "gzip")]).await;
    assert_eq!(gzip.header(header::CONTENT_ENCODING), "gzip");
    assert!(gzip.bytes.len() < site::SCRIPT.len());
    for path in ["/../Cargo.toml", "/pkg/%2e%2e/%2e%2e/etc/passwd", "/pkg/", "/pkg"] {
        assert_eq!(site.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    site.fill("AMZN", 4).await;
    let json = site.ask(Method::GET, "/api/v1/bars?symbol=AMZN", &[(header::ACCEPT_ENCODING, "br")]).await;
    assert_eq!(json.header(header::CONTENT_ENCODING), "br");
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
    assert!(!text.contains("12345") && !text.contains("no-such-page-either"), "{text}");
}
