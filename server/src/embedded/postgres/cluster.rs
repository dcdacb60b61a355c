//! Making a cluster, and asking its server to stop.

use super::USER;
use super::account::Account;
use super::binaries::Binaries;
use super::directory::DataDir;
use anyhow::{Context, bail};
use rand::distr::{Alphanumeric, SampleString};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tracing::info;

/// The password of the cluster, which is made if it is not there.
pub(super) async fn ensure(binaries: &Binaries, account: &Account, data: &DataDir) -> anyhow::Result<String> {
    if data.cluster().join("PG_VERSION").exists() {
        return fs::read_to_string(data.password_file()).map(|password| password.trim().to_owned()).with_context(
            || {
                format!(
                    "{} could not be read, without which {} cannot be used: restore it, or remove {} to begin anew",
                    data.password_file().display(),
                    data.cluster().display(),
                    data.path().display()
                )
            },
        );
    }
    info!(data_dir = %data.path().display(), version = %binaries.version(), "making a new PostgreSQL cluster");
    let password = Alphanumeric.sample_string(&mut rand::rng(), 32);
    write_private(&data.password_file(), &password)?;
    let unfinished = data.unfinished_cluster();
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).with_context(|| format!("{} could not be removed", unfinished.display()))?;
    }
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&unfinished)
        .with_context(|| format!("{} could not be made", unfinished.display()))?;
    account.give(&unfinished)?;
    // initdb reads the password as the account it runs as, which may not read ours.
    let password_for_initdb = data.path().join("password.initdb");
    write_private(&password_for_initdb, &password)?;
    account.give(&password_for_initdb)?;

    let mut initdb = account.command(&binaries.program("initdb"));
    initdb.arg("-D").arg(&unfinished).arg("--pwfile").arg(&password_for_initdb).args([
        "-U",
        USER,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
    ]);
    let output = tokio::process::Command::from(initdb).kill_on_drop(true).output().await;
    fs::remove_file(&password_for_initdb)?;
    let output = output.with_context(|| format!("{} could not be started", binaries.program("initdb").display()))?;
    if !output.status.success() {
        bail!(
            "initdb made no cluster ({}); it said:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    fs::rename(&unfinished, data.cluster())
        .with_context(|| format!("{} could not be renamed to {}", unfinished.display(), data.cluster().display()))?;
    Ok(password)
}

fn write_private(path: &Path, text: &str) -> anyhow::Result<()> {
    // A file left by another account could not be opened for writing; a new one always can.
    if path.exists() {
        fs::remove_file(path).with_context(|| format!("{} could not be replaced", path.display()))?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("{} could not be written", path.display()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(())
}

/// `pg_ctl` for the cluster, without its sub-command.
pub(super) fn pg_ctl(binaries: &Binaries, account: &Account, data: &DataDir) -> Command {
    let mut command = account.command(&binaries.program("pg_ctl"));
    command.arg("-D").arg(data.cluster());
    command
}

/// Asks the server to shut down in the given mode, and waits for it. That it has just ended is no error.
pub(super) async fn pg_ctl_stop(
    binaries: &Binaries,
    account: &Account,
    data: &DataDir,
    mode: &str,
    within: Duration,
) -> anyhow::Result<()> {
    let mut command = pg_ctl(binaries, account, data);
    command.args(["stop", "-w", "-s", "-m", mode, "-t", &within.as_secs().to_string()]);
    let output =
        tokio::process::Command::from(command).kill_on_drop(true).output().await.context("pg_ctl did not start")?;
    if !output.status.success() && data.postmaster_pid().exists() {
        bail!("PostgreSQL could not be stopped: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
