//! An incoming webhook, as Slack has them: the alert as text, and as two blocks.

use super::{Alert, AlertKind, Setback, Target, Turn};
use crate::outbound::{self, Policy, Refusal};
use futures::future::BoxFuture;
use reqwest::{Client, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::time::Duration;

/// The longest text Slack takes in a section.
const TEXT_LIMIT: usize = 3_000;

/// The URL is a secret: whoever knows it can write to the channel.
#[derive(Debug)]
pub struct Webhook {
    url: SecretString,
    client: Client,
}

/// The webhook cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum UnusableWebhook {
    #[error("the webhook's URL {0}")]
    Refused(#[from] Refusal),
    #[error("the webhook's client cannot be set up: {0}")]
    Client(String),
}

impl Webhook {
    /// # Errors
    /// The policy does not allow the URL, or TLS cannot be set up.
    pub fn new(url: SecretString, policy: &Policy) -> Result<Self, UnusableWebhook> {
        outbound::check_url(url.expose_secret(), policy)?;
        let client = outbound::client(policy).map_err(|error| UnusableWebhook::Client(outbound::describe(error)))?;
        Ok(Self { url, client })
    }

    async fn post(&self, alert: &Alert) -> Result<(), Setback> {
        let later = |reason| Setback::Later { reason, after: None };
        let request = self.client.post(self.url.expose_secret()).json(&message(alert));
        let response = request.send().await.map_err(|error| later(outbound::describe(error)))?;
        let status = response.status();
        match status {
            _ if status.is_success() => Ok(()),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Err(Setback::Later {
                reason: format!("the webhook answers {status}"),
                after: response
                    .headers()
                    .get(header::RETRY_AFTER)
                    .and_then(|after| after.to_str().ok()?.trim().parse().ok())
                    .map(Duration::from_secs),
            }),
            StatusCode::REQUEST_TIMEOUT => Err(later(format!("the webhook answers {status}"))),
            _ if status.is_server_error() => Err(later(format!("the webhook answers {status}"))),
            _ => Err(Setback::Never(format!("the webhook answers {status}: is its URL still right?"))),
        }
    }
}

impl Target for Webhook {
    fn name(&self) -> &'static str {
        "webhook"
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> BoxFuture<'a, Result<(), Setback>> {
        Box::pin(self.post(alert))
    }
}

/// The alert as Slack's Block Kit has it. `text` is what notifications show, and what others than Slack understand.
fn message(alert: &Alert) -> Value {
    let (icon, turn) = match (alert.turn, alert.kind) {
        (Turn::Resolved, _) => (":white_check_mark:", "Resolved"),
        (Turn::Opened, AlertKind::RetentionGap) => (":warning:", "Data lost in Kafka"),
        (Turn::Opened, AlertKind::PartitionPaused) => (":rotating_light:", "Partition paused"),
        (Turn::Opened, AlertKind::PipelineDown) => (":rotating_light:", "Pipeline down"),
    };
    let text = shortened(&escaped(&alert.to_string()), TEXT_LIMIT);
    let section = format!("{icon} *{turn}* · `{}`\n{}", escaped(&alert.subject), escaped(&alert.message));
    let context = format!(
        "stockstream · {} · since {} · {}",
        alert.kind.as_str(),
        alert.since.format("%Y-%m-%d %H:%M:%S UTC"),
        alert.at.format("%Y-%m-%d %H:%M:%S UTC"),
    );
    json!({
        "text": text,
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": shortened(&section, TEXT_LIMIT)}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": context}]},
        ],
    })
}

/// The three characters that mean something to Slack: a message can neither link nor call anybody.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Utc};

    fn alert(message: &str) -> Alert {
        let at: DateTime<Utc> = "2024-01-16T14:31:00Z".parse().unwrap();
        Alert {
            kind: AlertKind::PartitionPaused,
            turn: Turn::Opened,
            subject: "t[0]".to_owned(),
            message: message.to_owned(),
            at,
            since: at,
        }
    }

    #[test]
    fn a_message_has_text_a_section_and_a_context() {
        assert_eq!(
            message(&alert("too many were refused")),
            json!({
                "text": "Alert: t[0]: too many were refused",
                "blocks": [
                    {"type": "section", "text": {"type": "mrkdwn",
                        "text": ":rotating_light: *Partition paused* · `t[0]`\ntoo many were refused"}},
                    {"type": "context", "elements": [{"type": "mrkdwn",
                        "text": "stockstream · partition_paused · since 2024-01-16 14:31:00 UTC · 2024-01-16 14:31:00 UTC"}]},
                ],
            })
        );
    }

    #[test]
    fn a_message_can_neither_call_anybody_nor_grow_without_bound() {
        let message = message(&alert(&format!("<!channel> & <https://evil.example|click> {}", "x".repeat(10_000))));
        let text = message["blocks"][0]["text"]["text"].as_str().unwrap();
        assert!(text.contains("&lt;!channel&gt; &amp; &lt;https"), "{text:.100}");
        assert!(!text.contains("<!"), "{text:.100}");
        assert_eq!(text.chars().count(), TEXT_LIMIT);
        assert!(message["text"].as_str().unwrap().chars().count() <= TEXT_LIMIT);
    }

    #[test]
    fn the_url_is_nowhere_in_what_is_printed() {
        let policy = Policy { hosts: vec!["hooks.slack.com".parse().unwrap()], allow_loopback: false };
        let webhook = Webhook::new("https://hooks.slack.com/services/canary".into(), &policy).unwrap();
        assert!(!format!("{webhook:?}").contains("canary"));
        let refused = Webhook::new("https://canary.example/canary".into(), &policy).unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("canary"), "{refused}");
    }
}
