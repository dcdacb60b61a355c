//! A webhook of anybody's: one JSON document per message, the shape of which `docs/alerts.md` describes.

use super::{
    Alert, Item, News, Notice, PublicUrl, Setback, Target, Turn,
    post::{Poster, UnusableWebhook},
};
use crate::outbound::Policy;
use futures::future::BoxFuture;
use quality::suite::ExpectationResult;
use secrecy::SecretString;
use serde_json::{Value, json};

/// The documents' version; a reader refuses a newer one.
const VERSION: u32 = 1;
/// Items that one document holds, and failed expectations that one item holds; the others are counted.
const LIMITS: (usize, usize) = (50, 50);

/// A URL that gets JSON documents.
#[derive(Debug)]
pub struct Webhook {
    poster: Poster,
    public_url: Option<PublicUrl>,
}

impl Webhook {
    /// `public_url`: where links lead; without it there are none.
    ///
    /// # Errors
    /// The policy does not allow the URL, or TLS cannot be set up.
    pub fn new(url: SecretString, policy: &Policy, public_url: Option<PublicUrl>) -> Result<Self, UnusableWebhook> {
        Ok(Self { poster: Poster::new(url, policy)?, public_url })
    }

    fn document(&self, news: &News) -> Value {
        match news {
            News::Pipeline(alert) => of_pipeline(alert),
            News::Suites(notice) => of_suites(notice, self.public_url.as_ref()),
        }
    }
}

impl Target for Webhook {
    fn name(&self) -> &str {
        "webhook"
    }

    fn deliver<'a>(&'a self, news: &'a News) -> BoxFuture<'a, Result<(), Setback>> {
        Box::pin(async move { self.poster.post(&self.document(news)).await })
    }
}

fn of_pipeline(alert: &Alert) -> Value {
    json!({
        "version": VERSION,
        "type": "pipeline",
        "at": alert.at,
        "text": alert.to_string(),
        "event": match alert.turn { Turn::Opened => "opened", Turn::Resolved => "resolved" },
        "kind": alert.kind.as_str(),
        "subject": alert.subject,
        "message": alert.message,
        "since": alert.since,
    })
}

fn of_suites(notice: &Notice, public_url: Option<&PublicUrl>) -> Value {
    json!({
        "version": VERSION,
        "type": "suites",
        "at": notice.at,
        "text": notice.to_string(),
        "items": notice.items.iter().take(LIMITS.0).map(|item| of_item(item, public_url)).collect::<Value>(),
        "items_left_out": notice.items.len().saturating_sub(LIMITS.0),
    })
}

fn of_item(item: &Item, public_url: Option<&PublicUrl>) -> Value {
    let run = item.run.as_ref().map(|run| {
        let (met, evaluated) = run.result.met();
        let failed = run.result.results.iter().filter(|result| !result.success);
        json!({
            "run_id": run.run_id,
            "url": public_url.map(|url| url.run(run.run_id)),
            "suite": run.suite(),
            "suite_url": public_url.map(|url| url.suite(run.suite())),
            "asset": run.asset,
            "started_at": run.started_at,
            "finished_at": run.finished_at,
            "success": run.result.success(),
            "evaluated": evaluated,
            "met": met,
            "failed": failed.take(LIMITS.1).map(of_expectation).collect::<Value>(),
            "failed_left_out": (evaluated - met).saturating_sub(LIMITS.1),
        })
    });
    json!({
        "event": item.event,
        "checkpoint": item.checkpoint,
        "owner": item.owner,
        "first_seen": item.first_seen,
        "failed_runs": item.failed_runs,
        "run": run,
    })
}

/// Great Expectations' own form of the result, and the same for people.
fn of_expectation(result: &ExpectationResult) -> Value {
    json!({
        "expects": result.expectation.sentence(),
        "severity": result.expectation.severity_name(),
        "found": result.found(),
        "result": result.to_json(),
    })
}
