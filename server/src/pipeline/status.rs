//! What the pipeline says of itself, for `/readyz`, the status line and the metrics.

use chrono::{DateTime, Utc};
use market::wire::PipeState;
use serde::Serialize;
use tokio::sync::watch;

/// The pipeline's state as of now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    pub state: PipeState,
    /// When it entered this state.
    pub since: DateTime<Utc>,
    /// One sentence for the operator, when there is something to say.
    pub message: Option<String>,
    /// Records not yet consumed, over all partitions; `None` until the broker has said so.
    pub lag: Option<i64>,
    /// Offset up to which everything is committed, summed over the partitions of this run.
    pub consumed: i64,
}

/// A reader's end.
pub type StatusHandle = watch::Receiver<Status>;

/// The pipeline's end.
#[derive(Clone, Debug)]
pub struct StatusWriter(watch::Sender<Status>);

/// A fresh status: starting, nothing known.
pub fn channel() -> (StatusWriter, StatusHandle) {
    let (sender, receiver) =
        watch::channel(Status { state: PipeState::Starting, since: Utc::now(), message: None, lag: None, consumed: 0 });
    (StatusWriter(sender), receiver)
}

impl StatusWriter {
    /// Enters a state. Repeating the state keeps its `since`.
    pub fn enter(&self, state: PipeState, message: Option<String>) {
        self.0.send_if_modified(|status| {
            let changed = status.state != state || status.message != message;
            if status.state != state {
                status.since = Utc::now();
            }
            status.state = state;
            status.message = message;
            changed
        });
    }

    pub(super) fn lag(&self, lag: i64) {
        self.0.send_if_modified(|status| status.lag.replace(lag) != Some(lag));
    }

    pub(super) fn consumed(&self, records: i64) {
        self.0.send_modify(|status| status.consumed += records);
    }
}
