//! `stockstream serve`: against a real Kafka and a real Postgres.

use crate::{
    application::{Application, bind},
    config::ServeConfig,
    store::Store,
    telemetry,
};
use market::wire::{SourceKind, SourceMode};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub async fn run(config: ServeConfig, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listener = bind(&config.web)?;
    let application = Application {
        store: Store::new(config.database_url.options(), config.database_connections).with_policy(config.policy),
        listener,
        web: config.web,
        consumer: config.consumer,
        source: SourceKind { mode: SourceMode::Live, simulated: false, speed: None },
        metrics: telemetry::install_recorder()?,
        is_simulated: Arc::new(|_| false),
    };
    let running = application.start(shutdown)?;
    tracing::info!("stockstream serves http://{}", running.address);
    running.finish().await
}
