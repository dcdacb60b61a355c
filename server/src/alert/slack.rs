//! A Slack incoming webhook, or anything that takes what Slack takes: messages as Block Kit has them.

mod markup;
mod suites;

use super::{
    Alert, AlertKind, News, PublicUrl, Setback, Target, Turn,
    post::{Poster, UnusableWebhook},
};
use crate::outbound::Policy;
use futures::future::BoxFuture;
use markup::{context, escaped, section, text};
use secrecy::SecretString;
use serde_json::{Value, json};

/// An incoming webhook.
#[derive(Debug)]
pub struct Slack {
    poster: Poster,
    public_url: Option<PublicUrl>,
}

impl Slack {
    /// `public_url`: where links lead; without it there are none.
    ///
    /// # Errors
    /// The policy does not allow the URL, or TLS cannot be set up.
    pub fn new(url: SecretString, policy: &Policy, public_url: Option<PublicUrl>) -> Result<Self, UnusableWebhook> {
        Ok(Self { poster: Poster::new(url, policy)?, public_url })
    }

    fn message(&self, news: &News) -> Value {
        let blocks = match news {
            News::Pipeline(alert) => of_pipeline(alert),
            News::Suites(notice) => suites::blocks(notice, self.public_url.as_ref()),
        };
        // `text` is what notifications show, and what others than Slack understand.
        json!({"text": text(&news.to_string()), "blocks": blocks})
    }
}

impl Target for Slack {
    fn name(&self) -> &str {
        "slack"
    }

    fn deliver<'a>(&'a self, news: &'a News) -> BoxFuture<'a, Result<(), Setback>> {
        Box::pin(async move { self.poster.post(&self.message(news)).await })
    }
}

fn of_pipeline(alert: &Alert) -> Vec<Value> {
    let (icon, turn) = match (alert.turn, alert.kind) {
        (Turn::Resolved, _) => (":white_check_mark:", "Resolved"),
        (Turn::Opened, AlertKind::RetentionGap) => (":warning:", "Data lost in Kafka"),
        (Turn::Opened, AlertKind::PartitionPaused) => (":rotating_light:", "Partition paused"),
        (Turn::Opened, AlertKind::CriticalFindings) => (":rotating_light:", "Critical findings"),
        (Turn::Opened, AlertKind::PipelineDown) => (":rotating_light:", "Pipeline down"),
    };
    vec![
        section(&format!("{icon} *{turn}* · `{}`\n{}", escaped(&alert.subject), escaped(&alert.message))),
        context(&format!(
            "stockstream · {} · since {} · {}",
            alert.kind.as_str(),
            alert.since.format("%Y-%m-%d %H:%M:%S UTC"),
            alert.at.format("%Y-%m-%d %H:%M:%S UTC"),
        )),
    ]
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

    fn slack(url: &str) -> Result<Slack, UnusableWebhook> {
        let policy = Policy { hosts: vec!["hooks.slack.com".parse().unwrap()], allow_loopback: false };
        Slack::new(url.into(), &policy, None)
    }

    fn message(news: impl Into<News>) -> Value {
        slack("https://hooks.slack.com/services/canary").unwrap().message(&news.into())
    }

    #[test]
    fn a_message_has_text_a_section_and_a_context() {
        assert_eq!(
            message(alert("too many were refused")),
            json!({
                "text": "Alert: t[0]: too many were refused",
                "blocks": [
                    {"type": "section", "text": {"type": "mrkdwn", "verbatim": true,
                        "text": ":rotating_light: *Partition paused* · `t[0]`\ntoo many were refused"}},
                    {"type": "context", "elements": [{"type": "mrkdwn", "verbatim": true,
                        "text": "stockstream · partition_paused · since 2024-01-16 14:31:00 UTC · 2024-01-16 14:31:00 UTC"}]},
                ],
            })
        );
    }

    #[test]
    fn a_message_can_neither_call_anybody_nor_grow_without_bound() {
        let message = message(alert(&format!("<!channel> & <https://evil.example|click> {}", "x".repeat(10_000))));
        let text = message["blocks"][0]["text"]["text"].as_str().unwrap();
        assert!(text.contains("&lt;!channel&gt; &amp; &lt;https"), "{text:.100}");
        assert!(!text.contains("<!"), "{text:.100}");
        assert_eq!(text.chars().count(), markup::TEXT_LIMIT);
        assert!(message["text"].as_str().unwrap().chars().count() <= markup::TEXT_LIMIT);
    }

    #[test]
    fn the_url_is_nowhere_in_what_is_printed() {
        let webhook = slack("https://hooks.slack.com/services/canary").unwrap();
        assert!(!format!("{webhook:?}").contains("canary"));
        let refused = slack("https://canary.example/canary").unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("canary"), "{refused}");
    }
}
