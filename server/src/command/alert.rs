//! `stockstream alert test`: whether alerts arrive, before one has to.

use super::say;
use crate::{
    alert::{ATTEMPT, News, Setback, sample},
    config::AlertConfig,
};
use anyhow::bail;
use chrono::Utc;

/// Sends a sample to every target, once each. Whether all of them took it.
pub async fn test(config: AlertConfig) -> anyhow::Result<bool> {
    if !config.tells_anybody() {
        bail!(
            "no webhook is configured, so alerts are only logged: set STOCKSTREAM_ALERT_WEBHOOK_URL (Slack) or \
             STOCKSTREAM_ALERT_JSON_URL, or name routes in the file of --checkpoints"
        );
    }
    let news = News::from(sample(Utc::now())?);
    let mut all = true;
    for target in config.targets()? {
        let attempt = tokio::time::timeout(ATTEMPT, target.deliver(&news)).await;
        let setback = match attempt {
            Ok(Ok(())) => None,
            Ok(Err(Setback::Later { reason, after: Some(after) })) => {
                Some(format!("{reason}, and asks for a pause of {} s", after.as_secs()))
            }
            Ok(Err(setback)) => Some(setback.to_string()),
            Err(_elapsed) => Some(format!("no answer within {} s", ATTEMPT.as_secs())),
        };
        all &= setback.is_none();
        let outcome = setback.map_or_else(|| "delivered".to_owned(), |reason| format!("not delivered: {reason}"));
        say(&format!("{}: {outcome}", target.name()))?;
    }
    Ok(all)
}
