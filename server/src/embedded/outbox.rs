//! Produces to the broker without ever running further ahead of the consumer than the broker remembers.

use super::envelope::Connector;
use super::source_table::Outgoing;
use anyhow::{Context, bail};
use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// Most records ahead of the consumer.
pub const MOST_RECORDS_AHEAD: usize = 1_000;
/// Most bytes ahead of the consumer, of about 5 MB that the broker keeps.
pub const MOST_BYTES_AHEAD: usize = 4_000_000;
/// What a record weighs beside key, value and headers, generously.
const RECORD_OVERHEAD: usize = 32;

/// A producer to partition 0 of one topic.
pub(super) struct Outbox {
    producer: Arc<ThreadedProducer<Deliveries>>,
    topic: String,
    headers: OwnedHeaders,
    headers_size: usize,
    consumed: watch::Receiver<i64>,
    failure: watch::Receiver<Option<KafkaError>>,
    /// Offset of the next record.
    next_offset: i64,
    /// Sizes of the records that are not known to be consumed, oldest first.
    ahead: VecDeque<usize>,
    bytes_ahead: usize,
}

/// Hears of records that did not arrive.
struct Deliveries(watch::Sender<Option<KafkaError>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.0.send_replace(Some(error.clone()));
        }
    }
}

impl Outbox {
    pub(super) async fn open(
        bootstrap: &str,
        topic: &str,
        connector: &Connector,
        consumed: watch::Receiver<i64>,
    ) -> anyhow::Result<Self> {
        let (failed, failure) = watch::channel(None);
        let producer: ThreadedProducer<Deliveries> = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("linger.ms", "2")
            .create_with_context(Deliveries(failed))
            .context("the feed's Kafka producer could not be made")?;
        let producer = Arc::new(producer);
        let (asking, name) = (producer.clone(), topic.to_owned());
        let watermarks =
            tokio::task::spawn_blocking(move || asking.client().fetch_watermarks(&name, 0, Duration::from_secs(30)));
        let (_, next_offset) = watermarks.await?.with_context(|| format!("topic {topic} could not be found"))?;
        let headers = connector.headers();
        Ok(Self {
            producer,
            topic: topic.to_owned(),
            headers_size: headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum(),
            headers: headers
                .into_iter()
                .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) })),
            consumed,
            failure,
            next_offset,
            ahead: VecDeque::new(),
            bytes_ahead: 0,
        })
    }

    /// Produces one record, after waiting until there is room for it.
    pub(super) async fn send(&mut self, record: &Outgoing) -> anyhow::Result<()> {
        let size =
            record.key.len() + record.value.as_ref().map_or(0, String::len) + self.headers_size + RECORD_OVERHEAD;
        self.wait_for_room(size).await?;
        let mut pending = BaseRecord::to(&self.topic).partition(0).key(&record.key).headers(self.headers.clone());
        if let Some(value) = &record.value {
            pending = pending.payload(value);
        }
        while let Err((error, returned)) = self.producer.send(pending) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error).context("the feed could not produce");
            }
            pending = returned;
            sleep(Duration::from_millis(5)).await;
        }
        self.next_offset += 1;
        self.ahead.push_back(size);
        self.bytes_ahead += size;
        Ok(())
    }

    async fn wait_for_room(&mut self, size: usize) -> anyhow::Result<()> {
        loop {
            if let Some(error) = self.failure.borrow_and_update().as_ref() {
                bail!("the broker refused records of the feed: {error}");
            }
            let consumed = *self.consumed.borrow_and_update();
            self.forget_consumed(consumed);
            if self.ahead.len() < MOST_RECORDS_AHEAD && self.bytes_ahead + size <= MOST_BYTES_AHEAD {
                return Ok(());
            }
            tokio::select! {
                changed = self.consumed.changed() => if changed.is_err() {
                    // Nobody consumes any more: the process is about to end, and ends this with it.
                    std::future::pending::<()>().await;
                },
                _ = self.failure.changed() => {}
            }
        }
    }

    fn forget_consumed(&mut self, consumed: i64) {
        // An offset beyond what was produced is one of an earlier broker, and says nothing about this one.
        if consumed > self.next_offset {
            return;
        }
        while self.next_offset - (self.ahead.len() as i64) < consumed {
            match self.ahead.pop_front() {
                Some(size) => self.bytes_ahead -= size,
                None => return,
            }
        }
    }
}
