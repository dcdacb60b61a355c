//! From commits to frames.
//!
//! Commits of this process come from its writers, at once. Those of other instances and of commands are found by looking
//! at the head of the stream a few times a second, and read from the change log. Either way each is published once, in
//! the order of the stream.

use super::{
    change::Change,
    frame::Frame,
    hub::{Hub, Topic},
};
use crate::pipeline::{Hop, Hops};
use crate::store::{ChangesSince, Committed, Head, ReadError, Store};
use chrono::{DateTime, TimeDelta, Utc};
use market::{Bar, Symbol, Timeframe, aggregate, wire::ServerMessage};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::Notify, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Candles that may be waiting to be looked up; beyond it, they are read from the change log, or clients start from a
/// snapshot.
const MAX_WAITING: usize = 50_000;
/// Candles of one topic in one frame; beyond it, a snapshot is cheaper.
const MAX_RECORDS: usize = 300;
/// The longest span of one-minute rows read at once.
const MAX_SPAN: TimeDelta = TimeDelta::days(2);
/// How often the head of the stream is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// The pause after a question that the store did not answer.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes commits from the writers, in any order, and publishes them in commit order. Cheap to clone.
#[derive(Clone)]
pub struct Publisher {
    hub: Hub,
    inner: Arc<Inner>,
}

struct Inner {
    waiting: Mutex<Waiting>,
    notify: Notify,
    hops: Hops,
}

#[derive(Default)]
struct Waiting {
    /// Commits by the seq before them, and when they came.
    commits: BTreeMap<i64, (Instant, Committed)>,
    candles: usize,
    /// Refused and tagged records not yet announced.
    quarantined: u64,
    tagged: u64,
    /// Something was committed that is not kept here: look at the head now.
    look: bool,
}

/// One-minute candles that changed, by symbol.
type Changed = HashMap<Symbol, Vec<(DateTime<Utc>, Change)>>;

impl Publisher {
    pub fn new(hub: Hub) -> Self {
        Self::measuring(hub, Hops::default())
    }

    /// As [`Publisher::new`]; `hops` hears how long commits take to get to the sockets.
    pub fn measuring(hub: Hub, hops: Hops) -> Self {
        Self { hub, inner: Arc::new(Inner { waiting: Mutex::default(), notify: Notify::new(), hops }) }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No code panics while it holds the lock, and every state is valid.
        self.inner.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the stream at the store's head, unless it has begun.
    pub fn begin(&self, head: Head) {
        if self.hub.head().0.is_empty() {
            self.hub.begin(head.epoch.to_string(), head.seq);
        }
    }

    /// Takes a commit. Never waits.
    pub fn publish(&self, mut committed: Committed) {
        committed.touched.retain(|touched| !self.hub.watched(&touched.symbol).is_empty());
        let mut waiting = self.lock();
        waiting.quarantined += committed.counts.quarantined.unsigned_abs();
        waiting.tagged += committed.counts.tagged.unsigned_abs();
        waiting.candles += committed.touched.len();
        if committed.reset || waiting.candles > MAX_WAITING {
            *waiting = Waiting { look: true, ..Waiting::default() };
        } else if committed.seq > committed.seq_before {
            waiting.commits.insert(committed.seq_before, (Instant::now(), committed));
        }
        drop(waiting);
        self.inner.notify.notify_one();
    }

    /// Something was committed, but what is not known here: the change log tells.
    pub fn catch_up(&self) {
        self.lock().look = true;
        self.inner.notify.notify_one();
    }

    /// Publishes until `shutdown`.
    pub async fn run(self, store: Store, shutdown: CancellationToken) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let work = async {
                let looking = tokio::select! {
                    biased;
                    () = self.inner.notify.notified() => std::mem::take(&mut self.lock().look),
                    _ = look.tick() => true,
                };
                let begun = !self.hub.head().0.is_empty();
                tokio::time::timeout(PATIENCE, self.drain(&store, looking || !begun)).await
            };
            let reason = tokio::select! {
                done = work => match done {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => error.to_string(),
                    Err(elapsed) => elapsed.to_string(),
                },
                () = shutdown.cancelled() => return,
            };
            // What was taken to be published and was not is still in the change log.
            tracing::debug!(reason, "live feed could not look candles up; trying again");
            self.catch_up();
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn drain(&self, store: &Store, looking: bool) -> Result<(), ReadError> {
        let (quarantined, tagged) = {
            let mut waiting = self.lock();
            (std::mem::take(&mut waiting.quarantined), std::mem::take(&mut waiting.tagged))
        };
        if quarantined > 0 || tagged > 0 {
            self.hub.broadcast(Frame::new(ServerMessage::Dq { quarantined, tagged }));
        }
        if looking {
            self.follow(store).await?;
        }
        let commits = self.take_in_order();
        let Some(seq) = commits.last().map(|(_, last)| last.seq) else { return Ok(()) };
        let mut changed = Changed::new();
        let mut arrived = Vec::with_capacity(commits.len());
        for (at, commit) in commits {
            if !commit.touched.is_empty() {
                arrived.push(at);
            }
            let committed_at = commit.committed_at;
            for touched in commit.touched {
                let change = Change { event_time: touched.event_time, committed_at, new: touched.new };
                changed.entry(touched.symbol).or_default().push((touched.time, change));
            }
        }
        self.send_all(store, &changed, seq).await?;
        for at in arrived {
            self.inner.hops.record(Hop::Publish, at.elapsed(), 1);
        }
        Ok(())
    }

    /// Publishes what the stream's head shows to be committed, unless a writer of this process has brought it.
    async fn follow(&self, store: &Store) -> Result<(), ReadError> {
        let head = store.head().await?;
        let (epoch, published) = self.hub.head();
        if epoch != head.epoch.to_string() || head.seq < published {
            store.recent().forget_all();
            self.hub.begin(head.epoch.to_string(), head.seq);
            return Ok(());
        }
        store.recent().confirm();
        if head.seq == published || self.lock().commits.contains_key(&published) {
            return Ok(());
        }
        let symbols: BTreeSet<Symbol> = self.hub.topics().into_iter().map(|(symbol, _)| symbol).collect();
        let asked: Vec<Symbol> = symbols.iter().cloned().collect();
        let asked = (!self.hub.watches_everything()).then_some(asked.as_slice());
        let ChangesSince::Known { seq, candles } = store.changes_since(published, asked, MAX_WAITING as i64).await?
        else {
            store.recent().forget_all();
            self.hub.begin(epoch, head.seq);
            return Ok(());
        };
        // After the log was read and before anything of it is sent: what is read from now on holds what is sent.
        store.recent().forget_all();
        let mut changed = Changed::new();
        for candle in candles {
            let change = Change::from(&candle);
            changed.entry(candle.symbol).or_default().push((candle.time, change));
        }
        self.send_all(store, &changed, seq).await?;
        // Whoever came while the log was read may have read its snapshot before that commit, and was not asked for.
        for topic in self.hub.topics().iter().filter(|(symbol, _)| !symbols.contains(symbol)) {
            self.hub.send_snapshots(topic, seq);
        }
        Ok(())
    }

    async fn send_all(&self, store: &Store, changed: &Changed, seq: i64) -> Result<(), ReadError> {
        for (symbol, candles) in changed {
            for timeframe in self.hub.watched(symbol) {
                self.send(store, &(symbol.clone(), timeframe), candles, seq).await?;
            }
        }
        self.hub.advance(seq);
        Ok(())
    }

    /// The commits that follow the head without a gap.
    fn take_in_order(&self) -> Vec<(Instant, Committed)> {
        let (_, mut head) = self.hub.head();
        let mut waiting = self.lock();
        let mut ready = Vec::new();
        while let Some(entry) = waiting.commits.first_entry() {
            if *entry.key() > head {
                break; // the one before it is still on its way
            }
            let (at, commit) = entry.remove();
            waiting.candles = waiting.candles.saturating_sub(commit.touched.len());
            // What the change log has shown meanwhile is published.
            if commit.seq > head {
                head = commit.seq;
                ready.push((at, commit));
            }
        }
        ready
    }

    async fn send(
        &self,
        store: &Store,
        topic: &Topic,
        candles: &[(DateTime<Utc>, Change)],
        seq: i64,
    ) -> Result<(), ReadError> {
        let timeframe = topic.1;
        let mut buckets: BTreeMap<DateTime<Utc>, Change> = BTreeMap::new();
        for &(time, change) in candles {
            buckets.entry(timeframe.bucket(time)).and_modify(|all| *all = all.and(change)).or_insert(change);
        }
        if buckets.len() > MAX_RECORDS {
            self.hub.send_snapshots(topic, seq);
            return Ok(());
        }
        let bars = read_buckets(store, topic, buckets.keys().copied()).await?;
        let records = buckets.into_iter().map(|(time, change)| change.record(time, bars.get(&time))).collect();
        let (symbol, timeframe) = topic.clone();
        self.hub.send(topic, seq, |prev| Frame::new(ServerMessage::Delta { symbol, timeframe, prev, seq, records }));
        Ok(())
    }
}

/// The bars of the buckets as the store has them now, read in as few ranges as their spread allows.
async fn read_buckets(
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
