//! The stack of `demo`, and the `feed` command, against real processes.

mod feed;
mod load;
mod poll;
mod postgres;
mod replay;
mod stream;
mod table;
