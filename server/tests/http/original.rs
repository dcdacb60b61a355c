//! The original stock API, as its clients know it.

use crate::site::{Site, row};
use serde_json::{Value, json};
use std::collections::BTreeSet;

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
