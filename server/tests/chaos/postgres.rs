//! A real PostgreSQL of its own, whose disk is small where the machine allows it.

use super::process::{POLL, Process, free_port, local};
use anyhow::{Context, bail};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    fs,
    io::Write,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Postgres {
    programs: PathBuf,
    directory: PathBuf,
    process: Option<Process>,
    account: Option<(u32, u32)>,
    pub port: u16,
    /// The harness's own way in, past every proxy.
    pub pool: PgPool,
    /// Whether the data lies on a disk of its own that may be filled.
    pub small_disk: bool,
}

/// The newest PostgreSQL installed; Debian keeps its programs out of PATH.
fn programs() -> anyhow::Result<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, path)| path.join("initdb").exists())
        .collect();
    found.sort();
    if let Some((_, path)) = found.pop() {
        return Ok(path);
    }
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .find(|path| path.join("initdb").exists())
        .context("PostgreSQL is missing: scripts/setup.sh test installs it")
}

/// PostgreSQL refuses to run as root, so root hands it to another user.
fn account(directory: &Path) -> anyhow::Result<Option<(u32, u32)>> {
    use std::os::unix::fs::MetadataExt;
    if fs::metadata(directory)?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Ok(Some(find("postgres").or_else(|| find("nobody")).context("there is no user to run PostgreSQL as")?))
}

impl Postgres {
    /// Makes a cluster in `directory` (which lies on a small disk or not) and starts it.
    ///
    /// # Errors
    /// PostgreSQL is missing or does not start.
    pub async fn start(directory: PathBuf, small_disk: bool) -> anyhow::Result<Self> {
        let port = free_port();
        let account = account(&directory)?;
        if let Some((user, group)) = account {
            chown(&directory, Some(user), Some(group))?;
        }
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port)
            .username("postgres")
            .database("postgres")
            .options([("default_transaction_read_only", "off"), ("timezone", "UTC")]);
        let pool =
            PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(2)).connect_lazy_with(options);
        let mut own = Self { programs: programs()?, directory, process: None, account, port, pool, small_disk };
        let mut initdb = own.command("initdb");
        initdb.arg("-D").arg(own.data()).args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"]);
        // Small pieces of log: on a small disk it is the rows that shall take the room.
        initdb.args(["--wal-segsize=4"]);
        let made = initdb.output().await?;
        if !made.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        }
        own.up().await?;
        Ok(own)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir("/").env("LC_ALL", "C");
        if let Some((user, group)) = self.account {
            command.uid(user).gid(group);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Starts it if it does not run, and comes back at the instant it answers.
    ///
    /// # Errors
    /// It does not, in a minute.
    pub async fn up(&mut self) -> anyhow::Result<Instant> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if !self.process.as_mut().is_some_and(Process::runs) {
                let mut command = self.command("postgres");
                command.arg("-D").arg(self.data());
                for setting in [
                    format!("port={}", self.port),
                    "listen_addresses=127.0.0.1".into(),
                    "unix_socket_directories=".into(),
                    "shared_buffers=64MB".into(),
                    "max_wal_size=64MB".into(),
                    "min_wal_size=16MB".into(),
                    "log_min_duration_statement=2s".into(),
                    "log_lock_waits=on".into(),
                ] {
                    command.arg("-c").arg(setting);
                }
                // Beside the disk that may be full.
                let log = self.directory.parent().unwrap_or(&self.directory).join("postgres.log");
                self.process = Some(Process::start(command, &log)?);
            }
            if self.answers().await {
                return Ok(Instant::now());
            }
            tokio::time::sleep(POLL).await;
        }
        bail!("PostgreSQL did not start")
    }

    async fn answers(&self) -> bool {
        let options = self.pool.connect_options();
        let ask = async {
            let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect_with(&options).await?;
            sqlx::query("select 1").execute(&mut connection).await
        };
        matches!(tokio::time::timeout(Duration::from_secs(2), ask).await, Ok(Ok(_)))
    }

    /// `kill -9` of the postmaster; its children notice.
    pub async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await;
        }
    }

    /// An orderly end that does not wait for clients.
    ///
    /// # Errors
    /// It does not end in time.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.signal("INT").await?;
        process.end(PATIENCE).await.context("PostgreSQL does not end")?;
        Ok(())
    }

    /// Makes every new transaction of others read-only, or not.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn read_only(&self, on: bool) -> Result<(), sqlx::Error> {
        let set = if on {
            "alter system set default_transaction_read_only = on"
        } else {
            "alter system reset default_transaction_read_only"
        };
        sqlx::query(set).execute(&self.pool).await?;
        sqlx::query("select pg_reload_conf()").execute(&self.pool).await.map(drop)
    }

    /// Ends every session of the server.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn terminate_sessions(&self) -> Result<(), sqlx::Error> {
        let end = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'stockstream%'";
        sqlx::query(end).execute(&self.pool).await.map(drop)
    }

    fn ballast(&self) -> PathBuf {
        self.directory.join("ballast")
    }

    /// Fills the small disk to the last byte.
    ///
    /// # Errors
    /// The ballast cannot be made.
    pub fn fill_disk(&self) -> std::io::Result<()> {
        let mut file = fs::File::create(self.ballast())?;
        for size in [1 << 20, 4 << 10] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
        Ok(())
    }

    pub fn free_disk(&self) -> std::io::Result<()> {
        fs::remove_file(self.ballast())
    }

    pub fn url(port: u16) -> String {
        format!("postgres://postgres@{}/postgres", local(port))
    }
}
