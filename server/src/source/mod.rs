//! The `feed` command: writes bars into the table of a source database, where Debezium finds them.
//!
//! `replay` plays files or simulated prices, `load` reads files in bulk, `poll` asks an HTTP API again and again, `stream`
//! listens to a vendor's WebSocket. What vendors say is read by `vendor`, which knows no I/O; what is written goes through
//! `sink`, which waits for a database that is away.

pub mod csv;
mod gaps;
mod inspect;
mod keys;
mod load;
mod minutes;
pub mod pace;
mod pause;
mod poll;
mod replay;
mod sink;
mod socket;
mod stream;
mod tally;
mod target;
pub mod timeline;
mod vendor;

pub use gaps::Gap;
pub use keys::KeyArgs;
pub use load::load;
pub use poll::{PollArgs, PollPreset, poll};
pub use replay::{ReplayArgs, Summary, replay};
pub use sink::TableArgs;
pub use stream::{Kind, StreamArgs, StreamPreset, stream};
pub use tally::Tally;
pub use target::{SourceUrl, TableName, Written};
