//! Consume → decode → check → store → publish → commit.
//!
//! ```text
//! assignment ─ which partitions ─→ supervisor ─ starts and ends ─→ a lane per partition ─→ store, feed
//!                                                                      ↑ lots      │ asks, hints
//! probe ─ questions beside the stream ─→ lanes            reader, one thread ←─────┘
//! ```
//!
//! One thread polls the broker, decodes and checks; one task per partition, its lane, writes. Between them are a few
//! batches in a bounded channel, so decoding and writing overlap and a slow database slows the consumer down instead of
//! filling memory. The offset that counts is the one in Postgres; the commit to Kafka only feeds lag tools. What goes
//! wrong with one partition is mended by its lane, and the others go on.

mod assignment;
mod backoff;
mod batcher;
mod control;
mod disposition;
mod explain;
mod flood;
mod hints;
mod hops;
mod judge;
mod lane;
mod lot;
mod place;
mod probe;
mod reader;
mod recorder;
mod redrive;
mod settle;
mod status;
mod suites;
mod supervisor;
mod understand;
mod window;

pub(crate) use batcher::record_hash;
pub use control::{Controls, Desired, Wish};
pub use explain::{Explained, Explanation, codes, explain};
pub use hops::{Hop, HopCounts, HopStatus, Hops, Percentiles};
pub use judge::{Judge, Judged};
pub use reader::{Assignment, ConsumerConfig};
pub(crate) use reader::{client as consumer_client, is_out_of_range};
pub use recorder::{WindowRecorder, WindowSource, windows};
pub use redrive::redrive;
pub(crate) use redrive::understand_alone;
pub use status::{PartitionState, PartitionStatus, Phase, Status, StatusHandle, StatusWriter, channel};
pub use suites::RecordSuites;
pub use supervisor::{Pipeline, Progress};
pub use understand::{encode_headers, limits_at, understand};
pub use window::WindowPolicy;
