//! A message to try targets with: it looks like a real one and says that it is none.

use super::{Event, Item, Notice, NotifyOn, RunReport};
use chrono::{DateTime, Utc};
use quality::suite::{Suite, SuiteError, ValidationResult};
use serde_json::{Map, json};
use std::sync::Arc;

const SUITE: &str = include_str!("sample.json");

/// A failing suite, as `stockstream alert test` sends it.
///
/// # Errors
/// Never: the sample suite is one, which a test holds.
pub fn sample(now: DateTime<Utc>) -> Result<Notice, SuiteError> {
    let suite = Suite::parse(SUITE.as_bytes())?;
    let mut results: Vec<_> =
        suite.expectations.into_iter().map(|expectation| expectation.failed(String::new())).collect();
    for (index, result) in results.iter_mut().enumerate() {
        result.exception = None;
        result.success = index > 0;
    }
    if let Some(result) = results.first_mut() {
        let found = json!({
            "element_count": 390,
            "unexpected_count": 2,
            "unexpected_percent": 2.0 / 390.0 * 100.0,
            "partial_unexpected_list": ["-1.0000", "0.0000"],
            "partial_unexpected_index_list": [17, 42],
        });
        result.result = found.as_object().cloned().unwrap_or_default();
    }
    let run = RunReport {
        checkpoint: "stockstream alert test".to_owned(),
        owner: None,
        notify_on: NotifyOn::Failure,
        run_id: 0,
        asset: "sample".to_owned(),
        started_at: now,
        finished_at: now,
        result: Arc::new(ValidationResult { suite_name: suite.name, results, meta: Map::new() }),
    };
    let checkpoint = run.checkpoint.clone();
    let item = Item { event: Event::Firing, checkpoint, owner: None, first_seen: now, failed_runs: 1, run: Some(run) };
    Ok(Notice { at: now, items: vec![item] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_says_that_it_is_one_and_names_what_failed() {
        let notice = sample(Utc::now()).unwrap();
        let text = notice.to_string();
        assert!(text.contains("This is a test") && text.contains("1 of 2 expectations met"), "{text}");
        let run = notice.items[0].run.as_ref().unwrap();
        assert!(run.result.results.iter().all(|result| result.expectation.compile().is_ok()));
        assert!(run.result.results[0].found().unwrap().contains("2 of 390 unexpected (0.51 %)"));
    }
}
