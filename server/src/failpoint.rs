//! Places where the process can be made to die, or to stop as a zombie does: what the chaos harness aims at.
//!
//! `STOCKSTREAM_FAILPOINT=<place>:<n>:<signal>` arms one of them: when it is passed the n-th time, the process sends itself
//! that signal (`KILL` or `STOP`). Only a build with the cargo feature `failpoints` looks; in every other one [`pass`] is
//! nothing.

/// Where in the way of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The batch is complete; its transaction has not begun.
    BeforeTransaction,
    /// Everything is written, nothing committed.
    BeforeCommit,
    /// Committed, and nobody knows yet.
    AfterCommit,
    /// The live feed knows; the hint to Kafka is still to be sent.
    AfterPublish,
}

/// Dies or stops here, if the place is armed and this is the pass meant.
#[cfg(not(feature = "failpoints"))]
pub fn pass(_: Place) {}

#[cfg(feature = "failpoints")]
pub use armed::pass;

#[cfg(feature = "failpoints")]
mod armed {
    use super::Place;
    use std::{
        process::Command,
        sync::{
            LazyLock,
            atomic::{AtomicU32, Ordering},
        },
    };

    struct Armed {
        place: String,
        /// Passes until it strikes.
        left: AtomicU32,
        signal: String,
    }

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        let text = std::env::var("STOCKSTREAM_FAILPOINT").ok()?;
        let mut parts = text.split(':');
        let (place, left, signal) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        Some(Armed { place: place.into(), left: AtomicU32::new(left), signal: signal.into() })
    });

    /// See the other `pass`.
    pub fn pass(place: Place) {
        let Some(armed) = ARMED.as_ref().filter(|armed| armed.place == format!("{place:?}")) else { return };
        if armed.left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        tracing::warn!(?place, signal = armed.signal, "fail point");
        // By the signal of the name, not by `abort`: nothing of this process shall run after it.
        let sent = Command::new("kill").args(["-s", &armed.signal, &std::process::id().to_string()]).status();
        tracing::warn!(?sent, "went on after a fail point");
    }
}
