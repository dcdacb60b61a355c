//! Who may listen to the live stream, and how many.

use super::{Checked, Mistakes, value::in_range};
use crate::feed::{Origin, SocketConfig};
use clap::Args;
use std::str::FromStr;

/// The part of [`SocketConfig`] that depends on where the server stands.
#[derive(Clone, Debug, Args)]
pub struct SocketArgs {
    /// Origin, as https://host:port, whose pages may read the API and open a live socket besides this server's own; may
    /// repeat, or be separated by commas. Programs that are no browsers are not asked.
    #[arg(long = "allow-origin", env = "STOCKSTREAM_ALLOW_ORIGINS", value_delimiter = ',')]
    allow_origins: Vec<Checked<Origin>>,
    /// Live sockets open at the same time, 1 to 1000000. Each is also a connection, and needs a file descriptor.
    #[arg(long, env = "STOCKSTREAM_MAX_SOCKETS", default_value = "10000")]
    max_sockets: Checked<Sockets>,
    /// Live sockets open at the same time from one address (IPv6: one /64), 1 to 1000000. --limit-loopback says whether
    /// it holds for this machine.
    #[arg(long, env = "STOCKSTREAM_MAX_SOCKETS_PER_ADDRESS", default_value = "256")]
    max_sockets_per_address: Checked<Sockets>,
}

#[derive(Clone, Copy, Debug)]
struct Sockets(u32);

impl FromStr for Sockets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        in_range(text, &(1..=1_000_000)).map(Self)
    }
}

impl SocketArgs {
    pub(super) fn check(self, mistakes: &mut Mistakes) -> Option<SocketConfig> {
        let allowed_origins =
            self.allow_origins.into_iter().filter_map(|origin| mistakes.check("--allow-origin", origin)).collect();
        let in_all = mistakes.check("--max-sockets", self.max_sockets);
        let per_address = mistakes.check("--max-sockets-per-address", self.max_sockets_per_address);
        Some(SocketConfig {
            allowed_origins,
            max_sockets: in_all?.0,
            max_sockets_per_address: per_address?.0,
            ..SocketConfig::default()
        })
    }
}
