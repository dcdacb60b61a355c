//! The in-process broker, and the feed that plays a source database into it.

use cdc::{Change, Control, Decoded, Decoder, Op, RawRecord};
use chrono::{DateTime, TimeDelta, Utc};
use quality::{Limits, Verdict, check_row};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use server::embedded::{Broker, FeedOptions, MOST_BYTES_AHEAD, MOST_RECORDS_AHEAD, Resume, feed};
use std::io::Write;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);
/// How long a feed that could go on would surely not be silent.
const SILENCE: Duration = Duration::from_secs(3);
const TOPIC: &str = "demo.stream_db.stock";

#[derive(Debug, PartialEq)]
struct Record {
    offset: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: usize,
}

impl Record {
    fn bytes(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// Everything in partition 0 of the topic from its beginning on, until the receiver is dropped.
fn read(broker: &Broker) -> mpsc::Receiver<Record> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("group.id", "test")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer can be made");
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(TOPIC, 0, Offset::Beginning).expect("the partition is new to the list");
    consumer.assign(&partitions).expect("the partition can be assigned");
    let (sender, receiver) = mpsc::channel(1_000);
    std::thread::spawn(move || {
        while !sender.is_closed() {
            let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
            let record = Record {
                offset: message.offset(),
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
                headers: message.headers().map_or(0, Headers::count),
            };
            if sender.blocking_send(record).is_err() {
                return;
            }
        }
    });
    receiver
}

fn broker() -> Broker {
    let broker = Broker::start().expect("the broker starts");
    broker.create_topic(TOPIC, 1).expect("the topic can be made");
    broker
}

fn options(broker: &Broker) -> FeedOptions {
    FeedOptions {
        bootstrap: broker.bootstrap(),
        topic: TOPIC.to_owned(),
        speed: 0,
        seed: 7,
        csv: Vec::new(),
        history_sessions: 2,
        resume: None,
    }
}

struct Running {
    consumed: watch::Sender<i64>,
    shutdown: CancellationToken,
    ended: JoinHandle<anyhow::Result<()>>,
}

fn start(options: FeedOptions, consumed: i64) -> Running {
    let (consumed, receiver) = watch::channel(consumed);
    let shutdown = CancellationToken::new();
    let ended = tokio::spawn(feed::run(options, receiver, shutdown.clone()));
    Running { consumed, shutdown, ended }
}

impl Running {
    async fn stop(self) {
        self.shutdown.cancel();
        let ended = timeout(PATIENCE, self.ended).await.expect("the feed ends in time");
        ended.expect("the feed does not panic").expect("the feed ends well");
    }
}

fn decode(decoder: &mut Decoder, record: &Record) -> Result<Decoded, cdc::DecodeError> {
    decoder.decode(&RawRecord {
        topic: TOPIC,
        partition: 0,
        offset: record.offset,
        timestamp_ms: None,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
    })
}

fn inserted(decoder: &mut Decoder, record: &Record) -> Change {
    match decode(decoder, record) {
        Ok(Decoded::Change(change)) if change.op == Op::Create => change,
        other => panic!("an insert was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn the_broker_keeps_keys_values_tombstones_and_order() {
    let broker = broker();
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", broker.bootstrap()).create().unwrap();
    let sent = [("1", Some("a")), ("2", Some("b")), ("1", None)];
    for (key, value) in sent {
        let record = FutureRecord::<str, str> { payload: value, ..FutureRecord::to(TOPIC).partition(0).key(key) };
        producer.send(record, PATIENCE).await.unwrap();
    }
    let mut records = read(&broker);
    for (offset, (key, value)) in (0..).zip(sent) {
        let record = timeout(PATIENCE, records.recv()).await.unwrap().unwrap();
        assert_eq!(record.offset, offset);
        assert_eq!(record.key.as_deref(), Some(key.as_bytes()));
        assert_eq!(record.value.as_deref(), value.map(str::as_bytes));
    }
}

#[tokio::test]
async fn the_feed_waits_for_its_consumer_and_loses_nothing() {
    let broker = broker();
    let mut records = read(&broker);
    // An offset of an earlier broker must not count as consumed.
    let running = start(options(&broker), 1_000_000);

    let mut seen = Vec::new();
    while let Ok(Some(record)) = timeout(if seen.is_empty() { PATIENCE } else { SILENCE }, records.recv()).await {
        seen.push(record);
    }
    let bytes: usize = seen.iter().map(Record::bytes).sum();
    assert!(seen.len() <= MOST_RECORDS_AHEAD && bytes <= MOST_BYTES_AHEAD, "{} records, {bytes} bytes", seen.len());
    assert!(seen.len() > 800, "{} records", seen.len());

    while seen.len() < 12_000 {
        running.consumed.send_replace(seen.last().map_or(0, |record| record.offset + 1));
        let record = timeout(PATIENCE, records.recv()).await.unwrap().unwrap();
        seen.push(record);
    }
    running.stop().await;

    assert!((0..).zip(&seen).all(|(offset, record)| record.offset == offset), "the broker forgot records");
    assert!(seen.iter().all(|record| record.headers == 4));
    let now = Utc::now();
    let limits = Limits { now, future_tolerance: TimeDelta::minutes(5) };
    let mut decoder = Decoder::new(0);
    let (mut accepted, mut rejected, mut deleted, mut updated, mut tombstones, mut broken) = (0, 0, 0, 0, 0, 0);
    let mut last_time: Option<DateTime<Utc>> = None;
    for record in &seen {
        match decode(&mut decoder, record) {
            Ok(Decoded::Change(Change { op: Op::Delete, .. })) => deleted += 1,
            Ok(Decoded::Change(Change { op, after: Some(row), source, .. })) => {
                let delay = now - source.committed_at.unwrap();
                assert!(delay < TimeDelta::minutes(5), "the source's clock is the real one");
                match check_row(&row, &limits) {
                    Verdict::Accepted if op == Op::Update => updated += 1,
                    Verdict::Accepted => {
                        accepted += 1;
                        assert!(row.time >= last_time);
                        last_time = row.time;
                    }
                    Verdict::Rejected(_) => rejected += 1,
                    Verdict::Tagged(violations) => panic!("{violations:?}"),
                }
            }
            Ok(Decoded::Control(Control::Tombstone)) => tombstones += 1,
            Ok(other) => panic!("{other:?}"),
            Err(_) => broken += 1,
        }
    }
    assert_eq!(deleted, tombstones);
    assert!(accepted > 11_700, "{accepted}");
    for (what, count) in [("updated", updated), ("deleted", deleted), ("rejected", rejected), ("broken", broken)] {
        assert!(count > 0, "nothing was {what}");
    }
    assert!(rejected + broken < 60, "{rejected} {broken}");
}

#[tokio::test]
async fn a_resumed_feed_goes_on_where_it_was_without_its_history() {
    let broker = broker();
    let mut records = read(&broker);
    let last_time: DateTime<Utc> = "2026-03-10T15:00:00Z".parse().unwrap();
    let resume = Resume { last_record_id: 41_000, last_binlog: (3, 9_000), last_time };
    let running = start(FeedOptions { resume: Some(resume), ..options(&broker) }, 0);
    let first = timeout(PATIENCE, records.recv()).await.unwrap().unwrap();
    let change = inserted(&mut Decoder::new(0), &first);
    assert_eq!(change.record_id, 41_001);
    assert_eq!(change.after.unwrap().time, Some(last_time));
    assert!(change.position.unwrap().hi > 3 << 40 | 9_000);
    running.stop().await;
}

#[tokio::test]
async fn real_prices_of_a_file_are_replayed_as_they_are_and_then_the_feed_ends() {
    let broker = broker();
    let mut records = read(&broker);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(
        file,
        "timestamp,open,high,low,close,volume\n2024-01-16 09:31:00,153.42,153.5,153.27,153.36,18250\n\
         2024-01-16 09:30:00,153.1,153.6,153.0,153.4,20000\nnot a line\n"
    )
    .unwrap();
    let csv = vec![("AMZN".parse().unwrap(), file.path().to_owned())];
    let running = start(FeedOptions { csv, ..options(&broker) }, 0);
    timeout(PATIENCE, running.ended).await.unwrap().unwrap().unwrap();
    let mut decoder = Decoder::new(0);
    for (time, close) in [("2024-01-16T14:30:00Z", "153.4"), ("2024-01-16T14:31:00Z", "153.36")] {
        let record = timeout(PATIENCE, records.recv()).await.unwrap().unwrap();
        let (symbol, bar) = inserted(&mut decoder, &record).after.unwrap().bar().unwrap();
        assert_eq!(symbol.as_str(), "AMZN");
        assert_eq!((bar.time, bar.close), (time.parse().unwrap(), close.parse().unwrap()));
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_ends_the_feed_with_its_name() {
    let broker = broker();
    let csv = vec![("AMZN".parse().unwrap(), "/nonexistent/amzn.csv".into())];
    let running = start(FeedOptions { csv, ..options(&broker) }, 0);
    let error = timeout(PATIENCE, running.ended).await.unwrap().unwrap().unwrap_err();
    assert!(format!("{error:#}").contains("/nonexistent/amzn.csv"));
}
