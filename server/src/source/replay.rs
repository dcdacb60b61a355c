//! `stockstream feed replay`: bars of a file, or simulated ones, as rows of a source database.

use super::pace::Pace;
use super::target::{Batch, MOST_ROWS, SourceUrl, TableName, Target, explain, is_transient};
use super::timeline::Timeline;
use crate::config::SymbolFile;
use anyhow::Context;
use chrono::{TimeDelta, Utc};
use clap::Args;
use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use market::{Bar, Symbol};
use rand::Rng;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The first pause after a lost connection, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Options of `feed replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// The source database: mysql://, mariadb:// or postgres://user:password@host:port/database.
    #[arg(long, env = "SOURCE_DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: SourceUrl,
    /// Real prices: an Alpha-Vantage-style file (time,open,high,low,close,volume) of a symbol. May be repeated.
    #[arg(long = "csv", value_name = "SYMBOL=FILE")]
    pub csv: Vec<SymbolFile>,
    /// Made-up prices of ten symbols; what is replayed when there is no --csv.
    #[arg(long, conflicts_with = "csv")]
    pub simulated: bool,
    /// Decides the made-up prices.
    #[arg(long, env = "STOCKSTREAM_SEED", default_value_t = 7)]
    pub seed: u64,
    /// Multiples of real time; 0 is as fast as possible. Bars never run ahead of the real clock.
    #[arg(long, env = "STOCKSTREAM_SPEED", default_value_t = 60)]
    pub speed: u32,
    /// Trading days that are written at once, before the pace begins.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub history_sessions: u32,
    /// Begin again at the end of the files.
    #[arg(long = "loop")]
    pub repeat: bool,
    /// Go on after the newest row of the table, without history.
    #[arg(long = "continue")]
    pub go_on: bool,
    /// Stop after so many rows.
    #[arg(long, value_name = "N")]
    pub rows: Option<u64>,
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

/// What a replay did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub rows: u64,
    pub statements: u64,
    /// Lines of the files that were no bars.
    pub skipped: usize,
    /// Times that the connection was lost and made again.
    pub reconnects: u32,
    pub took: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        let rate = if seconds > 0.0 { self.rows as f64 / seconds } else { 0.0 };
        write!(
            f,
            "{} rows in {} statements, {seconds:.1} s, {rate:.0} rows/s; lines skipped: {}, reconnects: {}",
            HumanCount(self.rows),
            HumanCount(self.statements),
            self.skipped,
            self.reconnects
        )
    }
}

/// Replays until the end of the files or the shutdown, and says what was written. A source database that is away is
/// waited for; rows that were in flight when it went away are neither lost nor doubled.
///
/// # Errors
/// When a file cannot be read, or the database refuses for good: user, password, table, column.
pub async fn replay(args: ReplayArgs, shutdown: CancellationToken) -> anyhow::Result<Summary> {
    let started = Instant::now();
    let mut run = Replay { args, target: None, summary: Summary::default(), progress: ProgressBar::hidden() };
    let ended = tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(()),
        played = run.play() => played,
    };
    run.progress.finish_and_clear();
    ended?;
    if let Some(target) = run.target.take()
        && let Err(error) = target.close().await
    {
        warn!("the connection to the source database did not end well: {error}");
    }
    run.summary.took = started.elapsed();
    Ok(run.summary)
}

struct Replay {
    args: ReplayArgs,
    target: Option<Target>,
    summary: Summary,
    progress: ProgressBar,
}

impl Replay {
    async fn play(&mut self) -> anyhow::Result<()> {
        // A file that cannot be read is said before anything is waited for.
        let files: Vec<(Symbol, PathBuf)> =
            self.args.csv.iter().map(|csv| (csv.symbol.clone(), csv.file.clone())).collect();
        let mut recorded = if files.is_empty() { None } else { Some(Timeline::recorded(&files, None)?) };
        self.prepare_table().await?;
        let mut history = self.args.history_sessions;
        if self.args.go_on
            && let Some(newest) = self.newest_time().await?
        {
            history = 0;
            let from = newest + TimeDelta::minutes(1);
            recorded = if files.is_empty() { None } else { Some(Timeline::recorded(&files, Some(from))?) };
            recorded.get_or_insert_with(|| Timeline::simulated(self.args.seed, 0, Some(from)));
        }
        let mut timeline = recorded.unwrap_or_else(|| Timeline::simulated(self.args.seed, history, None));
        self.summary.skipped = timeline.skipped();
        self.progress = progress_bar(self.total(&timeline));
        info!(table = %self.args.table, speed = self.args.speed, simulated = files.is_empty(), "the replay begins");
        loop {
            self.play_once(&mut timeline, history).await?;
            if !self.args.repeat || files.is_empty() || self.is_done() {
                return Ok(());
            }
            timeline = Timeline::recorded(&files, None)?;
            history = 0;
        }
    }

    async fn play_once(&mut self, timeline: &mut Timeline, history: u32) -> anyhow::Result<()> {
        let mut pace = Pace::new(self.args.speed);
        let mut waiting: Vec<(Symbol, Bar)> = Vec::new();
        while let Some(minute) = timeline.next_minute() {
            if minute.session > history {
                if !pace.is_due(minute.time) {
                    self.write(&mut waiting).await?;
                }
                pace.wait_for(minute.time).await;
            }
            waiting.extend(minute.bars);
            if waiting.len() >= self.args.batch {
                self.write(&mut waiting).await?;
            }
            if self.is_done() {
                return Ok(());
            }
        }
        self.write(&mut waiting).await
    }

    fn total(&self, timeline: &Timeline) -> Option<u64> {
        let bars = if self.args.repeat { None } else { timeline.left().map(|left| left as u64) };
        [bars, self.args.rows].into_iter().flatten().min()
    }

    fn is_done(&self) -> bool {
        self.args.rows.is_some_and(|most| self.summary.rows >= most)
    }

    /// Writes all that is waiting.
    async fn write(&mut self, waiting: &mut Vec<(Symbol, Bar)>) -> anyhow::Result<()> {
        let left = self
            .args
            .rows
            .map_or(usize::MAX, |most| usize::try_from(most.saturating_sub(self.summary.rows)).unwrap_or(usize::MAX));
        waiting.truncate(left);
        while !waiting.is_empty() {
            let rows: Vec<_> = waiting.drain(..waiting.len().min(self.args.batch)).collect();
            self.write_batch(Batch { rows, event_time: Utc::now() }).await?;
        }
        Ok(())
    }

    async fn write_batch(&mut self, batch: Batch) -> anyhow::Result<()> {
        let mut in_doubt = false;
        let mut pause = Pause::default();
        loop {
            let target = self.connected().await?;
            // What was in flight when the connection was lost may have arrived.
            let arrived = if in_doubt { target.has(&batch).await } else { Ok(false) };
            let written = match arrived {
                Ok(true) => Ok(()),
                Ok(false) => target.insert(&batch).await,
                Err(error) => Err(error),
            };
            match written {
                Ok(()) => break,
                Err(error) if is_transient(&error) => {
                    in_doubt = true;
                    self.lost(&error, &mut pause).await;
                }
                Err(error) => return Err(explain(error, &self.args.table)),
            }
        }
        self.summary.rows += batch.rows.len() as u64;
        self.summary.statements += 1;
        self.progress.inc(batch.rows.len() as u64);
        Ok(())
    }

    async fn prepare_table(&mut self) -> anyhow::Result<()> {
        let create = self.args.create_table;
        let target = self.connected().await?;
        let prepared = if create { target.create_table().await } else { Ok(()) };
        prepared.map_err(|error| explain(error, &self.args.table))
    }

    async fn newest_time(&mut self) -> anyhow::Result<Option<chrono::DateTime<Utc>>> {
        let newest = self.connected().await?.newest_time().await;
        newest.map_err(|error| explain(error, &self.args.table))
    }

    /// The open connection, or a new one however long that takes.
    async fn connected(&mut self) -> anyhow::Result<&mut Target> {
        let mut pause = Pause::default();
        loop {
            if self.target.is_some() {
                break;
            }
            match Target::connect(&self.args.database_url, &self.args.table).await {
                Ok(target) => self.target = Some(target),
                Err(error) if is_transient(&error) => self.wait_after(&error, &mut pause).await,
                Err(error) => return Err(explain(error, &self.args.table)),
            }
        }
        self.target.as_mut().context("the connection was just made")
    }

    async fn lost(&mut self, error: &sqlx::Error, pause: &mut Pause) {
        self.target = None;
        self.summary.reconnects += 1;
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

/// Pauses that double, each shortened by chance so that many clients do not come back at once.
#[derive(Default)]
struct Pause(u32);

impl Pause {
    fn next(&mut self) -> Duration {
        let (first, longest) = PAUSES;
        let full = first.saturating_mul(1 << self.0.min(16)).min(longest);
        self.0 += 1;
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

fn progress_bar(total: Option<u64>) -> ProgressBar {
    // Hidden where standard error is no terminal.
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
    let template = match total {
        Some(_) => "{bar:32} {human_pos}/{human_len} rows, {per_sec}, {eta} left",
        None => "{spinner} {human_pos} rows, {per_sec}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: ReplayArgs,
    }

    const URL: &str = "--database-url=mysql://a:secret@127.0.0.1/d";

    #[test]
    fn the_options_have_their_documented_defaults() {
        let args = Cli::try_parse_from(["replay", URL]).map_err(|error| error.to_string()).unwrap().args;
        assert!(args.csv.is_empty());
        assert_eq!((args.speed, args.seed, args.batch, args.history_sessions), (60, 7, 500, 5));
        assert_eq!(args.table.to_string(), "stock");
        assert!(!format!("{args:?}").contains("secret"));
    }

    #[test]
    fn wrong_options_are_refused() {
        for wrong in [
            vec!["replay"],
            vec!["replay", "--database-url=sqlite://x"],
            vec!["replay", URL, "--batch=0"],
            vec!["replay", URL, "--batch=9000"],
            vec!["replay", URL, "--table=a;b"],
            vec!["replay", URL, "--csv=AMZN"],
            vec!["replay", URL, "--csv=AMZN=x.csv", "--simulated"],
        ] {
            assert!(Cli::try_parse_from(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut pause = Pause::default();
        let pauses: Vec<Duration> = (0..20).map(|_| pause.next()).collect();
        assert!(pauses[0] <= PAUSES.0);
        assert!(pauses.iter().all(|pause| *pause <= PAUSES.1));
        assert!(pauses[19] >= PAUSES.1 / 2);
    }

    #[test]
    fn a_summary_is_one_line() {
        let summary = Summary { rows: 12_000, statements: 24, skipped: 1, reconnects: 0, took: Duration::from_secs(2) };
        assert_eq!(
            summary.to_string(),
            "12,000 rows in 24 statements, 2.0 s, 6000 rows/s; lines skipped: 1, reconnects: 0"
        );
    }
}
