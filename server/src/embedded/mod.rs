//! The stack of `stockstream demo`: a private PostgreSQL, an in-process Kafka broker, and a feed that plays a source
//! database with Debezium in front of it. Nothing here is known to the pipeline, which runs as it does in `serve`.

pub mod broker;
pub mod envelope;
pub mod generator;
pub mod postgres;

pub use broker::Broker;
pub use postgres::Postgres;
