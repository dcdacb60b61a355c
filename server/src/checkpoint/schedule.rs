//! Runs checkpoints when their time has come, or when somebody asks.

use super::{
    Checkpoint,
    progress::{Board, Progress, Running, explain},
};
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
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Before the first run: a program that has just been set up has no rows yet, and nobody wants to be told so.
const FIRST: Duration = Duration::from_secs(30);
/// Runs that may stay away before their silence is an alert.
const MISSED: u32 = 3;
/// After a run that could not be: the database is away, or not migrated yet.
const PAUSE: Duration = Duration::from_secs(5);

/// How a run ended: its number and what it found, or `None` when there was none to be.
pub type Ended = Result<Option<(i64, Arc<ValidationResult>)>, RunError>;

/// Runs checkpoints. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    store: Store,
    checkpoints: Arc<[Checkpoint]>,
    board: Board,
    /// Whom to tell; `None` for nobody.
    alerts: Option<SuiteAlerts>,
}

impl Runner {
    pub fn new(store: Store, checkpoints: Vec<Checkpoint>) -> Self {
        Self { store, checkpoints: checkpoints.into(), board: Board::default(), alerts: None }
    }

    /// Tells of every run.
    #[must_use]
    pub fn telling(self, alerts: SuiteAlerts) -> Self {
        Self { alerts: Some(alerts), ..self }
    }

    pub fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }

    /// The checkpoint of this name.
    pub fn find(&self, name: &str) -> Option<&Checkpoint> {
        self.checkpoints.iter().find(|checkpoint| checkpoint.name == name)
    }

    /// How a checkpoint stands in this process.
    pub fn progress(&self, name: &str) -> Progress {
        self.board.of(name)
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
        self.sleep(checkpoint, every.min(FIRST)).await;
        while !self.store.is_migrated() {
            tokio::time::sleep(PAUSE).await;
        }
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
            self.sleep(checkpoint, pause).await;
        }
    }

    async fn sleep(&self, checkpoint: &Checkpoint, pause: Duration) {
        let next = TimeDelta::from_std(pause).ok().and_then(|pause| Utc::now().checked_add_signed(pause));
        self.board.note(&checkpoint.name, |progress| progress.next_run_at = next);
        tokio::time::sleep(pause).await;
    }

    /// Knows again since when the suite has been failing; false when Postgres does not answer.
    async fn recall(&self, checkpoint: &Checkpoint) -> bool {
        let suite = &checkpoint.suite.name;
        match (&self.alerts, self.store.failing_since(suite, false).await) {
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
    pub async fn run(&self, checkpoint: &Checkpoint, cause: Cause, not_within: Option<TimeDelta>) -> Ended {
        match self.board.begin(&checkpoint.name, Utc::now()) {
            Some(running) => self.run_begun(running, checkpoint, cause, not_within).await,
            None => Ok(None),
        }
    }

    /// Begins to run a checkpoint because somebody asks: a task that goes on when nobody waits for it. `None` when this
    /// process is running it already.
    pub fn begin(&self, checkpoint: &Checkpoint) -> Option<JoinHandle<Ended>> {
        let running = self.board.begin(&checkpoint.name, Utc::now())?;
        let (runner, checkpoint) = (self.clone(), checkpoint.clone());
        Some(tokio::spawn(async move { runner.run_begun(running, &checkpoint, Cause::Demand, None).await }))
    }

    async fn run_begun(
        &self,
        _until_it_is_over: Running,
        checkpoint: &Checkpoint,
        cause: Cause,
        not_within: Option<TimeDelta>,
    ) -> Ended {
        let wanted = Wanted {
            checkpoint: &checkpoint.name,
            table: &checkpoint.table,
            suite: &checkpoint.suite,
            cause,
            not_within,
        };
        let began = std::time::Instant::now();
        let started_at = Utc::now();
        let found = self.store.run_suite(wanted, started_at).await;
        let trouble = found.as_ref().err().map(explain);
        self.board.note(&checkpoint.name, |progress| progress.trouble = trouble);
        let Some((run_id, result)) = found? else {
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
