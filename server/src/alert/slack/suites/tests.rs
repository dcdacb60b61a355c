//! Messages as Slack gets them.

use super::*;
use crate::alert::{NotifyOn, slack::markup::TEXT_LIMIT};
use chrono::{DateTime, Utc};
use quality::suite::{Evaluation, Suite, ValidationResult};
use serde_json::{Map, json};
use std::sync::Arc;

fn at() -> DateTime<Utc> {
    "2024-01-16T14:31:00Z".parse().unwrap()
}

/// A run of `all` expectations of which the first `failed` are not met by three rows.
fn item(event: Event, suite: &str, failed: usize, all: usize, value: &str) -> Item {
    let expectations: Vec<_> = (0..all)
        .map(|index| {
            json!({"type": "expect_column_values_to_be_between",
                "severity": if index == 1 { "critical" } else { "warning" },
                "kwargs": {"column": "close", "min_value": index}})
        })
        .collect();
    let document = json!({"name": suite, "expectations": expectations}).to_string();
    let suite = Suite::parse(document.as_bytes()).unwrap();
    let mut results = Evaluation::new(&suite).finish(|_| Err("no table".to_owned()));
    for result in results.iter_mut().take(failed) {
        result.success = false;
        result.result = json!({
            "element_count": 100, "unexpected_count": 5, "unexpected_percent": 5.0,
            "partial_unexpected_list": [value, "b", "c", "d", "e"],
            "partial_unexpected_index_list": [17, 21, 33, 40, 41],
        })
        .as_object()
        .unwrap()
        .clone();
    }
    let run = RunReport {
        checkpoint: "daily".to_owned(),
        owner: Some("U012AB3CD".to_owned()),
        notify_on: NotifyOn::All,
        run_id: 12,
        asset: "stock".to_owned(),
        started_at: at(),
        finished_at: at(),
        result: Arc::new(ValidationResult { suite_name: suite.name, results, meta: Map::new() }),
    };
    Item {
        event,
        checkpoint: run.checkpoint.clone(),
        owner: run.owner.clone(),
        first_seen: at(),
        failed_runs: if event == Event::Passed { 0 } else { 3 },
        run: Some(run),
    }
}

fn texts(items: Vec<Item>, public_url: Option<&str>) -> Vec<String> {
    let url = public_url.map(|url| url.parse().unwrap());
    let blocks = blocks(&Notice { at: at(), items }, url.as_ref());
    assert!(blocks.len() <= 50, "{}", blocks.len());
    let text = |block: &Value| {
        let text = if block["type"] == "context" { &block["elements"][0] } else { &block["text"] };
        assert_eq!((&text["type"], &text["verbatim"]), (&json!("mrkdwn"), &json!(true)));
        let text = text["text"].as_str().unwrap().to_owned();
        assert!((1..=TEXT_LIMIT).contains(&text.chars().count()));
        text
    };
    blocks.iter().map(text).collect()
}

#[test]
fn a_failing_suite_is_told_with_its_expectations_rows_owner_and_links() {
    let texts = texts(vec![item(Event::Firing, "stock suite", 2, 20, "-3")], Some("https://stock.example.com"));
    assert_eq!(
        texts[0],
        ":rotating_light: *Failing* · <https://stock.example.com/quality/suites/stock%20suite|stock suite> on `stock` · \
         checkpoint `daily`\n*18 of 20 expectations met* · <https://stock.example.com/quality/runs/12|run 12>\n\
         First seen 2024-01-16 14:31:00 UTC · 3 failed runs\nOwner: <@U012AB3CD>"
    );
    assert_eq!(
        texts[1],
        "*critical* close is at least 1.\n`5 of 100 unexpected (5.00 %): -3, b, c`\n• record 17: `-3`\n\
         • record 21: `b`\n• record 33: `c`"
    );
    assert!(texts[2].starts_with("*warning* close is at least 0."), "{}", texts[2]);
    assert_eq!(texts[3], "stockstream · 2024-01-16 14:31:00 UTC");
    assert_eq!(texts.len(), 4);
}

#[test]
fn without_a_public_url_there_are_no_links() {
    let texts = texts(vec![item(Event::Firing, "s", 1, 2, "x")], None);
    assert!(texts[0].contains("· `s` on `stock`") && texts[0].contains("· run 12\n"), "{}", texts[0]);
    assert!(!texts.concat().contains("<http"));
}

#[test]
fn good_news_calls_nobody() {
    for event in [Event::Resolved, Event::Passed] {
        let texts = texts(vec![item(event, "s", 0, 2, "x")], None);
        assert!(texts[0].starts_with(":white_check_mark:") && !texts.concat().contains("<@"), "{}", texts[0]);
        assert_eq!(texts.len(), 2);
    }
}

#[test]
fn data_can_neither_call_anybody_nor_link_nor_leave_its_place() {
    let evil = "<!channel> <@U999999999> & `*x*`\n<https://evil.example|click>";
    let mut evil_item = item(Event::Firing, evil, 1, 1, evil);
    (evil_item.checkpoint, evil_item.owner) = (evil.to_owned(), Some(evil.to_owned()));
    for url in [None, Some("https://stock.example.com")] {
        let all = texts(vec![evil_item.clone(), evil_item.clone()], url).concat()
            + &texts(vec![evil_item.clone()], url).concat();
        for call in ["<!", "<@", "<https://evil"] {
            assert!(!all.contains(call), "{call} in {all}");
        }
        assert!(all.contains("&lt;!channel&gt;"), "{all}");
    }
}

#[test]
fn a_suite_with_many_failures_stays_within_the_limits_and_counts_the_rest() {
    let long = "x<>&".repeat(5_000);
    let texts = texts(vec![item(Event::Firing, &long, 400, 400, &long)], Some("https://stock.example.com"));
    assert!(texts.iter().any(|text| text == "… and 390 more expectations are not met."));
}

#[test]
fn several_suites_make_one_digest() {
    let items = vec![
        item(Event::Firing, "a", 5, 20, "x"),
        item(Event::Firing, "b", 1, 2, "y"),
        item(Event::Resolved, "c", 0, 3, "z"),
    ];
    let texts = texts(items, None);
    assert_eq!(texts[0], "*2 failing, 1 resolved*");
    assert!(texts[1].contains("· `a` on") && texts[1].contains("*15 of 20 expectations met*"), "{}", texts[1]);
    assert_eq!(texts[1].matches('•').count(), 3);
    assert!(texts[1].ends_with("… and 2 more"), "{}", texts[1]);
    assert!(texts[2].contains("`b`") && texts[3].contains("`c`"));
}

#[test]
fn a_digest_of_a_thousand_suites_is_one_message_that_counts_the_rest() {
    let long = "x<>&".repeat(500);
    let texts = texts(vec![item(Event::Firing, &long, 4, 9, &long); 1_000], Some("https://stock.example.com"));
    assert_eq!(texts[0], "*1000 failing*");
    assert_eq!(texts[41], "… and 960 more");
}

#[test]
fn silence_names_the_checkpoint_and_calls_its_owner() {
    let silent = Item { run: None, failed_runs: 0, ..item(Event::Nodata, "s", 0, 1, "x") };
    let texts = texts(vec![silent], None);
    assert_eq!(
        texts[0],
        ":zzz: *No data* · checkpoint `daily`\nIt has not reported since 2024-01-16 14:31:00 UTC.\nOwner: <@U012AB3CD>"
    );
}
