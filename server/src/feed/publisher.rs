//! From commits to frames.

use super::{
    frame::Frame,
    hub::{Hub, Topic},
};
use crate::store::{Committed, Head, ReadError, Store, Touched};
use chrono::{DateTime, TimeDelta, Utc};
use market::{
    Bar, Symbol, Timeframe, aggregate,
    wire::{Record, ServerMessage},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Candles that may be waiting to be looked up; beyond it, clients start from a snapshot.
const MAX_WAITING: usize = 50_000;
/// Candles of one topic in one frame; beyond it, a snapshot is cheaper.
const MAX_RECORDS: usize = 300;
/// The longest span of one-minute rows read at once.
const MAX_SPAN: TimeDelta = TimeDelta::days(2);
/// How long a commit may be missing between two others before clients start from a snapshot.
const MISSING: Duration = Duration::from_secs(2);

/// Takes commits from the writers, in any order, and publishes them in commit order. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    hub: Hub,
    inner: Arc<Inner>,
}

struct Inner {
    waiting: Mutex<Waiting>,
    notify: Notify,
}

#[derive(Default)]
struct Waiting {
    /// Commits by the seq before them.
    commits: BTreeMap<i64, Committed>,
    candles: usize,
    /// Refused and tagged records not yet announced.
    quarantined: u64,
    tagged: u64,
    /// What was not kept or not known: ask the store for the head and start over.
    reset: bool,
}

impl Publisher {
    pub fn new(hub: Hub) -> Self {
        Self { hub, inner: Arc::new(Inner { waiting: Mutex::default(), notify: Notify::new() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No code panics while it holds the lock, and every state is valid.
        self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the stream at the store's head.
    pub fn begin(&self, head: Head) {
        *self.lock() = Waiting::default();
        self.hub.begin(head.epoch.to_string(), head.seq);
    }

    /// Takes a commit. Never waits.
    pub fn publish(&self, mut committed: Committed) {
        committed.touched.retain(|touched| !self.hub.watched(&touched.symbol).is_empty());
        let mut waiting = self.lock();
        waiting.quarantined += committed.counts.quarantined.unsigned_abs();
        waiting.tagged += committed.counts.tagged.unsigned_abs();
        waiting.candles += committed.touched.len();
        if committed.reset || waiting.candles > MAX_WAITING {
            *waiting = Waiting { reset: true, ..Waiting::default() };
        } else if committed.seq > committed.seq_before {
            waiting.commits.insert(committed.seq_before, committed);
        }
        drop(waiting);
        self.inner.notify.notify_one();
    }

    /// Something was committed, but what is not known.
    pub fn reset(&self) {
        *self.lock() = Waiting { reset: true, ..Waiting::default() };
        self.inner.notify.notify_one();
    }

    /// Publishes until `shutdown`.
    pub async fn run(self, store: Store, shutdown: CancellationToken) {
        loop {
            let stuck = !self.lock().commits.is_empty();
            tokio::select! {
                () = self.inner.notify.notified() => {}
                () = tokio::time::sleep(MISSING), if stuck => self.lock().reset = true,
                () = shutdown.cancelled() => return,
            }
            if let Err(error) = self.drain(&store).await {
                tracing::warn!(%error, "live feed could not look candles up; clients will take a snapshot");
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(500)) => self.reset(),
                    () = shutdown.cancelled() => return,
                }
            }
        }
    }

    async fn drain(&self, store: &Store) -> Result<(), ReadError> {
        let reset = std::mem::take(&mut self.lock().reset);
        if reset {
            let head = store.head().await?;
            *self.lock() = Waiting::default();
            self.hub.begin(head.epoch.to_string(), head.seq);
            return Ok(());
        }
        let (quarantined, tagged) = {
            let mut waiting = self.lock();
            (std::mem::take(&mut waiting.quarantined), std::mem::take(&mut waiting.tagged))
        };
        if quarantined > 0 || tagged > 0 {
            self.hub.broadcast(Frame::new(ServerMessage::Dq { quarantined, tagged }));
        }
        let commits = self.take_in_order();
        let Some(last) = commits.last() else { return Ok(()) };
        let (seq, committed_at) = (last.seq, last.committed_at);
        let mut touched: HashMap<Symbol, Vec<Touched>> = HashMap::new();
        for commit in commits {
            for candle in commit.touched {
                touched.entry(candle.symbol.clone()).or_default().push(candle);
            }
        }
        for (symbol, candles) in &touched {
            for timeframe in self.hub.watched(symbol) {
                self.send(store, &(symbol.clone(), timeframe), candles, seq, committed_at).await?;
            }
        }
        self.hub.advance(seq);
        Ok(())
    }

    /// The commits that follow the head without a gap.
    fn take_in_order(&self) -> Vec<Committed> {
        let (_, mut head) = self.hub.head();
        let mut waiting = self.lock();
        let mut ready = Vec::new();
        while let Some(entry) = waiting.commits.first_entry() {
            if *entry.key() > head {
                break; // the one before it is still on its way
            }
            let commit = entry.remove();
            waiting.candles = waiting.candles.saturating_sub(commit.touched.len());
            head = head.max(commit.seq);
            ready.push(commit);
        }
        ready
    }

    async fn send(
        &self,
        store: &Store,
        topic: &Topic,
        candles: &[Touched],
        seq: i64,
        committed_at: DateTime<Utc>,
    ) -> Result<(), ReadError> {
        let timeframe = topic.1;
        let mut buckets: BTreeMap<DateTime<Utc>, (DateTime<Utc>, bool)> = BTreeMap::new();
        for candle in candles {
            let bucket = buckets.entry(timeframe.bucket(candle.time)).or_insert((candle.event_time, candle.new));
            bucket.0 = bucket.0.max(candle.event_time);
            bucket.1 &= candle.new;
        }
        if buckets.len() > MAX_RECORDS {
            self.hub.send_snapshots(topic, seq);
            return Ok(());
        }
        let bars = read_buckets(store, topic, buckets.keys().copied()).await?;
        let records = buckets
            .into_iter()
            .map(|(time, (event_time, new))| match bars.get(&time) {
                Some(&bar) if new => Record::Bar { bar, event_time, committed_at },
                Some(&bar) => Record::Rev { bar, event_time, committed_at },
                None => Record::Del { time, committed_at },
            })
            .collect();
        let (symbol, timeframe) = topic.clone();
        self.hub.send(topic, seq, |prev| Frame::new(ServerMessage::Delta { symbol, timeframe, prev, seq, records }));
        Ok(())
    }
}

/// The bars of the buckets as the store has them now, read in as few ranges as their spread allows.
pub(super) async fn read_buckets(
    store: &Store,
    (symbol, timeframe): &(Symbol, Timeframe),
    buckets: impl IntoIterator<Item = DateTime<Utc>>,
) -> Result<HashMap<DateTime<Utc>, Bar>, ReadError> {
    let mut ranges: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
    for bucket in buckets {
        let end = timeframe.bucket_end(bucket);
        match ranges.last_mut() {
            Some(range) if end - range.0 <= MAX_SPAN => range.1 = end,
            _ => ranges.push((bucket, end)),
        }
    }
    let mut bars = HashMap::new();
    for (from, to) in ranges {
        let minutes = store.bars_in(symbol, from, to).await?;
        bars.extend(aggregate(minutes, *timeframe).into_iter().map(|bar| (bar.time, bar)));
    }
    Ok(bars)
}
