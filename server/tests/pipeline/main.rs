//! The pipeline as a whole: real Postgres, a real Kafka protocol, real sockets.

mod apply;
mod group;
mod holding;
mod live;
mod records;
mod redrive;
mod refused;
mod stack;
mod stream;
