//! Under whose name the server runs. PostgreSQL refuses to run as root.

use super::directory::DataDir;
use anyhow::{Context, bail};
use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The account of the server's processes.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// `None`: our own.
    other: Option<Other>,
}

#[derive(Clone, Debug)]
struct Other {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// Our own account, or for root the one that owns the cluster already, `postgres` or `nobody`.
    pub(super) fn choose(data: &DataDir) -> anyhow::Result<Self> {
        let own_uid = data.owner_of_new_files()?;
        let cluster = fs::metadata(data.cluster()).ok();
        if own_uid != 0 {
            if let Some(cluster) = cluster.filter(|cluster| cluster.uid() != own_uid) {
                bail!(
                    "{} belongs to user id {}, perhaps because root made it: run as that user, or name another directory \
                     with --data-dir",
                    data.cluster().display(),
                    cluster.uid()
                );
            }
            return Ok(Self { other: None });
        }
        let passwd = fs::read_to_string("/etc/passwd").context("/etc/passwd could not be read")?;
        let other = match cluster.map(|cluster| (cluster.uid(), cluster.gid())) {
            Some((uid, gid)) => {
                find(&passwd, |other| other.uid == uid).or_else(|| Some(Other { name: uid.to_string(), uid, gid }))
            }
            None => find(&passwd, |other| other.name == "postgres")
                .or_else(|| find(&passwd, |other| other.name == "nobody")),
        };
        let Some(other) = other.filter(|other| other.uid != 0) else {
            bail!(
                "PostgreSQL does not run as root, and /etc/passwd has no user for it: start as a normal user, or add a user \
                 named postgres"
            );
        };
        let account = Self { other: Some(other) };
        data.open_to_others()?;
        account.require_access(data.path())?;
        Ok(account)
    }

    /// A command that runs as this account, away from directories that it may not enter, and untouched by the
    /// `PG…` variables of the environment.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").env("LC_ALL", "C");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        if let Some(other) = &self.other {
            command.uid(other.uid).gid(other.gid);
        }
        command
    }

    /// Gives a file or directory to the account.
    pub(super) fn give(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(other) = &self.other {
            chown(path, Some(other.uid), Some(other.gid))
                .with_context(|| format!("{} could not be given to user {}", path.display(), other.name))?;
        }
        Ok(())
    }

    /// Whether the account may enter the directory and every one above it.
    pub(super) fn may_enter(&self, directory: &Path) -> bool {
        self.first_closed(directory).is_none()
    }

    fn require_access(&self, directory: &Path) -> anyhow::Result<()> {
        if let (Some(other), Some(closed)) = (&self.other, self.first_closed(directory)) {
            bail!(
                "PostgreSQL does not run as root; user {} runs it but may not enter {}: name a directory that it may enter \
                 with --data-dir (for instance /var/lib/stockstream), or start as a normal user",
                other.name,
                closed.display()
            );
        }
        Ok(())
    }

    fn first_closed<'p>(&self, directory: &'p Path) -> Option<&'p Path> {
        let other = self.other.as_ref()?;
        let mut from_root: Vec<&Path> = directory.ancestors().collect();
        from_root.reverse();
        from_root.into_iter().find(|directory| fs::metadata(directory).is_ok_and(|found| !other.may_enter(&found)))
    }
}

impl Other {
    fn may_enter(&self, directory: &Metadata) -> bool {
        let bit = if directory.uid() == self.uid {
            0o100
        } else if directory.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        directory.mode() & bit != 0
    }
}

fn find(passwd: &str, wanted: impl Fn(&Other) -> bool) -> Option<Other> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Other { name, uid, gid }).filter(&wanted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0:root:/root:/bin/bash\n# not a user\nnobody:x:65534:65533:nobody:/nonexistent:/bin/false\n";

    #[test]
    fn a_user_is_found_by_name_with_its_group() {
        let nobody = find(PASSWD, |other| other.name == "nobody").unwrap();
        assert_eq!((nobody.uid, nobody.gid), (65534, 65533));
        assert!(find(PASSWD, |other| other.name == "postgres").is_none());
    }

    #[test]
    fn a_closed_directory_is_named_also_when_it_lies_far_above() {
        let root = tempfile::tempdir().unwrap();
        let closed = root.path().join("closed");
        fs::create_dir_all(closed.join("a/b")).unwrap();
        let set = |mode| {
            fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        // An id that surely owns nothing here.
        let stranger = Account { other: Some(Other { name: "stranger".into(), uid: 4_000_000, gid: 4_000_000 }) };
        fs::set_permissions(root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        set(0o700);
        assert_eq!(stranger.first_closed(&closed.join("a/b")), Some(closed.as_path()));
        let message = stranger.require_access(&closed.join("a/b")).unwrap_err().to_string();
        assert!(message.contains("stranger") && message.contains("--data-dir"), "{message}");
        set(0o711);
        assert!(stranger.may_enter(&closed.join("a/b")));
    }
}
