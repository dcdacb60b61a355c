//! The stack of `demo`, and the `feed` command, against real processes.

mod feed;
mod postgres;
mod replay;
