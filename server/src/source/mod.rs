//! The `feed` command: writes bars into the table of a source database, where Debezium finds them.

pub mod csv;
pub mod pace;
mod replay;
mod target;
pub mod timeline;

pub use replay::{ReplayArgs, Summary, replay};
pub use target::{SourceUrl, TableName};
