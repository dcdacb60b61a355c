//! Starts the pipeline, keeps it running, and starts it again from what Postgres says when something broke.

use super::{
    BATCHES_IN_FLIGHT, ConsumerConfig, Controls, PartitionState, Phase, StatusWriter,
    batcher::Batcher,
    consumer::{Reader, ReaderEnd},
};
use crate::{
    failpoint::{self, Place},
    feed::Publisher,
    store::{ApplyError, Batch, Committed, IsSimulated, PartitionKey, SchemaError, Store, Writer},
};
use rand::Rng;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// First and longest pause between two attempts; each pause doubles and is jittered by half.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

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
}

/// Why a run ended before shutdown.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error("Kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    #[error("Postgres: {0}")]
    Postgres(#[from] sqlx::Error),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("topic {0} does not exist yet")]
    NoTopic(String),
    #[error("{0}")]
    Restart(String),
    #[error("the consumer thread ended: {0}")]
    Thread(String),
}

impl Pipeline {
    /// Runs until `shutdown`. Whatever breaks is retried with a jittered, growing pause, and said in the status.
    ///
    /// # Errors
    /// The database belongs to another version of this program: nothing was written, and trying again cannot help.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), SchemaError> {
        let pipeline = Arc::new(self);
        let mut pause = RETRY.0;
        while !shutdown.is_cancelled() {
            let started = tokio::time::Instant::now();
            match pipeline.clone().attempt(&shutdown).await {
                Ok(()) => break,
                Err(Interruption::Schema(refusal)) if refusal.is_final() => {
                    pipeline.status.enter(Phase::Ended);
                    return Err(refusal);
                }
                Err(interruption) => {
                    if started.elapsed() > RETRY.1 * 2 {
                        pause = RETRY.0;
                    }
                    tracing::warn!(%interruption, "pipeline interrupted; trying again");
                    pipeline.status.trouble(Some(format!("{interruption}; trying again")));
                    let jittered = pause.mul_f64(rand::rng().random_range(0.5..=1.0));
                    tokio::select! {
                        () = tokio::time::sleep(jittered) => {}
                        () = shutdown.cancelled() => break,
                    }
                    pause = (pause * 2).min(RETRY.1);
                }
            }
        }
        pipeline.status.enter(Phase::Ended);
        Ok(())
    }

    async fn attempt(self: Arc<Self>, shutdown: &CancellationToken) -> Result<(), Interruption> {
        self.store.migrate().await?;
        self.publisher.begin(self.store.head().await?);
        let reader = Arc::new(Reader::new(&self.config, self.status.clone())?);
        // Ends this attempt's tasks, whoever of them notices first.
        let attempt = shutdown.child_token();
        let guard = attempt.clone().drop_guard();
        let mut lanes = HashMap::new();
        let mut writers = tokio::task::JoinSet::new();
        for topic in &self.config.topics {
            let partitions = blocking(&reader, {
                let topic = topic.clone();
                move |reader| reader.partitions(&topic)
            })
            .await?;
            if partitions.is_empty() {
                return Err(Interruption::NoTopic(topic.clone()));
            }
            for partition in partitions {
                let key = PartitionKey { topic: topic.clone(), partition };
                let mut writer = Writer::open(self.store.clone(), key.clone(), self.is_simulated.clone()).await?;
                position(&reader, &mut writer).await?;
                let state = writer.state();
                let next_offset = state.next_offset;
                tracing::info!(partition = %key, next_offset, incarnation = state.incarnation, "consuming");
                self.status.partition(&key, |partition| {
                    partition.incarnation = state.incarnation;
                    partition.next_offset = next_offset;
                    partition.enter(PartitionState::Running, None);
                });
                self.progress.send_modify(|progress| {
                    progress.insert(key.clone(), next_offset);
                });
                let (sender, receiver) = mpsc::channel(BATCHES_IN_FLIGHT);
                lanes.insert(key, (Batcher::new(state.incarnation, next_offset), next_offset, sender));
                writers.spawn(self.clone().write(writer, receiver, reader.clone(), attempt.clone()));
            }
        }
        self.status.enter(Phase::Assigned);
        let consumer = {
            let (reader, attempt) = (reader.clone(), attempt.clone());
            tokio::task::spawn_blocking(move || reader.run(lanes, &attempt))
        };
        let end = consumer.await.map_err(|error| Interruption::Thread(error.to_string()))??;
        // The lanes are closed now: the writers finish what they hold, or stop at once when shutting down.
        let mut reason = None;
        while let Some(finished) = writers.join_next().await {
            match finished {
                Ok(Ok(())) => {}
                Ok(Err(error)) => reason = Some(error.to_string()),
                Err(error) => reason = Some(error.to_string()),
            }
        }
        drop(guard);
        match end {
            ReaderEnd::Shutdown if shutdown.is_cancelled() => Ok(()),
            ReaderEnd::Shutdown => Err(Interruption::Restart(reason.unwrap_or_else(|| "a writer stopped".into()))),
            ReaderEnd::Restart(cause) => Err(Interruption::Restart(reason.unwrap_or(cause))),
        }
    }

    /// Writes the batches of one partition until the lane closes. A batch that fails is tried again until it is in the
    /// store; only losing the partition ends the writer early, and with it the attempt.
    async fn write(
        self: Arc<Self>,
        mut writer: Writer,
        mut batches: mpsc::Receiver<Batch>,
        reader: Arc<Reader>,
        attempt: CancellationToken,
    ) -> Result<(), ApplyError> {
        let _ends_the_attempt = attempt.clone().drop_guard();
        while let Some(batch) = batches.recv().await {
            let records = batch.items.len() as i64;
            let started = tokio::time::Instant::now();
            let Some(committed) = self.persist(&mut writer, &batch, &attempt).await? else {
                return Ok(()); // shutting down while Postgres is away: the batch is read again next time
            };
            metrics::histogram!("stockstream_commit_seconds").record(started.elapsed().as_secs_f64());
            metrics::histogram!("stockstream_batch_records").record(records as f64);
            if let Some(committed) = committed {
                count(&committed);
                self.publisher.publish(committed);
            } else {
                self.publisher.reset();
            }
            self.status.consumed(writer.key(), records, batch.next_offset);
            self.progress.send_modify(|progress| {
                progress.insert(writer.key().clone(), batch.next_offset);
            });
            failpoint::pass(Place::AfterPublish);
            reader.hint(writer.key(), batch.next_offset);
        }
        Ok(())
    }

    /// Applies a batch, however long Postgres is away. `Some(None)`: it is in the store, but what it changed is not
    /// known (the connection broke during the commit). `None`: shutting down.
    async fn persist(
        &self,
        writer: &mut Writer,
        batch: &Batch,
        attempt: &CancellationToken,
    ) -> Result<Option<Option<Committed>>, ApplyError> {
        let mut pause = RETRY.0;
        let mut failed = false;
        loop {
            let result = if failed {
                match writer.recover(batch).await {
                    Ok(true) => return Ok(Some(None)),
                    Ok(false) => writer.apply(batch).await,
                    Err(error) => Err(error),
                }
            } else {
                writer.apply(batch).await
            };
            let error = match result {
                Ok(committed) => {
                    if failed {
                        self.status.trouble(None);
                    }
                    return Ok(Some(Some(committed)));
                }
                Err(ApplyError::Fenced(key)) => return Err(ApplyError::Fenced(key)),
                Err(ApplyError::Database(error)) => error,
            };
            failed = true;
            tracing::warn!(%error, partition = %writer.key(), "batch not written; trying again");
            self.status.trouble(Some(format!("Postgres: {error}; trying again")));
            metrics::counter!("stockstream_write_retries_total").increment(1);
            tokio::select! {
                () = tokio::time::sleep(pause.mul_f64(rand::rng().random_range(0.5..=1.0))) => {}
                () = attempt.cancelled() => return Ok(None),
            }
            pause = (pause * 2).min(RETRY.1);
        }
    }
}

/// Runs a question to the broker off the async threads.
async fn blocking<T: Send + 'static>(
    reader: &Arc<Reader>,
    ask: impl FnOnce(&Reader) -> Result<T, rdkafka::error::KafkaError> + Send + 'static,
) -> Result<T, Interruption> {
    let reader = reader.clone();
    tokio::task::spawn_blocking(move || ask(&reader))
        .await
        .map_err(|error| Interruption::Thread(error.to_string()))?
        .map_err(Interruption::from)
}

/// Makes sure that the stored offset means what it meant: the record before it must still be the one that was applied.
/// Otherwise the topic has been re-created, and is read from its beginning as a new incarnation; the version rule makes
/// reading again harmless.
async fn position(reader: &Arc<Reader>, writer: &mut Writer) -> Result<(), Interruption> {
    let key = writer.key().clone();
    let (next_offset, last_hash) = (writer.state().next_offset, writer.state().last_hash);
    let marks = blocking(reader, {
        let key = key.clone();
        move |reader| reader.watermarks(&key)
    })
    .await?;
    let begun = next_offset > 0 && last_hash != 0;
    let recreated = if next_offset > marks.high {
        true
    } else if begun && next_offset > marks.low && next_offset <= marks.high {
        let found = blocking(reader, {
            let key = key.clone();
            move |reader| reader.hash_at(&key, next_offset - 1)
        })
        .await?;
        found.is_some_and(|hash| hash != last_hash)
    } else {
        false
    };
    if recreated {
        tracing::warn!(partition = %key, next_offset, ?marks, "the topic was re-created; reading it from the beginning");
        writer.begin_incarnation(marks.low).await?;
    } else if next_offset < marks.low {
        if begun {
            tracing::error!(partition = %key, from = next_offset, to = marks.low, "records expired before they were read");
            metrics::counter!("stockstream_retention_gap_records_total").increment((marks.low - next_offset) as u64);
        }
        writer.begin_incarnation(marks.low).await?;
    }
    Ok(())
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
