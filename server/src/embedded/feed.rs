//! The feed of the demo: plays a source database with Debezium in front of it into the in-process broker.
//!
//! First some sessions of history, as fast as they are consumed, then minute by minute at a chosen multiple of real time.
//! The market's clock of the replay begins about four months ago, skips nights and weekends, and never runs ahead of the
//! real one: when it has caught up, bars come as their minutes end. The clocks of the source (`event_time`, `ts_ms`) are
//! the real one from the start, so that delays are real.

use super::envelope::{BinlogPosition, Connector};
use super::generator::Generator;
use super::outbox::Outbox;
use super::source_table::SourceTable;
use crate::source::csv::{self, CsvBars};
use anyhow::Context;
use chrono::{DateTime, Days, NaiveDate, Utc};
use market::{Bar, EXCHANGE_ZONE, Symbol, session_on};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

/// How far back a simulated replay begins, less its history.
const DAYS_BACK: u64 = 120;
const MINUTE: Duration = Duration::from_secs(60);

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
    pub last_binlog: (u32, u64),
    /// Minute of the newest bar. It is written again, because not all symbols may have got it.
    pub last_time: DateTime<Utc>,
}

/// Feeds until the shutdown; `consumed` is the next offset that the pipeline will read from partition 0, as committed. At
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
        played = play(options, consumed) => {
            played?;
            info!("the replay has reached the end of its files");
            shutdown.cancelled().await;
            Ok(())
        }
    }
}

async fn play(options: FeedOptions, consumed: watch::Receiver<i64>) -> anyhow::Result<()> {
    let mut timeline = Timeline::open(&options)?;
    let history = if options.resume.is_some() { 0 } else { options.history_sessions };
    let (last_id, at) = options.resume.map_or(Ok((0, BinlogPosition::START)), |resume| {
        let (file, pos) = resume.last_binlog;
        let last_id = i32::try_from(resume.last_record_id).context("the source table has no room for more rows")?;
        anyhow::Ok((last_id, BinlogPosition { file, pos, gtid: u64::from(last_id.unsigned_abs()) }))
    })?;
    let connector = Connector::new(Uuid::new_v4().to_string());
    let blemishes = options.csv.is_empty().then_some(options.seed);
    let mut table = SourceTable::new(connector, last_id, at, blemishes);
    let mut outbox = Outbox::open(&options.bootstrap, &options.topic, table.connector(), consumed).await?;
    info!(speed = options.speed, history_sessions = history, simulated = options.csv.is_empty(), "the replay begins");

    let pause = if options.speed == 0 { Duration::ZERO } else { MINUTE / options.speed };
    let mut due = Instant::now();
    while let Some(minute) = timeline.next_minute() {
        if minute.session > history {
            // Time lost to slow consumption is not made up for.
            due = (due + pause).max(Instant::now());
            sleep_until(due).await;
            if let Ok(ahead) = (minute.time + MINUTE - Utc::now()).to_std() {
                sleep(ahead).await;
            }
        } else {
            due = Instant::now();
        }
        for record in table.insert_minute(&minute.bars, Utc::now()) {
            outbox.send(&record).await?;
        }
    }
    Ok(())
}

/// The bars of one minute.
struct Minute {
    time: DateTime<Utc>,
    /// Number of its session in the replay, from 1.
    session: u32,
    bars: Vec<(Symbol, Bar)>,
}

/// Minutes in order, simulated without end or from files.
struct Timeline {
    /// `None`: files.
    generator: Option<(Generator, NaiveDate)>,
    bars: VecDeque<(Symbol, Bar)>,
    session: u32,
    date: Option<NaiveDate>,
}

impl Timeline {
    fn open(options: &FeedOptions) -> anyhow::Result<Self> {
        let from = options.resume.map(|resume| resume.last_time);
        let mut timeline = Self { generator: None, bars: VecDeque::new(), session: 0, date: None };
        if options.csv.is_empty() {
            let date = match from {
                Some(time) => exchange_date(time),
                None => first_date(exchange_date(Utc::now()), options.history_sessions),
            };
            let mut generator = Generator::new(options.seed);
            timeline.bars.extend(generator.session(date));
            timeline.generator = Some((generator, date));
        } else {
            let mut bars = read_files(&options.csv)?;
            bars.sort_by_key(|(_, bar)| bar.time);
            timeline.bars = bars.into();
        }
        if let Some(from) = from {
            timeline.bars.retain(|(_, bar)| bar.time >= from);
        }
        Ok(timeline)
    }

    /// The next minute that has bars; `None` at the end of the files.
    fn next_minute(&mut self) -> Option<Minute> {
        while self.bars.is_empty() {
            let (generator, date) = self.generator.as_mut()?;
            *date = date.succ_opt()?;
            self.bars.extend(generator.session(*date));
        }
        let time = self.bars.front()?.1.time;
        let count = self.bars.iter().take_while(|(_, bar)| bar.time == time).count();
        let date = Some(exchange_date(time));
        if date != self.date {
            self.date = date;
            self.session += 1;
        }
        Some(Minute { time, session: self.session, bars: self.bars.drain(..count).collect() })
    }
}

fn exchange_date(time: DateTime<Utc>) -> NaiveDate {
    time.with_timezone(&EXCHANGE_ZONE).date_naive()
}

/// Far enough back that the pace begins [`DAYS_BACK`] days before `today`, after the history.
fn first_date(today: NaiveDate, history_sessions: u32) -> NaiveDate {
    let mut first = today - Days::new(DAYS_BACK);
    let mut left = history_sessions;
    while left > 0 {
        first = first - Days::new(1);
        left -= u32::from(session_on(first).is_some());
    }
    first
}

fn read_files(files: &[(Symbol, PathBuf)]) -> anyhow::Result<Vec<(Symbol, Bar)>> {
    let mut all = Vec::new();
    for (symbol, path) in files {
        let CsvBars { bars, skipped, complaints } = csv::read(path)?;
        for complaint in complaints {
            warn!("{complaint}");
        }
        info!(%symbol, bars = bars.len(), skipped, "read {}", path.display());
        all.extend(bars.into_iter().map(|bar| (symbol.clone(), bar)));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> FeedOptions {
        FeedOptions {
            bootstrap: String::new(),
            topic: String::new(),
            speed: 60,
            seed: 1,
            csv: Vec::new(),
            history_sessions: 5,
            resume: None,
        }
    }

    #[test]
    fn the_history_is_exactly_as_many_sessions_as_asked_for() {
        let today: NaiveDate = "2026-11-22".parse().unwrap();
        let start = today - Days::new(DAYS_BACK);
        let first = first_date(today, 5);
        assert_eq!(first.iter_days().take_while(|date| *date < start).filter(|d| session_on(*d).is_some()).count(), 5);
        assert_eq!(first_date(today, 0), start);
    }

    #[test]
    fn minutes_come_in_order_with_all_their_symbols() {
        let mut timeline = Timeline::open(&options()).unwrap();
        let mut last = None;
        for _ in 0..800 {
            let minute = timeline.next_minute().unwrap();
            assert_eq!(minute.bars.len(), 10);
            assert!(minute.bars.iter().all(|(_, bar)| bar.time == minute.time));
            assert!(Some(minute.time) > last);
            last = Some(minute.time);
        }
        assert!((2..=4).contains(&timeline.session));
    }

    #[test]
    fn a_resumed_replay_goes_on_with_the_last_minute_and_the_same_prices() {
        let mut whole = Timeline::open(&options()).unwrap();
        let minutes: Vec<Minute> = (0..500).map(|_| whole.next_minute().unwrap()).collect();
        let resume = Resume { last_record_id: 1, last_binlog: (1, 256), last_time: minutes[400].time };
        let mut resumed = Timeline::open(&FeedOptions { resume: Some(resume), ..options() }).unwrap();
        for minute in &minutes[400..] {
            let again = resumed.next_minute().unwrap();
            assert_eq!((again.time, &again.bars), (minute.time, &minute.bars));
        }
    }
}
