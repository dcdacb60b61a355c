//! The program under test: `stockstream serve` as a process, each instance behind proxies of its own.

use super::{
    postgres::Postgres,
    process::{Holdings, Process, free_port, local, until},
    proxy::Proxy,
    source::TOPIC,
};
use anyhow::Context;
use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, process::Command};

/// What cargo built for this test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_stockstream");
/// The same in the run's directory.
pub const PROGRAM: &str = "stockstream";
/// How long an orderly end may take.
pub const DRAIN: Duration = Duration::from_secs(10);

/// Where one instance lives: its port, and its ways to the services.
pub struct Slot {
    pub port: u16,
    pub postgres: Proxy,
    pub kafka: Proxy,
    directory: PathBuf,
    name: char,
    instance: Option<Process>,
    /// The most it ever held, over all its lives.
    pub most: Holdings,
    pub starts: u32,
}

impl Slot {
    /// # Errors
    /// A port was taken meanwhile.
    pub async fn new(name: char, directory: &Path, postgres: u16, kafka: u16) -> anyhow::Result<Self> {
        Ok(Self {
            port: free_port(),
            postgres: Proxy::start(postgres).await?,
            kafka: Proxy::start(kafka).await?,
            directory: directory.to_owned(),
            name,
            instance: None,
            most: Holdings::default(),
            starts: 0,
        })
    }

    /// Starts the instance; comes back at once. `failpoint`: see `server::failpoint`.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(&mut self, failpoint: Option<&str>) -> anyhow::Result<Instant> {
        let mut command = Command::new(self.directory.join(PROGRAM));
        command
            .args(["serve", "--topic", TOPIC, "--listen", &local(self.port).to_string()])
            .args(["--database-url", &Postgres::url(self.postgres.port)])
            .args(["--brokers", &local(self.kafka.port).to_string()])
            .current_dir(&self.directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUST_BACKTRACE", "1");
        if let Some(failpoint) = failpoint {
            command.env("STOCKSTREAM_FAILPOINT", failpoint);
        }
        self.instance = Some(Process::start(command, &self.directory.join(format!("serve-{}.log", self.name)))?);
        self.starts += 1;
        Ok(Instant::now())
    }

    pub fn runs(&mut self) -> bool {
        self.instance.as_mut().is_some_and(Process::runs)
    }

    /// Waits until it takes connections.
    ///
    /// # Errors
    /// It does not, in time.
    pub async fn listens(&mut self) -> anyhow::Result<()> {
        let port = self.port;
        until(Duration::from_secs(30), async || TcpStream::connect(local(port)).await.ok())
            .await
            .map(drop)
            .with_context(|| format!("instance {} does not listen", self.name))
    }

    /// # Errors
    /// It is gone.
    pub async fn signal(&self, name: &str) -> anyhow::Result<()> {
        self.instance.as_ref().context("the instance does not run")?.signal(name).await
    }

    pub async fn kill(&mut self) {
        if let Some(mut process) = self.instance.take() {
            process.kill().await;
        }
    }

    /// Waits for its end; `None` when it does not come in time.
    pub async fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let ended = self.instance.as_mut()?.end(patience).await?;
        self.instance = None;
        Some(ended)
    }

    /// Waits until it has stopped itself at its fail point.
    pub async fn stopped(&mut self, patience: Duration) -> bool {
        match &mut self.instance {
            Some(process) => process.stopped(patience).await,
            None => false,
        }
    }

    /// Notes what it holds now.
    pub fn measure(&mut self) {
        if let Some(now) = self.instance.as_ref().and_then(Process::holdings) {
            self.most.resident_kb = self.most.resident_kb.max(now.resident_kb);
            self.most.descriptors = self.most.descriptors.max(now.descriptors);
        }
    }
}
