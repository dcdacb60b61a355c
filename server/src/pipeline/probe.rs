//! Questions to the broker beside the stream: which partitions there are, what they hold, one record.

use super::{
    batcher::{record_hash, refuse},
    reader::{ConsumerConfig, client, is_out_of_range},
};
use crate::store::{PartitionKey, Refused, RefusedReason};
use rdkafka::{
    ClientContext, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult},
    metadata::MetadataPartition,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a question may take; also how long an end of the process may have to wait for one.
const ASK: Duration = Duration::from_secs(5);

/// The offsets a partition still holds: `low ≤ offset < high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    pub low: i64,
    pub high: i64,
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error("Kafka did not answer within {} s", ASK.as_secs())]
    Silence,
    #[error("the question was not asked to its end: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// Leaves the telling of what is wrong to the reader, which is always connected.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka, probing");
    }
}

impl ConsumerContext for Quiet {}

/// A consumer of its own, so that asking never disturbs the stream. Cheap to clone.
#[derive(Clone)]
pub struct Probe {
    consumer: Arc<Mutex<BaseConsumer<Quiet>>>,
}

impl Probe {
    /// # Errors
    /// A property is unknown or malformed.
    pub fn new(config: &ConsumerConfig) -> KafkaResult<Self> {
        let consumer = client(config).set("enable.partition.eof", "true").create_with_context(Quiet)?;
        Ok(Self { consumer: Arc::new(Mutex::new(consumer)) })
    }

    /// Asks off the async threads.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&BaseConsumer<Quiet>) -> Result<T, ProbeError> + Send + 'static,
    ) -> Result<T, ProbeError> {
        let consumer = self.consumer.clone();
        tokio::task::spawn_blocking(move || {
            // One question at a time: reading a record needs an assignment. A question that panicked left none behind
            // that matters, each sets its own.
            question(&consumer.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await?
    }

    /// The partitions of a topic; empty when the topic does not exist.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn partitions(&self, topic: &str) -> Result<Vec<i32>, ProbeError> {
        let topic = topic.to_owned();
        self.ask(move |consumer| {
            let metadata = consumer.fetch_metadata(Some(&topic), ASK)?;
            let found = metadata.topics().iter().filter(|found| found.name() == topic && found.error().is_none());
            Ok(found.flat_map(|found| found.partitions().iter().map(MetadataPartition::id)).collect())
        })
        .await
    }

    /// # Errors
    /// The broker does not answer.
    pub async fn watermarks(&self, key: &PartitionKey) -> Result<Watermarks, ProbeError> {
        let key = key.clone();
        self.ask(move |consumer| {
            let (low, high) = consumer.fetch_watermarks(&key.topic, key.partition, ASK)?;
            Ok(Watermarks { low, high })
        })
        .await
    }

    /// Hash of the record at an offset; `None` when there is none (compacted away, or a transaction marker).
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn hash_at(&self, key: &PartitionKey, offset: i64) -> Result<Option<i64>, ProbeError> {
        let key = key.clone();
        self.ask(move |consumer| read(consumer, &key, offset, record_hash)).await
    }

    /// The record at an offset, raw, for quarantine; `None` when the broker does not hold it any more, or holds another
    /// one there than the one with this hash.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn record(
        &self,
        key: &PartitionKey,
        offset: i64,
        hash: i64,
        reason: RefusedReason,
    ) -> Result<Option<Refused>, ProbeError> {
        let key = key.clone();
        self.ask(move |consumer| {
            let found = read(consumer, &key, offset, |message| {
                (record_hash(message) == hash).then(|| refuse(message, reason))
            })?;
            Ok(found.flatten())
        })
        .await
    }
}

/// Looks at the record at an offset.
fn read<T>(
    consumer: &BaseConsumer<Quiet>,
    key: &PartitionKey,
    offset: i64,
    look: impl FnOnce(&rdkafka::message::BorrowedMessage<'_>) -> T,
) -> Result<Option<T>, ProbeError> {
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(&key.topic, key.partition, Offset::Offset(offset))?;
    consumer.assign(&assignment)?;
    let asked = Instant::now();
    // An answer may be anything that happens on the connection meanwhile; only a record or the end of the partition
    // answers the question.
    let found = loop {
        match consumer.poll(ASK.saturating_sub(asked.elapsed())) {
            Some(Ok(message)) if message.offset() == offset => break Ok(Some(look(&message))),
            Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => break Ok(None),
            Some(Err(error)) if is_out_of_range(&error) => break Ok(None),
            Some(Err(error)) => break Err(error.into()),
            None if asked.elapsed() >= ASK => break Err(ProbeError::Silence),
            None => {}
        }
    };
    consumer.unassign()?;
    found
}
