//! Records of the past, read again from Kafka: each at exactly its offset, by a consumer that lives for one question,
//! joins no group and commits nothing.

use crate::pipeline::{ConsumerConfig, consumer_client, is_out_of_range};
use market::provenance::RecordPlace;
use rdkafka::{
    Message, Offset, Timestamp, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// How long one question may take, the waiting for its turn included.
const PATIENCE: Duration = Duration::from_secs(3);
/// Questions that are asked at once; each has a client of its own.
const AT_ONCE: usize = 4;
const POLL: Duration = Duration::from_millis(100);

/// Kafka, as far as it still has what was consumed. Cheap to clone.
#[derive(Clone)]
pub struct Archive(Option<Arc<Inner>>);

struct Inner {
    config: ConsumerConfig,
    turns: Arc<Semaphore>,
}

/// A record as it lies in Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub timestamp_ms: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// What became of the question for one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Kept(Kept),
    Expired,
    Unanswered,
}

impl Archive {
    pub fn new(config: ConsumerConfig) -> Self {
        Self(Some(Arc::new(Inner { config, turns: Arc::new(Semaphore::new(AT_ONCE)) })))
    }

    /// Of a server without Kafka: never answers.
    pub fn closed() -> Self {
        Self(None)
    }

    /// What is at these places, in their order; what is not found within three seconds is unanswered.
    pub async fn read(&self, places: Vec<RecordPlace>) -> Vec<Found> {
        let unanswered = vec![Found::Unanswered; places.len()];
        let Some(inner) = self.0.clone() else { return unanswered };
        let deadline = Instant::now() + PATIENCE;
        let reading = async {
            let turn = inner.turns.clone().acquire_owned().await.ok()?;
            let read = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                read(&inner.config, &places, deadline)
            });
            read.await.ok()
        };
        // A client that is being ended may take longer than it has to answer.
        tokio::time::timeout(PATIENCE + POLL, reading).await.ok().flatten().unwrap_or(unanswered)
    }
}

fn read(config: &ConsumerConfig, places: &[RecordPlace], deadline: Instant) -> Vec<Found> {
    let mut found = vec![Found::Unanswered; places.len()];
    let mut client = consumer_client(config);
    client
        .set("group.id", format!("{}-provenance", config.group))
        // A record is small; what follows it is not asked for.
        .set("fetch.message.max.bytes", "65536")
        .set("queued.min.messages", "1");
    let consumer: BaseConsumer = match client.create() {
        Ok(consumer) => consumer,
        Err(error) => {
            tracing::warn!(%error, "no consumer can be made to read a record again");
            return found;
        }
    };
    // The newest matter most.
    for (place, found) in places.iter().zip(&mut found).rev() {
        match read_one(&consumer, place, deadline) {
            Some(answer) => *found = answer,
            None => break,
        }
    }
    found
}

/// `None`: not within the time.
fn read_one(consumer: &BaseConsumer, place: &RecordPlace, deadline: Instant) -> Option<Found> {
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(&place.topic, place.partition, Offset::Offset(place.offset)).ok()?;
    consumer.assign(&assignment).ok()?;
    loop {
        let left = deadline.checked_duration_since(Instant::now())?;
        let message = match consumer.poll(left.min(POLL)) {
            None => continue,
            Some(Err(error)) if is_out_of_range(&error) => return Some(Found::Expired),
            Some(Err(KafkaError::PartitionEOF(_))) => return Some(Found::Expired),
            // Brokers come and go.
            Some(Err(_)) => continue,
            Some(Ok(message)) => message,
        };
        // What was fetched for the place before may still come.
        if message.partition() != place.partition || message.topic() != place.topic || message.offset() < place.offset {
            continue;
        }
        if message.offset() > place.offset {
            return Some(Found::Expired);
        }
        let timestamp_ms = match message.timestamp() {
            Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) => Some(ms),
            Timestamp::NotAvailable => None,
        };
        let (key, value) = (message.key().map(<[u8]>::to_vec), message.payload().map(<[u8]>::to_vec));
        return Some(Found::Kept(Kept { timestamp_ms, key, value }));
    }
}
