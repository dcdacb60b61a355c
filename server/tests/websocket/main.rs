//! The live stream's edge: RFC 6455 on raw bytes, who is let in, and what a client may not do.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without has failed it")]

mod alpaca;
mod conformance;
mod consistency;
mod edges;
mod handshake;
mod raw;
mod recent;
#[path = "../pipeline/records.rs"]
#[allow(dead_code, reason = "the pipeline's tests need more of it")]
mod records;
mod slow;
#[path = "../pipeline/stack.rs"]
#[allow(dead_code, reason = "the pipeline's tests need more of it")]
mod stack;
