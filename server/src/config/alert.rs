//! Whom to tell when something is wrong.

use super::{Checked, Mistakes, value::in_range};
use crate::{
    alert::{Log, PublicUrl, Slack, Target, Webhook},
    outbound::{self, HostPattern, Policy},
};
use clap::{ArgAction, Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use std::{str::FromStr, time::Duration};

#[derive(Debug, Subcommand)]
pub enum AlertCommand {
    /// Sends a sample alert to every configured webhook, once, and says what came of it.
    ///
    /// Exit codes: 0 every webhook took it; 1 not every one did; 2 no webhook is configured, or one is wrong.
    Test(AlertArgs),
}

#[derive(Clone, Debug, Args)]
pub struct AlertArgs {
    /// Incoming webhook that gets alerts, as Slack has them; a secret. Without one alerts are only logged.
    #[arg(long, env = "STOCKSTREAM_ALERT_WEBHOOK_URL", hide_env_values = true)]
    alert_webhook_url: Option<String>,
    /// Webhook that gets alerts as JSON documents (docs/alerts.md), for other programs; a secret.
    #[arg(long, env = "STOCKSTREAM_ALERT_JSON_URL", hide_env_values = true)]
    alert_json_url: Option<String>,
    /// Where people find the dashboard, as https://stock.example.com: alerts link there. Without it they have no links.
    #[arg(long, env = "STOCKSTREAM_PUBLIC_URL")]
    public_url: Option<String>,
    /// Host that webhooks may be at, with :port when that is not 443; may repeat, or be separated by commas.
    #[arg(
        long = "alert-host",
        env = "STOCKSTREAM_ALERT_HOSTS",
        value_delimiter = ',',
        default_value = "hooks.slack.com"
    )]
    alert_hosts: Vec<Checked<HostPattern>>,
    /// Seconds that the pipeline may be down before an alert says so, 1 to 86400.
    #[arg(long, env = "STOCKSTREAM_ALERT_AFTER", default_value = "60")]
    alert_after: Checked<Seconds>,
    /// Lets webhooks be on this machine, without TLS: for tests.
    #[arg(
        long,
        env = "STOCKSTREAM_ALLOW_LOOPBACK_TARGETS",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true"
    )]
    allow_loopback_targets: bool,
}

#[derive(Clone, Copy, Debug)]
struct Seconds(u64);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        in_range(text, &(1..=86_400)).map(Self)
    }
}

/// [`AlertArgs`], checked.
#[derive(Clone, Debug)]
pub struct AlertConfig {
    /// A Slack incoming webhook.
    pub webhook_url: Option<SecretString>,
    /// A webhook that takes JSON documents.
    pub json_url: Option<SecretString>,
    /// Where links lead.
    pub public_url: Option<PublicUrl>,
    pub policy: Policy,
    /// How long the pipeline may be down before anybody is told.
    pub down_after: Duration,
}

impl AlertArgs {
    pub(super) fn check(self, mistakes: &mut Mistakes) -> Option<AlertConfig> {
        let hosts = self.alert_hosts.into_iter().filter_map(|host| mistakes.check("--alert-host", host)).collect();
        let policy = Policy { hosts, allow_loopback: self.allow_loopback_targets };
        let down_after = mistakes.check("--alert-after", self.alert_after);
        let mut secret = |flag, url: Option<String>| {
            let url = url.filter(|url| !url.is_empty()).map(SecretString::from)?;
            if let Err(refusal) = outbound::check_url(url.expose_secret(), &policy) {
                mistakes.add(flag, refusal.to_string());
            }
            Some(url)
        };
        let webhook_url = secret("--alert-webhook-url", self.alert_webhook_url);
        let json_url = secret("--alert-json-url", self.alert_json_url);
        let public_url = self.public_url.filter(|url| !url.is_empty()).map(|url| url.parse());
        let public_url = public_url.transpose().unwrap_or_else(|mistake: String| {
            mistakes.add("--public-url", mistake);
            None
        });
        Some(AlertConfig { webhook_url, json_url, public_url, policy, down_after: Duration::from_secs(down_after?.0) })
    }

    /// For a command that has nothing else to check.
    ///
    /// # Errors
    /// Every mistake, at once.
    pub fn check_alone(self) -> Result<AlertConfig, Mistakes> {
        let mut mistakes = Mistakes::default();
        let config = self.check(&mut mistakes);
        mistakes.or(config)
    }
}

impl AlertConfig {
    /// Everybody who is told.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub fn targets(&self) -> anyhow::Result<Vec<Box<dyn Target>>> {
        let mut targets: Vec<Box<dyn Target>> = vec![Box::new(Log)];
        if let Some(url) = &self.webhook_url {
            targets.push(Box::new(Slack::new(url.clone(), &self.policy, self.public_url.clone())?));
        }
        if let Some(url) = &self.json_url {
            targets.push(Box::new(Webhook::new(url.clone(), &self.policy, self.public_url.clone())?));
        }
        Ok(targets)
    }

    /// As it is in force, with every secret as `***`.
    pub(super) fn redacted(&self) -> serde_json::Value {
        serde_json::json!({
            "webhook_url": self.webhook_url.as_ref().map(|_| "***"),
            "json_url": self.json_url.as_ref().map(|_| "***"),
            "public_url": self.public_url.as_ref().map(ToString::to_string),
            "hosts": self.policy.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "after_seconds": self.down_after.as_secs(),
            "allow_loopback_targets": self.policy.allow_loopback,
        })
    }
}
