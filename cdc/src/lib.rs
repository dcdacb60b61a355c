//! Debezium bytes in, typed changes out; and the rule that says which of two changes wins.
//!
//! This crate knows no I/O, no clock and no configuration. Unknown or broken input is a [`DecodeError`], never a panic.

pub mod captured;
mod change;
mod copy;
mod decode;
mod epoch;
mod error;
mod order;

pub use change::{Change, Control, Decoded, Op, RawRecord, Snapshot, SourceInfo};
pub use copy::{CopyError, check_copy};
pub use decode::{AnyRow, Decoder};
pub use epoch::{Epoch, EpochBook, InvalidSourceIdent, Reach, SourceIdent};
pub use error::DecodeError;
pub use order::{KeyState, Outcome, Position, Version, is_coarser_copy, judge};
