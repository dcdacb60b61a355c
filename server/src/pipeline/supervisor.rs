//! Starts the pipeline, keeps a lane running for each partition that is ours, and ends it in good order.

use super::{
    ConsumerConfig, Controls, Phase, StatusWriter,
    assignment::{self, Assigned, Member},
    backoff::Backoff,
    hints::Hint,
    judge::Judge,
    lane::{Guard, Lane, SendHint},
    probe::Probe,
    reader::{Assignment, Reader, ReaderHandle},
    recorder::WindowSource,
};
use crate::{
    feed::Publisher,
    store::{IsSimulated, PartitionKey, SchemaError, Store},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

/// A run that lasted this long starts with short pauses again when it breaks.
const CALM: Duration = Duration::from_secs(10);

/// The offset after the last committed record of each partition, for whoever paces itself by it.
pub type Progress = watch::Receiver<HashMap<PartitionKey, i64>>;

/// Everything one run of the pipeline needs.
pub struct Pipeline {
    pub config: ConsumerConfig,
    pub store: Store,
    pub publisher: Publisher,
    pub status: StatusWriter,
    pub controls: Controls,
    pub progress: watch::Sender<HashMap<PartitionKey, i64>>,
    pub is_simulated: IsSimulated,
    /// The suites that every record is held to, and their windows.
    pub windows: WindowSource,
}

/// Why a run ended before shutdown. What concerns one partition only is mended by its lane.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error("Kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    #[error("Postgres: {0}")]
    Postgres(#[from] sqlx::Error),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
    #[error("{0} ended by itself")]
    Ended(&'static str),
}

impl Pipeline {
    /// Runs until `shutdown`. Whatever breaks is retried with a jittered, growing pause, and said in the status.
    ///
    /// # Errors
    /// The database belongs to another version of this program: nothing was written, and trying again cannot help.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), SchemaError> {
        let pipeline = Arc::new(self);
        let mut backoff = Backoff::default();
        while !shutdown.is_cancelled() {
            let started = Instant::now();
            match pipeline.clone().attempt(&shutdown).await {
                Ok(()) => break,
                Err(Interruption::Schema(refusal)) if refusal.is_final() => {
                    pipeline.status.enter(Phase::Ended);
                    return Err(refusal);
                }
                Err(interruption) => {
                    if started.elapsed() > CALM {
                        backoff = Backoff::default();
                    }
                    tracing::warn!(%interruption, "pipeline interrupted; trying again");
                    pipeline.status.trouble(Some(format!("{interruption}; trying again")));
                    tokio::select! {
                        () = tokio::time::sleep(backoff.pause()) => {}
                        () = shutdown.cancelled() => break,
                    }
                }
            }
        }
        pipeline.status.enter(Phase::Ended);
        Ok(())
    }

    async fn attempt(self: Arc<Self>, shutdown: &CancellationToken) -> Result<(), Interruption> {
        self.store.migrate().await?;
        self.publisher.begin(self.store.head().await?);
        self.status.trouble(None);
        // Ends the threads: after the lanes, which still send hints, and also when this future is dropped.
        let threads = CancellationToken::new();
        let _ends_the_threads = threads.clone().drop_guard();
        let probe = Probe::new(&self.config)?;
        let judge = Judge::of_stream(self.windows.suites.clone(), self.windows.begin());
        let (reader, handle) = Reader::new(&self.config, self.status.clone(), judge)?;
        let reader = thread("kafka-reader", {
            let threads = threads.clone();
            move || reader.run(&threads)
        })?;
        let (assigned_sender, assigned) = watch::channel(None);
        let (member, hint) = match self.config.assignment {
            Assignment::Static => {
                let (pipeline, probe, threads) = (self.clone(), probe.clone(), threads.clone());
                let follow = async move {
                    let topics = &pipeline.config.topics;
                    assignment::all(topics, &probe, &pipeline.status, &assigned_sender, &threads).await;
                };
                let end = CancellationToken::new();
                let ended = end.clone().drop_guard();
                tokio::spawn(async move {
                    let _ended = ended;
                    follow.await;
                });
                let handle = handle.clone();
                (end, Arc::new(move |hint| handle.hint(hint)) as SendHint)
            }
            Assignment::Group => {
                let (hints, received) = std::sync::mpsc::channel();
                let member = Member::join(&self.config, self.status.clone(), assigned_sender, received)?;
                let threads = threads.clone();
                let end = thread("kafka-member", move || member.run(&threads))?;
                (end, Arc::new(move |hint: Hint| drop(hints.send(hint))) as SendHint)
            }
        };
        let mut run =
            Run { pipeline: self, probe, handle, hint, assigned, lanes: JoinSet::new(), stops: HashMap::new() };
        let end = tokio::select! {
            () = run.keep() => Err(Interruption::Ended("a lane")),
            () = shutdown.cancelled() => Ok(()),
            () = reader.cancelled() => Err(Interruption::Ended("the reader")),
            () = member.cancelled() => Err(Interruption::Ended("the assignment")),
        };
        run.end().await;
        // The threads send the last hints.
        threads.cancel();
        reader.cancelled().await;
        member.cancelled().await;
        end
    }
}

/// Runs `work` on a thread of its own; the token that comes back is cancelled at its end. A thread that Kafka holds up
/// does not hold up the end of the process, as one of the runtime's would.
fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<CancellationToken> {
    let end = CancellationToken::new();
    let ended = end.clone().drop_guard();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _ended = ended;
        work();
    })?;
    Ok(end)
}

/// The lanes of one attempt.
struct Run {
    pipeline: Arc<Pipeline>,
    probe: Probe,
    handle: ReaderHandle,
    hint: SendHint,
    assigned: watch::Receiver<Assigned>,
    lanes: JoinSet<PartitionKey>,
    stops: HashMap<PartitionKey, CancellationToken>,
}

impl Run {
    /// Keeps a lane running for each partition that is ours, until one breaks.
    async fn keep(&mut self) {
        loop {
            let assigned = self.assigned.borrow_and_update().clone();
            if let Some(assigned) = assigned {
                for (key, stop) in &self.stops {
                    if !assigned.contains(key) {
                        stop.cancel();
                    }
                }
                for key in assigned {
                    self.start(key);
                }
                self.pipeline.status.enter(Phase::Assigned);
            }
            tokio::select! {
                changed = self.assigned.changed() => if changed.is_err() {
                    std::future::pending::<()>().await; // its end is heard of elsewhere
                },
                // A partition that came back while its lane was ending gets a new one.
                Some(ended) = self.lanes.join_next() => match ended {
                    Ok(key) => drop(self.stops.remove(&key)),
                    Err(_panic) => return,
                },
            }
        }
    }

    fn start(&mut self, key: PartitionKey) {
        if self.stops.contains_key(&key) {
            return;
        }
        let stop = CancellationToken::new();
        self.stops.insert(key.clone(), stop.clone());
        let lane = Lane {
            pipeline: self.pipeline.clone(),
            key,
            probe: self.probe.clone(),
            reader: self.handle.clone(),
            hint: self.hint.clone(),
            desired: self.pipeline.controls.watch(),
            stop,
            guard: Guard::default(),
        };
        self.lanes.spawn(lane.run());
    }

    /// Ends every lane: what is in flight is finished, or rolled back when it cannot be.
    async fn end(mut self) {
        for stop in self.stops.values() {
            stop.cancel();
        }
        while self.lanes.join_next().await.is_some() {}
    }
}
