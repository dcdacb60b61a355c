//! `stockstream verify`: compares topics with the store and says what it found.

use super::say;
use crate::{config::VerifyConfig, progress, store::Store, verify::verify};
use anyhow::Context;
use tokio_util::sync::CancellationToken;

const PROGRESS: &str = "{bar:32} {human_pos}/{human_len} offsets, {per_sec}, {eta} left";

/// Whether everything agrees.
pub async fn run(config: VerifyConfig, stop: CancellationToken) -> anyhow::Result<bool> {
    let store = Store::new(config.database_url.options(), 2);
    store.require_current().await.with_context(|| format!("cannot use {}", config.database_url.redacted()))?;
    let mut agrees = true;
    for topic in &config.consumer.topics {
        let report =
            verify(&store, &config.consumer, topic, config.examples, progress::bar(Some(0), PROGRESS), stop.clone())
                .await
                .with_context(|| format!("cannot verify {topic}"))?;
        agrees &= report.agrees;
        let text = if config.json { serde_json::to_string(&report)? } else { report.to_string() };
        say(&text)?;
    }
    Ok(agrees)
}
