//! Everything with I/O.
//!
//! `pipeline` consumes and writes, `store` holds all SQL, `feed` pushes to sockets, `http` answers requests, `embedded`
//! is the stack of `demo`, `source` writes into source databases.

pub mod embedded;
pub mod feed;
pub mod http;
pub mod pipeline;
pub mod source;
pub mod store;
