//! The binary under test, what it says, and the services it needs.

use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use secrecy::{ExposeSecret, SecretString};
use server::embedded::{Broker, Postgres};
use sqlx::{Connection, PgConnection};
use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub const TOPIC: &str = "t.stream_db.stock";

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Asks until the answer is there; a failure names what was waited for.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    let asked = async {
        loop {
            tick.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// A Postgres with an empty database, and a broker with the topic.
pub struct Services {
    pub postgres: Postgres,
    pub broker: Broker,
    _directory: TempDir,
}

impl Services {
    pub async fn start() -> Self {
        Self::with_partitions(1).await
    }

    pub async fn with_partitions(partitions: i32) -> Self {
        let directory = tempfile::Builder::new().prefix("stockstream-test-").tempdir().unwrap();
        let postgres = Postgres::start(&directory.path().join("data")).await.unwrap();
        let broker = Broker::start().unwrap();
        broker.create_topic(TOPIC, partitions).unwrap();
        Self { postgres, broker, _directory: directory }
    }

    pub fn url(&self) -> SecretString {
        self.postgres.url()
    }

    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(self.url().expose_secret()).await.unwrap()
    }

    /// `serve` on these services.
    pub fn serve(&self) -> Command {
        let mut command = stockstream(&["serve", "--listen", "127.0.0.1:0"]);
        command
            .env("DATABASE_URL", self.url().expose_secret())
            .env("KAFKA_BROKERS", self.broker.bootstrap())
            .env("KAFKA_TOPICS", TOPIC);
        command
    }

    /// Writes rows with these primary keys to the topic, as flattened records.
    pub async fn produce(&self, record_ids: std::ops::Range<i64>) {
        self.produce_to(0, record_ids).await;
    }

    /// The same to a partition, each of which has keys of its own.
    pub async fn produce_to(&self, partition: i32, record_ids: std::ops::Range<i64>) {
        let producer: FutureProducer =
            ClientConfig::new().set("bootstrap.servers", self.broker.bootstrap()).create().unwrap();
        for record_id in record_ids.map(|record_id| i64::from(partition) * 1_000_000 + record_id) {
            let key = format!(r#"{{"record_id":{record_id}}}"#);
            let minute = 30 + record_id % 30;
            let value = format!(
                r#"{{"record_id":{record_id},"symbol":"AMZN","time":"2024-01-16 10:{minute:02}:00","open":"150.0000",
                "high":"151.0000","low":"149.0000","close":"150.5000","volume":1000}}"#
            );
            let record = FutureRecord::to(TOPIC).partition(partition).key(&key).payload(&value);
            producer.send(record, PATIENCE).await.map_err(|(error, _)| error).unwrap();
        }
    }
}

/// The binary with these arguments and an empty environment.
pub fn stockstream(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stockstream"));
    command.args(arguments).env_clear().env("HOME", "/nonexistent").env("PATH", std::env::var("PATH").unwrap());
    command
}

/// A running binary, killed when dropped.
pub struct Program {
    child: Child,
    said: Arc<Mutex<String>>,
    /// They end with what they listen to.
    listeners: [std::thread::JoinHandle<()>; 2],
}

impl Program {
    pub fn start(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let said = Arc::new(Mutex::new(String::new()));
        let listeners =
            [listen(child.stdout.take().unwrap(), said.clone()), listen(child.stderr.take().unwrap(), said.clone())];
        Self { child, said, listeners }
    }

    /// Everything on standard output and standard error so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub async fn until_said(&self, text: &str) {
        until(&format!("it says {text:?}"), || async { self.said().contains(text).then_some(()) }).await;
    }

    /// Where it listens.
    pub async fn address(&self) -> String {
        until("it says where it listens", || async {
            let said = self.said();
            let rest = said.split("http://").nth(1)?;
            let address: String = rest.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect();
            rest.len().gt(&address.len()).then_some(address)
        })
        .await
    }

    pub async fn until_ready(&self) {
        let address = self.address().await;
        until("it is ready", || async {
            let answer = ask(&address, "GET", "/readyz", &[], "").await;
            answer.starts_with("HTTP/1.0 200").then_some(())
        })
        .await;
    }

    /// Its exit status, and everything it said.
    pub async fn ended(&mut self) -> (ExitStatus, String) {
        let child = &mut self.child;
        let status = until("it ends", || {
            let ended = child.try_wait().unwrap();
            async move { ended }
        })
        .await;
        until("everything that it said is heard", async || {
            self.listeners.iter().all(std::thread::JoinHandle::is_finished).then_some(())
        })
        .await;
        (status, self.said())
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn terminate(&self) {
        let status = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.id())]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let said = self.said();
            let tail: Vec<&str> = said.lines().rev().take(30).collect();
            eprintln!("it said:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

/// Collects lines until the stream ends.
fn listen(stream: impl Read + Send + 'static, said: Arc<Mutex<String>>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let mut said = said.lock().unwrap();
            said.push_str(&String::from_utf8_lossy(&line));
            said.push('\n');
        }
    })
}

/// The whole answer to a request, its head included; empty when there is none. HTTP/1.0, so that the body ends with the
/// connection.
pub async fn ask(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let Ok(mut socket) = TcpStream::connect(address).await else { return String::new() };
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request =
        format!("{method} {path} HTTP/1.0\r\nhost: {address}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
    if socket.write_all(request.as_bytes()).await.is_err() {
        return String::new();
    }
    let mut answer = Vec::new();
    drop(socket.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).into_owned()
}
