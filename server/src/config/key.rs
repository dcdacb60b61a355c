//! Keys of programs: who has to have one, and the command that makes them.

use super::{Checked, DatabaseUrl, Mistakes, StoreArgs, value::in_range};
use crate::access::{KeyId, KeyMode, Scope};
use clap::{Args, Subcommand};
use std::{net::SocketAddr, num::NonZeroU32, str::FromStr};

#[derive(Clone, Debug, Args)]
pub struct KeyArgs {
    /// Who has to send an API key (`stockstream key create` makes one): nobody, and keys are not looked at (off); nobody, but
    /// a key that is sent must be right and has a rate of its own (optional); everybody, browsers too, who are asked for id
    /// and secret (required). Default: off when --listen is an address of this machine, optional otherwise.
    #[arg(long, env = "STOCKSTREAM_API_KEYS", value_enum, value_name = "WHO")]
    api_keys: Option<KeyMode>,
}

impl KeyArgs {
    pub(super) fn mode(&self, listen: SocketAddr) -> KeyMode {
        let default = if listen.ip().is_loopback() { KeyMode::Off } else { KeyMode::Optional };
        self.api_keys.unwrap_or(default)
    }
}

#[derive(Clone, Debug, Subcommand)]
pub enum KeyCommand {
    /// Makes a key and prints it. Its secret is not kept: this is the only time it is shown.
    Create(KeyCreateArgs),
    /// Lists keys, newest first, without their secrets.
    Ls(KeyLsArgs),
    /// Ends a key, at once on every running server; sockets that were opened with it are closed within seconds.
    Revoke(KeyRevokeArgs),
}

#[derive(Clone, Debug, Args)]
pub struct KeyCreateArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Who or what it is for, 1 to 100 characters.
    #[arg(long)]
    name: Checked<KeyName>,
    /// What it may be used for: read (every question over HTTP), stream (live streams), control (orders, and the audit
    /// trail); separated by commas.
    #[arg(long = "scope", default_value = "read,stream", value_delimiter = ',', value_name = "SCOPE")]
    scopes: Vec<Checked<Scope>>,
    /// Requests per second, of which ten seconds' worth may come at once, 0 to 1000000; 0: any number.
    #[arg(long, default_value = "50")]
    rate_limit: Checked<Rate>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// [`KeyCreateArgs`], checked.
#[derive(Clone, Debug)]
pub struct KeyOrder {
    pub name: String,
    pub scopes: Vec<Scope>,
    /// `None`: any number.
    pub requests_per_second: Option<NonZeroU32>,
    pub json: bool,
}

impl KeyCreateArgs {
    /// # Errors
    /// Every mistake, at once.
    pub fn check(self) -> Result<(KeyOrder, DatabaseUrl), Mistakes> {
        let mut mistakes = Mistakes::default();
        let url = mistakes.require("--database-url", "DATABASE_URL", self.store.database_url);
        let name = mistakes.check("--name", self.name);
        let mut scopes: Vec<Scope> =
            self.scopes.into_iter().filter_map(|scope| mistakes.check("--scope", scope)).collect();
        scopes.sort_unstable();
        scopes.dedup();
        let rate = mistakes.check("--rate-limit", self.rate_limit);
        let order = (|| {
            let order = KeyOrder { name: name?.0, scopes, requests_per_second: rate?.0, json: self.json };
            Some((order, url?))
        })();
        mistakes.or(order)
    }
}

#[derive(Clone, Debug, Args)]
pub struct KeyLsArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Also those that were revoked.
    #[arg(long)]
    pub all: bool,
    /// One JSON object per line instead of a table.
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Debug, Args)]
pub struct KeyRevokeArgs {
    #[command(flatten)]
    pub store: StoreArgs,
    /// Its id, as `ls` prints it.
    #[arg(value_name = "ID")]
    pub id: KeyId,
}

#[derive(Clone, Debug)]
struct KeyName(String);

impl FromStr for KeyName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        is_name.then(|| Self(text.to_owned())).ok_or("must have 1 to 100 characters, all of which can be seen")
    }
}

/// `None`: any number.
#[derive(Clone, Copy, Debug)]
struct Rate(Option<NonZeroU32>);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        in_range(text, &(0..=1_000_000)).map(|number| Self(NonZeroU32::new(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_on_this_machine_alone_needs_no_keys() {
        let mode = |listen: &str, api_keys| KeyArgs { api_keys }.mode(listen.parse().unwrap());
        assert_eq!(mode("127.0.0.1:8080", None), KeyMode::Off);
        assert_eq!(mode("[::1]:8080", None), KeyMode::Off);
        assert_eq!(mode("0.0.0.0:8080", None), KeyMode::Optional);
        assert_eq!(mode("127.0.0.1:8080", Some(KeyMode::Required)), KeyMode::Required);
        assert_eq!(mode("0.0.0.0:8080", Some(KeyMode::Off)), KeyMode::Off);
    }
}
