//! The running whole, as `demo` and `serve` share it: pipeline, live feed and HTTP server around one store.

use crate::{
    access::Keys,
    alert::{self, Alerts, Incidents, Patience, SuiteAlerts},
    checkpoint::Runner,
    config::WebConfig,
    feed::{CatchUp, Door, Feed, Hub, Publisher, pulse},
    freshness,
    http::{self, AppState},
    pack::{self, Watcher},
    pipeline::{self, ConsumerConfig, Controls, Pipeline, Progress, StatusHandle},
    provenance::Archive,
    store::{IsSimulated, SchemaError, Store},
    telemetry,
};
use leptos::config::LeptosOptions;
use market::wire::SourceKind;
use metrics_exporter_prometheus::PrometheusHandle;
use std::{collections::HashMap, io, net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::watch,
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long an orderly end may take.
const DRAIN: Duration = Duration::from_secs(10);

/// Connections that wait to be accepted: a wave of clients that come back at once is no reason to refuse one.
const BACKLOG: u32 = 4096;

/// Everything that differs between the ways to run.
pub struct Application {
    pub web: WebConfig,
    pub listener: TcpListener,
    pub store: Store,
    pub consumer: ConsumerConfig,
    pub source: SourceKind,
    pub is_simulated: IsSimulated,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
}

/// Opens the port first: when it is taken, nothing else has been started.
///
/// # Errors
/// The port cannot be had; the message names the flag.
pub fn bind(web: &WebConfig) -> anyhow::Result<TcpListener> {
    let open = || {
        let socket = if web.listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A server that was just stopped leaves its port behind for a minute.
        socket.set_reuseaddr(true)?;
        socket.bind(web.listen)?;
        socket.listen(BACKLOG)
    };
    open().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow::anyhow!("{} is in use; choose another port with --listen", web.listen),
        _ => anyhow::anyhow!("cannot listen on {} (--listen): {error}", web.listen),
    })
}

/// A running application.
pub struct Running {
    /// Where the pipeline is, for a feed that paces itself.
    pub progress: Progress,
    /// Pauses, resumes and drains the pipeline.
    pub controls: Controls,
    /// What the pipeline says of itself.
    pub status: StatusHandle,
    pub address: SocketAddr,
    pipeline: JoinHandle<Result<(), SchemaError>>,
    tasks: TaskTracker,
    sockets: TaskTracker,
    shutdown: CancellationToken,
}

impl Application {
    /// Starts everything; comes back at once.
    ///
    /// # Errors
    /// The listener has no address any more.
    pub fn start(self, shutdown: CancellationToken) -> anyhow::Result<Running> {
        let address = self.listener.local_addr()?;
        let hub = Hub::default();
        let (status_writer, status) = pipeline::channel();
        let publisher = Publisher::measuring(hub.clone(), status_writer.hops().clone());
        let hops = status_writer.hops().clone();
        let controls = Controls::default();
        let (progress_sender, progress) = watch::channel(HashMap::new());
        let tasks = TaskTracker::new();
        let sockets = TaskTracker::new();
        tasks.spawn(telemetry::upkeep(self.metrics.clone(), shutdown.clone()));
        tasks.spawn(hops.remember(shutdown.clone()));
        tasks.spawn(self.store.clone().keep_pruned(shutdown.clone()));
        tasks.spawn(publisher.clone().run(self.store.with_own_reads(), shutdown.clone()));
        tasks.spawn(pulse(hub.clone(), status.clone(), shutdown.clone()));
        let alerts = Alerts::start(self.web.alerts.targets()?, Patience::default(), &tasks, &shutdown);
        let incidents = Incidents::new(self.web.alerts.down_after);
        let suites = SuiteAlerts::new(alerts.clone(), self.web.checkpoints.alerts);
        tasks.spawn(suites.clone().run(shutdown.clone()));
        let (windows, recorder) =
            pipeline::windows(self.web.checkpoints.streams, self.store.clone(), Some(suites.clone()));
        windows.suites.announce();
        let record_suites = windows.suites.clone();
        tasks.spawn(recorder.run());
        let runner = Runner::new(self.store.clone(), self.web.checkpoints.list).telling(suites);
        runner.start(&tasks, &shutdown);
        let pack = self.web.checkpoints.pack;
        let watcher = Watcher::new(self.store.clone(), pack.clone(), self.source.mode, self.web.budget_ms);
        tasks.spawn(watcher.run(alerts.clone(), self.web.checkpoints.alerts, shutdown.clone()));
        tasks.spawn(pack::tell(self.store.with_own_reads(), hub.clone(), shutdown.clone()));
        tasks.spawn(alert::watch(status.clone(), incidents, alerts, shutdown.clone()));
        let archive = Archive::new(self.consumer.clone());
        let pipeline = Pipeline {
            config: self.consumer,
            store: self.store.clone(),
            publisher,
            status: status_writer,
            controls: controls.clone(),
            progress: progress_sender,
            is_simulated: self.is_simulated,
            windows,
        };
        let stop = shutdown.clone();
        let pipeline = tasks.spawn(async move {
            let end = pipeline.run(stop.clone()).await;
            if end.is_err() {
                stop.cancel(); // this program has no business on this database
            }
            end
        });
        let budget = Duration::from_millis(self.web.budget_ms.into());
        tasks.spawn(freshness::record(self.store.clone(), status.clone(), budget, shutdown.clone()));
        let keys = Keys::new(self.web.api_keys);
        tasks.spawn(keys.clone().keep(self.store.clone(), shutdown.clone()));
        let feed = Feed {
            hub,
            catch_up: CatchUp::new(self.store.clone()),
            door: Door::checking(self.web.sockets, keys),
            store: self.store,
            status: status.clone(),
            source: self.source,
            budget_ms: self.web.budget_ms,
            shutdown: shutdown.clone(),
            sockets: sockets.clone(),
        };
        let options = LeptosOptions::builder()
            .output_name("stockstream")
            .site_root(self.web.site_root.to_string_lossy())
            .site_pkg_dir("pkg")
            .site_addr(address)
            .build();
        let state = AppState::new(feed, options, self.metrics, controls.clone())
            .judging(record_suites)
            .watching(pack)
            .limited(&self.web.limits)
            .running(runner)
            .controlled_by(self.web.control_token.as_ref())
            .reading(archive);
        if let Some(rate) = state.rate.clone() {
            tasks.spawn(rate.forget(shutdown.clone()));
        }
        tasks.spawn(http::serve(self.listener, http::answers(state), self.web.limits, shutdown.clone()));
        Ok(Running { progress, controls, status, address, pipeline, tasks, sockets, shutdown })
    }
}

impl Running {
    /// Also waits for this task at the end.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits for the shutdown and then for the orderly end of everything, at most ten seconds.
    ///
    /// # Errors
    /// The pipeline refused the database, and ended everything.
    pub async fn finish(self) -> anyhow::Result<()> {
        self.shutdown.cancelled().await;
        self.tasks.close();
        self.sockets.close();
        let drained = async {
            self.sockets.wait().await;
            self.tasks.wait().await;
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("some tasks did not end within {} s", DRAIN.as_secs());
        }
        if self.pipeline.is_finished() {
            self.pipeline.await??;
        }
        Ok(())
    }
}
