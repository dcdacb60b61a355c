//! A running server around a private Postgres and an in-process broker.

use crate::records::Record;
use market::wire::{SourceKind, SourceMode};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use secrecy::ExposeSecret;
use server::{
    application::{Application, Running},
    config::{Cli, WebConfig},
    embedded::{Broker, Postgres},
    pipeline::{Assignment, ConsumerConfig, Controls, PartitionState, Status},
    store::Store,
};
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;

pub const TOPIC: &str = "t.stream_db.stock";

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A Postgres with its directory, which is dropped after it.
pub struct Database {
    pub postgres: Postgres,
    pub directory: TempDir,
}

impl Database {
    pub async fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("stockstream-test-").tempdir().expect("a scratch directory");
        let postgres = Self::open(directory.path()).await;
        Self { postgres, directory }
    }

    pub async fn open(directory: &Path) -> Postgres {
        Postgres::start(&directory.join("data")).await.expect("Postgres starts")
    }

    pub fn store(&self) -> Store {
        Store::new(self.postgres.url().expose_secret().parse().expect("its own URL"), 8)
    }

    pub async fn migrated(&self) -> Store {
        let store = self.store();
        store.migrate().await.expect("migrations run");
        store
    }
}

/// The server under test.
pub struct Server {
    pub address: SocketAddr,
    pub store: Store,
    shutdown: CancellationToken,
    running: Option<Running>,
}

impl Server {
    /// Starts it and waits until it is ready.
    pub async fn start(store: Store, bootstrap: &str) -> Self {
        let server = Self::launch(store, bootstrap).await;
        server.until_ready_is(200).await;
        server
    }

    /// Starts it, whatever is missing.
    pub async fn launch(store: Store, bootstrap: &str) -> Self {
        Self::launch_as(store, bootstrap, Assignment::Static).await
    }

    /// Starts one that consumes what `assignment` says, whatever is missing.
    pub async fn launch_as(store: Store, bootstrap: &str, assignment: Assignment) -> Self {
        let web = Self::web();
        let listener = TcpListener::bind(web.listen).await.expect("a free port");
        Self::launch_on(listener, web, store, bootstrap, assignment)
    }

    /// What is configured when nothing is said.
    pub fn web() -> WebConfig {
        Self::web_of(&["stockstream", "demo", "--listen", "127.0.0.1:0"])
    }

    /// What is configured by these arguments.
    pub fn web_of(arguments: &[&str]) -> WebConfig {
        use clap::Parser;
        let cli = Cli::try_parse_from(arguments).expect("legal arguments");
        let server::config::Command::Demo(demo) = cli.command else { unreachable!("asked for demo") };
        demo.check().expect("legal values").web
    }

    /// Starts one on this listener with this configuration, whatever is missing.
    pub fn launch_on(
        listener: TcpListener,
        web: WebConfig,
        store: Store,
        bootstrap: &str,
        assignment: Assignment,
    ) -> Self {
        Self::launch_consuming(listener, web, store, Self::consumer(bootstrap, assignment, &[TOPIC]))
    }

    /// What is consumed, and how.
    pub fn consumer(bootstrap: &str, assignment: Assignment, topics: &[&str]) -> ConsumerConfig {
        ConsumerConfig {
            brokers: bootstrap.to_owned(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            group: "test".to_owned(),
            assignment,
            // The in-process broker lets a group wait for as long as a member may be silent.
            properties: vec![("session.timeout.ms".to_owned(), "2500".to_owned())],
        }
    }

    /// Starts one that consumes this, whatever is missing.
    pub fn launch_consuming(listener: TcpListener, web: WebConfig, store: Store, consumer: ConsumerConfig) -> Self {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let application = Application {
            web,
            listener,
            store: store.clone(),
            consumer,
            source: SourceKind { mode: SourceMode::Live, simulated: false, speed: None },
            is_simulated: Arc::new(|_| false),
            metrics: recorder.handle(),
        };
        let shutdown = CancellationToken::new();
        let running = application.start(shutdown.clone()).expect("the server starts");
        Self { address: running.address, store, shutdown, running: Some(running) }
    }

    /// Ends it in good order.
    pub async fn stop(mut self) {
        self.shutdown.cancel();
        if let Some(running) = self.running.take() {
            running.finish().await.expect("it ends in good order");
        }
    }

    /// The handle by which an operator pauses and resumes.
    pub fn controls(&self) -> Controls {
        self.running.as_ref().expect("it runs").controls.clone()
    }

    /// What its pipeline says of itself.
    pub fn status(&self) -> Status {
        self.running.as_ref().expect("it runs").status.borrow().clone()
    }

    /// Waits until the pipeline says what is asked for, and gives back the status that did.
    pub async fn until_status(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
        let mut status = self.running.as_ref().expect("it runs").status.clone();
        let said = tokio::time::timeout(PATIENCE, status.wait_for(is_so)).await;
        let Ok(found) = said else { panic!("waited {PATIENCE:?} in vain: {what}; it says {:#?}", self.status()) };
        found.expect("the pipeline runs").clone()
    }

    /// Waits until partition 0 is in a state, and gives back its reason.
    pub async fn until_state(&self, state: PartitionState) -> Option<String> {
        let is_so = |status: &Status| status.partitions.first().is_some_and(|partition| partition.state == state);
        self.until_status(&format!("{state:?}"), is_so).await.partitions.remove(0).reason
    }

    /// Status and body of a GET. HTTP/1.0, so that the body ends with the connection.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let mut socket = TcpStream::connect(self.address).await.expect("the server listens");
        let request = format!("GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n", self.address);
        socket.write_all(request.as_bytes()).await.expect("the server reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("the server answers in UTF-8");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, body.to_owned())
    }

    /// Waits until `/readyz` answers `status`.
    pub async fn until_ready_is(&self, status: u16) {
        until(&format!("/readyz is {status}"), || async { (self.get("/readyz").await.0 == status).then_some(()) })
            .await;
    }

    /// Waits until everything up to `offset` is committed.
    pub async fn until_consumed(&self, offset: i64) {
        let progress = self.running.as_ref().expect("it runs").progress.clone();
        until(&format!("offset {offset} is committed"), || async {
            progress.borrow().values().any(|next| *next >= offset).then_some(())
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Asks until the answer is there; a failure names what was waited for.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tick.tick().await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// Writes records to a broker's topic.
pub struct Source(FutureProducer);

impl Source {
    pub fn new(bootstrap: &str) -> Self {
        Self(
            ClientConfig::new()
                .set("bootstrap.servers", bootstrap)
                .set("linger.ms", "0")
                .set("message.max.bytes", "4000000")
                .create()
                .expect("a producer"),
        )
    }

    /// Writes to partition 0.
    pub async fn send(&self, records: impl IntoIterator<Item = Record>) {
        self.send_to(0, records).await;
    }

    pub async fn send_to(&self, partition: i32, records: impl IntoIterator<Item = Record>) {
        self.send_on(TOPIC, partition, records).await;
    }

    pub async fn send_on(&self, topic: &str, partition: i32, records: impl IntoIterator<Item = Record>) {
        for (key, value) in records {
            let mut record = FutureRecord::<str, str>::to(topic).partition(partition);
            if let Some(key) = &key {
                record = record.key(key);
            }
            if let Some(value) = &value {
                record = record.payload(value);
            }
            if let Err((error, _)) = self.0.send(record, PATIENCE).await {
                panic!("the broker refuses a record: {error}");
            }
        }
    }
}

/// A broker with the topic.
pub fn broker() -> Broker {
    broker_with(1)
}

/// A broker with the topic in several partitions.
pub fn broker_with(partitions: i32) -> Broker {
    let broker = Broker::start().expect("the broker starts");
    broker.create_topic(TOPIC, partitions).expect("the topic is made");
    broker
}
