//! The `feed` command: writes bars into the table of a source database, where Debezium finds them.

pub mod csv;
