//! How checkpoints stand in this process: which is being run, when the next run is due, and what kept the last one from
//! being run.

use crate::store::validate::{AssetError, RunError};
use chrono::{DateTime, Utc};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How one checkpoint stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Since when it is being run by this process.
    pub running_since: Option<DateTime<Utc>>,
    /// When its schedule comes to it again.
    pub next_run_at: Option<DateTime<Utc>>,
    /// Why it could not be run when it was last tried, for people.
    pub trouble: Option<String>,
}

/// The progress of all checkpoints, by name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Board(Arc<Mutex<HashMap<String, Progress>>>);

impl Board {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn of(&self, name: &str) -> Progress {
        self.entries().get(name).cloned().unwrap_or_default()
    }

    pub fn note(&self, name: &str, change: impl FnOnce(&mut Progress)) {
        change(self.entries().entry(name.to_owned()).or_default());
    }

    /// Marks a run as begun; `None` when one is under way.
    pub fn begin(&self, name: &str, now: DateTime<Utc>) -> Option<Running> {
        let mut entries = self.entries();
        let progress = entries.entry(name.to_owned()).or_default();
        if progress.running_since.is_some() {
            return None;
        }
        progress.running_since = Some(now);
        Some(Running { board: self.clone(), name: name.to_owned() })
    }
}

/// A run under way; it is over when this goes, also when nobody waits for it any more.
pub(super) struct Running {
    board: Board,
    name: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.board.note(&self.name, |progress| progress.running_since = None);
    }
}

/// Why a suite could not be run, as everybody may read it; the log has the rest.
pub(super) fn explain(error: &RunError) -> String {
    match error {
        RunError::Asset(missing @ AssetError::Missing(_)) => missing.to_string(),
        RunError::Asset(AssetError::Database(_)) | RunError::Database(_) => "the database did not answer".to_owned(),
    }
}
