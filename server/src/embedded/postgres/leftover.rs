//! What an earlier process may have left: a server that still runs, or a file that only says so.

use super::account::Account;
use super::binaries::Binaries;
use super::cluster::pg_ctl_stop;
use super::directory::{DataDir, SocketDir};
use anyhow::Context;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tracing::warn;

/// A server left alone has clients no more, and ends soon.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// Ends a server that still runs on the data directory, which we hold the lock of, and removes a `postmaster.pid` of a
/// server that does not run. PostgreSQL itself would refuse to start when the number in the file is that of any
/// process of its user, as it may be after a restart of the machine.
pub(super) async fn end(binaries: &Binaries, account: &Account, data: &DataDir) -> anyhow::Result<()> {
    let path = data.postmaster_pid();
    let Ok(text) = fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) else {
        return Ok(());
    };
    let left = Left::read(&text);
    match left.pid {
        Some(pid) if is_server_of(pid, &data.cluster()) => {
            warn!(pid, "a PostgreSQL that an earlier process left running is being stopped");
            if pg_ctl_stop(binaries, account, data, "fast", STOP_WITHIN).await.is_err() {
                pg_ctl_stop(binaries, account, data, "immediate", STOP_WITHIN).await?;
            }
        }
        _ => {
            warn!("removing the stale {}", path.display());
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("{} could not be removed", path.display()));
                }
                _ => {}
            }
        }
    }
    if let Some(socket) = left.socket_dir.as_deref().and_then(SocketDir::left_behind) {
        socket.remove();
    }
    Ok(())
}

/// What `postmaster.pid` says: the process id in its first line, the socket's directory in its fifth. It may be cut short.
struct Left {
    pid: Option<u32>,
    socket_dir: Option<PathBuf>,
}

impl Left {
    fn read(text: &str) -> Self {
        let mut lines = text.lines();
        let pid = lines.next().and_then(|line| line.trim().parse().ok());
        let socket_dir = lines.nth(3).map(str::trim).filter(|line| !line.is_empty()).map(PathBuf::from);
        Self { pid, socket_dir }
    }
}

/// Whether the process is a server of the cluster: its command line names it after `-D`.
fn is_server_of(pid: u32, cluster: &Path) -> bool {
    if Path::new("/proc/self/cmdline").exists() {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut arguments = arguments.split(|&byte| byte == 0);
        return arguments.any(|argument| argument == b"-D")
            && arguments.next().is_some_and(|argument| argument == cluster.as_os_str().as_encoded_bytes());
    }
    // Systems without /proc.
    let output = Command::new("ps").args(["-ww", "-o", "args=", "-p", &pid.to_string()]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(&format!("-D {}", cluster.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_read_also_when_cut_short_or_broken() {
        let whole = Left::read("1234\n/data/cluster\n1700000000\n5432\n/tmp/stockstream-1\n\n  1 2\nready   \n");
        assert_eq!(whole.pid, Some(1234));
        assert_eq!(whole.socket_dir, Some(PathBuf::from("/tmp/stockstream-1")));
        for text in ["", "\n", "no number\n", "-5\n", "99999999999999999999\n"] {
            let broken = Left::read(text);
            assert_eq!((broken.pid, broken.socket_dir), (None, None), "{text:?}");
        }
    }

    #[test]
    fn this_very_process_is_not_taken_for_a_server() {
        assert!(!is_server_of(std::process::id(), Path::new("/data/cluster")));
    }
}
