//! Whom to tell when something is wrong.

use super::{Checked, Mistakes, value::in_range};
use crate::{
    alert::{Log, PublicUrl, Route, Slack, Target, Webhook},
    checkpoint::{AlertRoute, Checkpoints, RouteKind},
    outbound::{self, HostPattern, Policy},
};
use clap::{ArgAction, Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use std::{path::PathBuf, str::FromStr, time::Duration};

#[derive(Debug, Subcommand)]
pub enum AlertCommand {
    /// Sends a sample alert to every configured webhook, once, and says what came of it.
    ///
    /// Exit codes: 0 every webhook took it; 1 not every one did; 2 no webhook is configured, or one is wrong.
    Test(AlertTestArgs),
}

#[derive(Clone, Debug, Args)]
pub struct AlertTestArgs {
    #[command(flatten)]
    alerts: AlertArgs,
    /// File whose [[route]] tables name further webhooks (docs/alerts.md).
    #[arg(long, env = "STOCKSTREAM_CHECKPOINTS", value_name = "FILE")]
    checkpoints: Option<PathBuf>,
}

impl AlertTestArgs {
    /// # Errors
    /// Every mistake, at once.
    pub fn check(self) -> Result<AlertConfig, Mistakes> {
        let mut mistakes = Mistakes::default();
        let file = self.checkpoints.as_deref().map(Checkpoints::read).transpose();
        let file = file.unwrap_or_else(|error| {
            mistakes.add("--checkpoints", error.to_string());
            None
        });
        let routes = file.map(|file| file.routes).unwrap_or_default();
        let config = self.alerts.check(&routes, &mut mistakes);
        mistakes.or(config)
    }
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
    /// Webhooks that are told of a part, with their URLs.
    pub routes: Vec<(AlertRoute, SecretString)>,
    /// Where links lead.
    pub public_url: Option<PublicUrl>,
    pub policy: Policy,
    /// How long the pipeline may be down before anybody is told.
    pub down_after: Duration,
}

impl AlertArgs {
    /// The URLs of the file's routes come from the variables that they name.
    pub(super) fn check(self, routes: &[AlertRoute], mistakes: &mut Mistakes) -> Option<AlertConfig> {
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
        let routes = routes.iter().filter_map(|route| {
            let url = std::env::var(&route.url_env).ok().filter(|url| !url.is_empty());
            let wrong = match &url {
                None => Some("is not set in the environment".to_owned()),
                Some(url) => {
                    outbound::check_url(url, &policy).err().map(|refusal| format!("holds a URL that {refusal}"))
                }
            };
            if let Some(reason) = wrong {
                mistakes.add("--checkpoints", format!("{}: url_env: {} {reason}", route.place, route.url_env));
            }
            Some((route.clone(), SecretString::from(url?)))
        });
        let routes = routes.collect();
        let public_url = self.public_url.filter(|url| !url.is_empty()).map(|url| url.parse());
        let public_url = public_url.transpose().unwrap_or_else(|mistake: String| {
            mistakes.add("--public-url", mistake);
            None
        });
        let down_after = Duration::from_secs(down_after?.0);
        Some(AlertConfig { webhook_url, json_url, routes, public_url, policy, down_after })
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
            targets.push(self.webhook(RouteKind::Slack, url)?);
        }
        if let Some(url) = &self.json_url {
            targets.push(self.webhook(RouteKind::Json, url)?);
        }
        for (route, url) in &self.routes {
            let (name, scope) = (route.name.clone(), route.scope.clone());
            targets.push(Box::new(Route { name, scope, target: self.webhook(route.kind, url)? }));
        }
        Ok(targets)
    }

    fn webhook(&self, kind: RouteKind, url: &SecretString) -> anyhow::Result<Box<dyn Target>> {
        let (url, public_url) = (url.clone(), self.public_url.clone());
        Ok(match kind {
            RouteKind::Slack => Box::new(Slack::new(url, &self.policy, public_url)?),
            RouteKind::Json => Box::new(Webhook::new(url, &self.policy, public_url)?),
        })
    }

    /// Whether anybody is told but the log.
    pub fn tells_anybody(&self) -> bool {
        self.webhook_url.is_some() || self.json_url.is_some() || !self.routes.is_empty()
    }

    /// As it is in force, with every secret as `***`.
    pub(super) fn redacted(&self) -> serde_json::Value {
        serde_json::json!({
            "webhook_url": self.webhook_url.as_ref().map(|_| "***"),
            "json_url": self.json_url.as_ref().map(|_| "***"),
            "routes": self.routes.iter().map(|(route, _)| serde_json::json!({
                "name": route.name, "kind": route.kind, "url": "***", "scope": route.scope,
            })).collect::<Vec<_>>(),
            "public_url": self.public_url.as_ref().map(ToString::to_string),
            "hosts": self.policy.hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "after_seconds": self.down_after.as_secs(),
            "allow_loopback_targets": self.policy.allow_loopback,
        })
    }
}
