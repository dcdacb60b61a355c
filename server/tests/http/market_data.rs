//! Bars, symbols and statistics: that they are right, and what is refused.

use crate::site::{Row, Site, row};
use axum::http::{Method, StatusCode, header};
use chrono::{DateTime, TimeDelta, Utc};
use market::{
    Bar, Stats, Timeframe, aggregate,
    wire::{BarsPage, LatestBar, ServerMessage, SymbolInfo},
};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use server::{http::PageBackend, store::BarsQuery};
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

/// One of each way in which bars are made.
fn timeframes() -> [Timeframe; 11] {
    ["1m", "5m", "7m", "15m", "1h", "5h", "1d", "1w", "1mo", "2mo", "12mo"].map(|text| text.parse().unwrap())
}

#[tokio::test]
async fn pages_cover_every_bar_exactly_once_in_both_orders() {
    let site = Site::start().await;
    let minutes = site.fill("AMZN", 7).await;
    for timeframe in timeframes() {
        let expected = match timeframe {
            Timeframe::MINUTE_1 => minutes.clone(),
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

/// Minutes of two years at any time of the day, in time order: they meet every turn of a month, and daylight saving four
/// times. All of them lie before those of [`Site::fill`].
fn scattered(random: &mut ChaCha8Rng) -> Vec<Bar> {
    let first: DateTime<Utc> = "2022-03-01T00:00:00Z".parse().unwrap();
    let places: BTreeSet<i64> = (0..3_000).map(|_| random.random_range(0..2 * 365 * 24 * 60)).collect();
    let mut price = || Decimal::new(random.random_range(1_500_000..1_600_000), 4);
    places
        .into_iter()
        .map(|minute| {
            let (open, close) = (price(), price());
            let time = first + TimeDelta::minutes(minute);
            Bar {
                time,
                open,
                high: open.max(close) + price(),
                low: open.min(close) - Decimal::ONE,
                close,
                volume: minute,
            }
        })
        .collect()
}

#[tokio::test]
async fn any_window_has_the_bars_that_aggregating_all_minutes_has() {
    let site = Site::start().await;
    let mut random = ChaCha8Rng::seed_from_u64(12);
    let dense = site.fill("AMZN", 11).await;
    let mut minutes = scattered(&mut random);
    site.insert(&minutes.iter().map(|bar| Row { symbol: "AMZN", bar: *bar, event_time: bar.time }).collect::<Vec<_>>())
        .await;
    let (beginning, last) = (minutes[0].time, dense[dense.len() - 1].time);
    let busy = dense[0].time;
    minutes.extend(dense);
    for round in 0..90 {
        let timeframe = timeframes().choose(&mut random).copied().unwrap();
        // Windows of minutes where there are many, and of days where there are years.
        let (first, days) = if timeframe.is_intraday() { (busy, 2) } else { (beginning, 400) };
        let (length, span) = (days * 86_400, (last - first).num_seconds());
        let start = first + TimeDelta::seconds(random.random_range(-length..span));
        let end = start + TimeDelta::seconds(random.random_range(1..length));
        let limit = random.random_range(1..40);
        let all = match timeframe {
            Timeframe::MINUTE_1 => minutes.clone(),
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
        Row { event_time: early.event_time + TimeDelta::minutes(1), ..row("AAPL", "2024-01-16T14:30:00Z", "11") };
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
            "/api/v1/bars?symbol=amzn&timeframe=2y&limit=0&sort=up&start=yesterday&cursor=x",
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
        ("/api/v1/changes?epoch=x&since=1&timeframe=1w", &["symbols", "epoch"]),
        ("/api/v1/changes?symbols=AMZN&since=-1&timeframe=1w", &["timeframe", "epoch"]),
        ("/stock?client=a%20b", &["client"]),
        ("/line/-1", &["n"]),
        ("/line/one", &["n"]),
        ("/api/v1/quarantine?partition=-1", &["partition"]),
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
async fn a_snapshot_is_what_the_api_says_and_carries_the_head_of_the_stream() {
    use app::backend::Backend;
    let site = Site::start().await;
    let minutes = site.fill("AMZN", 21).await;
    sqlx::query("update stream_head set seq = 41").execute(site.store().pool()).await.unwrap();
    let backend = PageBackend::new(&site.state);
    for (timeframe, count) in [(Timeframe::MINUTE_1, 30), (Timeframe::MINUTE_5, 12), (Timeframe::DAY_1, 2)] {
        let all = match timeframe {
            Timeframe::MINUTE_1 => minutes.clone(),
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
    let none = site.store().bars(&BarsQuery::newest("NOPE".parse().unwrap(), Timeframe::HOUR_1, 5)).await.unwrap();
    assert_eq!(none, []);
}

#[tokio::test]
async fn a_closed_window_may_be_kept_and_its_version_for_ever_until_it_is_corrected() {
    let site = Site::start().await;
    site.insert(&[row("AMZN", "2024-01-16T14:30:00Z", "10.5")]).await;
    let closed = "/api/v1/bars?symbol=AMZN&start=2024-01-16&end=2024-01-17";
    for live in ["/api/v1/bars?symbol=AMZN&start=2024-01-16", "/api/v1/bars?symbol=AMZN&end=2999-01-01"] {
        let answer = site.get(live).await;
        assert_eq!((answer.header(header::CACHE_CONTROL), answer.header(header::ETAG)), ("no-store", ""), "{live}");
    }
    let answer = site.get(closed).await;
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-cache");
    let tag = answer.header(header::ETAG).to_owned();
    let again = site.ask(Method::GET, closed, &[(header::IF_NONE_MATCH, &tag)]).await;
    assert_eq!(
        (again.status, again.bytes.len(), again.header(header::ETAG)),
        (StatusCode::NOT_MODIFIED, 0, tag.as_str())
    );
    let csv = site.get(&format!("{closed}&format=csv")).await;
    assert_ne!(csv.header(header::ETAG), tag, "other bytes, another version");

    let pinned = format!("{closed}&version={}", tag.trim_start_matches("W/").trim_matches('"'));
    let kept = site.get(&pinned).await;
    assert_eq!(kept.header(header::CACHE_CONTROL), "public, max-age=31536000, immutable");
    assert_eq!(kept.text(), answer.text());

    let corrected = row("AMZN", "2024-01-16T14:30:00Z", "11");
    let event_time = corrected.event_time + TimeDelta::minutes(5);
    site.insert(&[Row { event_time, ..corrected }]).await;
    let fresh = site.ask(Method::GET, closed, &[(header::IF_NONE_MATCH, &tag)]).await;
    assert_eq!(fresh.ok::<BarsPage>().bars[0].close, Decimal::from(11));
    site.get(&pinned).await.is_problem(StatusCode::GONE, "corrected");
    site.get("/api/v1/bars?symbol=AMZN&version=0123456789abcdef")
        .await
        .is_problem(StatusCode::BAD_REQUEST, "invalid_parameter");
}
