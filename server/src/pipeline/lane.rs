//! One partition's life in this process: take it over, find its place, write what the reader hands over, hold when told
//! to or when a flood of refusals says that something is wrong, and start over when something broke.

use super::{
    Pipeline,
    backoff::Backoff,
    control::{Desired, Wish},
    flood::{Flood, Trip},
    hints::Hint,
    place::find_place,
    probe::{Probe, ProbeError},
    reader::ReaderHandle,
    status::PartitionState,
};
use crate::{
    failpoint::{self, Place},
    store::{Committed, PartitionKey, Writer},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

/// A lane that held this long starts with short pauses again when it breaks.
const CALM: Duration = Duration::from_secs(5);
/// How long Postgres may take to hand a partition over.
pub(super) const TAKE_OVER: Duration = Duration::from_secs(10);
/// The pause of a lane whose partition another instance took: two that want the same must not fight for every batch.
const TAKEN: Duration = Duration::from_secs(5);
/// How often the end of a partition is asked for while it is not read.
const LOOK: Duration = Duration::from_secs(5);

/// Takes hints for the broker.
pub type SendHint = Arc<dyn Fn(Hint) + Send + Sync>;

/// Why a lane has to start over.
#[derive(Debug, thiserror::Error)]
pub enum Interruption {
    #[error("Kafka: {0}")]
    Kafka(#[from] ProbeError),
    #[error("Postgres: {0}")]
    Postgres(#[from] sqlx::Error),
    #[error("Postgres did not answer within {} s", .0.as_secs())]
    Silence(Duration),
    #[error("another instance holds the partition")]
    Fenced,
}

/// One partition, and everything it needs.
pub struct Lane {
    pub pipeline: Arc<Pipeline>,
    pub key: PartitionKey,
    pub probe: Probe,
    pub reader: ReaderHandle,
    pub hint: SendHint,
    pub desired: watch::Receiver<Desired>,
    /// Ends the lane: the batch in flight is finished, or rolled back when it cannot be.
    pub stop: CancellationToken,
    pub guard: Guard,
}

/// What the flood guard of a partition knows.
#[derive(Default)]
pub struct Guard {
    pub flood: Flood,
    /// Why it stopped the partition.
    tripped: Option<Trip>,
    /// The orders to go on that it has heard.
    resumes: u64,
}

/// Why a lane stopped reading without an error.
enum Pause {
    /// For a wish, or by the guard: see which.
    Held,
    /// The reader cannot go on from here, or was held up for too long: it must be asked again.
    HandedBack,
    Ended,
}

impl Lane {
    /// Lives until `stop`. Gives back the key.
    pub async fn run(mut self) -> PartitionKey {
        let mut backoff = Backoff::default();
        self.guard.resumes = self.desired.borrow().resumes(&self.key);
        loop {
            let began = Instant::now();
            let Err(interruption) = self.hold().await else { break };
            if began.elapsed() > CALM {
                backoff = Backoff::default();
            }
            tracing::warn!(partition = %self.key, %interruption, "starting over");
            self.enter(PartitionState::Retrying, Some(format!("{interruption}; trying again")));
            let pause = if matches!(interruption, Interruption::Fenced) { TAKEN } else { backoff.pause() };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => break,
            }
        }
        self.pipeline.status.forget(&self.key);
        self.key
    }

    pub(super) fn enter(&self, state: PartitionState, reason: Option<String>) {
        let held = matches!(state, PartitionState::PausedByFloodGuard | PartitionState::PausedByOperator);
        metrics::gauge!("stockstream_partition_paused", "partition" => self.key.to_string()).set(if held {
            1.0
        } else {
            0.0
        });
        self.pipeline.status.partition(&self.key, |partition| partition.enter(state, reason));
    }

    /// Takes the partition over and writes until `stop`.
    async fn hold(&mut self) -> Result<(), Interruption> {
        let open = Writer::open(self.pipeline.store.clone(), self.key.clone(), self.pipeline.is_simulated.clone());
        let mut writer = tokio::select! {
            opened = within(TAKE_OVER, open) => opened??,
            () = self.stop.cancelled() => return Ok(()),
        };
        let mut backoff = Backoff::default();
        loop {
            let began = Instant::now();
            let mut recall = tokio::select! {
                placed = self.place(&mut writer) => placed?,
                () = self.stop.cancelled() => return Ok(()),
            };
            loop {
                if !self.until_wanted().await {
                    return Ok(());
                }
                self.enter(PartitionState::Running, None);
                let from = writer.state().next_offset;
                let pause = self.write(&mut writer, recall).await?;
                recall |= writer.state().next_offset > from;
                match pause {
                    Pause::Held => {}
                    Pause::HandedBack => break,
                    Pause::Ended => return Ok(()),
                }
            }
            if began.elapsed() > CALM {
                backoff = Backoff::default();
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Finds where the partition goes on, and says so. True: the broker still holds the record before.
    async fn place(&self, writer: &mut Writer) -> Result<bool, Interruption> {
        let found = find_place(&self.probe, writer).await?;
        within(TAKE_OVER, writer.judged_by(self.pipeline.windows.suites.set())).await??;
        let (incarnation, next_offset) = (writer.state().incarnation, writer.state().next_offset);
        tracing::info!(partition = %self.key, next_offset, incarnation, "consuming");
        self.pipeline.status.partition(&self.key, |partition| {
            partition.incarnation = incarnation;
            partition.next_offset = next_offset;
            partition.expired += found.expired;
        });
        self.progress(next_offset);
        Ok(found.recall)
    }

    /// Waits until the partition may run, and says meanwhile why it does not. False: it ends.
    async fn until_wanted(&mut self) -> bool {
        let mut look = tokio::time::interval(LOOK);
        loop {
            let (state, reason) = match self.wish() {
                (Wish::Drain, by) => (PartitionState::Drained, format!("drained by {by}; resume to go on")),
                (Wish::Pause, by) => (PartitionState::PausedByOperator, format!("paused by {by}; resume to go on")),
                (Wish::Run, _) => match self.guard.tripped {
                    Some(trip) => (PartitionState::PausedByFloodGuard, trip.to_string()),
                    None => return !self.stop.is_cancelled(),
                },
            };
            self.enter(state, Some(reason));
            tokio::select! {
                changed = self.desired.changed() => if changed.is_err() { return false },
                () = self.stop.cancelled() => return false,
                _ = look.tick() => {
                    // Nobody reads the partition, so nobody else says how far it lags.
                    if let Ok(marks) = self.probe.watermarks(&self.key).await {
                        self.pipeline.status.ends(&HashMap::from([(self.key.clone(), marks.high)]));
                    }
                }
            }
        }
    }

    /// What is wanted of the partition now. An order to go on lets the guard forget.
    fn wish(&mut self) -> (Wish, String) {
        let desired = self.desired.borrow_and_update();
        let resumes = desired.resumes(&self.key);
        if resumes != self.guard.resumes {
            self.guard = Guard { resumes, ..Guard::default() };
        }
        let (wish, by) = desired.of(&self.key);
        (wish, by.to_owned())
    }

    /// Writes what the reader hands over, until it is told otherwise.
    async fn write(&mut self, writer: &mut Writer, recall: bool) -> Result<Pause, Interruption> {
        let state = writer.state();
        let mut lots = self.reader.consume(&self.key, state.incarnation, state.next_offset, recall);
        let (mut desired, key) = (self.desired.clone(), self.key.clone());
        loop {
            let lot = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(Pause::Ended),
                _ = desired.wait_for(|desired| desired.of(&key).0 != Wish::Run) => return Ok(Pause::Held),
                lot = lots.recv() => match lot {
                    Some(lot) => lot,
                    None => return Ok(Pause::HandedBack),
                },
            };
            self.guard.tripped = self.settle(writer, &lot).await?;
            if self.guard.tripped.is_some() {
                self.tell_of_flood();
                return Ok(Pause::Held);
            }
        }
    }

    fn tell_of_flood(&self) {
        let Some(trip) = self.guard.tripped else { return };
        tracing::error!(partition = %self.key, reason = %trip, "the flood guard paused the partition");
        metrics::counter!("stockstream_flood_guard_trips_total", "partition" => self.key.to_string()).increment(1);
    }

    /// Tells everybody of a commit. `None`: it is in the store, but what it changed is not known.
    pub(super) fn tell(&self, records: usize, next_offset: i64, committed: Option<Committed>) {
        metrics::histogram!("stockstream_batch_records").record(records as f64);
        match committed {
            Some(committed) => {
                count(&committed);
                self.pipeline.publisher.publish(committed);
            }
            None => self.pipeline.publisher.catch_up(),
        }
        self.pipeline.status.consumed(&self.key, records as i64, next_offset);
        self.progress(next_offset);
        failpoint::pass(Place::AfterPublish);
        (self.hint)(Hint { key: self.key.clone(), next_offset });
    }

    fn progress(&self, next_offset: i64) {
        self.pipeline.progress.send_modify(|progress| {
            progress.insert(self.key.clone(), next_offset);
        });
    }
}

/// Gives up on what takes too long: a connection may swallow every byte and never say so.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, Interruption> {
    tokio::time::timeout(limit, work).await.map_err(|_| Interruption::Silence(limit))
}

fn count(committed: &Committed) {
    let counts = &committed.counts;
    for (outcome, records) in [
        ("applied", counts.applied),
        ("late", counts.late),
        ("duplicate", counts.duplicate),
        ("deleted", counts.deleted),
        ("control", counts.control),
        ("quarantined", counts.quarantined),
    ] {
        metrics::counter!("stockstream_records_total", "outcome" => outcome).increment(records as u64);
    }
}
