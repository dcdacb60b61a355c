//! The stack of `stockstream demo`: a private PostgreSQL, an in-process Kafka broker, and a feed that plays a source
//! database with Debezium in front of it. Nothing here is known to the pipeline, which runs as it does in `serve`.

pub mod broker;
pub mod envelope;
pub mod feed;
pub mod generator;
mod outbox;
pub mod postgres;
pub mod source_table;

pub use broker::Broker;
pub use feed::{FeedOptions, Resume};
pub use outbox::{MOST_BYTES_AHEAD, MOST_RECORDS_AHEAD};
pub use postgres::Postgres;
