//! The HTTP side on a real PostgreSQL: status, body and headers of everything that can be asked.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without has failed it")]

mod control;
mod data_docs;
mod edges;
mod export;
mod market_data;
mod operations;
mod original;
mod process;
mod quarantine;
mod reader;
mod serve;
mod site;
mod validations;
mod wire;
