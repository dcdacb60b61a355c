//! The stack of `demo`, and the `feed` command, against real processes.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without has failed it")]

mod feed;
mod load;
mod poll;
mod postgres;
mod replay;
mod stream;
mod table;
