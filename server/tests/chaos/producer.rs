//! Writes what the source says into Kafka, and keeps a log of what was acknowledged: these are the obligations.

use super::source::{PARTITIONS, Record, Source, TOPIC};
use anyhow::{Context, ensure};
use futures::future::try_join_all;
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

/// Records written at once, and the pause before the next: with the bursts about 140 a second, which a debug build keeps
/// up with on a busy machine.
const PIECE: usize = 10;
const PAUSE: Duration = Duration::from_millis(100);

/// The acknowledged records of each partition; the index is the offset.
#[derive(Default)]
pub struct Log {
    partitions: Mutex<Vec<Vec<Record>>>,
    /// Records handed over, acknowledged or not.
    sent: [AtomicI64; PARTITIONS as usize],
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<Record>>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Next offset of each partition, as far as acknowledged.
    pub fn ends(&self) -> Vec<i64> {
        self.lock().iter().map(|partition| partition.len() as i64).collect()
    }

    /// No more than this can be in a partition.
    pub fn sent(&self, partition: i32) -> i64 {
        self.sent[partition as usize].load(Ordering::SeqCst)
    }

    pub fn records(&self) -> Vec<Vec<Record>> {
        self.lock().clone()
    }
}

pub struct Producer {
    producer: FutureProducer,
    source: Source,
    log: Arc<Log>,
    brokers: String,
}

impl Producer {
    /// Makes the topic.
    ///
    /// # Errors
    /// The broker refuses.
    pub async fn new(kafka_port: u16, seed: u64) -> anyhow::Result<Self> {
        let brokers = format!("127.0.0.1:{kafka_port}");
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &brokers).create()?;
        let topic = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(1));
        for made in admin.create_topics([&topic], &AdminOptions::new()).await? {
            made.map_err(|(topic, error)| anyhow::anyhow!("{topic}: {error}"))?;
        }
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &brokers)
            .set("enable.idempotence", "true")
            // A record is never given up: what is not acknowledged is not in the topic either, in the end.
            .set("message.timeout.ms", "0")
            .set("reconnect.backoff.max.ms", "500")
            .set("linger.ms", "2")
            .create()?;
        let log = Arc::new(Log::default());
        log.lock().resize(PARTITIONS as usize, Vec::new());
        Ok(Self { producer, source: Source::new(seed), log, brokers })
    }

    pub fn log(&self) -> Arc<Log> {
        self.log.clone()
    }

    /// Writes until told to stop, and hands itself back when everything is acknowledged.
    ///
    /// # Errors
    /// Kafka loses or renumbers a record: then nothing can be judged.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<Self> {
        let mut pieces = 0_u32;
        while !stop.is_cancelled() {
            pieces += 1;
            if pieces.is_multiple_of(400) {
                self.source.fail_over();
            }
            // Now and then a burst, as of a bulk load.
            let records = if pieces.is_multiple_of(50) { PIECE * 20 } else { PIECE };
            let batch = self.source.next(records);
            self.write(batch).await?;
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => {}
            }
        }
        Ok(self)
    }

    /// Writes a newest bar of a symbol.
    ///
    /// # Errors
    /// As [`Producer::run`].
    pub async fn fresh(&mut self, symbol: &str) -> anyhow::Result<Record> {
        let record = self.source.fresh(symbol);
        self.write(vec![record.clone()]).await?;
        Ok(record)
    }

    async fn write(&mut self, records: Vec<Record>) -> anyhow::Result<()> {
        let headers = self.source.headers().into_iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(&value.to_owned()) })
        });
        let mut pending = Vec::with_capacity(records.len());
        for record in &records {
            self.log.sent[record.partition as usize].fetch_add(1, Ordering::SeqCst);
            let mut outgoing = FutureRecord::<str, str>::to(TOPIC)
                .partition(record.partition)
                .key(&record.key)
                .headers(headers.clone());
            if let Some(value) = &record.value {
                outgoing = outgoing.payload(value);
            }
            let sent = self.producer.send_result(outgoing).map_err(|(error, _)| error)?;
            pending.push(async move { sent.await.map_err(|_| KafkaError::Canceled) });
        }
        for (record, acknowledged) in records.into_iter().zip(try_join_all(pending).await?) {
            let delivery = acknowledged.map_err(|(error, _)| error)?;
            let mut log = self.log.lock();
            let partition = &mut log[delivery.partition as usize];
            ensure!(
                delivery.offset == partition.len() as i64,
                "Kafka acknowledges offset {} after {}",
                delivery.offset,
                partition.len()
            );
            partition.push(record);
        }
        Ok(())
    }

    /// The ends of the partitions, as the broker says.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn broker_ends(&self) -> anyhow::Result<Vec<i64>> {
        let brokers = self.brokers.clone();
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &brokers).create()?;
            (0..PARTITIONS)
                .map(|partition| Ok(consumer.fetch_watermarks(TOPIC, partition, Duration::from_secs(30))?.1))
                .collect()
        })
        .await
        .context("the question ended")?
    }
}
