//! The control endpoints, and the command that calls them.

use super::{Checked, Mistakes};
use clap::{Args, Subcommand};
use secrecy::SecretString;
use std::str::FromStr;
use url::Url;

/// What opens the control endpoints; does not print.
#[derive(Clone, Debug)]
pub struct ControlToken(pub SecretString);

/// Fewer characters can be guessed.
const SHORTEST_TOKEN: usize = 16;
/// It has to fit into a header.
const LONGEST_TOKEN: usize = 512;

impl FromStr for ControlToken {
    type Err = String;

    // The text is a secret: no message repeats it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !(SHORTEST_TOKEN..=LONGEST_TOKEN).contains(&text.len()) || !text.chars().all(|c| c.is_ascii_graphic()) {
            return Err(format!(
                "must have {SHORTEST_TOKEN} to {LONGEST_TOKEN} characters of ASCII without spaces; `openssl rand -hex 32` \
                 makes one"
            ));
        }
        Ok(Self(SecretString::from(text)))
    }
}

#[derive(Clone, Debug, Args)]
pub struct ControlArgs {
    /// Opens the control endpoints (pause, resume, drain, redrive, audit) to whoever sends this as a bearer token; 16 to
    /// 512 characters. Without it they are closed. Prefer the environment: other users of a machine can see arguments.
    #[arg(long, env = "STOCKSTREAM_CONTROL_TOKEN", hide_env_values = true)]
    control_token: Option<String>,
}

impl ControlArgs {
    /// `None`: closed. An empty token is none, as an unset variable in a compose file is.
    pub(super) fn check(self, mistakes: &mut Mistakes) -> Option<ControlToken> {
        let token = self.control_token.filter(|token| !token.is_empty())?;
        token.parse().map_err(|reason| mistakes.add("--control-token", reason)).ok()
    }
}

#[derive(Clone, Debug, Subcommand)]
pub enum PipelineCommand {
    /// Prints what the pipeline does: partition by partition, with lag, counters and reasons. Needs no token.
    Status(PipelineArgs),
    /// Lets it run: after a pause, a drain, or when the flood guard stopped it.
    Start(PipelineArgs),
    /// Stops fetching; what is in flight is finished.
    Pause(PipelineArgs),
    /// The same as `start`.
    Resume(PipelineArgs),
    /// Stops fetching, and comes back when everything in flight is committed.
    Drain(PipelineArgs),
}

#[derive(Clone, Debug, Args)]
pub struct PipelineArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Only partitions of this topic.
    #[arg(long)]
    pub topic: Option<String>,
    /// Only this partition of the topic.
    #[arg(long, requires = "topic")]
    pub partition: Option<i32>,
    /// Seconds a drain may take, 1 to 3600.
    #[arg(long, default_value = "60", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
}

/// The server to ask, for every command that calls one.
#[derive(Clone, Debug, Args)]
pub struct TargetArgs {
    /// Where the server is.
    #[arg(long, env = "STOCKSTREAM_URL", default_value = "http://127.0.0.1:8080")]
    url: Checked<Url>,
    /// The server's control token. Prefer the environment: other users of a machine can see arguments.
    #[arg(long, env = "STOCKSTREAM_CONTROL_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Prints the server's answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// [`TargetArgs`], checked.
#[derive(Clone, Debug)]
pub struct Target {
    pub url: Url,
    pub token: Option<ControlToken>,
}

impl TargetArgs {
    /// # Errors
    /// Every mistake, at once.
    pub fn check(self) -> Result<Target, Mistakes> {
        let mut mistakes = Mistakes::default();
        let url = mistakes.check("--url", self.url).filter(|url| {
            let usable =
                matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
            if !usable {
                mistakes.add("--url", "must be http://host:port or https://host, without user name or password".into());
            }
            usable
        });
        let token = self
            .token
            .filter(|token| !token.is_empty())
            .and_then(|token| token.parse().map_err(|reason| mistakes.add("--token", reason)).ok());
        mistakes.or(url.map(|url| Target { url, token }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_printable_and_never_repeated() {
        assert!("0123456789abcdef".parse::<ControlToken>().is_ok());
        for wrong in ["", "canary", "canary canary canary canary", "canary-canary-canär", &"canary".repeat(100)] {
            let error = wrong.parse::<ControlToken>().unwrap_err();
            assert!(!error.contains("canary"), "{error}");
        }
        let token: ControlToken = "canary-canary-canary".parse().unwrap();
        assert!(!format!("{token:?}").contains("canary"));
    }
}
