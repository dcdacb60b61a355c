//! A child process: started with its log in a file, signalled, measured, and ended with us.

use anyhow::Context;
use rand::Rng;
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::process::{Child, Command};

/// How often something is asked for that announces itself to nobody.
pub const POLL: Duration = Duration::from_millis(10);

pub struct Process {
    child: Child,
    pid: u32,
    pub log: PathBuf,
}

/// What a process holds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Holdings {
    pub resident_kb: u64,
    pub descriptors: u64,
}

impl Process {
    /// Starts a program; what it says is appended to `log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let file = fs::File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("{command:?} does not start"))?;
        let pid = child.id().context("it has ended already")?;
        Ok(Self { child, pid, log: log.to_owned() })
    }

    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal by name.
    ///
    /// # Errors
    /// There is no such process any more.
    pub async fn signal(&self, name: &str) -> anyhow::Result<()> {
        let sent = Command::new("kill").args(["-s", name, &self.pid.to_string()]).status().await?;
        anyhow::ensure!(sent.success(), "{} is not there to get SIG{name}", self.pid);
        Ok(())
    }

    /// `kill -9`, and waits for the end.
    pub async fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill().await;
    }

    /// Waits for the end; `None` if it does not come in time.
    pub async fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        tokio::time::timeout(patience, self.child.wait()).await.ok()?.ok()
    }

    /// Waits until the process has stopped itself.
    pub async fn stopped(&mut self, patience: Duration) -> bool {
        let stat = format!("/proc/{}/stat", self.pid);
        until(patience, async || {
            let text = fs::read_to_string(&stat).ok()?;
            (text.rsplit_once(") ")?.1.starts_with('T')).then_some(())
        })
        .await
        .is_some()
    }

    /// `None` when the process is gone.
    pub fn holdings(&self) -> Option<Holdings> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(Holdings {
            resident_kb: resident.split_whitespace().next()?.parse().ok()?,
            descriptors: fs::read_dir(format!("/proc/{}/fd", self.pid)).ok()?.count() as u64,
        })
    }
}

/// Asks again until there is an answer; `None` when it does not come in time.
pub async fn until<T>(patience: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    tokio::time::timeout(patience, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(POLL).await;
        }
    })
    .await
    .ok()
}

/// A port that nobody has, below those that the system hands to outgoing connections: a service that is down for a
/// while finds it free again.
pub fn free_port() -> u16 {
    let mut random = rand::rng();
    loop {
        let port = random.random_range(15_000..30_000);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

pub fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
