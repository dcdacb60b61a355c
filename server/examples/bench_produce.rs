//! Writes the topic that `make bench` reads.

mod bench_topic;

use bench_topic::{Envelope, Table};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::{error::Error, time::Duration};

const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [brokers, topic, records] = arguments.as_slice() else {
        return Err("usage: bench_produce BROKERS TOPIC RECORDS".into());
    };
    let records: usize = records.parse()?;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    if !create(&config, topic)? {
        let consumer: BaseConsumer = config.create()?;
        let (low, high) = consumer.fetch_watermarks(topic, 0, PATIENCE)?;
        if (low, high) == (0, i64::try_from(records)?) {
            eprintln!("bench: topic {topic} is there with its {records} records");
            return Ok(());
        }
        return Err(format!("topic {topic} holds offsets {low} to {high}, not {records} records").into());
    }
    eprintln!("bench: writing {records} records to {topic}");
    let producer: BaseProducer = config.set("linger.ms", "20").set("batch.size", "1000000").create()?;
    let mut table = Table::new(records)?;
    let envelope = Envelope::new(topic)?;
    let (mut key, mut value) = (String::new(), String::new());
    for number in 0..records {
        let change = table.next(number, records);
        envelope.write(&change, &mut key, &mut value)?;
        let mut record = BaseRecord::to(topic).partition(0).key(&key).payload(&value).headers(headers());
        while let Err((error, refused)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            producer.poll(Duration::from_millis(20));
            record = refused;
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(PATIENCE)?;
    Ok(())
}

/// Makes the topic; `false` if it is there.
fn create(config: &ClientConfig, topic: &str) -> Result<bool, Box<dyn Error>> {
    let admin: AdminClient<DefaultClientContext> = config.create()?;
    let topics = [NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set("retention.ms", "-1")];
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let answer = runtime.block_on(admin.create_topics(&topics, &AdminOptions::new()))?;
    match answer.into_iter().next() {
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(false),
        Some(Err((topic, code))) => Err(format!("cannot create topic {topic}: {code}").into()),
        _ => Ok(true),
    }
}

fn headers() -> OwnedHeaders {
    [
        ("__debezium.context.connectorLogicalName", "bench"),
        ("__debezium.context.taskId", "0"),
        ("__debezium.context.connectorName", "mariadb"),
        ("__debezium.context.runId", "01a20382-b0bd-7faa-8354-ced5298de1c7"),
    ]
    .into_iter()
    .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }))
}
