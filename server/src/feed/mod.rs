//! The live feed: what was committed, to whoever watches it.
//!
//! [`Publisher`] takes commits from the writers without ever making them wait, looks up what the touched candles now
//! are, and hands one encoded frame per symbol and timeframe to the [`Hub`]; the hub drops it into the bounded mailbox
//! of every subscriber; a session per socket empties its mailbox. A client that reads too slowly gets snapshots instead
//! of what it missed, and is cut when it does not read at all.
//!
//! A request becomes a socket in [`open`]: the handshake is checked, the page's origin, and that there is a free seat.
//! What the messages mean is said in [`market::wire`], close codes included.

mod allowance;
mod alpaca;
mod catch_up;
mod change;
mod door;
mod frame;
mod handshake;
mod hub;
mod mailbox;
mod origin;
mod publisher;
mod pulse;
mod session;
mod socket;

pub use catch_up::{Answer, CatchUp, Question};
pub use door::{Door, SocketConfig};
pub use handshake::{Dialect, Refusal, VERSION, open};
pub use hub::Hub;
pub use origin::{InvalidOrigin, Origin};
pub use publisher::Publisher;
pub use pulse::pulse;

use crate::{pipeline::StatusHandle, store::Store};
use market::wire::SourceKind;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What a session needs.
#[derive(Clone)]
pub struct Feed {
    pub hub: Hub,
    pub store: Store,
    pub catch_up: CatchUp,
    pub door: Door,
    pub status: StatusHandle,
    pub source: SourceKind,
    /// How late data may be and still be called live, in milliseconds.
    pub budget_ms: u32,
    /// Closes every socket with 1012 when cancelled.
    pub shutdown: CancellationToken,
    /// Every open socket, so that shutdown can wait for them.
    pub sockets: TaskTracker,
}
