//! A private PostgreSQL as a child process: made, started, found again after a crash, and stopped.
//!
//! It listens on a Unix socket in a directory of its own, and knows one user with a random password. A data directory
//! holds:
//!
//! | path | what |
//! | --- | --- |
//! | `lock` | locked while a process uses the directory |
//! | `password` | of the database user, mode 0600 |
//! | `cluster/` | PostgreSQL's own data directory |
//! | `postgres.log` | what the server said since it was last started |
//! | `postgresql-<version>/` | the programs, where none were installed |

mod account;
mod binaries;
mod cluster;
mod directory;
mod leftover;

use account::Account;
use anyhow::{Context, bail};
use binaries::Binaries;
use directory::{DataDir, SocketDir};
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

/// The user that owns everything in the cluster.
const USER: &str = "stockstream";
/// The database of the demo.
const DATABASE: &str = "stockstream";
/// Names the socket's file; nothing listens on a port of that number.
const PORT: u16 = 5432;
/// Between two looks at a server that starts or stops.
const POLL: Duration = Duration::from_millis(20);
/// A crashed server may have much to recover.
const START_WITHIN: Duration = Duration::from_secs(300);
/// How long processes of a killed server may take to notice.
const ORPHANS_GONE_WITHIN: Duration = Duration::from_secs(15);
/// A fast shutdown writes a checkpoint.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// A running server. Dropping it ends the server at once; [`stop`](Self::stop) ends it in good order.
pub struct Postgres {
    server: Child,
    // Ends the server when this process is gone without having said so.
    watchdog: Child,
    binaries: Binaries,
    account: Account,
    data: DataDir,
    socket: SocketDir,
    options: PgConnectOptions,
}

impl Postgres {
    /// Starts the server of `data_dir`, which is made if missing, and waits until it answers.
    ///
    /// # Errors
    /// In words for the user: the directory is in use, not usable, or of another version; no PostgreSQL is installed and
    /// none could be fetched; the server did not start (with what it said).
    pub async fn start(data_dir: &Path) -> anyhow::Result<Self> {
        let data = DataDir::open(data_dir)?;
        let account = Account::choose(&data)?;
        let binaries = Binaries::find_or_fetch(&data, &account).await?;
        leftover::end(&binaries, &account, &data).await?;
        let password = cluster::ensure(&binaries, &account, &data).await?;
        let socket = SocketDir::create(&account)?;
        let options = PgConnectOptions::new_without_pgpass()
            .socket(socket.path())
            .port(PORT)
            .username(USER)
            .password(&password)
            .database(DATABASE)
            .ssl_mode(PgSslMode::Disable);

        let deadline = Instant::now() + ORPHANS_GONE_WITHIN;
        let server = loop {
            let mut server = spawn_server(&binaries, &account, &data, &socket)?;
            match wait_until_ready(&mut server, &options, &data).await {
                Ok(()) => break server,
                // Processes of a server that was killed a moment ago end by themselves.
                Err(error) if error.to_string().contains("shared memory block") && Instant::now() < deadline => {
                    sleep(POLL).await;
                }
                Err(error) => return Err(error),
            }
        };
        let watchdog = spawn_watchdog(&server, &account, &data, &socket)?;
        let postgres = Self { server, watchdog, binaries, account, data, socket, options };
        postgres.ensure_database().await?;
        info!(data_dir = %postgres.data.path().display(), version = %postgres.binaries.version(), "PostgreSQL is running");
        Ok(postgres)
    }

    /// The connection URL of the database `stockstream`.
    pub fn url(&self) -> SecretString {
        self.options.to_url_lossy().to_string().into()
    }

    /// Makes an empty database and returns its connection URL.
    ///
    /// # Errors
    /// When the name is not `[a-z][a-z0-9_]*` or is taken.
    pub async fn create_database(&self, name: &str) -> anyhow::Result<SecretString> {
        let first_is_letter = name.starts_with(|first: char| first.is_ascii_lowercase());
        if !first_is_letter || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            bail!("{name:?} is not a name for a database: a-z first, then a-z, 0-9 and _");
        }
        let mut connection = PgConnection::connect_with(&self.options.clone().database("postgres")).await?;
        // The name is checked above: nothing in it can end the identifier.
        sqlx::query(AssertSqlSafe(format!("create database \"{name}\""))).execute(&mut connection).await?;
        connection.close().await?;
        Ok(self.options.clone().database(name).to_url_lossy().to_string().into())
    }

    /// The process id of the server.
    pub fn process_id(&self) -> Option<u32> {
        self.server.id()
    }

    /// Ends the server in good order: open transactions are rolled back, everything committed is written.
    ///
    /// # Errors
    /// When it does not end within a minute; it is then ended at once, which loses nothing but time at the next start.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if self.server.try_wait()?.is_some() {
            bail!("PostgreSQL had already ended by itself; {}", self.data.log_tail());
        }
        let asked = cluster::pg_ctl_stop(&self.binaries, &self.account, &self.data, "fast", STOP_WITHIN).await;
        let ended = timeout(STOP_WITHIN, self.server.wait()).await;
        asked?;
        ended.context("PostgreSQL did not end in time")??;
        info!("PostgreSQL has stopped");
        Ok(())
    }

    async fn ensure_database(&self) -> anyhow::Result<()> {
        let mut connection = PgConnection::connect_with(&self.options.clone().database("postgres")).await?;
        let there: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        if !there {
            self.create_database(DATABASE).await?;
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if matches!(self.server.try_wait(), Ok(None)) {
            // Unlike a kill this gives the server's own processes the time to end, so that the next start need not wait.
            let stopped = cluster::pg_ctl(&self.binaries, &self.account, &self.data)
                .args(["stop", "-m", "immediate", "-w", "-t", "10", "-s"])
                .status();
            if !stopped.is_ok_and(|status| status.success()) {
                warn!("PostgreSQL could not be ended in order and is killed");
            }
        }
        // A watchdog that outlived its server would find nothing to end, but need not be waited for.
        if let Err(error) = self.watchdog.start_kill() {
            warn!(%error, "the watchdog of PostgreSQL could not be ended");
        }
        self.socket.remove();
    }
}

fn spawn_server(binaries: &Binaries, account: &Account, data: &DataDir, socket: &SocketDir) -> anyhow::Result<Child> {
    let log = data.create_log()?;
    let mut command = Command::from(account.command(&binaries.program("postgres")));
    command.arg("-D").arg(data.cluster()).arg("-k").arg(socket.path());
    for setting in [
        "listen_addresses=",
        &format!("port={PORT}"),
        "unix_socket_permissions=0700",
        "max_connections=50",
        "shared_buffers=128MB",
        "synchronous_commit=on",
        "timezone=UTC",
        "log_timezone=UTC",
        "logging_collector=off",
        "log_destination=stderr",
        // Queries here are short: compiling them would take longer than running them.
        "jit=off",
    ] {
        command.arg("-c").arg(setting);
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C in a terminal goes to the whole process group; the server ends when we say so, not before.
        .process_group(0)
        .kill_on_drop(true);
    command.spawn().with_context(|| format!("{} could not be started", binaries.program("postgres").display()))
}

/// A shell that waits for the end of its standard input, which comes when this process ends in whatever way, and then
/// asks the server to shut down if it still is the one of our data directory, and removes its socket's directory.
fn spawn_watchdog(server: &Child, account: &Account, data: &DataDir, socket: &SocketDir) -> anyhow::Result<Child> {
    let server = server.id().context("PostgreSQL ended as soon as it had started")?;
    let script = r#"
        read -r _
        read -r pid < "$2" && [ "$pid" = "$1" ] && kill -INT "$1"
        while kill -0 "$1" 2>/dev/null; do sleep 1; done
        rmdir "$3"
    "#;
    Command::from(account.command(Path::new("/bin/sh")))
        .args(["-c", script, "stockstream-watchdog", &server.to_string()])
        .arg(data.postmaster_pid())
        .arg(socket.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .context("/bin/sh could not be started")
}

async fn wait_until_ready(server: &mut Child, options: &PgConnectOptions, data: &DataDir) -> anyhow::Result<()> {
    let options = options.clone().database("postgres");
    let started = Instant::now();
    let mut told = started;
    loop {
        if let Some(status) = server.try_wait()? {
            bail!("PostgreSQL did not start ({status}); {}", data.log_tail());
        }
        match PgConnection::connect_with(&options).await {
            Ok(connection) => {
                connection.close().await?;
                return Ok(());
            }
            Err(sqlx::Error::Io(_)) => {}
            // cannot_connect_now: starting up or recovering
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("57P03") => {}
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("28P01") => bail!(
                "PostgreSQL refuses the password in {}: restore the file or remove {} to begin anew",
                data.password_file().display(),
                data.path().display()
            ),
            Err(error) => return Err(error).context("PostgreSQL runs but refuses connections"),
        }
        if started.elapsed() > START_WITHIN {
            bail!("PostgreSQL did not answer within {} seconds; {}", START_WITHIN.as_secs(), data.log_tail());
        }
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            info!(seconds = started.elapsed().as_secs(), "PostgreSQL is still starting");
        }
        sleep(POLL).await;
    }
}
