//! One POST to a configured URL, and what its answer means for the delivery.

use super::Setback;
use crate::outbound::{self, Policy, Refusal};
use chrono::{DateTime, Utc};
use reqwest::{Client, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::time::Duration;

/// Where to post. The URL is a secret: whoever knows it can write there.
#[derive(Debug)]
pub(super) struct Poster {
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

impl Poster {
    /// # Errors
    /// The policy does not allow the URL, or TLS cannot be set up.
    pub(super) fn new(url: SecretString, policy: &Policy) -> Result<Self, UnusableWebhook> {
        outbound::check_url(url.expose_secret(), policy)?;
        let client = outbound::client(policy).map_err(|error| UnusableWebhook::Client(outbound::describe(error)))?;
        Ok(Self { url, client })
    }

    pub(super) async fn post(&self, body: &Value) -> Result<(), Setback> {
        let later = |reason| Setback::Later { reason, after: None };
        let request = self.client.post(self.url.expose_secret()).json(body);
        let response = request.send().await.map_err(|error| later(outbound::describe(error)))?;
        let status = response.status();
        match status {
            _ if status.is_success() => Ok(()),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Err(Setback::Later {
                reason: format!("the webhook answers {status}"),
                after: response
                    .headers()
                    .get(header::RETRY_AFTER)
                    .and_then(|after| pause(after.to_str().ok()?.trim(), Utc::now())),
            }),
            StatusCode::REQUEST_TIMEOUT => Err(later(format!("the webhook answers {status}"))),
            _ if status.is_server_error() => Err(later(format!("the webhook answers {status}"))),
            _ => Err(Setback::Never(format!("the webhook answers {status}: is its URL still right?"))),
        }
    }
}

/// `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.
fn pause(after: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(after).ok()?;
    Some(date.signed_duration_since(now).to_std().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_in_seconds_or_until_a_date() {
        let now = "2024-01-16T14:30:00Z".parse().unwrap();
        assert_eq!(pause("30", now), Some(Duration::from_secs(30)));
        assert_eq!(pause("Tue, 16 Jan 2024 14:31:30 GMT", now), Some(Duration::from_secs(90)));
        assert_eq!(pause("Tue, 16 Jan 2024 14:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(pause("soon", now), None);
        assert_eq!(pause("-1", now), None);
    }
}
