//! Telling Kafka how far we are. Only lag tools read it: the offset that counts is the one in Postgres.

use crate::store::PartitionKey;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext},
};
use std::collections::HashMap;

/// The offset after the last committed record of a partition.
#[derive(Clone, Debug)]
pub struct Hint {
    pub key: PartitionKey,
    pub next_offset: i64,
}

/// Sends hints, and forgets them. Does not wait for an answer.
pub fn send<C: ConsumerContext>(consumer: &BaseConsumer<C>, hints: &mut HashMap<PartitionKey, i64>) {
    let mut offsets = TopicPartitionList::new();
    for (key, next_offset) in hints.drain() {
        if let Err(error) = offsets.add_partition_offset(&key.topic, key.partition, Offset::Offset(next_offset)) {
            tracing::debug!(%error, partition = %key, "offset hint not sent");
        }
    }
    if offsets.count() > 0
        && let Err(error) = consumer.commit(&offsets, CommitMode::Async)
    {
        tracing::debug!(%error, "offset hints not sent");
    }
}
