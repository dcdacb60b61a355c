//! A real Kafka (KRaft), one node, with the configuration of `deploy/kafka` and three doors: one for the harness, and
//! one behind a proxy for each instance of the server.

use super::process::{Process, free_port, until};
use anyhow::{Context, bail};
use std::{fmt::Write, fs, path::Path, path::PathBuf, time::Duration};
use tokio::{net::TcpStream, process::Command};

/// How long the broker may take to start on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Kafka {
    directory: PathBuf,
    process: Option<Process>,
    /// The harness's door.
    pub port: u16,
}

fn java(root: &Path) -> Command {
    let mut command = Command::new("java");
    command
        .arg(format!("-Dlog4j2.configurationFile={}", root.join("deploy/kafka/log4j2.properties").display()))
        .arg("-cp")
        .arg(root.join(".tools/stack/libs/*"));
    command
}

impl Kafka {
    /// Configures a broker with the doors `behind` the proxies, which it tells clients to come to; it does not run yet.
    ///
    /// # Errors
    /// Kafka is not in `.tools/stack`, or its storage cannot be made.
    pub async fn prepare(root: &Path, directory: PathBuf, behind: [u16; 2], proxies: [u16; 2]) -> anyhow::Result<Self> {
        fs::create_dir_all(&directory)?;
        let (port, controller) = (free_port(), free_port());
        let mut text = fs::read_to_string(root.join("deploy/kafka/server.properties"))?;
        write!(
            text,
            "\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=OWN://127.0.0.1:{port},A://127.0.0.1:{},B://127.0.0.1:{},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=OWN://127.0.0.1:{port},A://127.0.0.1:{},B://127.0.0.1:{}\n\
             listener.security.protocol.map=OWN:PLAINTEXT,A:PLAINTEXT,B:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             inter.broker.listener.name=OWN\nlog.dirs={}\n",
            behind[0],
            behind[1],
            proxies[0],
            proxies[1],
            directory.join("data").display(),
        )?;
        let properties = directory.join("server.properties");
        fs::write(&properties, text)?;
        let format = java(root)
            .args(["kafka.tools.StorageTool", "format", "-t", "c2FmZUF0RXZlcnlFZGdlMQ", "-c"])
            .arg(&properties)
            .output()
            .await
            .context("java is missing: scripts/setup.sh stack installs it")?;
        if !format.status.success() {
            bail!("Kafka's storage tool failed: {}", String::from_utf8_lossy(&format.stderr));
        }
        Ok(Self { directory, process: None, port })
    }

    /// Starts the broker and waits until it answers.
    ///
    /// # Errors
    /// It does not, in two minutes.
    pub async fn start(&mut self, root: &Path) -> anyhow::Result<()> {
        let mut command = java(root);
        // Started often, and short-lived: the quick compiler alone starts in half the time.
        command.args(["-Xms256m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "kafka.Kafka"]);
        command.arg(self.directory.join("server.properties"));
        let mut process = Process::start(command, &self.directory.join("log"))?;
        let answers = until(PATIENCE, async || {
            if !process.runs() {
                return Some(false);
            }
            TcpStream::connect(("127.0.0.1", self.port)).await.ok().map(|_| true)
        });
        if answers.await != Some(true) {
            bail!("Kafka did not start; see {}", process.log.display());
        }
        self.process = Some(process);
        Ok(())
    }

    pub async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Freezes or thaws it.
    ///
    /// # Errors
    /// It has ended by itself.
    pub async fn signal(&self, name: &str) -> anyhow::Result<()> {
        self.process.as_ref().context("Kafka is down")?.signal(name).await
    }
}
