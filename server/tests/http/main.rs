//! The HTTP side on a real PostgreSQL: status, body and headers of everything that can be asked.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without has failed it")]

mod alpaca;
mod checkpoints;
mod control;
mod data_docs;
mod edges;
mod export;
mod findings;
mod formats;
mod freshness;
mod keys;
mod market_data;
mod openbb;
mod operations;
mod original;
mod pipeline_page;
mod process;
mod provenance;
mod quarantine;
mod reader;
mod refusals;
mod serve;
mod site;
mod udf;
mod validations;
mod watchlist;
mod wire;
