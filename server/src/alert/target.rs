//! Where alerts go.

use super::{Alert, Item, News, Turn};
use futures::future::BoxFuture;
use std::{fmt, time::Duration};

/// Somebody who wants to be told.
///
/// A delivery that was reported as failed may have arrived: a target may see an alert twice, and in rare cases (it was
/// away for longer than [`Patience`](super::Patience) lasts, or more alerts came than the queue holds) not at all.
/// What one target is told comes in order, one at a time.
pub trait Target: fmt::Debug + Send + Sync + 'static {
    /// For logs and metrics.
    fn name(&self) -> &str;

    /// What of the news it wants to hear.
    fn part_of(&self, news: &News) -> Option<News> {
        Some(news.clone())
    }

    /// Delivers one message; comes back within seconds.
    fn deliver<'a>(&'a self, news: &'a News) -> BoxFuture<'a, Result<(), Setback>>;
}

/// Why an alert was not delivered. The text says so without any secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Setback {
    /// It may work later.
    #[error("{reason}")]
    Later {
        reason: String,
        /// The target said when.
        after: Option<Duration>,
    },
    /// It will not work however often it is tried.
    #[error("{0}")]
    Never(String),
}

/// The log of this process: always there.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Target for Log {
    fn name(&self) -> &str {
        "log"
    }

    fn deliver<'a>(&'a self, news: &'a News) -> BoxFuture<'a, Result<(), Setback>> {
        match news {
            News::Pipeline(alert) => log_alert(alert),
            News::Suites(notice) => notice.items.iter().for_each(log_item),
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

fn log_alert(alert: &Alert) {
    let (kind, subject, message) = (alert.kind.as_str(), &alert.subject, &alert.message);
    match alert.turn {
        Turn::Opened => tracing::error!(kind, %subject, since = %alert.since, "alert: {message}"),
        Turn::Resolved => tracing::info!(kind, %subject, since = %alert.since, "resolved: {message}"),
    }
}

fn log_item(item: &Item) {
    let (event, since, owner) = (item.event.as_str(), item.first_seen, item.owner.as_deref());
    if item.event.is_bad() {
        tracing::error!(event, %since, owner, failed_runs = item.failed_runs, "alert: {item}");
    } else {
        tracing::info!(event, %since, owner, failed_runs = item.failed_runs, "{item}");
    }
}
