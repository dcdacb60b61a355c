//! The public history of freshness, as the API and its page tell it.

use crate::site::Site;
use axum::http::StatusCode;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde_json::{Value, json};
use server::store::FreshMinute;

fn minute(minute: DateTime<Utc>, changes: i64, in_budget: i64, down_seconds: i16) -> FreshMinute {
    let told = (changes > 0).then_some(900_000);
    FreshMinute { minute, changes, in_budget, p50_us: told, p99_us: told, down_seconds }
}

#[tokio::test]
async fn what_instances_measured_adds_up_and_what_nobody_measured_is_neither_good_nor_bad() {
    let site = Site::start().await;
    // The history ends with the last full minute, which may change while this runs; so nothing lies near the ends.
    let now = Utc::now().duration_trunc(TimeDelta::minutes(1)).unwrap();
    let back = |minutes: i64| now - TimeDelta::minutes(minutes);
    for measured in [
        minute(back(10), 100, 100, 0),
        minute(back(11), 100, 100, 0),
        FreshMinute { p99_us: Some(3_000_000), ..minute(back(11), 100, 90, 0) },
        minute(back(12), 0, 0, 0),
        minute(back(13), 0, 0, 7),
        minute(back(90), 200, 199, 0),
    ] {
        site.store().record_freshness(&measured).await.unwrap();
    }
    let answer: Value = site.get("/api/v1/freshness").await.ok();
    let told = |window: &Value| {
        ["fresh", "late", "quiet", "changes", "in_budget", "worst_p99_us", "down_seconds"]
            .map(|name| window[name].clone())
    };
    let windows = answer["windows"].as_array().unwrap();
    assert_eq!(windows.len(), 4);
    assert_eq!(told(&windows[0]), [1, 2, 1, 300, 290, 3_000_000, 7].map(|number| json!(number)), "the last hour");
    assert_eq!(told(&windows[1]), [2, 2, 1, 500, 489, 3_000_000, 7].map(|number| json!(number)), "the last day");
    assert_eq!((answer["minutes"].as_array().unwrap().len(), answer["hours"].as_array().unwrap().len()), (60, 24));
    assert_eq!(answer["minutes"][0]["worst_p99_us"], Value::Null, "not measured");

    let html = site.get("/status").await.text();
    for expected in ["33.33\u{a0}%", "last 30 days", "1 min fresh, ", "56 not measured", "3.00\u{a0}s"] {
        assert!(html.contains(expected), "{expected}");
    }
    assert!(!html.contains(" style=\""), "an inline style");
}

#[tokio::test]
async fn without_a_measured_minute_there_is_no_share() {
    let site = Site::start().await;
    let answer = site.get("/status").await;
    assert_eq!(answer.status, StatusCode::OK);
    let html = answer.text();
    assert!(html.contains("60 not measured") && !html.contains("100\u{a0}%"), "{html}");
}
