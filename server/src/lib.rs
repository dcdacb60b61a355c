//! Everything with I/O.
//!
//! `command` is what the binary does, `config` what it can be told, `application` the running whole; `pipeline` consumes and writes, `store` holds all
//! SQL, `access` knows the keys of programs, `feed` pushes to sockets, `pack` asks the rules over several bars, `provenance` says where a candle came from, `http` answers requests, `static_site` writes
//! pages to files, `embedded` is the stack of `demo`, `source` writes into
//! source databases, `telemetry` is logs and metrics, `progress` what long commands show, `failpoint` is where the chaos harness
//! strikes.

pub mod access;
pub mod alert;
pub mod application;
pub mod checkpoint;
pub mod command;
pub mod config;
pub mod embedded;
pub mod failpoint;
pub mod feed;
pub mod freshness;
pub mod http;
pub mod outbound;
pub mod pack;
pub mod pipeline;
pub mod progress;
pub mod provenance;
pub mod source;
pub mod static_site;
pub mod store;
pub mod telemetry;
pub mod verify;
