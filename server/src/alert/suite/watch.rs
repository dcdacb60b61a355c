//! The door for those who run suites.

use super::{RunReport, SuiteIncidents, SuitePolicy};
use crate::alert::Alerts;
use chrono::{DateTime, Utc};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often time is let pass.
const TICK: Duration = Duration::from_secs(1);

/// Tells people of suite runs. Cheap to clone; nothing here waits for a target or for a database.
///
/// ```text
/// let suites = SuiteAlerts::new(alerts.clone(), policy);
/// suites.expect("daily", Some("U012AB3CD"), Some(Duration::from_secs(2 * 86_400)));
/// tasks.spawn(suites.clone().run(shutdown.clone()));
/// …
/// suites.report(RunReport { … }); // after every run
/// ```
#[derive(Clone, Debug)]
pub struct SuiteAlerts {
    incidents: Arc<Mutex<SuiteIncidents>>,
    alerts: Alerts,
}

impl SuiteAlerts {
    pub fn new(alerts: Alerts, policy: SuitePolicy) -> Self {
        Self { incidents: Arc::new(Mutex::new(SuiteIncidents::new(policy))), alerts }
    }

    /// Expects a checkpoint to report from now on, so that its silence is noticed even if it never reports at all;
    /// see [`SuiteIncidents::expect`].
    pub fn expect(&self, checkpoint: &str, owner: Option<&str>, nodata_after: Option<Duration>) {
        self.incidents().expect(checkpoint, owner, nodata_after, Utc::now());
    }

    /// Knows again that a suite failed when the process before this one ended, so that its recovery is told; see
    /// [`SuiteIncidents::recall`].
    pub fn recall(&self, checkpoint: &str, suite: &str, run_id: i64, first_seen: DateTime<Utc>) {
        self.incidents().recall(checkpoint, suite, run_id, first_seen, Utc::now());
    }

    /// Knows that a checkpoint is alive though its report went elsewhere: another instance of this program has run it.
    pub fn heard(&self, checkpoint: &str, owner: Option<&str>) {
        let mut incidents = self.incidents();
        if let Some(notice) = incidents.heard(checkpoint, owner, Utc::now()) {
            self.alerts.tell(notice);
        }
    }

    /// Takes a run. Never waits: targets have bounded queues of their own.
    pub fn report(&self, report: RunReport) {
        let mut incidents = self.incidents();
        // Under the lock, so that notices keep their order.
        if let Some(notice) = incidents.observe(report, Utc::now()) {
            self.alerts.tell(notice);
        }
    }

    /// Sends digests, held notices and silences when their time has come, until `shutdown`. What waits for its digest then
    /// is named in the log.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
            let mut incidents = self.incidents();
            if let Some(notice) = incidents.tick(Utc::now()) {
                self.alerts.tell(notice);
            }
        }
        if let Some(notice) = self.incidents().flush(Utc::now()) {
            tracing::warn!(%notice, "not told before the end");
        }
    }

    fn incidents(&self) -> MutexGuard<'_, SuiteIncidents> {
        self.incidents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
