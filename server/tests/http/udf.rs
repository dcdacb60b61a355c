//! What TradingView's charting library asks of a datafeed.

use crate::{
    findings,
    site::{Site, row},
};
use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
    response::Response,
};
use market::{Bar, Timeframe, aggregate};
use serde_json::{Value, json};
use server::feed::{Door, SocketConfig};
use tower::ServiceExt;

fn columns(bars: &[Bar], time: impl Fn(&Bar) -> i64) -> Value {
    let column =
        |name: &str| bars.iter().map(|bar| serde_json::to_value(bar).unwrap()[name].clone()).collect::<Vec<_>>();
    json!({
        "s": "ok", "t": bars.iter().map(time).collect::<Vec<_>>(), "o": column("open"), "h": column("high"),
        "l": column("low"), "c": column("close"), "v": column("volume")
    })
}

#[tokio::test]
async fn history_is_the_window_or_the_newest_bars_before_its_end() {
    let site = Site::start().await;
    let bars = site.fill("AMZN", 8).await;
    let time = |bar: &Bar| bar.time.timestamp();
    let (from, to) = (time(&bars[10]), time(&bars[20]));
    let history = |query: String| {
        let site = &site;
        async move { site.get(&format!("/udf/history?symbol=AMZN&{query}")).await.ok::<Value>() }
    };
    let window = history(format!("from={from}&to={to}&resolution=1")).await;
    assert_eq!(window, columns(&bars[10..20], time), "from belongs to it, to does not");
    let counted = history(format!("from={from}&to={to}&resolution=1&countback=15")).await;
    assert_eq!(counted, columns(&bars[5..20], time), "countback is stronger than from");
    let few = history(format!("from={from}&to={to}&resolution=1&countback=500")).await;
    assert_eq!(few, columns(&bars[..20], time), "as many as there are");

    let hours = aggregate(bars.iter().copied(), Timeframe::HOUR_1);
    let far = history("from=0&to=99999999999999&resolution=60".into()).await;
    assert_eq!(far, columns(&hours, time));

    // Days are the midnight of their date in UTC, which is before their midnight in New York.
    let days = aggregate(bars.iter().copied(), Timeframe::DAY_1);
    let date = |bar: &Bar| bar.time.timestamp().div_euclid(86_400) * 86_400;
    let exact = history(format!("from={}&to={}&resolution=1D", date(&days[1]), date(&days[3]))).await;
    assert_eq!(exact, columns(&days[1..3], date));
    let week = history("from=0&to=4000000000&resolution=1W".into()).await;
    assert_eq!(week["t"][0], 1_709_510_400, "Monday 2024-03-04");
}

#[tokio::test]
async fn an_empty_window_says_where_the_newest_bar_before_it_is() {
    let site = Site::start().await;
    let bars = site.fill("AMZN", 9).await;
    let (first, last) = (bars[0].time.timestamp(), bars[bars.len() - 1].time.timestamp());
    for (query, expected) in [
        (format!("from={}&to={}&resolution=1", last + 60, last + 600), json!({"s": "no_data", "nextTime": last})),
        (format!("from={}&to={first}&resolution=1", first - 600), json!({"s": "no_data"})),
        (format!("from=0&to={first}&resolution=1&countback=5"), json!({"s": "no_data"})),
        (format!("from={last}&to={first}&resolution=1"), json!({"s": "no_data"})),
    ] {
        let answer: Value = site.get(&format!("/udf/history?symbol=NASDAQ:AMZN&{query}")).await.ok();
        assert_eq!(answer, expected, "{query}");
    }
}

#[tokio::test]
async fn symbols_say_when_they_are_traded_and_are_found_by_parts_of_their_names() {
    let site = Site::start().await;
    site.fill("AMZN", 10).await;
    site.insert(&[row("AAPL", "2024-03-07T15:00:00Z", "180"), row("MZ", "2024-03-07T15:00:00Z", "7")]).await;
    let config: Value = site.get("/udf/config").await.ok();
    assert_eq!((&config["supports_search"], &config["supports_group_request"]), (&json!(true), &json!(false)));
    for resolution in config["supported_resolutions"].as_array().unwrap() {
        let path = format!("/udf/history?symbol=AMZN&from=0&to=2000000000&resolution={}", resolution.as_str().unwrap());
        assert_eq!(site.get(&path).await.ok::<Value>()["s"], "ok", "{resolution}");
    }
    let symbol: Value = site.get("/udf/symbols?symbol=AMZN").await.ok();
    assert_eq!((&symbol["session"], &symbol["timezone"]), (&json!("0930-1600"), &json!("America/New_York")));
    assert_eq!(symbol["corrections"], "0930-1300:20240703,20241129,20241224");
    assert!(symbol["session_holidays"].as_str().unwrap().contains("20240329"), "Good Friday");

    let found = |query: &'static str| {
        let site = &site;
        async move {
            let found: Value = site.get(&format!("/udf/search?{query}")).await.ok();
            found.as_array().unwrap().iter().map(|one| one["symbol"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    assert_eq!(found("query=mz&type=&exchange=&limit=30").await, ["MZ", "AMZN"], "beginnings first");
    assert_eq!(found("query=a&type=stock&limit=1").await, ["AAPL"]);
    assert_eq!(found("query=a&type=crypto").await, [""; 0]);
    let time: i64 = site.get("/udf/time").await.text().parse().unwrap();
    assert!(time > 1_700_000_000);
}

#[tokio::test]
async fn quotes_compare_the_newest_price_with_the_day_before() {
    let site = Site::start().await;
    site.insert(&[
        row("AMZN", "2024-03-07T15:00:00Z", "150"),
        row("AMZN", "2024-03-08T15:00:00Z", "151"),
        row("AMZN", "2024-03-08T15:01:00Z", "153"),
    ])
    .await;
    let quotes: Value = site.get("/udf/quotes?symbols=NYSE:AMZN,NOPE").await.ok();
    assert_eq!(
        quotes,
        json!({"s": "ok", "d": [
            {"s": "ok", "n": "NYSE:AMZN", "v": {
                "short_name": "AMZN", "lp": 153.0, "ch": 3.0, "chp": 2.0, "open_price": 151.0, "high_price": 153.0,
                "low_price": 151.0, "prev_close_price": 150.0, "volume": 200
            }},
            {"s": "error", "n": "NOPE", "v": {}}
        ]})
    );
}

#[tokio::test]
async fn findings_are_marks_of_the_bars_that_are_shown() {
    let site = Site::start().await;
    findings::fill(&site).await;
    let marks = |kind: &'static str, query: String| {
        let site = &site;
        async move { site.get(&format!("/udf/{kind}?symbol=NASDAQ:AMZN&{query}")).await.ok::<Value>() }
    };
    let half_past_two = 1_705_415_400; // 2024-01-16T14:30:00Z; AMZN has a gap at it and two and four minutes later
    let minutes = marks("marks", format!("from={half_past_two}&to={}&resolution=1", half_past_two + 120)).await;
    let mark = |minute: i64| {
        json!({
            "id": format!("gap {}", half_past_two + minute * 60), "time": half_past_two + minute * 60, "color": "yellow",
            "text": format!("Finding {minute}."), "label": "?", "labelFontColor": "white", "minSize": 14
        })
    };
    assert_eq!(minutes, json!([mark(0), mark(2)]), "the last bar is one that is shown");
    let five = marks("marks", format!("from={half_past_two}&to={half_past_two}&resolution=5")).await;
    let at =
        |marks: &Value| marks.as_array().unwrap().iter().map(|mark| mark["time"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(at(&five), [half_past_two; 3], "all of a bar are at its start");
    let midnight = 1_705_363_200; // of the day, in UTC, as bars of a day have it
    let days = marks("timescale_marks", format!("from={midnight}&to={midnight}&resolution=1D")).await;
    assert_eq!(at(&days), [midnight; 3]);
    assert_eq!(days[2]["tooltip"], json!(["gap", "Finding 4."]));
    let before = marks("marks", format!("from=0&to={}&resolution=1D", midnight - 1)).await;
    assert_eq!(before, json!([]));
    let frozen = site.get("/udf/marks?symbol=AAPL&from=0&to=4000000000&resolution=1").await.ok::<Value>();
    assert_eq!(frozen.as_array().unwrap().len(), 1, "what no longer holds is no mark: {frozen}");
    assert_eq!(frozen[0]["color"], "red");
    assert_eq!(site.get("/udf/config").await.ok::<Value>()["supports_timescale_marks"], true);
}

#[tokio::test]
async fn pages_of_allowed_origins_may_read_and_no_others() {
    let site = Site::start().await;
    let mut state = site.state.clone();
    let sockets =
        SocketConfig { allowed_origins: vec!["https://charts.example".parse().unwrap()], ..SocketConfig::default() };
    state.feed.door = Door::new(sockets);
    let answers = server::http::answers(state);
    let ask = |method: Method, path: &'static str, origin: &'static str| {
        let request = Request::builder().method(method).uri(path).header(header::ORIGIN, origin);
        answers.clone().oneshot(request.header("access-control-request-method", "GET").body(Body::empty()).unwrap())
    };
    let allowed = |response: &Response| {
        response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(|origin| origin.to_str().unwrap().to_owned())
    };
    for (method, path) in
        [(Method::GET, "/udf/config"), (Method::OPTIONS, "/udf/history"), (Method::GET, "/api/v1/symbols")]
    {
        let welcome = ask(method.clone(), path, "https://charts.example").await.unwrap();
        assert_eq!((welcome.status(), allowed(&welcome).as_deref()), (StatusCode::OK, Some("https://charts.example")));
        let other = ask(method, path, "https://evil.example").await.unwrap();
        assert_eq!(allowed(&other), None, "{path}");
    }
    let order = ask(Method::OPTIONS, "/api/v1/pipeline/pause", "https://charts.example").await.unwrap();
    let methods = order.headers()[header::ACCESS_CONTROL_ALLOW_METHODS].to_str().unwrap();
    assert!(!methods.contains("POST"), "{methods}");
    let closed = site.ask(Method::GET, "/udf/config", &[(header::ORIGIN, "https://charts.example")]).await;
    assert_eq!(closed.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "", "nobody is allowed by default");
}

#[tokio::test]
async fn refusals_are_in_the_protocols_words() {
    let site = Site::start().await;
    site.fill("AMZN", 11).await;
    for (path, status, hint) in [
        ("/udf/history?symbol=AMZN&from=0&resolution=1", StatusCode::BAD_REQUEST, "to: is missing"),
        ("/udf/history?symbol=AMZN&from=0&to=x&resolution=1S", StatusCode::BAD_REQUEST, "resolution: is not"),
        ("/udf/history?symbol=AMZN&from=0&to=9&resolution=1&countback=0", StatusCode::BAD_REQUEST, "countback: must"),
        ("/udf/history?symbol=NOPE&from=0&to=9&resolution=1", StatusCode::NOT_FOUND, "No row of NOPE"),
        ("/udf/symbols?symbol=NOPE", StatusCode::NOT_FOUND, "No row of NOPE"),
        ("/udf/symbols", StatusCode::BAD_REQUEST, "symbol: is missing"),
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, status, "{path}");
        let body: Value = answer.json();
        assert_eq!(body["s"], "error");
        assert!(body["errmsg"].as_str().unwrap().contains(hint), "{path}: {body}");
    }
}
