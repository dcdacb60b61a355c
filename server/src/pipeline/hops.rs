//! How long records take from hop to hop, and how many pass: one histogram per hop.
//!
//! A measurement costs one atomic addition. The last minute is the difference between now and what was remembered a
//! minute ago, so nothing has to be forgotten on the way of a record. This module knows no record: who handles one says
//! how long it took.

use chrono::{DateTime, Utc};
use serde::Serialize;
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

/// Each octave of microseconds is divided into this many buckets, as in an HDR histogram: a value is known to 12.5 %.
const DIVISIONS: usize = 8;
/// Up to 2³⁷ µs, which is a day and a half; what takes longer counts as that.
const BUCKETS: usize = DIVISIONS * 35;
/// How often the counts are remembered, and how many of them: a minute's worth.
const PERIOD: Duration = Duration::from_secs(5);
const REMEMBERED: usize = 13;
/// What a rate is taken over, in periods.
const RATE_PERIODS: usize = 2;

/// A part of a record's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hop {
    /// Committed in the source → appended to Kafka. Many sources stamp whole seconds, so this is up to a second too long.
    Capture,
    /// Appended to Kafka → read here.
    Fetch,
    /// Bytes → a change: work for one record.
    Decode,
    /// A change → its verdict: work for one record.
    Check,
    /// Read → committed in Postgres, counted from the first record of each batch.
    Store,
    /// Committed → handed to every socket that follows the symbol; one measurement per commit.
    Publish,
    /// Committed in the source → committed here: the whole way, for each candle that changed. Reading a snapshot counts
    /// not, since its rows were committed at any time before.
    Whole,
}

impl Hop {
    pub const ALL: [Self; 7] =
        [Self::Capture, Self::Fetch, Self::Decode, Self::Check, Self::Store, Self::Publish, Self::Whole];
}

/// How long something took: so many of a hundred took no longer than this. Exact to 12.5 %, upwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Percentiles {
    /// Measurements.
    pub count: u64,
    /// Median, in microseconds.
    pub p50_us: u64,
    /// 99 of 100, in microseconds.
    pub p99_us: u64,
}

/// One hop as of now.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct HopStatus {
    pub hop: Hop,
    /// Measurements per second, over the last ten.
    pub per_second: f64,
    /// Null: nothing passed.
    pub last_minute: Option<Percentiles>,
    /// Since this process began.
    pub since_start: Option<Percentiles>,
}

/// The histograms of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hops(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    began_at: DateTime<Utc>,
    counts: [Histogram; Hop::ALL.len()],
    /// The oldest first.
    past: Mutex<VecDeque<Past>>,
}

/// The counts as they were.
#[derive(Debug)]
struct Past {
    at: Instant,
    counts: [Counts; Hop::ALL.len()],
}

type Counts = Box<[u64; BUCKETS]>;

/// What a histogram held at one moment.
#[derive(Clone, Debug)]
pub struct HopCounts(Counts);

impl HopCounts {
    /// What came after `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self(Box::new(std::array::from_fn(|bucket| self.0[bucket] - before.0[bucket])))
    }

    pub fn percentiles(&self) -> Option<Percentiles> {
        percentiles(&self.0)
    }

    /// How many certainly took no longer than this: what shares a bucket with what did is not among them.
    pub fn within(&self, limit: Duration) -> u64 {
        let limit = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        (0..BUCKETS).take_while(|bucket| largest(*bucket) <= limit).map(|bucket| self.0[bucket]).sum()
    }
}

#[derive(Debug)]
struct Histogram([AtomicU64; BUCKETS]);

impl Histogram {
    fn read(&self) -> Counts {
        Box::new(std::array::from_fn(|bucket| self.0[bucket].load(Ordering::Relaxed)))
    }
}

impl PartialEq for Hops {
    /// The same histograms, whatever they count by now.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Default for Hops {
    fn default() -> Self {
        let zero = || std::array::from_fn(|_| Box::new([0; BUCKETS]));
        Self(Arc::new(Inner {
            began_at: Utc::now(),
            counts: std::array::from_fn(|_| Histogram(std::array::from_fn(|_| AtomicU64::new(0)))),
            past: Mutex::new(VecDeque::from([Past { at: Instant::now(), counts: zero() }])),
        }))
    }
}

impl Hops {
    /// When this process began to measure.
    pub fn began_at(&self) -> DateTime<Utc> {
        self.0.began_at
    }

    /// Something took this long, for so many records.
    pub fn record(&self, hop: Hop, took: Duration, records: u64) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0.counts[hop as usize].0[bucket(micros)].fetch_add(records, Ordering::Relaxed);
    }

    /// The time between two clocks; when they disagree by more than it took, it took nothing.
    pub fn record_between(&self, hop: Hop, from_ms: i64, to_ms: i64, records: u64) {
        let took = Duration::from_millis(u64::try_from(to_ms.saturating_sub(from_ms)).unwrap_or(0));
        self.record(hop, took, records);
    }

    /// All that was measured of a hop.
    pub fn counts(&self, hop: Hop) -> HopCounts {
        HopCounts(self.0.counts[hop as usize].read())
    }

    /// Every hop as of now, in the order of the way.
    pub fn list(&self) -> Vec<HopStatus> {
        let past = self.0.past.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = past.front();
        let recent = past.iter().rev().nth(RATE_PERIODS - 1).or(minute);
        let now = Instant::now();
        let status = |hop: Hop| {
            let counts = self.0.counts[hop as usize].read();
            let since = |then: Option<&Past>| match then {
                Some(then) => Box::new(std::array::from_fn(|b| counts[b] - then.counts[hop as usize][b])),
                None => counts.clone(),
            };
            let seconds = recent.map_or(0.0, |recent| (now - recent.at).as_secs_f64());
            let passed: u64 = since(recent).iter().sum();
            HopStatus {
                hop,
                per_second: if seconds > 0.0 { (passed as f64 / seconds * 10.0).round() / 10.0 } else { 0.0 },
                last_minute: percentiles(&since(minute)),
                since_start: percentiles(&counts),
            }
        };
        Hop::ALL.map(status).into()
    }

    /// Remembers the counts every few seconds, until `shutdown`.
    pub async fn remember(self, shutdown: CancellationToken) {
        let mut tick = tokio::time::interval(PERIOD);
        while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
            self.look(Instant::now());
        }
    }

    fn look(&self, at: Instant) {
        let counts = std::array::from_fn(|hop| self.0.counts[hop].read());
        let mut past = self.0.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.push_back(Past { at, counts });
        while past.len() > REMEMBERED {
            past.pop_front();
        }
    }
}

/// The bucket of a value: exact below 8 µs, then eight to an octave.
fn bucket(micros: u64) -> usize {
    let octave = micros.checked_ilog2().unwrap_or(0) as usize;
    let Some(above) = octave.checked_sub(3) else { return micros as usize };
    let division = (micros >> above) as usize - DIVISIONS;
    ((above + 1) * DIVISIONS + division).min(BUCKETS - 1)
}

/// The largest value of a bucket.
fn largest(bucket: usize) -> u64 {
    if bucket < DIVISIONS {
        return bucket as u64;
    }
    let (above, division) = (bucket / DIVISIONS - 1, bucket % DIVISIONS);
    (((DIVISIONS + division + 1) as u64) << above) - 1
}

fn percentiles(counts: &[u64; BUCKETS]) -> Option<Percentiles> {
    let count: u64 = counts.iter().sum();
    let at = |percent: u64| {
        let rank = (count * percent).div_ceil(100);
        let mut passed = 0;
        counts.iter().position(|bucket| {
            passed += bucket;
            passed >= rank
        })
    };
    (count > 0).then(|| Percentiles { count, p50_us: at(50).map_or(0, largest), p99_us: at(99).map_or(0, largest) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket_and_is_known_to_an_eighth() {
        let mut before = 0;
        for shift in 0..37 {
            for value in [1_u64 << shift, (1 << shift) + (1 << shift) / 3, (2 << shift) - 1] {
                let bucket = bucket(value);
                assert!(bucket >= before, "{value}");
                before = bucket;
                let largest = largest(bucket);
                assert!(largest >= value && largest <= value + value / 8, "{value} is told as {largest}");
            }
        }
        assert_eq!((bucket(0), bucket(u64::MAX)), (0, BUCKETS - 1));
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_values() {
        let hops = Hops::default();
        assert_eq!(hops.list()[0].since_start, None);
        for value in 1..=1_000 {
            hops.record(Hop::Store, Duration::from_micros(value), 1);
        }
        hops.record(Hop::Store, Duration::from_secs(1), 5);
        let store = hops.list().into_iter().find(|status| status.hop == Hop::Store).unwrap();
        let told = store.since_start.unwrap();
        assert_eq!(told.count, 1_005);
        assert!((503..=503 + 63).contains(&told.p50_us) && (995..=995 + 125).contains(&told.p99_us), "{told:?}");
        assert_eq!(store.last_minute, store.since_start);
    }

    #[test]
    fn the_last_minute_forgets_what_came_before_and_the_start_does_not() {
        let hops = Hops::default();
        hops.record(Hop::Fetch, Duration::from_millis(500), 100);
        let began = Instant::now();
        for period in 0..REMEMBERED as u32 {
            hops.look(began + PERIOD * period);
        }
        hops.record(Hop::Fetch, Duration::from_micros(7), 3);
        let fetch = hops.list().remove(1);
        assert_eq!(fetch.last_minute, Some(Percentiles { count: 3, p50_us: 7, p99_us: 7 }));
        assert_eq!(fetch.since_start.unwrap().count, 103);
    }

    #[test]
    fn clocks_that_disagree_make_no_negative_time() {
        let hops = Hops::default();
        hops.record_between(Hop::Capture, 1_000, 400, 1);
        assert_eq!(hops.list()[0].since_start, Some(Percentiles { count: 1, p50_us: 0, p99_us: 0 }));
    }
}
