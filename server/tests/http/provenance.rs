//! Where a bar came from: what is asked wrongly, and longer bars. The pipeline's tests have the rest.

use crate::site::Site;
use axum::http::StatusCode;
use market::{Timeframe, aggregate, provenance::Provenance};

#[tokio::test]
async fn a_longer_bar_is_told_by_the_minutes_in_it() {
    let site = Site::start().await;
    let minutes = site.fill("AMZN", 7).await;
    for timeframe in [Timeframe::MINUTE_15, Timeframe::DAY_1] {
        let whole = aggregate(minutes.iter().copied(), timeframe)[0];
        // Also asked for by a minute within.
        for time in [whole.time, minutes[1].time] {
            let path = format!("/api/v1/bars/AMZN/{}/provenance?timeframe={timeframe}", time.format("%FT%TZ"));
            let found: Provenance = site.get(&path).await.ok();
            assert_eq!(aggregate(found.minutes, timeframe), [whole]);
            assert!(found.row.is_none() && found.time == whole.time);
        }
    }
}

#[tokio::test]
async fn people_are_told_the_same_as_html() {
    let site = Site::start().await;
    let minutes = site.fill("AMZN", 7).await;
    let minute = minutes[1].time;
    let longer = site.get(&format!("/bars/AMZN/{}/provenance?timeframe=15m", minute.format("%FT%TZ"))).await;
    let text = longer.text();
    assert_eq!(longer.status, StatusCode::OK, "{text}");
    assert!(text.contains(&format!("href=\"#AMZN@{}\"", minute.format("%FT%RZ"))), "{text}");
    let unknown = site.get("/bars/NOPE/2024-03-07T15:00:00Z/provenance").await;
    unknown.is_problem(StatusCode::NOT_FOUND, "unknown_symbol");
}

#[tokio::test]
async fn what_is_not_known_is_refused_by_name() {
    let site = Site::start().await;
    site.fill("AMZN", 7).await;
    let ask = async |path: &str| site.get(&format!("/api/v1/bars/{path}")).await;
    ask("NOPE/2024-03-07T15:00:00Z/provenance").await.is_problem(StatusCode::NOT_FOUND, "unknown_symbol");
    ask("AMZN/1999-03-07T15:00:00Z/provenance").await.is_problem(StatusCode::NOT_FOUND, "no_bars");
    ask("AMZN/1999-03-07T15:00:00Z/provenance?timeframe=1d").await.is_problem(StatusCode::NOT_FOUND, "no_bars");
    let wrong = ask("%3Cb%3E/yesterday/provenance").await.problem(StatusCode::BAD_REQUEST, "invalid_parameter");
    let names: Vec<&str> =
        wrong["errors"].as_array().unwrap().iter().map(|error| error["parameter"].as_str().unwrap()).collect();
    assert_eq!(names, ["symbol", "time"]);
}
