//! The order in which bars are replayed: minute by minute, from files or simulated without end.

use super::csv::{self, CsvBars};
use crate::embedded::generator::Generator;
use chrono::{DateTime, Days, NaiveDate, Utc};
use market::{Bar, EXCHANGE_ZONE, Symbol, session_on};
use std::collections::VecDeque;
use std::path::PathBuf;
use tracing::{info, warn};

/// How far back a simulated replay begins, less its history.
const DAYS_BACK: u64 = 120;

/// The bars of one minute.
#[derive(Clone, Debug)]
pub struct Minute {
    pub time: DateTime<Utc>,
    /// Number of its trading day in the replay, from 1.
    pub session: u32,
    /// One per symbol.
    pub bars: Vec<(Symbol, Bar)>,
}

/// Minutes, oldest first.
pub struct Timeline {
    /// `None`: files.
    generator: Option<(Generator, NaiveDate)>,
    bars: VecDeque<(Symbol, Bar)>,
    skipped: usize,
    session: u32,
    date: Option<NaiveDate>,
}

impl Timeline {
    /// Simulated bars without end: from the minute `from` on, or so that `history_sessions` end about four months before
    /// today.
    pub fn simulated(seed: u64, history_sessions: u32, from: Option<DateTime<Utc>>) -> Self {
        let date = match from {
            Some(time) => exchange_date(time),
            None => first_date(exchange_date(Utc::now()), history_sessions),
        };
        let mut generator = Generator::new(seed);
        let bars = generator.session(date);
        Self::new(Some((generator, date)), bars, 0, from)
    }

    /// The bars of files, from the minute `from` on. What is wrong with them is logged.
    ///
    /// # Errors
    /// When a file cannot be read; see [`csv::read`].
    pub fn recorded(files: &[(Symbol, PathBuf)], from: Option<DateTime<Utc>>) -> anyhow::Result<Self> {
        let mut all = Vec::new();
        let mut all_skipped = 0;
        for (symbol, path) in files {
            let CsvBars { bars, skipped, complaints } = csv::read(path)?;
            for complaint in complaints {
                warn!("{complaint}");
            }
            info!(%symbol, bars = bars.len(), skipped, "read {}", path.display());
            all_skipped += skipped;
            all.extend(bars.into_iter().map(|bar| (symbol.clone(), bar)));
        }
        all.sort_by_key(|(_, bar)| bar.time);
        Ok(Self::new(None, all, all_skipped, from))
    }

    fn new(
        generator: Option<(Generator, NaiveDate)>,
        mut bars: Vec<(Symbol, Bar)>,
        skipped: usize,
        from: Option<DateTime<Utc>>,
    ) -> Self {
        bars.retain(|(_, bar)| from.is_none_or(|from| bar.time >= from));
        Self { generator, bars: bars.into(), skipped, session: 0, date: None }
    }

    /// Lines of the files that are in none of the bars.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// How many bars are left; `None` when there is no end.
    pub fn left(&self) -> Option<usize> {
        self.generator.is_none().then_some(self.bars.len())
    }

    /// The next minute that has bars; `None` at the end of the files.
    pub fn next_minute(&mut self) -> Option<Minute> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

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
        let mut timeline = Timeline::simulated(1, 5, None);
        assert_eq!(timeline.left(), None);
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
        let mut whole = Timeline::simulated(1, 5, None);
        let minutes: Vec<Minute> = (0..500).map(|_| whole.next_minute().unwrap()).collect();
        let mut resumed = Timeline::simulated(1, 5, Some(minutes[400].time));
        for minute in &minutes[400..] {
            let again = resumed.next_minute().unwrap();
            assert_eq!((again.time, &again.bars), (minute.time, &minute.bars));
        }
    }

    #[test]
    fn files_are_merged_by_time() {
        let file = |lines: &str| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            write!(file, "time,open,high,low,close,volume\n{lines}").unwrap();
            file
        };
        let amzn = file("2024-01-17 09:31:00,1,1,1,1,1\n2024-01-16 09:31:00,1,1,1,1,1\nx\n");
        let aapl = file("2024-01-16 09:32:00,2,2,2,2,2\n2024-01-16 09:31:00,2,2,2,2,2\n");
        let files =
            [("AMZN".parse().unwrap(), amzn.path().to_owned()), ("AAPL".parse().unwrap(), aapl.path().to_owned())];
        let mut timeline = Timeline::recorded(&files, None).unwrap();
        assert_eq!((timeline.left(), timeline.skipped()), (Some(4), 1));
        let minutes: Vec<Minute> = std::iter::from_fn(|| timeline.next_minute()).collect();
        let shape: Vec<_> = minutes.iter().map(|minute| (minute.session, minute.bars.len())).collect();
        assert_eq!(shape, [(1, 2), (1, 1), (2, 1)]);
        let later = Timeline::recorded(&files, Some(minutes[1].time)).unwrap();
        assert_eq!(later.left(), Some(2));
    }
}
