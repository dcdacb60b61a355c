//! The pipeline as a whole: real Postgres, a real Kafka protocol, real sockets.

mod apply;
mod changes;
mod fencing;
mod findings;
mod group;
mod holding;
mod hops;
mod live;
mod order;
mod outage;
mod provenance;
mod records;
mod redrive;
mod refused;
mod retention;
mod stack;
mod stream;
mod suites;
mod verify;
