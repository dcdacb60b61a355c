//! How much one caller, and all together, may ask for.

use super::{Checked, Mistakes, value::in_range};
use crate::http::Limits;
use clap::Args;
use std::{num::NonZeroU32, str::FromStr};

/// Those of the [`Limits`] that depend on where the server stands.
#[derive(Clone, Debug, Args)]
pub struct LimitArgs {
    /// Connections at the same time, WebSockets included, 1 to 1000000.
    #[arg(long, env = "STOCKSTREAM_MAX_CONNECTIONS", default_value = "20000")]
    max_connections: Checked<Connections>,
    /// Connections at the same time from one address (IPv6: one /64), 0 to 1000000; 0: no such limit. Behind a reverse
    /// proxy on another machine all clients share its address.
    #[arg(long, env = "STOCKSTREAM_MAX_CONNECTIONS_PER_ADDRESS", default_value = "512")]
    max_connections_per_address: Checked<Optional>,
    /// Requests per second from one address, of which ten seconds' worth may come at once, 0 to 1000000; 0: any number.
    /// Health and metrics are never limited.
    #[arg(long, env = "STOCKSTREAM_RATE_LIMIT", default_value = "50")]
    rate_limit: Checked<Optional>,
    /// Whether the limits per address also hold for this machine; true or false. Its reverse proxy stands for many.
    #[arg(long, env = "STOCKSTREAM_LIMIT_LOOPBACK", default_value = "false")]
    limit_loopback: Checked<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Connections(u32);

impl FromStr for Connections {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        in_range(text, &(1..=1_000_000)).map(Self)
    }
}

/// A limit, or none.
#[derive(Clone, Copy, Debug)]
struct Optional(Option<NonZeroU32>);

impl FromStr for Optional {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        in_range(text, &(0..=1_000_000)).map(|number| Self(NonZeroU32::new(number)))
    }
}

impl LimitArgs {
    pub(super) fn check(self, mistakes: &mut Mistakes) -> Option<Limits> {
        let connections = mistakes.check("--max-connections", self.max_connections);
        let per_address = mistakes.check("--max-connections-per-address", self.max_connections_per_address);
        let rate = mistakes.check("--rate-limit", self.rate_limit);
        let limit_loopback = mistakes.check("--limit-loopback", self.limit_loopback);
        Some(Limits {
            connections: connections?.0 as usize,
            connections_per_address: per_address?.0.map(|limit| limit.get() as usize),
            requests_per_second: rate?.0,
            limit_loopback: limit_loopback?,
            ..Limits::default()
        })
    }
}
