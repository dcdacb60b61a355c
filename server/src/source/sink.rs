//! The way into the source's table that does not end when the database goes away: it waits, and comes back.

use super::pause::Pause;
use super::target::{Batch, MOST_ROWS, SourceUrl, TableName, Target, Written, explain, is_transient};
use anyhow::Context;
use chrono::{DateTime, Utc};
use clap::Args;
use indicatif::ProgressBar;
use market::{Bar, Symbol};
use tokio::time::sleep;
use tracing::warn;

/// Where bars are written.
#[derive(Clone, Debug, Args)]
pub struct TableArgs {
    /// The source database: mysql://, mariadb:// or postgres://user:password@host:port/database.
    #[arg(long, env = "SOURCE_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: SourceUrl,
    /// The table: TABLE or SCHEMA.TABLE.
    #[arg(long, default_value = "stock")]
    pub table: TableName,
    /// Make the table if it is not there.
    #[arg(long)]
    pub create_table: bool,
    /// Most rows in one statement.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = batch_size)]
    pub batch: usize,
}

fn batch_size(text: &str) -> Result<usize, String> {
    let fits = |size: &usize| (1..=MOST_ROWS).contains(size);
    text.parse().ok().filter(fits).ok_or_else(|| format!("expected a number from 1 to {MOST_ROWS}"))
}

/// A connection to the table, made again whenever it is lost.
pub(super) struct Sink {
    pub(super) into: TableArgs,
    target: Option<Target>,
    /// Times that the connection was lost and made again.
    pub(super) reconnects: u32,
    /// Interrupted while a line is logged.
    pub(super) progress: ProgressBar,
}

impl Sink {
    pub(super) fn new(into: TableArgs) -> Self {
        Self { into, target: None, reconnects: 0, progress: ProgressBar::hidden() }
    }

    /// Connects, and makes the table if that was asked for.
    pub(super) async fn prepare(&mut self) -> anyhow::Result<()> {
        let create = self.into.create_table;
        let target = self.connected().await?;
        let prepared = if create { target.create_table().await } else { Ok(()) };
        prepared.map_err(|error| explain(error, &self.into.table))
    }

    /// The newest bar's minute.
    pub(super) async fn newest_time(&mut self) -> anyhow::Result<Option<DateTime<Utc>>> {
        let newest = self.connected().await?.newest_time().await;
        newest.map_err(|error| explain(error, &self.into.table))
    }

    /// Writes rows that are new; those that were in flight when the connection was lost are neither lost nor doubled.
    pub(super) async fn insert(&mut self, batch: &Batch) -> anyhow::Result<()> {
        let mut in_doubt = false;
        let mut pause = Pause::default();
        loop {
            let target = self.connected().await?;
            let arrived = if in_doubt { target.has(batch).await } else { Ok(false) };
            let written = match arrived {
                Ok(true) => Ok(()),
                Ok(false) => target.insert(batch).await,
                Err(error) => Err(error),
            };
            match written {
                Ok(()) => return Ok(()),
                Err(error) if is_transient(&error) => {
                    in_doubt = true;
                    self.lost(&error, &mut pause).await;
                }
                Err(error) => return Err(explain(error, &self.into.table)),
            }
        }
    }

    /// Writes what is new or different, however often it is asked.
    pub(super) async fn upsert(&mut self, rows: Vec<(Symbol, Bar)>) -> anyhow::Result<Written> {
        if rows.is_empty() {
            return Ok(Written::default());
        }
        let batch = Batch { rows, event_time: Utc::now() };
        let mut pause = Pause::default();
        loop {
            match self.connected().await?.upsert(&batch).await {
                Ok(written) => return Ok(written),
                Err(error) if is_transient(&error) => self.lost(&error, &mut pause).await,
                Err(error) => return Err(explain(error, &self.into.table)),
            }
        }
    }

    pub(super) async fn close(&mut self) {
        if let Some(target) = self.target.take()
            && let Err(error) = target.close().await
        {
            warn!("the connection to the source database did not end well: {error}");
        }
    }

    /// The open connection, or a new one however long that takes.
    async fn connected(&mut self) -> anyhow::Result<&mut Target> {
        let mut pause = Pause::default();
        loop {
            if self.target.is_some() {
                break;
            }
            match Target::connect(&self.into.database_url, &self.into.table).await {
                Ok(target) => self.target = Some(target),
                Err(error) if is_transient(&error) => self.wait_after(&error, &mut pause).await,
                Err(error) => return Err(explain(error, &self.into.table)),
            }
        }
        self.target.as_mut().context("the connection was just made")
    }

    async fn lost(&mut self, error: &sqlx::Error, pause: &mut Pause) {
        self.target = None;
        self.reconnects += 1;
        self.wait_after(error, pause).await;
    }

    async fn wait_after(&self, error: &sqlx::Error, pause: &mut Pause) {
        let next = pause.next();
        self.progress.suspend(|| {
            warn!(retry_ms = next.as_millis() as u64, "the source database is away ({error}), trying again");
        });
        sleep(next).await;
    }
}
