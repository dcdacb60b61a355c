//! A Postgres as the source database of a feed, and what is in its table.

use secrecy::{ExposeSecret, SecretString};
use server::embedded::Postgres;
use sqlx::{Connection, PgConnection};
use std::io::Write;
use std::time::Duration;
use tempfile::{NamedTempFile, TempDir};

pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct Source {
    pub url: SecretString,
    pub connection: PgConnection,
    _postgres: Postgres,
    _directory: TempDir,
}

impl Source {
    pub async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let postgres = Postgres::start(directory.path()).await.expect("the server starts");
        let connection = PgConnection::connect(postgres.url().expose_secret()).await.expect("the server answers");
        Self { url: postgres.url(), connection, _postgres: postgres, _directory: directory }
    }

    /// Symbol, minute, close and volume of every row, in the order they were written.
    pub async fn rows(&mut self) -> Vec<String> {
        sqlx::query_scalar("select concat_ws(' ', symbol, time::text, close, volume) from stock order by record_id")
            .fetch_all(&mut self.connection)
            .await
            .expect("the table can be read")
    }

    /// `--database-url …`, and that the table is to be made.
    pub fn options<'a>(&'a self, command: &'a str, options: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec![command, "--database-url", self.url.expose_secret(), "--create-table"];
        all.extend(options);
        all
    }
}

/// A file with a vendor's key and secret.
pub fn key_file() -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a file can be made");
    write!(file, "hunter2\nswordfish\n").expect("the file can be written");
    file
}
