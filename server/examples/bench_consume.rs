//! Reads a topic's one partition from its start to its present end and throws the records away: the floor under every
//! consumer. With `dump` it writes them as PostgreSQL's COPY text (offset, value) to standard output instead, for the
//! oracle of `make bench`.

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::{error::Error, io::Write, time::Duration};

const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (brokers, topic, dump) = match arguments.as_slice() {
        [brokers, topic] => (brokers, topic, false),
        [brokers, topic, dump] if dump == "dump" => (brokers, topic, true),
        _ => return Err("usage: bench_consume BROKERS TOPIC [dump]".into()),
    };
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .create()?;
    let (_, end) = consumer.fetch_watermarks(topic, 0, PATIENCE)?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&list)?;
    let mut out = std::io::BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    let (mut records, mut bytes) = (0_u64, 0_u64);
    loop {
        let record = consumer.poll(PATIENCE).ok_or("no record came in time")??;
        let value = record.payload().unwrap_or_default();
        if dump {
            let text = str::from_utf8(value)?;
            writeln!(out, "{}\t{}", record.offset(), text.replace('\\', "\\\\"))?;
        }
        records += 1;
        bytes += value.len() as u64;
        if record.offset() + 1 >= end {
            break;
        }
    }
    out.flush()?;
    eprintln!("bench: read {records} records, {bytes} bytes");
    Ok(())
}
