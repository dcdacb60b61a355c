//! Consume → decode → check → store → publish → commit.
//!
//! One thread polls the broker, decodes and checks; one task per partition writes. Between them are a few batches in a
//! bounded channel, so decoding and writing overlap and a slow database slows the consumer down instead of filling
//! memory. The offset that counts is the one in Postgres; the commit to Kafka only feeds lag tools.

mod batcher;
mod consumer;
mod control;
mod redrive;
mod status;
mod supervisor;
mod understand;

pub use consumer::ConsumerConfig;
pub use control::{Controls, Desired, Wish};
pub use redrive::redrive;
pub use status::{PartitionState, PartitionStatus, Phase, Status, StatusHandle, StatusWriter, channel};
pub use supervisor::{Pipeline, Progress};
pub use understand::{encode_headers, limits_at, understand};

/// How many batches may wait between the consumer and a writer.
const BATCHES_IN_FLIGHT: usize = 2;
