//! `stockstream demo`: everything on this machine, with nothing installed.

use super::say;
use crate::{
    application::{Application, bind},
    config::DemoConfig,
    embedded::{Broker, Postgres, feed},
    pipeline::{Assignment, ConsumerConfig},
    store::{PartitionKey, Store},
    telemetry,
};
use anyhow::Context;
use market::wire::{SourceKind, SourceMode};
use secrecy::ExposeSecret;
use std::{collections::HashSet, sync::Arc};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The topic that Debezium would write for the table `stock` of the database `stream_db`.
const TOPIC: &str = "demo.stream_db.stock";
/// Sessions of history at the first start.
const HISTORY_SESSIONS: u32 = 5;
/// Connections for readers.
const CONNECTIONS: u32 = 16;

pub async fn run(config: DemoConfig, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listener = bind(&config.web)?;
    tracing::info!(data_dir = %config.data_dir.display(), "starting the private PostgreSQL");
    let postgres = Postgres::start(&config.data_dir).await.context("the private PostgreSQL did not start")?;
    let result = with_postgres(config, listener, &postgres, shutdown).await;
    postgres.stop().await?;
    result
}

async fn with_postgres(
    config: DemoConfig,
    listener: tokio::net::TcpListener,
    postgres: &Postgres,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let store = Store::new(postgres.url().expose_secret().parse()?, CONNECTIONS);
    store.migrate().await?;
    let broker = Broker::start().context("the in-process Kafka did not start")?;
    broker.create_topic(TOPIC, 1)?;
    let real: HashSet<_> = config.csv.iter().map(|file| file.symbol.clone()).collect();
    let simulated = real.is_empty();
    let resume = store.feed_position(TOPIC).await?;
    let application = Application {
        web: config.web,
        listener,
        store,
        consumer: ConsumerConfig {
            brokers: broker.bootstrap(),
            topics: vec![TOPIC.to_owned()],
            group: "stockstream-demo".to_owned(),
            assignment: Assignment::Static,
            properties: Vec::new(),
        },
        source: SourceKind { mode: SourceMode::Replay, simulated, speed: Some(config.speed) },
        metrics: telemetry::install_recorder()?,
        is_simulated: Arc::new(move |symbol| !real.contains(symbol)),
    };
    let running = application.start(shutdown.clone())?;
    let options = feed::FeedOptions {
        bootstrap: broker.bootstrap(),
        topic: TOPIC.to_owned(),
        speed: config.speed,
        seed: config.seed,
        csv: config.csv.into_iter().map(|file| (file.symbol, file.file)).collect(),
        history_sessions: HISTORY_SESSIONS,
        resume: resume.map(|position| feed::Resume {
            last_record_id: position.record_id,
            last_binlog: position.binlog,
            last_time: position.time,
        }),
    };
    let (consumed_sender, consumed) = watch::channel(0);
    running.spawn(follow(running.progress.clone(), consumed_sender, shutdown.clone()));
    let address = running.address;
    running.spawn(async move {
        let first = consumed.clone();
        let feed = feed::run(options, consumed, shutdown.clone());
        tokio::pin!(feed);
        let announced = announce(first, address);
        tokio::select! {
            () = announced => {}
            ended = &mut feed => { report(ended, &shutdown); return; }
        }
        report(feed.await, &shutdown);
    });
    running.finish().await
}

/// A feed that ends by itself has played all that it was given, or failed; the dashboard stays.
fn report(ended: anyhow::Result<()>, shutdown: &CancellationToken) {
    match ended {
        Ok(()) if !shutdown.is_cancelled() => tracing::info!("the replay has come to its end; the dashboard stays"),
        Ok(()) => {}
        Err(error) => tracing::error!("the replay feed stopped: {error:#}"),
    }
}

/// Prints the one line with the URL once the first rows are committed.
async fn announce(mut consumed: watch::Receiver<i64>, address: std::net::SocketAddr) {
    let first = consumed.wait_for(|offset| *offset > 0).await.is_ok();
    let text = format!("Stockstream is live: http://{address}/dashboard (simulated unless --csv; Ctrl-C stops)");
    if first && let Err(error) = say(&text) {
        tracing::warn!(%error, "standard output is closed");
    }
}

/// Tells the feed how far its partition has been consumed.
async fn follow(mut progress: crate::pipeline::Progress, consumed: watch::Sender<i64>, shutdown: CancellationToken) {
    let key = PartitionKey { topic: TOPIC.to_owned(), partition: 0 };
    loop {
        if let Some(offset) = progress.borrow_and_update().get(&key) {
            consumed.send_replace(*offset);
        }
        tokio::select! {
            changed = progress.changed() => if changed.is_err() { return },
            () = shutdown.cancelled() => return,
        }
    }
}
