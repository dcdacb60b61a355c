//! The directories of one server: what lies in the data directory, and the private one of its socket.

use super::account::Account;
use anyhow::{Context, bail};
use rand::Rng;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A data directory, locked for as long as this value lives. The lock is the kernel's: it ends with the process.
pub(super) struct DataDir {
    path: PathBuf,
    // Held, not read: dropping it would unlock.
    _lock: File,
}

impl DataDir {
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let unusable = || format!("the data directory {} could not be made or used (--data-dir)", path.display());
        DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(unusable)?;
        let path = path.canonicalize().with_context(unusable)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .with_context(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                lock.read_to_string(&mut holder).with_context(unusable)?;
                bail!(
                    "{} is in use by process {}: end that one, or name another directory with --data-dir",
                    path.display(),
                    holder.trim()
                );
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(unusable),
        }
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{}", std::process::id())?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn cluster(&self) -> PathBuf {
        self.path.join("cluster")
    }

    /// Where a cluster is made, to be moved when it is whole.
    pub(super) fn unfinished_cluster(&self) -> PathBuf {
        self.path.join("cluster.unfinished")
    }

    pub(super) fn postmaster_pid(&self) -> PathBuf {
        self.cluster().join("postmaster.pid")
    }

    pub(super) fn password_file(&self) -> PathBuf {
        self.path.join("password")
    }

    /// The user id that files of ours get. An existing file would not do: it may be another user's.
    pub(super) fn owner_of_new_files(&self) -> anyhow::Result<u32> {
        let probe = self.path.join("probe");
        let owner = File::create(&probe).and_then(|file| file.metadata()).map(|found| found.uid());
        drop(fs::remove_file(&probe));
        owner.with_context(|| format!("{} could not be written to", self.path.display()))
    }

    /// Lets other accounts pass through, but not look around.
    pub(super) fn open_to_others(&self) -> anyhow::Result<()> {
        let mode = fs::metadata(&self.path)?.mode() & 0o777;
        fs::set_permissions(&self.path, Permissions::from_mode(mode | 0o711))
            .with_context(|| format!("{} could not be opened to the user of PostgreSQL", self.path.display()))
    }

    pub(super) fn create_log(&self) -> anyhow::Result<File> {
        let path = self.path.join("postgres.log");
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("{} could not be written", path.display()))
    }

    /// What the server said last, as the end of a sentence.
    pub(super) fn log_tail(&self) -> String {
        let path = self.path.join("postgres.log");
        let text = fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(8)..].join("\n");
        format!("it said (in {}):\n{tail}", path.display())
    }
}

/// The directory of the server's socket: short, because a socket's path may not be longer than about 100 bytes, and
/// closed to everybody else.
pub(super) struct SocketDir(PathBuf);

/// How the names of these directories begin.
const SOCKET_DIR_PREFIX: &str = "stockstream-";
/// The longest directory that leaves room for `/.s.PGSQL.5432` and some caution.
const SOCKET_DIR_LIMIT: usize = 85;

impl SocketDir {
    pub(super) fn create(account: &Account) -> anyhow::Result<Self> {
        let name = format!("{SOCKET_DIR_PREFIX}{:012x}", rand::rng().random::<u64>() >> 16);
        let parent = [std::env::temp_dir(), PathBuf::from("/tmp")]
            .into_iter()
            .filter_map(|parent| parent.canonicalize().ok())
            .find(|parent| account.may_enter(parent) && parent.as_os_str().len() + 1 + name.len() <= SOCKET_DIR_LIMIT)
            .context(
                "neither TMPDIR nor /tmp can hold PostgreSQL's socket: its path would be too long, or is closed",
            )?;
        let path = parent.join(name);
        let failed = || format!("{} could not be made for PostgreSQL's socket", path.display());
        DirBuilder::new().mode(0o700).create(&path).with_context(failed)?;
        account.give(&path)?;
        Ok(Self(path))
    }

    /// A directory of this kind that an earlier process left behind.
    pub(super) fn left_behind(path: &Path) -> Option<Self> {
        let ours = path.file_name()?.to_string_lossy().starts_with(SOCKET_DIR_PREFIX);
        (ours && path.is_dir()).then(|| Self(path.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Removes the socket, its lock file and the directory. What is gone already is no error, and what cannot be removed
    /// does no harm.
    pub(super) fn remove(&self) {
        for file in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            if file.file_name().to_string_lossy().starts_with(".s.PGSQL.") {
                drop(fs::remove_file(file.path()));
            }
        }
        drop(fs::remove_dir(&self.0));
    }
}
