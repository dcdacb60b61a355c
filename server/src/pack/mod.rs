//! Asks the rules over several bars, after the commit: reads the change log behind the writers, has `quality` judge what was
//! touched, keeps the findings, tells people of the critical ones and sockets of all.
//!
//! Nothing here is on the way of a record. Each step is one transaction with the findings and the place in the log, so a
//! restart goes on where the last step ended, and several instances come to one set of findings. All that is remembered
//! between two steps is in the database.

mod live;
mod step;

pub use live::tell;
pub use step::{Done, StepError};

use crate::{
    alert::{Alerts, FindingIncidents, SuitePolicy},
    store::Store,
};
use chrono::{DateTime, TimeDelta, Utc};
use market::{Severity, wire::SourceMode};
use quality::pack::Pack;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often the head of the stream is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// After a question that Postgres did not answer.
const PAUSE: Duration = Duration::from_secs(2);
/// Changes that may wait before the log says that they do.
const BEHIND: i64 = 100_000;
/// Findings of one step that are counted and told.
const TOLD: i64 = 1_000;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Another instance does it.
    Elsewhere,
    /// Changes that still wait.
    Waiting(i64),
}

/// Judges what is committed.
#[derive(Clone, Debug)]
pub struct Watcher {
    store: Store,
    pack: Arc<Pack>,
    mode: SourceMode,
    budget_seconds: f64,
    /// This one among the instances.
    instance: Uuid,
}

impl Watcher {
    /// `budget_ms`: how late data may be and still be called live. What is about the clock on the wall is asked of live
    /// sources only.
    pub fn new(store: Store, pack: Arc<Pack>, mode: SourceMode, budget_ms: u32) -> Self {
        Self { store, pack, mode, budget_seconds: f64::from(budget_ms) / 1_000.0, instance: Uuid::new_v4() }
    }

    /// Its name among the instances.
    pub fn instance(&self) -> Uuid {
        self.instance
    }

    /// Judges until `shutdown`.
    pub async fn run(self, alerts: Alerts, policy: SuitePolicy, shutdown: CancellationToken) {
        let mut told = Told { incidents: FindingIncidents::new(&policy), alerts, leads: false, is_behind: false };
        let work = async {
            let mut is_well = true;
            loop {
                let pause = match self.work(&mut told).await {
                    Ok(Progress::Waiting(waiting)) => {
                        is_well = true;
                        if waiting > 0 { Duration::ZERO } else { LOOK }
                    }
                    Ok(Progress::Elsewhere) => LOOK,
                    Err(error) => {
                        // Away, or not migrated yet.
                        if std::mem::replace(&mut is_well, false) {
                            tracing::debug!(%error, "bars could not be judged; trying again");
                        }
                        PAUSE
                    }
                };
                tokio::time::sleep(pause).await;
            }
        };
        tokio::select! {
            () = work => {}
            () = shutdown.cancelled() => {}
        }
        if told.leads {
            // Otherwise the next one waits for the lease to run out.
            let _ = self.store.leave_pack(self.instance).await;
        }
    }

    async fn work(&self, told: &mut Told) -> Result<Progress, StepError> {
        if !self.store.is_migrated() {
            return Ok(Progress::Elsewhere);
        }
        let began = std::time::Instant::now();
        let Some(done) = self.step(Utc::now()).await? else {
            told.leads = false;
            return Ok(Progress::Elsewhere);
        };
        let now = Utc::now();
        if !std::mem::replace(&mut told.leads, true) && self.store.open_findings(Severity::Critical).await? > 0 {
            told.incidents.recall(now);
        }
        metrics::gauge!("stockstream_pack_waiting_changes").set(done.waiting as f64);
        if done.changes > 0 {
            metrics::counter!("stockstream_pack_changes_total").increment(done.changes);
            metrics::histogram!("stockstream_pack_step_seconds").record(began.elapsed().as_secs_f64());
        }
        told.behind(done.waiting);
        if done.has_news {
            for (_, finding) in self.store.findings_since(done.number - 1, TOLD).await? {
                if finding.resolved_at.is_none() {
                    let labels = [("rule", finding.rule.clone()), ("severity", finding.severity.as_str().to_owned())];
                    metrics::counter!("stockstream_findings_total", &labels).increment(1);
                    if finding.severity == Severity::Critical {
                        told.incidents.add(&finding, now);
                    }
                }
            }
        }
        let open = match told.incidents.wants_count() {
            true => Some(self.store.open_findings(Severity::Critical).await?),
            false => None,
        };
        if let Some(alert) = told.incidents.tick(open, now) {
            told.alerts.tell(alert);
        }
        if done.waiting == 0 && is_due(done.counted_at, COUNT_EVERY, now) {
            self.compare_rows(now).await?;
        }
        Ok(Progress::Waiting(done.waiting))
    }
}

/// How often the rows are counted.
const COUNT_EVERY: TimeDelta = TimeDelta::minutes(10);

fn is_due(last: Option<DateTime<Utc>>, every: TimeDelta, now: DateTime<Utc>) -> bool {
    // A clock that was set back must not stop what is asked by it.
    last.is_none_or(|last| now - last >= every || now < last)
}

/// What this instance has told.
struct Told {
    incidents: FindingIncidents,
    alerts: Alerts,
    /// This instance had the last step.
    leads: bool,
    is_behind: bool,
}

impl Told {
    fn behind(&mut self, waiting: i64) {
        let was = self.is_behind;
        self.is_behind = waiting > if was { 0 } else { BEHIND };
        match (was, self.is_behind) {
            (false, true) => tracing::warn!(waiting, "the rules over several bars are behind the writers; catching up"),
            (true, false) => tracing::info!("the rules over several bars have caught up"),
            _ => {}
        }
    }
}
