//! Requests that this program makes of its own accord: whither they may go, and a client that cannot be led elsewhere.
//!
//! Knows nothing of what is sent. A URL comes from the configuration and from nowhere else; it may carry a secret, so no
//! error of this module repeats it.

mod client;
mod guard;

pub use client::{client, describe, personal_client, use_ring};
pub use guard::{HostPattern, Policy, Refusal, check_address, check_url};
