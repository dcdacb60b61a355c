//! The feed of the demo: plays a source database with Debezium in front of it into the in-process broker.
//!
//! First some sessions of history, as fast as they are consumed, then minute by minute at a chosen multiple of real time.
//! The market's clock of the replay begins about four months ago, skips nights and weekends, and never runs ahead of the
//! real one: when it has caught up, bars come as their minutes end. The clocks of the source (`event_time`, `ts_ms`) are
//! the real one from the start, so that delays are real.

use super::envelope::{BinlogPosition, Connector};
use super::outbox::Outbox;
use super::source_table::SourceTable;
use crate::source::pace::Pace;
use crate::source::timeline::Timeline;
use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use market::Symbol;
use std::path::PathBuf;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

/// What to feed, and where to.
#[derive(Clone, Debug)]
pub struct FeedOptions {
    /// `bootstrap.servers` of the broker.
    pub bootstrap: String,
    /// Has at least partition 0, the one that is written to.
    pub topic: String,
    /// Multiples of real time; 0 is as fast as it is consumed.
    pub speed: u32,
    /// Decides the simulated prices and their blemishes.
    pub seed: u64,
    /// Real prices to replay. When there are any, nothing is simulated.
    pub csv: Vec<(Symbol, PathBuf)>,
    /// Sessions that come at once, before the pace begins. 5 is a good week.
    pub history_sessions: u32,
    /// Continues an earlier replay, without its history.
    pub resume: Option<Resume>,
}

/// How far an earlier replay was consumed. What it had produced beyond that is produced again.
#[derive(Clone, Copy, Debug)]
pub struct Resume {
    /// Highest primary key of the source table.
    pub last_record_id: i64,
    /// Number and position of the last change in the binary log.
    pub last_binlog: (i64, i64),
    /// Minute of the newest bar. It is written again, because not all symbols may have got it.
    pub last_time: DateTime<Utc>,
}

/// Feeds until the shutdown, or the end of the files; `consumed` is the next offset that the pipeline will read from partition 0, as committed. At
/// most 1,000 records and 4 MB are ahead of it, because the broker forgets what is older than its last 5 MB.
///
/// # Errors
/// When a CSV file cannot be read, or the broker refuses records.
pub async fn run(
    options: FeedOptions,
    consumed: watch::Receiver<i64>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => Ok(()),
        played = play(options, consumed) => played,
    }
}

async fn play(options: FeedOptions, consumed: watch::Receiver<i64>) -> anyhow::Result<()> {
    let from = options.resume.map(|resume| resume.last_time);
    let history = if from.is_some() { 0 } else { options.history_sessions };
    let mut timeline = if options.csv.is_empty() {
        Timeline::simulated(options.seed, history, from)
    } else {
        Timeline::recorded(&options.csv, from)?
    };
    let (last_id, at) = match options.resume {
        Some(resume) => resume.place()?,
        None => (0, BinlogPosition::START),
    };
    let connector = Connector::new(Uuid::new_v4().to_string());
    let blemishes = options.csv.is_empty().then_some(options.seed);
    let mut table = SourceTable::new(connector, last_id, at, blemishes);
    let mut outbox = Outbox::open(&options.bootstrap, &options.topic, table.connector(), consumed).await?;
    info!(speed = options.speed, history_sessions = history, simulated = options.csv.is_empty(), "the replay begins");

    let mut pace = Pace::new(options.speed);
    while let Some(minute) = timeline.next_minute() {
        if minute.session > history {
            pace.wait_for(minute.time).await;
        }
        for record in table.insert_minute(&minute.bars, Utc::now()) {
            outbox.send(&record).await?;
        }
    }
    Ok(())
}

impl Resume {
    fn place(&self) -> anyhow::Result<(i32, BinlogPosition)> {
        let last_id = i32::try_from(self.last_record_id).context("the source table has no room for more rows")?;
        let (file, pos) = self.last_binlog;
        let (Ok(file), Ok(pos)) = (u32::try_from(file), u64::try_from(pos)) else {
            bail!("{file}:{pos} is no place in a binary log");
        };
        // The number of transactions is not known any more; that of rows is at least as high.
        Ok((last_id, BinlogPosition { file, pos, gtid: u64::from(last_id.unsigned_abs()) }))
    }
}
