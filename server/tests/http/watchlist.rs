//! The watchlist, as the API and its page tell it.

use crate::site::{Site, row};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use market::{Severity, watchlist::Watchlist};
use quality::pack::{Found, PackRule};
use server::store::FoundAt;
use uuid::Uuid;

/// Friday's last minute and two of Tuesday; the second of them is tagged, and something was found there.
async fn fill(site: &Site) {
    let mut rows = vec![
        row("AMZN", "2024-01-12T20:59:00Z", "150"),
        row("AMZN", "2024-01-16T14:30:00Z", "152.5"),
        row("AMZN", "2024-01-16T14:31:00Z", "153"),
        row("BRK.B", "2024-01-16T14:31:00Z", "361.25"),
    ];
    // The same minute again: what was told first is not what people see.
    let mut older = row("AMZN", "2024-01-16T14:31:00Z", "999");
    older.event_time -= chrono::TimeDelta::minutes(1);
    rows.push(older);
    site.insert(&rows).await;
    let store = site.store();
    sqlx::query("update stock set rules = 1 where close = 153").execute(store.pool()).await.unwrap();
    let id: i32 =
        sqlx::query_scalar("select symbol_id from symbol where symbol = 'AMZN'").fetch_one(store.pool()).await.unwrap();
    let mut step = store.begin_pack_step(Uuid::new_v4()).await.unwrap().unwrap();
    let found = |(time, rule): (&str, PackRule)| {
        let time: DateTime<Utc> = time.parse().unwrap();
        let found =
            Found { rule, severity: rule.severity(), time, observed: None, expected: None, text: "Found.".to_owned() };
        ((id, time, rule), found)
    };
    let found: FoundAt = [
        ("2024-01-12T20:59:00Z", PackRule::ScaleError),
        ("2024-01-16T14:30:00Z", PackRule::Gap),
        ("2024-01-16T14:31:00Z", PackRule::Gap),
        ("2024-01-16T14:31:00Z", PackRule::FrozenPrice),
    ]
    .into_iter()
    .map(found)
    .collect();
    step.find(&found, "2024-01-16T15:00:00Z".parse().unwrap()).await.unwrap();
    step.finish(0).await.unwrap();
    sqlx::query("update finding set resolved_at = now() where rule = 'frozen_price'")
        .execute(store.pool())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_row_has_the_figures_of_its_newest_exchange_day_and_what_the_rules_say_of_it() {
    let site = Site::start().await;
    let nothing: Watchlist = site.get("/api/v1/watchlist").await.ok();
    assert_eq!(nothing, Watchlist::default());
    fill(&site).await;
    let list: Watchlist = site.get("/api/v1/watchlist").await.ok();
    assert_eq!((list.total, list.rows.len()), (2, 2));
    let [amzn, brk] = &list.rows[..] else { panic!("{list:?}") };
    assert_eq!((amzn.symbol.as_str(), brk.symbol.as_str()), ("AMZN", "BRK.B"));
    assert_eq!(amzn.time, "2024-01-16T14:31:00Z".parse::<DateTime<Utc>>().unwrap());
    assert_eq!(
        (amzn.close.to_string(), amzn.previous_close.map(|close| close.to_string())),
        ("153".into(), Some("150".into()))
    );
    assert_eq!((amzn.bars, amzn.volume, amzn.bar_volume), (2, 200, 100), "the minute that is there twice counts once");
    assert_eq!(amzn.closes, [152.5, 153.0]);
    assert_eq!(amzn.tagged, 1);
    assert_eq!((amzn.findings, amzn.worst), (2, Some(Severity::Warning)), "of this day, and what still holds");
    assert_eq!((brk.previous_close, brk.tagged, brk.findings, brk.worst), (None, 0, 0, None));
}

#[tokio::test]
async fn the_list_is_filtered_and_cut_and_says_how_many_there_are() {
    let site = Site::start().await;
    fill(&site).await;
    for (query, total, names) in [
        ("filter=am", 1, vec!["AMZN"]),
        ("filter=K.B", 1, vec!["BRK.B"]),
        ("filter=&limit=1", 2, vec!["AMZN"]),
        ("filter=Z9", 0, vec![]),
    ] {
        let list: Watchlist = site.get(&format!("/api/v1/watchlist?{query}")).await.ok();
        let told: Vec<&str> = list.rows.iter().map(|row| row.symbol.as_str()).collect();
        assert_eq!((list.total, told), (total, names), "{query}");
    }
    for query in ["filter=a%25", "filter=aaaaaaaaaaaaaaaa", "limit=0", "limit=501", "sort=name"] {
        site.get(&format!("/api/v1/watchlist?{query}")).await.is_problem(StatusCode::BAD_REQUEST, "invalid_parameter");
    }
}

#[tokio::test]
async fn the_page_is_a_table_before_any_script_runs_in_the_order_that_its_address_names() {
    let site = Site::start().await;
    fill(&site).await;
    let html = site.get("/watchlist?sort=-last").await.text();
    let place = |text: &str| html.find(text).unwrap_or_else(|| panic!("{text} in {html}"));
    assert!(place("data-symbol=\"BRK.B\"") < place("data-symbol=\"AMZN\""), "361.25 before 153");
    for expected in
        ["153.00", "+3.00", "+2.00\u{a0}%", "2 findings, 1 tagged", "clean", "2 symbols", "aria-sort=\"descending\""]
    {
        assert!(html.contains(expected), "{expected}");
    }
    assert!(html.contains("/dashboard?a=BRK.B&amp;b=AAPL&amp;tf=1m"), "a row leads to its charts");
    assert!(!html.contains(" style=\""), "an inline style");
    let filtered = site.get("/watchlist?filter=amz").await.text();
    assert!(filtered.contains("data-symbol=\"AMZN\"") && !filtered.contains("data-symbol=\"BRK.B\""));
    assert!(filtered.contains("1 of 2 symbols"), "{filtered}");
    assert!(site.get("/watchlist?filter=nothing").await.text().contains("No symbol has NOTHING in its name"));
}

#[tokio::test]
async fn a_page_without_rows_says_what_will_happen() {
    let site = Site::start().await;
    assert!(site.get("/watchlist").await.text().contains("No symbol has a bar yet"));
}
