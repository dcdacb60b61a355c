//! Windows of the stream: the suites over some of its records together, as they are read.
//!
//! The reader's thread counts, for all partitions of this process in one window per suite, and never waits: a window that
//! is over goes through a bounded channel to [`WindowRecorder`], which writes it down and tells of it. A window begins with
//! its first record and ends after its time, after its number of records, or with the stream. So a quiet stream has none.
//!
//! Each record is in one window, also when it is read again after an error: what of a partition was counted once is not
//! counted again in the life of a reader.

use crate::{checkpoint::StreamCheck, store::PartitionKey};
use chrono::{DateTime, Utc};
use market::StockRow;
use quality::suite::{Evaluation, Met};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// When a window is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowPolicy {
    /// So long after its first record …
    pub every: Duration,
    /// … or with this many records.
    pub records: u64,
}

/// A window that is over.
#[derive(Debug)]
pub struct ClosedWindow {
    /// Which of the suites.
    pub suite: usize,
    pub evaluation: Evaluation,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    /// What was read for it.
    pub parts: Vec<Part>,
}

/// What a window has of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub key: PartitionKey,
    pub first_offset: i64,
    pub last_offset: i64,
    /// Rows among them.
    pub records: u64,
}

/// The windows of one reader.
pub struct Windows {
    suites: Arc<[StreamCheck]>,
    /// By suite; `None` where windows are not asked for.
    windows: Vec<Option<Window>>,
    partitions: Vec<Partition>,
    /// The partition that is being read, and the offset of the record that is being judged.
    at: (usize, i64),
    /// It was counted before.
    again: bool,
    closed: mpsc::Sender<ClosedWindow>,
}

struct Partition {
    key: PartitionKey,
    incarnation: i32,
    /// Records before this offset were counted.
    counted: i64,
}

/// One suite's window.
struct Window {
    policy: WindowPolicy,
    fresh: Evaluation,
    evaluation: Evaluation,
    since: Option<(Instant, DateTime<Utc>)>,
    records: u64,
    /// By the partition's number.
    parts: Vec<Option<(i64, i64, u64)>>,
}

/// A window while one record is judged.
pub struct Looking<'w> {
    window: &'w mut Window,
    at: (usize, i64),
    again: bool,
}

impl Windows {
    /// `fresh` is the evaluation of each suite over nothing.
    pub fn new(
        suites: Arc<[StreamCheck]>,
        fresh: impl IntoIterator<Item = Evaluation>,
        closed: mpsc::Sender<ClosedWindow>,
    ) -> Self {
        let windows = suites.iter().zip(fresh).map(|(suite, fresh)| {
            let policy = suite.window?;
            let evaluation = fresh.clone();
            Some(Window { policy, fresh, evaluation, since: None, records: 0, parts: Vec::new() })
        });
        let windows = windows.collect();
        Self { suites, windows, partitions: Vec::new(), at: (0, 0), again: false, closed }
    }

    pub fn number(&mut self, key: &PartitionKey, incarnation: i32) -> usize {
        match self.partitions.iter().position(|known| known.key == *key) {
            Some(number) => {
                let known = &mut self.partitions[number];
                if known.incarnation != incarnation {
                    (known.incarnation, known.counted) = (incarnation, 0);
                }
                number
            }
            None => {
                self.partitions.push(Partition { key: key.clone(), incarnation, counted: 0 });
                self.partitions.len() - 1
            }
        }
    }

    pub fn enter(&mut self, partition: usize) {
        self.at.0 = partition;
    }

    /// A record of the partition is going to be judged.
    pub fn look_at(&mut self, offset: i64) {
        self.at.1 = offset;
        if let Some(partition) = self.partitions.get_mut(self.at.0) {
            self.again = offset < partition.counted;
            partition.counted = partition.counted.max(offset + 1);
        }
    }

    /// The window of a suite, for that record.
    pub fn of(&mut self, suite: usize) -> Option<Looking<'_>> {
        let window = self.windows.get_mut(suite)?.as_mut()?;
        Some(Looking { window, at: self.at, again: self.again })
    }

    /// Ends what is over.
    pub fn tick(&mut self) {
        let now = Instant::now();
        self.close(|window| {
            window.since.is_some_and(|(since, _)| now.duration_since(since) >= window.policy.every)
                || window.records >= window.policy.records
        });
    }

    fn close(&mut self, is_over: impl Fn(&Window) -> bool) {
        for (suite, window) in self.windows.iter_mut().enumerate() {
            let Some(window) = window.as_mut().filter(|window| window.records > 0 && is_over(window)) else { continue };
            let closed = window.take(suite, &self.partitions);
            if self.closed.try_send(closed).is_err() {
                let suite = &self.suites[suite].suite.name;
                tracing::warn!(suite, "a window of the stream is not recorded: earlier ones still wait to be written");
                metrics::counter!("stockstream_windows_dropped_total", "suite" => suite.clone()).increment(1);
            }
        }
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        self.close(|_| true);
    }
}

impl Looking<'_> {
    /// Takes the record, and shows what each expectation says of it; see [`Evaluation::add_seeing`].
    pub fn add(self, row: &StockRow, see: impl FnMut(usize, Met)) {
        let Self { window, at: (partition, offset), again } = self;
        if again {
            return window.fresh.see(row, see);
        }
        if window.since.is_none() {
            window.since = Some((Instant::now(), Utc::now()));
        }
        window.records += 1;
        if window.parts.len() <= partition {
            window.parts.resize(partition + 1, None);
        }
        let (_, last, records) = window.parts[partition].get_or_insert((offset, offset, 0));
        (*last, *records) = (offset, *records + 1);
        window.evaluation.add_seeing(row, Some(row.record_id), see);
    }
}

impl Window {
    fn take(&mut self, suite: usize, partitions: &[Partition]) -> ClosedWindow {
        let parts = std::mem::take(&mut self.parts).into_iter().zip(partitions).filter_map(|(part, partition)| {
            let (first_offset, last_offset, records) = part?;
            Some(Part { key: partition.key.clone(), first_offset, last_offset, records })
        });
        let finished_at = Utc::now();
        let started_at = self.since.take().map_or(finished_at, |(_, started_at)| started_at);
        self.records = 0;
        ClosedWindow {
            suite,
            evaluation: std::mem::replace(&mut self.evaluation, self.fresh.clone()),
            started_at,
            finished_at,
            parts: parts.collect(),
        }
    }
}
