//! The binary as a process among others: upgrades, two starts at once, what it says and to whom.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without has failed it")]

mod alert;
mod checkpoint;
mod control;
mod grafana;
mod group;
mod program;
mod secrets;
mod upgrade;
