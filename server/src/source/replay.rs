//! `stockstream feed replay`: bars of a file, or simulated ones, as rows of a source database.

use super::pace::Pace;
use super::sink::{Sink, TableArgs};
use super::target::Batch;
use super::timeline::Timeline;
use crate::config::SymbolFile;
use crate::progress;
use chrono::{TimeDelta, Utc};
use clap::Args;
use indicatif::{HumanCount, ProgressBar};
use market::{Bar, Symbol};
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Options of `feed replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    pub into: TableArgs,
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
    /// Load the files as fast as possible and once: every line is checked by the built-in rules, minutes that are there
    /// already are corrected or left alone, and what was refused is listed at the end.
    #[arg(long, requires = "csv", conflicts_with_all = ["speed", "repeat", "go_on", "rows", "history_sessions"])]
    pub load: bool,
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
    let sink = Sink::new(args.into.clone());
    let mut run = Replay { args, sink, summary: Summary::default() };
    let ended = tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(()),
        played = run.play() => played,
    };
    run.sink.progress.finish_and_clear();
    ended?;
    run.sink.close().await;
    run.summary.reconnects = run.sink.reconnects;
    run.summary.took = started.elapsed();
    Ok(run.summary)
}

struct Replay {
    args: ReplayArgs,
    sink: Sink,
    summary: Summary,
}

impl Replay {
    async fn play(&mut self) -> anyhow::Result<()> {
        // A file that cannot be read is said before anything is waited for.
        let files: Vec<(Symbol, PathBuf)> =
            self.args.csv.iter().map(|csv| (csv.symbol.clone(), csv.file.clone())).collect();
        let mut recorded = if files.is_empty() { None } else { Some(Timeline::recorded(&files, None)?) };
        self.sink.prepare().await?;
        let mut history = self.args.history_sessions;
        if self.args.go_on
            && let Some(newest) = self.sink.newest_time().await?
        {
            history = 0;
            let from = newest + TimeDelta::minutes(1);
            recorded = if files.is_empty() { None } else { Some(Timeline::recorded(&files, Some(from))?) };
            recorded.get_or_insert_with(|| Timeline::simulated(self.args.seed, 0, Some(from)));
        }
        let mut timeline = recorded.unwrap_or_else(|| Timeline::simulated(self.args.seed, history, None));
        self.summary.skipped = timeline.skipped();
        self.sink.progress = progress_bar(self.total(&timeline));
        info!(table = %self.args.into.table, speed = self.args.speed, simulated = files.is_empty(), "the replay begins");
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
            if waiting.len() >= self.args.into.batch {
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
            let rows: Vec<_> = waiting.drain(..waiting.len().min(self.args.into.batch)).collect();
            self.write_batch(Batch { rows, event_time: Utc::now() }).await?;
        }
        Ok(())
    }

    async fn write_batch(&mut self, batch: Batch) -> anyhow::Result<()> {
        self.sink.insert(&batch).await?;
        self.summary.rows += batch.rows.len() as u64;
        self.summary.statements += 1;
        self.sink.progress.inc(batch.rows.len() as u64);
        Ok(())
    }
}

fn progress_bar(total: Option<u64>) -> ProgressBar {
    let template = match total {
        Some(_) => "{bar:32} {human_pos}/{human_len} rows, {per_sec}, {eta} left",
        None => "{spinner} {human_pos} rows, {per_sec}",
    };
    progress::bar(total, template)
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
        assert_eq!((args.speed, args.seed, args.into.batch, args.history_sessions), (60, 7, 500, 5));
        assert_eq!(args.into.table.to_string(), "stock");
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
            vec!["replay", URL, "--load"],
            vec!["replay", URL, "--load", "--csv=AMZN=x.csv", "--loop"],
        ] {
            assert!(Cli::try_parse_from(&wrong).is_err(), "{wrong:?}");
        }
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
