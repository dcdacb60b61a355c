//! The thread that talks to the broker.

use super::{StatusWriter, batcher::Batcher, batcher::record_hash};
use crate::store::{Batch, PartitionKey};
use rdkafka::{
    ClientConfig, ClientContext, Message, Offset, Statistics, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};
use std::{collections::HashMap, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Where to consume from.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// `bootstrap.servers`.
    pub brokers: String,
    pub topics: Vec<String>,
    /// The group under which offsets are committed, as a hint for lag tools.
    pub group: String,
    /// Any other librdkafka property (`security.protocol`, `sasl.*`, …).
    pub properties: Vec<(String, String)>,
}

/// How long a blocking question to the broker may take.
const ASK: Duration = Duration::from_secs(5);
/// How long the poll waits for a first record before it looks at the shutdown token.
const IDLE_POLL: Duration = Duration::from_millis(100);

/// The same while a writer has no room for what was collected.
const BUSY_POLL: Duration = Duration::from_millis(1);

/// The offsets a partition still holds: `low ≤ offset < high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    pub low: i64,
    pub high: i64,
}

pub struct Context {
    status: StatusWriter,
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        let mut ends = HashMap::new();
        for (name, topic) in statistics.topics {
            for (partition, known) in topic.partitions {
                if partition >= 0 && known.ls_offset >= 0 {
                    ends.insert(PartitionKey { topic: name.clone(), partition }, known.ls_offset);
                }
            }
        }
        self.status.ends(&ends);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.status.trouble(Some(format!("Kafka does not answer ({reason}); trying again")));
        }
        tracing::warn!(%error, reason, "kafka");
    }
}

impl ConsumerContext for Context {}

/// A consumer that is assigned by hand: which offsets count is said by Postgres.
pub struct Reader {
    consumer: BaseConsumer<Context>,
    status: StatusWriter,
}

/// Why the reader gave up its assignment.
#[derive(Debug)]
pub enum ReaderEnd {
    Shutdown,
    /// A writer is gone or an offset is out of range: start again from what Postgres says.
    Restart(String),
}

impl Reader {
    /// # Errors
    /// A property is unknown or malformed.
    pub fn new(config: &ConsumerConfig, status: StatusWriter) -> Result<Self, KafkaError> {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &config.brokers)
            .set("group.id", &config.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("statistics.interval.ms", "1000")
            .set("reconnect.backoff.max.ms", "1000")
            .set("queued.max.messages.kbytes", "65536")
            .set("fetch.wait.max.ms", "50")
            .set("fetch.error.backoff.ms", "100")
            .set("topic.metadata.refresh.interval.ms", "5000")
            .set("allow.auto.create.topics", "false");
        for (key, value) in &config.properties {
            client.set(key, value);
        }
        let consumer = client.create_with_context(Context { status: status.clone() })?;
        Ok(Self { consumer, status })
    }

    /// The partitions of a topic; empty when the topic does not exist.
    ///
    /// # Errors
    /// The broker does not answer.
    pub fn partitions(&self, topic: &str) -> Result<Vec<i32>, KafkaError> {
        let metadata = self.consumer.fetch_metadata(Some(topic), ASK)?;
        Ok(metadata
            .topics()
            .iter()
            .filter(|found| found.name() == topic && found.error().is_none())
            .flat_map(|found| found.partitions().iter().map(rdkafka::metadata::MetadataPartition::id))
            .collect())
    }

    /// # Errors
    /// The broker does not answer.
    pub fn watermarks(&self, key: &PartitionKey) -> Result<Watermarks, KafkaError> {
        let (low, high) = self.consumer.fetch_watermarks(&key.topic, key.partition, ASK)?;
        Ok(Watermarks { low, high })
    }

    /// Hash of the record at an offset; `None` when there is none (compacted away, or a transaction marker).
    ///
    /// # Errors
    /// The broker does not answer.
    pub fn hash_at(&self, key: &PartitionKey, offset: i64) -> Result<Option<i64>, KafkaError> {
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(&key.topic, key.partition, Offset::Offset(offset))?;
        self.consumer.assign(&assignment)?;
        let found = self.consumer.poll(ASK).transpose();
        self.consumer.unassign()?;
        Ok(found?.filter(|message| message.offset() == offset).map(|message| record_hash(&message)))
    }

    /// Consumes until shutdown or until something requires a fresh start. Blocks; runs on its own thread.
    pub fn run(
        &self,
        mut lanes: HashMap<PartitionKey, (Batcher, i64, mpsc::Sender<Batch>)>,
        shutdown: &CancellationToken,
    ) -> Result<ReaderEnd, KafkaError> {
        let mut assignment = TopicPartitionList::new();
        for (key, (_, offset, _)) in &lanes {
            assignment.add_partition_offset(&key.topic, key.partition, Offset::Offset(*offset))?;
        }
        self.consumer.assign(&assignment)?;
        self.status.trouble(None);
        // The key is rebuilt only when the partition changes between two records.
        let mut current: Option<PartitionKey> = None;
        // How long the poll may wait: not at all while records have been collected and may be complete.
        let mut patience = IDLE_POLL;
        let end = loop {
            if shutdown.is_cancelled() {
                break ReaderEnd::Shutdown;
            }
            let message = match self.consumer.poll(patience) {
                None => {
                    patience = match flush(&mut lanes) {
                        Ok(true) => IDLE_POLL,
                        Ok(false) => BUSY_POLL,
                        Err(WriterGone) => break ReaderEnd::Restart("a writer stopped".into()),
                    };
                    continue;
                }
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(
                        RDKafkaErrorCode::AutoOffsetReset
                        | RDKafkaErrorCode::OffsetOutOfRange
                        | RDKafkaErrorCode::UnknownTopicOrPartition
                        | RDKafkaErrorCode::UnknownPartition
                        | RDKafkaErrorCode::UnknownTopic,
                    ) => break ReaderEnd::Restart(error.to_string()),
                    _ => {
                        self.status.trouble(Some(format!("Kafka does not answer ({error}); trying again")));
                        continue;
                    }
                },
                Some(Ok(message)) => message,
            };
            if !current.as_ref().is_some_and(|key| key.partition == message.partition() && key.topic == message.topic())
            {
                current = Some(PartitionKey { topic: message.topic().to_owned(), partition: message.partition() });
            }
            let Some((batcher, _, sender)) = current.as_ref().and_then(|key| lanes.get_mut(key)) else { continue };
            self.status.trouble(None);
            patience = Duration::ZERO;
            if hand_over(batcher, sender, &message).is_err() {
                break ReaderEnd::Restart("a writer stopped".into());
            }
        };
        self.consumer.unassign()?;
        Ok(end)
    }

    /// Tells the broker how far we are; only a hint.
    pub fn hint(&self, key: &PartitionKey, next_offset: i64) {
        let mut offsets = TopicPartitionList::new();
        if offsets.add_partition_offset(&key.topic, key.partition, Offset::Offset(next_offset)).is_ok()
            && let Err(error) = self.consumer.commit(&offsets, rdkafka::consumer::CommitMode::Async)
        {
            tracing::debug!(%error, partition = %key, "offset hint not sent");
        }
    }
}

/// A lane's writer has ended.
struct WriterGone;

/// Adds a record to its lane, and hands over what is complete by it: at once what is full, and what is old as soon as
/// the writer has room.
fn hand_over(
    batcher: &mut Batcher,
    sender: &mpsc::Sender<Batch>,
    message: &BorrowedMessage<'_>,
) -> Result<(), WriterGone> {
    if let Some(before) = batcher.push(message) {
        sender.blocking_send(before).map_err(|_| WriterGone)?;
    }
    if batcher.is_full() {
        if let Some(batch) = batcher.take() {
            sender.blocking_send(batch).map_err(|_| WriterGone)?;
        }
    } else if batcher.is_due() {
        offer(batcher, sender)?;
    }
    Ok(())
}

/// Hands over what a lane has collected, if its writer has room; whether nothing is left.
fn offer(batcher: &mut Batcher, sender: &mpsc::Sender<Batch>) -> Result<bool, WriterGone> {
    match sender.try_reserve() {
        Ok(permit) => {
            if let Some(batch) = batcher.take() {
                permit.send(batch);
            }
            Ok(true)
        }
        Err(mpsc::error::TrySendError::Full(())) => Ok(batcher.is_empty()),
        Err(mpsc::error::TrySendError::Closed(())) => Err(WriterGone),
    }
}

/// Offers what every lane has collected; whether nothing is left.
fn flush(lanes: &mut HashMap<PartitionKey, (Batcher, i64, mpsc::Sender<Batch>)>) -> Result<bool, WriterGone> {
    let mut all = true;
    for (batcher, _, sender) in lanes.values_mut() {
        all &= offer(batcher, sender)?;
    }
    Ok(all)
}
