//! Writes down what windows of the stream found, and tells of it.

use super::{
    RecordSuites,
    window::{ClosedWindow, Part, Windows},
};
use crate::{
    alert::{RunReport, SuiteAlerts},
    checkpoint::{StreamCheck, Unsupported},
    store::{Cause, Store},
};
use chrono::SecondsFormat;
use quality::suite::ValidationResult;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// Windows that may wait to be written. One more is dropped, which is said and counted.
const WAITING: usize = 8;
/// How long Postgres may take for one, and how often it is tried.
const PATIENCE: Duration = Duration::from_secs(10);
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// Makes the windows of a reader. Cheap to clone.
#[derive(Clone)]
pub struct WindowSource {
    pub suites: RecordSuites,
    checks: Arc<[StreamCheck]>,
    closed: mpsc::Sender<ClosedWindow>,
}

/// The other end.
pub struct WindowRecorder {
    suites: RecordSuites,
    checks: Arc<[StreamCheck]>,
    closed: mpsc::Receiver<ClosedWindow>,
    store: Store,
    alerts: Option<SuiteAlerts>,
}

/// The suites that hold every record of a stream, with their windows, and who writes those down.
pub fn windows(checks: Vec<StreamCheck>, store: Store, alerts: Option<SuiteAlerts>) -> (WindowSource, WindowRecorder) {
    let suites = RecordSuites::new(checks.iter().map(|check| check.suite.clone()));
    let checks: Arc<[StreamCheck]> = checks.into();
    let (sender, closed) = mpsc::channel(WAITING);
    let source = WindowSource { suites: suites.clone(), checks: checks.clone(), closed: sender };
    (source, WindowRecorder { suites, checks, closed, store, alerts })
}

impl WindowSource {
    /// Windows over nothing yet.
    pub fn begin(&self) -> Windows {
        let fresh = self.suites.list().iter().map(|stream| stream.fresh().clone());
        Windows::new(self.checks.clone(), fresh, self.closed.clone())
    }
}

impl WindowRecorder {
    /// Lives until nobody makes windows any more.
    pub async fn run(mut self) {
        if let Some(alerts) = &self.alerts {
            for check in self.checks.iter().filter(|check| check.window.is_some()) {
                // A stream is silent whenever its exchange is; how old its data is, is told elsewhere.
                alerts.expect(&check.name, check.owner.as_deref(), Some(Duration::ZERO));
            }
        }
        let mut recalled = vec![self.alerts.is_none(); self.checks.len()];
        while let Some(window) = self.closed.recv().await {
            let suite = window.suite;
            recalled[suite] = recalled[suite] || self.recall(suite).await;
            self.record(window).await;
        }
    }

    /// Knows again since when the suite has been failing; false when Postgres does not answer.
    async fn recall(&self, suite: usize) -> bool {
        let check = &self.checks[suite];
        match (&self.alerts, self.store.failing_since(&check.suite.name, true).await) {
            (Some(alerts), Ok(Some((run_id, since)))) => {
                alerts.recall(&check.name, &check.suite.name, run_id, since);
                true
            }
            (_, result) => result.is_ok(),
        }
    }

    async fn record(&self, window: ClosedWindow) {
        let check = &self.checks[window.suite];
        let (started_at, finished_at) = (window.started_at, window.finished_at);
        let asset = asset(&window.parts);
        let result = Arc::new(self.result(window, &asset));
        let mut attempt = 1;
        let run_id = loop {
            let write = self.store.record_validation(&asset, Cause::Window, started_at, finished_at, &result);
            let error = match tokio::time::timeout(PATIENCE, write).await {
                Ok(Ok(run_id)) => break run_id,
                Ok(Err(error)) => error.to_string(),
                Err(_elapsed) => format!("no answer within {} s", PATIENCE.as_secs()),
            };
            if attempt == ATTEMPTS {
                let suite = &check.suite.name;
                tracing::warn!(suite, error, "a window of the stream is not recorded");
                metrics::counter!("stockstream_windows_dropped_total", "suite" => suite.clone()).increment(1);
                return;
            }
            attempt += 1;
            tokio::time::sleep(PAUSE).await;
        };
        let outcome = if result.success() { "met" } else { "unmet" };
        metrics::counter!("stockstream_windows_total", "suite" => check.suite.name.clone(), "outcome" => outcome)
            .increment(1);
        let (met, all) = result.met();
        tracing::debug!(run_id, suite = check.suite.name, met, all, "window of the stream");
        if let Some(alerts) = &self.alerts {
            alerts.report(RunReport {
                checkpoint: check.name.clone(),
                owner: check.owner.clone(),
                notify_on: check.notify_on,
                run_id,
                asset,
                started_at,
                finished_at,
                result,
            });
        }
    }

    fn result(&self, window: ClosedWindow, asset: &str) -> ValidationResult {
        let ClosedWindow { suite, evaluation, started_at, parts, .. } = window;
        let (check, stream) = (&self.checks[suite], &self.suites.list()[suite]);
        let mut results = evaluation.finish(|_| Err("is not asked of a window".to_owned()));
        let mut left_out = Vec::new();
        if check.unsupported == Unsupported::LeaveOut {
            let without = stream.left_out().iter().filter(|left_out| !left_out.of_windows);
            left_out = without.map(|left_out| (left_out.place, left_out.to_string())).collect();
            let mut place = 0;
            results.retain(|_| {
                place += 1;
                !left_out.iter().any(|(out, _)| *out == place - 1)
            });
        }
        let run_time = started_at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let records: u64 = parts.iter().map(|part| part.records).sum();
        let meta = [
            ("run_id", json!({"run_name": null, "run_time": run_time})),
            ("active_batch_definition", json!({"data_asset_name": asset})),
            ("row_count", records.into()),
            ("stockstream_version", env!("CARGO_PKG_VERSION").into()),
            ("suites_digest", self.suites.set().map_or(Value::Null, |set| set.digest.clone().into())),
            ("window", parts.iter().map(shown).collect()),
            ("left_out", left_out.into_iter().map(|(_, why)| why).collect()),
        ];
        let meta: Map<String, Value> = meta.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        ValidationResult { suite_name: stream.suite.name.clone(), results, meta }
    }
}

fn shown(part: &Part) -> Value {
    let Part { key, first_offset, last_offset, records } = part;
    json!({
        "topic": key.topic, "partition": key.partition, "first_offset": first_offset, "last_offset": last_offset,
        "records": records,
    })
}

/// What was read, as people name it: the topics with their partitions, `dbserver1.stream_db.stock[0,1]`. Instances read
/// different partitions, so that the name tells whose window it is.
fn asset(parts: &[Part]) -> String {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for part in parts {
        topics.entry(&part.key.topic).or_default().push(part.key.partition);
    }
    let name = |(topic, mut partitions): (&str, Vec<i32>)| {
        partitions.sort_unstable();
        let partitions: Vec<String> = partitions.iter().map(ToString::to_string).collect();
        format!("{topic}[{}]", partitions.join(","))
    };
    topics.into_iter().map(name).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::PartitionKey;

    #[test]
    fn a_window_is_named_by_what_was_read_for_it() {
        let part = |topic: &str, partition| Part {
            key: PartitionKey { topic: topic.to_owned(), partition },
            first_offset: 0,
            last_offset: 9,
            records: 10,
        };
        assert_eq!(asset(&[part("b.c", 2), part("a", 0), part("b.c", 0)]), "a[0] b.c[0,2]");
    }
}
