//! The whole way of a row through real services: MariaDB or PostgreSQL, Debezium on Kafka Connect, Kafka, `stockstream
//! serve`, its Postgres and a WebSocket.
//!
//! Needs the stack of `deploy/stack/stack.sh up` and its addresses in the environment (`stack.sh env`), as
//! `scripts/test.sh stack` provides them; without them it fails, it never skips. Each run has its own connector, topic,
//! symbol and database, so that it can be repeated on one stack.

#[path = "real_stack/feeds.rs"]
mod feeds;

use chrono::{DateTime, Utc};
use futures::{SinkExt, StreamExt};
use market::Bar;
use market::wire::{ClientMessage, Record, ServerMessage};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection, Row};
use std::{collections::BTreeMap, net::TcpListener, process::Stdio, time::Duration};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};

/// Generous: a busy two-core machine starts connectors in this time. Nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test]
async fn changes_in_mariadb_arrive_in_postgres_and_on_the_socket() {
    let source = MySqlConnection::connect(&address("STACK_SOURCE_MARIADB_URL")).await.expect("MariaDB answers");
    let config = json!({
        "database.server.id": (100_000 + u32::from(free_port())).to_string(),
        "schema.history.internal.kafka.topic": unique("schemahistory."),
    });
    every_kind_of_change_arrives(Source::MariaDb(source), "stock-mariadb", config).await;
}

#[tokio::test]
async fn changes_in_postgres_arrive_in_postgres_and_on_the_socket() {
    let source = PgConnection::connect(&address("STACK_SOURCE_POSTGRES_URL")).await.expect("PostgreSQL answers");
    let config = json!({ "slot.name": unique("slot_"), "slot.drop.on.stop": "true" });
    every_kind_of_change_arrives(Source::Postgres(source), "stock-postgres", config).await;
}

async fn every_kind_of_change_arrives(mut source: Source, template: &str, own_config: Value) {
    let symbol = unique("T").to_uppercase();
    let prefix = unique("run");
    let topic = format!("{prefix}.stream_db.stock");
    // Row one is there before Debezium is: it comes by snapshot.
    let first = source.insert(&symbol, "2024-01-16 14:31:00", "153.42").await;
    let connector = Connector::register(template, &prefix, own_config).await;
    let (mut database, database_url) = fresh_database().await;
    let server = Server::start(&database_url, &topic).await;
    until("the snapshot row is stored", async || {
        stored(&mut database, first).await == Some(("r".into(), "153.42".into()))
    })
    .await;

    let mut socket = Socket::subscribe(&server.listen, &symbol).await;
    socket.until("the snapshot row is shown", |bars| closes(bars) == ["153.42"]).await;

    let second = source.insert(&symbol, "2024-01-16 14:32:00", "153.5").await;
    socket.until("the insert is shown", |bars| closes(bars) == ["153.42", "153.5"]).await;
    // What is broadcast is committed: no waiting here, nor below.
    assert_eq!(stored(&mut database, second).await, Some(("c".into(), "153.5".into())));

    source.run(&format!("update stock set close = 153.61 where record_id = {second}")).await;
    socket.until("the update is shown", |bars| closes(bars) == ["153.42", "153.61"]).await;
    assert_eq!(stored(&mut database, second).await, Some(("u".into(), "153.61".into())));

    source.run(&format!("delete from stock where record_id = {first}")).await;
    socket.until("the delete is shown", |bars| closes(bars) == ["153.61"]).await;
    assert_eq!(stored(&mut database, first).await, None);

    // A key change is a delete, a tombstone and an insert.
    let moved = second + 1_000_000;
    source.run(&format!("update stock set record_id = {moved}, close = 153.7 where record_id = {second}")).await;
    socket.until("the row under its new key is shown", |bars| closes(bars) == ["153.7"]).await;
    assert_eq!(stored(&mut database, second).await, None);
    assert_eq!(stored(&mut database, moved).await, Some(("c".into(), "153.7".into())));

    // Leave the source as it was found: others share the table.
    source.run(&format!("delete from stock where record_id = {moved}")).await;
    socket.until("the last delete is shown", BTreeMap::is_empty).await;

    let counts = sqlx::query(
        "select consumed, applied + late + duplicate + deleted + control + quarantined as accounted, quarantined \
         from kafka_offset join topic using (topic_id) where name = $1",
    )
    .bind(&topic)
    .fetch_one(&mut database)
    .await
    .expect("the partition has an offset row");
    assert_eq!(counts.get::<i64, _>("consumed"), counts.get::<i64, _>("accounted"));
    assert_eq!(counts.get::<i64, _>("quarantined"), 0);
    assert!(counts.get::<i64, _>("consumed") >= 6, "snapshot, insert, update, delete, key change (2), delete");

    connector.delete().await;
    server.stop().await;
}

/// The closes shown, oldest bar first, without trailing zeros.
fn closes(bars: &BTreeMap<DateTime<Utc>, Bar>) -> Vec<String> {
    bars.values().map(|bar| bar.close.normalize().to_string()).collect()
}

/// Operation and close of a row of the replica.
async fn stored(database: &mut PgConnection, record_id: i64) -> Option<(String, String)> {
    sqlx::query("select op::text, trim_scale(close)::text from stock where record_id = $1")
        .bind(record_id)
        .fetch_optional(database)
        .await
        .expect("the replica answers")
        .map(|row| (row.get(0), row.get(1)))
}

/// The database whose changes are captured.
enum Source {
    MariaDb(MySqlConnection),
    Postgres(PgConnection),
}

impl Source {
    async fn run(&mut self, sql: &str) {
        match self {
            Self::MariaDb(connection) => {
                sqlx::query(AssertSqlSafe(sql)).execute(connection).await.map(|done| done.rows_affected())
            }
            Self::Postgres(connection) => {
                sqlx::query(AssertSqlSafe(sql)).execute(connection).await.map(|done| done.rows_affected())
            }
        }
        .map(|rows| assert_eq!(rows, 1, "{sql}"))
        .expect("the source takes the statement");
    }

    /// Adds a bar that closes at `close` and gives its key.
    async fn insert(&mut self, symbol: &str, time: &str, close: &str) -> i64 {
        let sql = format!(
            "insert into stock (time, open, high, low, close, volume, symbol) \
             values ('{time}', 153.42, 154, 153.27, {close}, 18250, '{symbol}') returning record_id"
        );
        let key: i32 = match self {
            Self::MariaDb(connection) => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await,
            Self::Postgres(connection) => sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await,
        }
        .expect("the source takes the row");
        key.into()
    }
}

/// A Debezium connector of this run.
struct Connector {
    url: String,
}

impl Connector {
    /// Registers `deploy/connect/<template>.json` under an own name and topic prefix, and waits until its task runs.
    async fn register(template: &str, prefix: &str, own_config: Value) -> Self {
        let path = format!("{}/../deploy/connect/{template}.json", env!("CARGO_MANIFEST_DIR"));
        let mut config: Value =
            serde_json::from_str(&std::fs::read_to_string(&path).expect("the template is there")).expect("it is JSON");
        config["topic.prefix"] = prefix.into();
        for (key, value) in own_config.as_object().expect("an object") {
            config[key] = value.clone();
        }
        let url = format!("{}/connectors/{prefix}", address("STACK_CONNECT_URL"));
        let http = client();
        let put = async || {
            // 409 while the worker's group rebalances
            let answer = http.put(format!("{url}/config")).json(&config).send().await.expect("Connect answers");
            answer.status().is_success()
        };
        until("Connect takes the connector", put).await;
        let running = async || {
            let Ok(answer) = http.get(format!("{url}/status")).send().await else { return false };
            let status: Value = answer.json().await.unwrap_or_default();
            let state = status["tasks"][0]["state"].as_str();
            assert_ne!(state, Some("FAILED"), "{status}");
            state == Some("RUNNING")
        };
        until("the connector's task runs", running).await;
        Self { url }
    }

    async fn delete(self) {
        let answer = client().delete(&self.url).send().await.expect("Connect answers");
        assert!(answer.status().is_success(), "{}", answer.status());
    }
}

fn client() -> reqwest::Client {
    server::outbound::personal_client(Duration::from_secs(30)).expect("TLS is set up")
}

/// `stockstream serve` as a process of its own.
struct Server {
    child: Child,
    listen: String,
}

impl Server {
    async fn start(database_url: &str, topic: &str) -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let child = Command::new(env!("CARGO_BIN_EXE_stockstream"))
            .args(["--log", "warn", "serve", "--listen", &listen, "--database-url", database_url])
            .args(["--brokers", &address("STACK_BROKERS"), "--topic", topic])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let ready = async || {
            let answer = client().get(format!("http://{listen}/readyz")).send().await;
            answer.is_ok_and(|answer| answer.status().is_success())
        };
        until("the server is ready", ready).await;
        Self { child, listen }
    }

    /// Ends it the way an operator does, and expects a clean exit.
    async fn stop(mut self) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-s", "TERM", &pid]).status().await.expect("kill is there");
        assert!(sent.success());
        let status =
            tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").expect("a status");
        assert!(status.success(), "the server ended with {status}");
    }
}

/// A client of the live protocol that keeps the bars of one symbol, as the dashboard does.
struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    bars: BTreeMap<DateTime<Utc>, Bar>,
    /// The `seq` that the next delta must name as its predecessor; none before the first snapshot.
    seq: Option<i64>,
}

impl Socket {
    async fn subscribe(listen: &str, symbol: &str) -> Self {
        let (stream, _) =
            tokio_tungstenite::connect_async(format!("ws://{listen}/api/v1/stream")).await.expect("the socket opens");
        let mut socket = Self { stream, bars: BTreeMap::new(), seq: None };
        let hello = socket.next().await;
        assert!(matches!(hello, ServerMessage::Hello { .. }), "{hello:?}");
        let sub: ClientMessage = serde_json::from_value(json!({"type": "sub", "symbols": [symbol], "timeframe": "1m"}))
            .expect("a subscription");
        let text = serde_json::to_string(&sub).expect("it is JSON");
        socket.stream.send(Message::text(text)).await.expect("the socket takes it");
        socket
    }

    async fn next(&mut self) -> ServerMessage {
        loop {
            match self.stream.next().await.expect("the socket stays open").expect("a frame") {
                Message::Text(text) => return serde_json::from_str(&text).expect("a message of the protocol"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not a message of the protocol: {other:?}"),
            }
        }
    }

    /// Applies what arrives until the bars are as wanted; a gap in the chain of deltas fails.
    async fn until(&mut self, what: &str, wanted: impl Fn(&BTreeMap<DateTime<Utc>, Bar>) -> bool) {
        let arrive = async {
            while self.seq.is_none() || !wanted(&self.bars) {
                match self.next().await {
                    ServerMessage::Snap { seq, bars, .. } => {
                        self.bars = bars.into_iter().map(|bar| (bar.time, bar)).collect();
                        self.seq = Some(seq);
                    }
                    ServerMessage::Delta { prev, seq, records, .. } => {
                        assert_eq!(Some(prev), self.seq, "a gap before seq {seq}");
                        self.seq = Some(seq);
                        for record in records {
                            match record {
                                Record::Bar { bar, .. } | Record::Rev { bar, .. } => self.bars.insert(bar.time, bar),
                                Record::Del { time, .. } => self.bars.remove(&time),
                            };
                        }
                    }
                    ServerMessage::Error { code, message } => panic!("{code}: {message}"),
                    _ => {}
                }
            }
        };
        let arrived = tokio::time::timeout(PATIENCE, arrive).await.is_ok();
        assert!(arrived, "waited in vain until {what}; shown: {:?}", self.bars);
    }
}

/// An own, empty database for the server's truth.
async fn fresh_database() -> (PgConnection, String) {
    let admin_url = address("STACK_POSTGRES_URL");
    let name = unique("truth_");
    let mut admin = PgConnection::connect(&admin_url).await.expect("PostgreSQL answers");
    sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut admin).await.expect("it can be made");
    let (server, _) = admin_url.rsplit_once('/').expect("the address names a database");
    let url = format!("{server}/{name}");
    (PgConnection::connect(&url).await.expect("the new database answers"), url)
}

/// Asks again and again until it is so; the time limit names what was waited for.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let asking = async {
        while !is_so().await {
            tick.tick().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, asking).await.is_ok(), "waited in vain until {what}");
}

/// One of the stack's addresses.
fn address(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run this ring by `scripts/test.sh stack`, which starts the stack")
    })
}

/// A name that no other run has: the prefix and twelve letters.
fn unique(prefix: &str) -> String {
    let letters = uuid::Uuid::new_v4().into_bytes().into_iter().take(12).map(|byte| char::from(b'a' + byte % 26));
    prefix.chars().chain(letters).collect()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port is free").port()
}
