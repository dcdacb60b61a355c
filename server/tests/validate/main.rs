//! `stockstream validate`: suites against tables, by SQL and by rows, and what the command says.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without has failed it")]

mod agree;
mod checkpoint;
mod command;
mod table;
