//! Runs checkpoints when their time has come, or when somebody asks.

use super::Checkpoint;
use crate::{
    alert::{RunReport, SuiteAlerts},
    store::{
        Cause, Store,
        validate::{RunError, Wanted},
    },
};
use chrono::{TimeDelta, Utc};
use quality::suite::ValidationResult;
use std::{sync::Arc, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Before the first run: a program that has just been set up has no rows yet, and nobody wants to be told so.
const FIRST: Duration = Duration::from_secs(30);
/// Runs that may stay away before their silence is an alert.
const MISSED: u32 = 3;
/// After a run that could not be: the database is away, or not migrated yet.
const PAUSE: Duration = Duration::from_secs(5);

/// Runs checkpoints. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    store: Store,
    checkpoints: Arc<[Checkpoint]>,
    /// Whom to tell; `None` for nobody.
    alerts: Option<SuiteAlerts>,
}

impl Runner {
    pub fn new(store: Store, checkpoints: Vec<Checkpoint>) -> Self {
        Self { store, checkpoints: checkpoints.into(), alerts: None }
    }

    /// Tells of every run.
    #[must_use]
    pub fn telling(self, alerts: SuiteAlerts) -> Self {
        Self { alerts: Some(alerts), ..self }
    }

    pub fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }

    /// Runs every checkpoint that has a schedule, until `shutdown`.
    pub fn start(&self, tasks: &TaskTracker, shutdown: &CancellationToken) {
        for at in 0..self.checkpoints.len() {
            let checkpoint = &self.checkpoints[at];
            if let Some(every) = checkpoint.every {
                if let Some(alerts) = &self.alerts {
                    let silent = every.saturating_mul(MISSED);
                    alerts.expect(&checkpoint.name, checkpoint.owner.as_deref(), Some(silent));
                }
                let (runner, shutdown) = (self.clone(), shutdown.clone());
                tasks.spawn(async move {
                    tokio::select! {
                        () = runner.repeat(at, every) => {}
                        () = shutdown.cancelled() => {}
                    }
                });
            }
        }
    }

    async fn repeat(&self, at: usize, every: Duration) {
        let checkpoint = &self.checkpoints[at];
        // Several instances share a schedule: what another one has just run is not run again. A little earlier than the
        // full time, so that one instance by itself does not skip every other time.
        let not_within = TimeDelta::from_std(every.mul_f64(0.9)).ok();
        let (mut is_well, mut remembers) = (true, self.alerts.is_none());
        tokio::time::sleep(every.min(FIRST)).await;
        loop {
            // What an earlier process saw failing is still failing, until a run says otherwise.
            remembers = remembers || self.recall(checkpoint).await;
            let pause = match self.run(checkpoint, Cause::Schedule, not_within).await {
                Ok(_) => {
                    is_well = true;
                    every
                }
                Err(error) => {
                    if std::mem::replace(&mut is_well, false) {
                        tracing::warn!(checkpoint = checkpoint.name, %error, "a checkpoint could not be run; trying again");
                    }
                    PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Knows again since when the suite has been failing; false when Postgres does not answer.
    async fn recall(&self, checkpoint: &Checkpoint) -> bool {
        let suite = &checkpoint.suite.name;
        match (&self.alerts, self.store.failing_since(suite).await) {
            (Some(alerts), Ok(Some((run_id, since)))) => {
                alerts.recall(&checkpoint.name, suite, run_id, since);
                true
            }
            (_, result) => result.is_ok(),
        }
    }

    /// Runs a checkpoint now; `None` when it is being run, or was run lately.
    ///
    /// # Errors
    /// Its table does not exist, or Postgres does not answer.
    pub async fn run(
        &self,
        checkpoint: &Checkpoint,
        cause: Cause,
        not_within: Option<TimeDelta>,
    ) -> Result<Option<(i64, Arc<ValidationResult>)>, RunError> {
        let wanted = Wanted {
            checkpoint: &checkpoint.name,
            table: &checkpoint.table,
            suite: &checkpoint.suite,
            cause,
            not_within,
        };
        let began = std::time::Instant::now();
        let started_at = Utc::now();
        let Some((run_id, result)) = self.store.run_suite(wanted, started_at).await? else {
            // Another instance runs it: silent it is not.
            if let Some(alerts) = &self.alerts {
                alerts.heard(&checkpoint.name, checkpoint.owner.as_deref());
            }
            return Ok(None);
        };
        let result = Arc::new(result);
        if let Some(alerts) = &self.alerts {
            alerts.report(RunReport {
                checkpoint: checkpoint.name.clone(),
                owner: checkpoint.owner.clone(),
                notify_on: checkpoint.notify_on,
                run_id,
                asset: checkpoint.table.clone(),
                started_at,
                finished_at: Utc::now(),
                result: result.clone(),
            });
        }
        let outcome = if result.success() { "met" } else { "unmet" };
        metrics::counter!("stockstream_validations_total", "suite" => result.suite_name.clone(), "outcome" => outcome)
            .increment(1);
        metrics::histogram!("stockstream_validation_seconds").record(began.elapsed().as_secs_f64());
        let (met, all) = result.met();
        tracing::info!(run_id, checkpoint = checkpoint.name, met, all, "suite run");
        Ok(Some((run_id, result)))
    }
}
