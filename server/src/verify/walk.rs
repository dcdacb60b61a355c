//! Reads a topic from its earliest kept record to a fixed end, partition by partition. Commits nothing and joins no group.

use crate::{
    pipeline::{ConsumerConfig, record_hash},
    store::{ConsumedPartition, PartitionKey},
};
use rdkafka::{
    ClientConfig, Message, Offset, Timestamp, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use std::time::{Duration, Instant};

/// How long a question to the broker may take.
const ASK: Duration = Duration::from_secs(10);
/// How long nothing at all may arrive.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at whether to stop.
const POLL: Duration = Duration::from_millis(200);

/// Why the topic could not be read as the store has read it.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    #[error("Kafka has sent nothing of {0} for {s} s", s = PATIENCE.as_secs())]
    Silence(PartitionKey),
    #[error(
        "{key} ends at offset {high}, but the store has consumed it up to {end}: the topic was re-created; let the server \
         read it first"
    )]
    Shorter { key: PartitionKey, high: i64, end: i64 },
    #[error(
        "{key}: the record at offset {offset} is not the one that the store has consumed: the topic was re-created; let the \
         server read it first"
    )]
    Other { key: PartitionKey, offset: i64 },
    #[error("{0}: records expired while they were being read; run verify again")]
    Expired(PartitionKey),
    #[error("interrupted")]
    Interrupted,
}

/// A record as the walk hands it over.
pub struct Walked<'a> {
    pub offset: i64,
    pub timestamp_ms: Option<i64>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

/// What of a partition is kept: everything from `low` to `end`, but for the gaps.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub low: i64,
    pub end: i64,
    pub records: i64,
    /// Runs of offsets without a record: compacted away, or markers of transactions.
    gaps: Vec<(i64, i64)>,
}

impl Kept {
    /// Whether a record is there at this offset.
    pub fn has(&self, offset: i64) -> bool {
        let after = self.gaps.partition_point(|(from, _)| *from <= offset);
        let in_gap = after > 0 && offset < self.gaps[after - 1].1;
        (self.low..self.end).contains(&offset) && !in_gap
    }

    pub fn has_gaps(&self) -> bool {
        !self.gaps.is_empty()
    }
}

/// A consumer for one walk.
pub struct Walk {
    consumer: BaseConsumer,
}

impl Walk {
    /// # Errors
    /// A property is unknown or malformed.
    pub fn new(config: &ConsumerConfig) -> Result<Self, WalkError> {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &config.brokers)
            .set("group.id", format!("{}-verify", config.group))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "true")
            .set("allow.auto.create.topics", "false")
            .set("queued.max.messages.kbytes", "65536");
        for (key, value) in &config.properties {
            client.set(key, value);
        }
        Ok(Self { consumer: client.create()? })
    }

    /// The earliest offset that is kept.
    ///
    /// # Errors
    /// The broker does not answer, or the topic is not the one that was consumed.
    pub fn low(&self, key: &PartitionKey, end: i64) -> Result<i64, WalkError> {
        let (low, high) = self.consumer.fetch_watermarks(&key.topic, key.partition, ASK)?;
        if high < end { Err(WalkError::Shorter { key: key.clone(), high, end }) } else { Ok(low.min(end)) }
    }

    /// Hands over each record of a partition from `low` to the end that the store has reached.
    ///
    /// # Errors
    /// The broker does not answer, or the topic is not the one that was consumed, or the visitor has had enough.
    pub fn partition(
        &self,
        key: &PartitionKey,
        low: i64,
        stored: &ConsumedPartition,
        mut visit: impl FnMut(&Walked<'_>) -> Result<(), WalkError>,
    ) -> Result<Kept, WalkError> {
        let end = stored.next_offset;
        let mut kept = Kept { low, end, ..Kept::default() };
        let mut next = low;
        if low < end {
            let mut assignment = TopicPartitionList::new();
            assignment.add_partition_offset(&key.topic, key.partition, Offset::Offset(low))?;
            self.consumer.assign(&assignment)?;
        }
        let mut heard = Instant::now();
        while next < end {
            let message = match self.consumer.poll(POLL) {
                None if heard.elapsed() > PATIENCE => return Err(WalkError::Silence(key.clone())),
                None => continue,
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                        return Err(WalkError::Expired(key.clone()));
                    }
                    // Brokers come and go; what stays away is noticed by its silence.
                    _ if heard.elapsed() > PATIENCE => return Err(error.into()),
                    _ => continue,
                },
                Some(Ok(message)) => message,
            };
            heard = Instant::now();
            let offset = message.offset();
            if message.partition() != key.partition || message.topic() != key.topic || offset < next {
                continue; // left over from the partition before
            }
            if offset >= end {
                break;
            }
            if offset > next {
                kept.gaps.push((next, offset));
            }
            next = offset + 1;
            if next == end && stored.last_hash != 0 && record_hash(&message) != stored.last_hash {
                return Err(WalkError::Other { key: key.clone(), offset });
            }
            kept.records += 1;
            let timestamp_ms = match message.timestamp() {
                Timestamp::CreateTime(ms) | Timestamp::LogAppendTime(ms) => Some(ms),
                Timestamp::NotAvailable => None,
            };
            visit(&Walked { offset, timestamp_ms, key: message.key(), value: message.payload() })?;
        }
        if next < end {
            kept.gaps.push((next, end));
        }
        self.consumer.unassign()?;
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_not_there() {
        let kept = Kept { low: 2, end: 10, records: 4, gaps: vec![(3, 5), (8, 10)] };
        let there: Vec<i64> = (0..12).filter(|offset| kept.has(*offset)).collect();
        assert_eq!(there, [2, 5, 6, 7]);
        assert!(kept.has_gaps());
    }
}
