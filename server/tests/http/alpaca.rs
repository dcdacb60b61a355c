//! Bars and snapshots as Alpaca's clients ask for them.

use crate::site::{Site, row};
use axum::http::StatusCode;
use market::{Bar, Timeframe, aggregate};
use serde_json::{Value, json};

/// A bar in Alpaca's words.
fn vendor(bar: &Bar) -> Value {
    let bar = serde_json::to_value(bar).unwrap();
    json!({
        "t": bar["time"], "o": bar["open"], "h": bar["high"], "l": bar["low"], "c": bar["close"], "v": bar["volume"],
        "n": null, "vw": null
    })
}

fn all(bars: &[Bar]) -> Vec<Value> {
    bars.iter().map(vendor).collect()
}

#[tokio::test]
async fn pages_go_through_the_symbols_in_order_and_have_every_bar_once() {
    let site = Site::start().await;
    let (amzn, aapl) = (site.fill("AMZN", 3).await, site.fill("AAPL", 4).await);
    site.insert(&[row("ZION", "2024-03-07T15:00:00Z", "40")]).await;
    for (sort, timeframe, native) in [("asc", "1Min", "1m"), ("desc", "1Hour", "1h"), ("asc", "1Day", "1d")] {
        let native: Timeframe = native.parse().unwrap();
        let expected = |bars: &[Bar]| {
            let mut bars = aggregate(bars.iter().copied(), native);
            if sort == "desc" {
                bars.reverse();
            }
            all(&bars)
        };
        let (mut found, mut pages, mut token) = ((Vec::new(), Vec::new()), 0, String::new());
        let limit = expected(&amzn).len() / 2 + 1;
        loop {
            let path = format!(
                "/v2/stocks/bars?symbols=AMZN,NOPE,AAPL&timeframe={timeframe}&sort={sort}&limit={limit}&page_token={token}"
            );
            let page: Value = site.get(&path).await.ok();
            let of = |symbol: &str| page["bars"][symbol].as_array().cloned().unwrap_or_default();
            assert!(of("AAPL").len() + of("AMZN").len() <= limit);
            assert!(page["bars"].get("NOPE").is_none());
            found.0.extend(of("AAPL"));
            found.1.extend(of("AMZN"));
            pages += 1;
            match page["next_page_token"].as_str() {
                Some(next) => token = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(found, (expected(&aapl), expected(&amzn)), "{sort} {timeframe}");
        assert_eq!(pages, (found.0.len() + found.1.len()).div_ceil(limit), "{sort} {timeframe}");
    }
    let one: Value = site.get("/v2/stocks/ZION/bars?timeframe=1Min&adjustment=all&feed=iex&asof=2024-01-01").await.ok();
    assert_eq!(one["bars"].as_array().unwrap().len(), 1);
    assert_eq!((&one["symbol"], &one["next_page_token"]), (&json!("ZION"), &Value::Null));
}

#[tokio::test]
async fn the_end_of_a_window_belongs_to_it() {
    let site = Site::start().await;
    let bars = site.fill("AMZN", 5).await;
    let at = |bar: &Bar| bar.time.format("%FT%TZ").to_string();
    let path = format!("/v2/stocks/AMZN/bars?timeframe=1T&start={}&end={}", at(&bars[2]), at(&bars[6]));
    let page: Value = site.get(&path).await.ok();
    assert_eq!(page["bars"], json!(all(&bars[2..=6])));
    let page: Value = site.get("/v2/stocks/AMZN/bars?timeframe=1D&start=2024-03-07&end=2024-03-08").await.ok();
    assert_eq!(page["bars"].as_array().unwrap().len(), 2);
    let none: Value = site.get("/v2/stocks/NOPE/bars?timeframe=1D").await.ok();
    assert_eq!(none, json!({"bars": [], "symbol": "NOPE", "next_page_token": null}));
}

#[tokio::test]
async fn the_latest_bars_and_snapshots_are_of_the_newest_day_and_the_one_before() {
    let site = Site::start().await;
    let bars = site.fill("AMZN", 6).await;
    site.insert(&[row("AAPL", "2024-03-07T15:00:00Z", "180")]).await;
    let last = vendor(bars.last().unwrap());
    let latest: Value = site.get("/v2/stocks/bars/latest?symbols=AMZN,NOPE&feed=sip").await.ok();
    assert_eq!(latest, json!({"bars": {"AMZN": last}}));
    let one: Value = site.get("/v2/stocks/AMZN/bars/latest").await.ok();
    assert_eq!(one, json!({"symbol": "AMZN", "bar": last}));

    let days = all(&aggregate(bars.iter().copied(), Timeframe::DAY_1));
    let snapshot = json!({
        "latestTrade": null, "latestQuote": null, "minuteBar": last, "dailyBar": days[days.len() - 1],
        "prevDailyBar": days[days.len() - 2]
    });
    let several: Value = site.get("/v2/stocks/snapshots?symbols=AMZN,AAPL,NOPE").await.ok();
    assert_eq!((several.as_object().unwrap().len(), &several["AMZN"]), (2, &snapshot));
    assert_eq!(several["AAPL"]["prevDailyBar"], Value::Null);
    let one: Value = site.get("/v2/stocks/AMZN/snapshot").await.ok();
    assert_eq!((&one["symbol"], &one["dailyBar"]), (&json!("AMZN"), &snapshot["dailyBar"]));

    let native: Value = site.get("/api/v1/snapshots?symbols=AMZN").await.ok();
    assert_eq!(native[0]["close"], last["c"]);
    assert_eq!(
        (&native[0]["daily"]["close"], &native[0]["previous_daily"]["open"]),
        (&last["c"], &snapshot["prevDailyBar"]["o"])
    );
    site.get("/api/v1/snapshots?symbols=AMZN,NOPE").await.is_problem(StatusCode::NOT_FOUND, "unknown_symbol");
}

#[tokio::test]
async fn refusals_are_in_alpacas_words() {
    let site = Site::start().await;
    site.fill("AMZN", 7).await;
    for (path, status, hint) in [
        ("/v2/stocks/bars?timeframe=1Min", 400, "symbols: is missing"),
        ("/v2/stocks/bars?symbols=amzn&timeframe=2Day", 400, "timeframe: is not a timeframe"),
        ("/v2/stocks/bars?symbols=AMZN&timeframe=1Min&limit=10001", 400, "limit: must be a whole number"),
        ("/v2/stocks/bars?symbols=AMZN&timeframe=1Min&page_token=x", 400, "page_token: is not a cursor"),
        ("/v2/stocks/bars?symbols=AMZN&timeframe=1Min&colour=red", 400, "colour: is not a parameter"),
        ("/v2/stocks/amzn/bars?timeframe=1Min", 400, "symbol: \"amzn\" is not a symbol"),
        ("/v2/stocks/NOPE/bars/latest", 404, "NOPE has no bars"),
        ("/v2/stocks/NOPE/snapshot", 404, "NOPE has no bars"),
        ("/v2/stocks/AMZN/quotes", 404, "there are bars and snapshots"),
        ("/v2/stocks/trades/latest", 404, "there are bars and snapshots"),
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text());
        let body: Value = answer.json();
        assert!(body["message"].as_str().unwrap().contains(hint), "{path}: {body}");
        assert_eq!(body["code"], u32::from(answer.status.as_u16()) * 100_000 + 10_000);
    }
    let page: Value = site.get("/v2/stocks/bars?symbols=AMZN&timeframe=1Min&limit=1").await.ok();
    let token = page["next_page_token"].as_str().unwrap();
    for other in ["AMZN/bars?timeframe=5Min", "AMZN/bars?timeframe=1Min&sort=desc", "AAPL/bars?timeframe=1Min"] {
        let answer = site.get(&format!("/v2/stocks/{other}&page_token={token}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{other}");
    }
}
