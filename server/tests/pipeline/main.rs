//! The pipeline as a whole: real Postgres, a real Kafka protocol, real sockets.

mod apply;
mod live;
mod records;
mod redrive;
mod stack;
mod stream;
