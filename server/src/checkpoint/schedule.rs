//! Runs checkpoints when their time has come, or when somebody asks.

use super::Checkpoint;
use crate::store::{
    Cause, Store,
    validate::{RunError, Wanted},
};
use chrono::{TimeDelta, Utc};
use quality::suite::ValidationResult;
use std::{sync::Arc, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Before the first run: a program that has just been set up has no rows yet, and nobody wants to be told so.
const FIRST: Duration = Duration::from_secs(30);
/// After a run that could not be: the database is away, or not migrated yet.
const PAUSE: Duration = Duration::from_secs(5);

/// Runs checkpoints. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    store: Store,
    checkpoints: Arc<[Checkpoint]>,
}

impl Runner {
    pub fn new(store: Store, checkpoints: Vec<Checkpoint>) -> Self {
        Self { store, checkpoints: checkpoints.into() }
    }

    pub fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }

    /// Runs every checkpoint that has a schedule, until `shutdown`.
    pub fn start(&self, tasks: &TaskTracker, shutdown: &CancellationToken) {
        for at in 0..self.checkpoints.len() {
            if let Some(every) = self.checkpoints[at].every {
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
        let mut is_well = true;
        tokio::time::sleep(every.min(FIRST)).await;
        loop {
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

    /// Runs a checkpoint now; `None` when it is being run, or was run lately.
    ///
    /// # Errors
    /// Its table does not exist, or Postgres does not answer.
    pub async fn run(
        &self,
        checkpoint: &Checkpoint,
        cause: Cause,
        not_within: Option<TimeDelta>,
    ) -> Result<Option<(i64, ValidationResult)>, RunError> {
        let wanted = Wanted {
            checkpoint: &checkpoint.name,
            table: &checkpoint.table,
            suite: &checkpoint.suite,
            cause,
            not_within,
        };
        let began = std::time::Instant::now();
        let Some((run_id, result)) = self.store.run_suite(wanted, Utc::now()).await? else { return Ok(None) };
        let outcome = if result.success() { "met" } else { "unmet" };
        metrics::counter!("stockstream_validations_total", "suite" => result.suite_name.clone(), "outcome" => outcome)
            .increment(1);
        metrics::histogram!("stockstream_validation_seconds").record(began.elapsed().as_secs_f64());
        let (met, all) = result.met();
        tracing::info!(run_id, checkpoint = checkpoint.name, met, all, "suite run");
        Ok(Some((run_id, result)))
    }
}
