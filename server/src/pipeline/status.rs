//! What the pipeline says of itself, for `/readyz`, the pipeline API, alerts, the status line and the metrics.

use super::hops::Hops;
use crate::store::PartitionKey;
use chrono::{DateTime, Utc};
use market::wire::PipeState;
use serde::Serialize;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::watch;

/// The pipeline's state as of now.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// The whole in one word. `Running` also while single partitions are paused: see `message` and `partitions`.
    pub state: PipeState,
    /// When it entered this state.
    pub since: DateTime<Utc>,
    /// One sentence for the operator, when there is something to say.
    pub message: Option<String>,
    /// Records not yet committed, over all partitions; `None` until the broker has said so.
    pub lag: Option<i64>,
    /// Records consumed by this process.
    pub consumed: i64,
    /// The partitions that this process consumes, by topic and number.
    pub partitions: Vec<PartitionStatus>,
    /// How long records take from hop to hop.
    #[serde(skip)]
    pub hops: Hops,
}

/// One partition as of now.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct PartitionStatus {
    pub topic: String,
    pub partition: i32,
    /// Which life of the topic its offsets belong to; 0 until it was read from Postgres.
    pub incarnation: i32,
    /// Offset after the last committed record.
    pub next_offset: i64,
    /// Records not yet committed; `None` until the broker has said so.
    pub lag: Option<i64>,
    pub state: PartitionState,
    /// Why it is in this state, in a sentence, when there is something to say.
    pub reason: Option<String>,
    /// When it entered this state.
    pub since: DateTime<Utc>,
    /// Records that had expired in Kafka before they were read, found by this process.
    pub expired: i64,
}

/// What one partition does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartitionState {
    /// Its position is being looked up.
    Starting,
    Running,
    /// Something it needs is away; it tries again by itself.
    Retrying,
    PausedByOperator,
    /// Too many of its records were refused; an operator must let it go on.
    PausedByFloodGuard,
    /// Everything in flight is committed, and it stays stopped until it is told to go on.
    Drained,
}

impl PartitionState {
    /// Whether it does, or is about to do, its work.
    pub fn is_working(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }
}

impl PartitionStatus {
    fn new(key: &PartitionKey) -> Self {
        Self {
            topic: key.topic.clone(),
            partition: key.partition,
            incarnation: 0,
            next_offset: 0,
            lag: None,
            state: PartitionState::Starting,
            reason: None,
            since: Utc::now(),
            expired: 0,
        }
    }

    /// Enters a state. Repeating the state keeps its `since`.
    pub fn enter(&mut self, state: PartitionState, reason: Option<String>) {
        if self.state != state {
            self.since = Utc::now();
        }
        self.state = state;
        self.reason = reason;
    }

    fn is(&self, key: &PartitionKey) -> bool {
        self.partition == key.partition && self.topic == key.topic
    }
}

/// A reader's end.
pub type StatusHandle = watch::Receiver<Status>;

/// The pipeline's end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StatusWriter {
    sender: watch::Sender<Status>,
    hops: Hops,
    whole: Arc<Mutex<Whole>>,
}

/// What is so for all partitions together.
#[derive(Debug, Default)]
struct Whole {
    phase: Phase,
    /// What is wrong with the pipeline as a whole.
    trouble: Option<String>,
    /// What is wrong with Kafka.
    kafka: Option<String>,
}

/// How far the pipeline as a whole is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    #[default]
    Starting,
    /// It knows its partitions; it may be none, while other instances have them all.
    Assigned,
    Ended,
}

/// A fresh status: starting, nothing known.
pub fn channel() -> (StatusWriter, StatusHandle) {
    let hops = Hops::default();
    let (sender, receiver) = watch::channel(Status {
        state: PipeState::Starting,
        since: Utc::now(),
        message: None,
        lag: None,
        consumed: 0,
        partitions: Vec::new(),
        hops: hops.clone(),
    });
    (StatusWriter { sender, hops, whole: Arc::default() }, receiver)
}

impl StatusWriter {
    fn lock(&self) -> MutexGuard<'_, Whole> {
        // No code panics while it holds the lock, and every state is valid.
        self.whole.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where whoever handles a record says how long it took.
    pub fn hops(&self) -> &Hops {
        &self.hops
    }

    /// Changes something, sums up, and tells the readers when that made a difference.
    fn update(&self, change: impl FnOnce(&mut Whole, &mut Status)) {
        let mut whole = self.lock();
        self.sender.send_if_modified(|status| {
            let before = status.clone();
            change(&mut whole, status);
            let (state, message) = overall(&whole, &status.partitions);
            if status.state != state {
                status.since = Utc::now();
            }
            status.state = state;
            status.message = message;
            let lags = status.partitions.iter().filter_map(|partition| partition.lag);
            status.lag = lags.fold(None, |sum, lag| Some(sum.unwrap_or(0) + lag));
            *status != before
        });
    }

    /// Says how far the whole is.
    pub fn enter(&self, phase: Phase) {
        self.update(|whole, _| whole.phase = phase);
    }

    /// Says what is wrong with everything, or that nothing is any more.
    pub fn trouble(&self, trouble: Option<String>) {
        self.update(|whole, _| whole.trouble = trouble);
    }

    /// Says what is wrong with Kafka, or that nothing is any more.
    pub fn kafka(&self, trouble: Option<String>) {
        if self.lock().kafka != trouble {
            self.update(|whole, _| whole.kafka = trouble);
        }
    }

    /// Changes what is said of a partition; an unknown one is added.
    pub fn partition(&self, key: &PartitionKey, change: impl FnOnce(&mut PartitionStatus)) {
        self.update(|_, status| {
            let partitions = &mut status.partitions;
            let index = partitions.iter().position(|partition| partition.is(key)).unwrap_or_else(|| {
                partitions.push(PartitionStatus::new(key));
                partitions.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
                partitions.iter().position(|partition| partition.is(key)).expect("it was just added")
            });
            change(&mut partitions[index]);
        });
    }

    /// This process does not consume the partition any more.
    pub fn forget(&self, key: &PartitionKey) {
        self.update(|_, status| status.partitions.retain(|partition| !partition.is(key)));
    }

    /// What the broker says of the ends of the partitions: offset after the last readable record, by topic and number.
    pub fn ends(&self, ends: &HashMap<PartitionKey, i64>) {
        self.update(|_, status| {
            for partition in &mut status.partitions {
                let key = PartitionKey { topic: partition.topic.clone(), partition: partition.partition };
                if let Some(end) = ends.get(&key) {
                    partition.lag = Some((end - partition.next_offset).max(0));
                }
            }
        });
    }

    /// A batch of a partition is committed.
    pub fn consumed(&self, key: &PartitionKey, records: i64, next_offset: i64) {
        self.update(|_, status| {
            status.consumed += records;
            if let Some(partition) = status.partitions.iter_mut().find(|partition| partition.is(key)) {
                partition.next_offset = next_offset;
                partition.lag = partition.lag.map(|lag| (lag - records).max(0));
            }
        });
    }
}

/// The whole in one word and one sentence.
fn overall(whole: &Whole, partitions: &[PartitionStatus]) -> (PipeState, Option<String>) {
    if whole.phase == Phase::Ended {
        return (PipeState::Stopped, None);
    }
    if let Some(trouble) = whole.kafka.as_ref().or(whole.trouble.as_ref()) {
        return (PipeState::Retrying, Some(trouble.clone()));
    }
    let sentence = |state: PartitionState| {
        let of: Vec<_> = partitions.iter().filter(|partition| partition.state == state).collect();
        let first = of.first()?;
        let more = if of.len() > 1 { format!(" (and {} more)", of.len() - 1) } else { String::new() };
        let reason = first.reason.as_deref().unwrap_or("no reason is known");
        Some(format!("{}[{}]: {reason}{more}", first.topic, first.partition))
    };
    if let Some(retrying) = sentence(PartitionState::Retrying) {
        return (PipeState::Retrying, Some(retrying));
    }
    let stopped = [PartitionState::PausedByFloodGuard, PartitionState::PausedByOperator, PartitionState::Drained];
    let message = stopped.into_iter().find_map(sentence);
    let all = |state: &[PartitionState]| {
        !partitions.is_empty() && partitions.iter().all(|partition| state.contains(&partition.state))
    };
    if all(&[PartitionState::Drained]) {
        (PipeState::Stopped, message)
    } else if all(&stopped) {
        (PipeState::Paused, message)
    } else if partitions.is_empty() && whole.phase == Phase::Assigned {
        (PipeState::Running, Some("no partition is assigned to this instance; it stands by".to_owned()))
    } else if partitions.is_empty() || all(&[PartitionState::Starting]) {
        (PipeState::Starting, message)
    } else {
        (PipeState::Running, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(partition: i32) -> PartitionKey {
        PartitionKey { topic: "t".to_owned(), partition }
    }

    fn running() -> (StatusWriter, StatusHandle) {
        let (writer, status) = channel();
        writer.enter(Phase::Assigned);
        for partition in [1, 0] {
            writer.partition(&key(partition), |partition| partition.enter(PartitionState::Running, None));
        }
        (writer, status)
    }

    #[test]
    fn one_paused_partition_is_named_while_the_others_run() {
        let (writer, status) = running();
        writer.partition(&key(1), |partition| {
            partition.enter(PartitionState::PausedByFloodGuard, Some("100 in a row were refused".into()));
        });
        let now = status.borrow().clone();
        assert_eq!(now.state, PipeState::Running);
        assert_eq!(now.message.as_deref(), Some("t[1]: 100 in a row were refused"));
        assert_eq!(now.partitions.iter().map(|partition| partition.partition).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn the_whole_is_paused_when_every_partition_is() {
        let (writer, status) = running();
        for partition in [0, 1] {
            writer.partition(&key(partition), |partition| {
                partition.enter(PartitionState::PausedByOperator, Some("paused by ann".into()));
            });
        }
        let now = status.borrow().clone();
        assert_eq!((now.state, now.message.as_deref()), (PipeState::Paused, Some("t[0]: paused by ann (and 1 more)")));
    }

    #[test]
    fn trouble_with_kafka_outweighs_the_partitions_and_passes() {
        let (writer, status) = running();
        writer.trouble(Some("Kafka does not answer".into()));
        assert_eq!(status.borrow().state, PipeState::Retrying);
        writer.trouble(None);
        assert_eq!((status.borrow().state, status.borrow().message.clone()), (PipeState::Running, None));
    }

    #[test]
    fn lag_counts_from_what_is_committed() {
        let (writer, status) = running();
        assert_eq!(status.borrow().lag, None);
        writer.ends(&HashMap::from([(key(0), 70), (key(1), 30), (key(9), 5)]));
        assert_eq!(status.borrow().lag, Some(100));
        writer.consumed(&key(0), 50, 50);
        assert_eq!(status.borrow().lag, Some(50));
        assert_eq!(status.borrow().partitions[0].lag, Some(20));
        writer.forget(&key(1));
        assert_eq!(status.borrow().lag, Some(20));
    }
}
