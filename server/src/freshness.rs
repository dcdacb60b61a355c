//! The history of freshness: what each minute was like, as this process saw it, written down when the minute is over.
//!
//! It owns no measurement: how long changes took is in [`Hops`], what the pipeline does is in its status.

use crate::{
    pipeline::{Hop, HopCounts, Hops, Status, StatusHandle},
    store::{FreshMinute, Store},
};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use market::wire::PipeState;
use std::{collections::VecDeque, time::Duration};
use tokio_util::sync::CancellationToken;

/// Minutes that wait for a database that is away: a day of them.
const WAITING: usize = 1_440;

/// Writes minutes down until `shutdown`; then what there is of the last one.
pub async fn record(store: Store, status: StatusHandle, budget: Duration, shutdown: CancellationToken) {
    let hops = status.borrow().hops.clone();
    let mut minutes = Minutes::new(hops, budget, Utc::now());
    let mut waiting = VecDeque::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    while shutdown.run_until_cancelled(tick.tick()).await.is_some() {
        let over = minutes.second(&status.borrow(), Utc::now());
        let Some(minute) = over else { continue };
        waiting.push_back(minute);
        while waiting.len() > WAITING {
            waiting.pop_front();
        }
        write(&store, &mut waiting).await;
    }
    waiting.push_back(minutes.end());
    write(&store, &mut waiting).await;
}

/// Writes what waits, the oldest first, as far as the database answers.
async fn write(store: &Store, waiting: &mut VecDeque<FreshMinute>) {
    while let Some(minute) = waiting.front().filter(|_| store.is_migrated()) {
        if let Err(error) = store.record_freshness(minute).await {
            tracing::debug!(%error, minutes = waiting.len(), "the history of freshness waits");
            return;
        }
        waiting.pop_front();
    }
}

/// The minute that is under way.
struct Minutes {
    hops: Hops,
    budget: Duration,
    minute: DateTime<Utc>,
    down_seconds: i16,
    /// The counts when the minute began.
    before: HopCounts,
}

impl Minutes {
    fn new(hops: Hops, budget: Duration, now: DateTime<Utc>) -> Self {
        let before = hops.counts(Hop::Whole);
        Self { hops, budget, minute: minute_of(now), down_seconds: 0, before }
    }

    /// Another second; gives back the minute that it ended.
    fn second(&mut self, status: &Status, now: DateTime<Utc>) -> Option<FreshMinute> {
        let over = (minute_of(now) > self.minute).then(|| {
            let minute = self.end();
            self.before = self.hops.counts(Hop::Whole);
            self.minute = minute_of(now);
            self.down_seconds = 0;
            minute
        });
        let is_down = match status.state {
            PipeState::Running | PipeState::Starting => false,
            PipeState::Retrying => true,
            // Held, which hurts only while something waits.
            PipeState::Paused | PipeState::Stopped => status.lag.is_some_and(|lag| lag > 0),
        };
        if is_down {
            self.down_seconds = (self.down_seconds + 1).min(60);
        }
        over
    }

    /// The minute as far as it went.
    fn end(&self) -> FreshMinute {
        let passed = self.hops.counts(Hop::Whole).since(&self.before);
        let told = passed.percentiles();
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        FreshMinute {
            minute: self.minute,
            changes: told.map_or(0, |told| number(told.count)),
            in_budget: number(passed.within(self.budget)),
            p50_us: told.map(|told| number(told.p50_us)),
            p99_us: told.map(|told| number(told.p99_us)),
            down_seconds: self.down_seconds,
        }
    }
}

fn minute_of(now: DateTime<Utc>) -> DateTime<Utc> {
    now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{Phase, channel};

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_705_415_400 + seconds, 0).expect("a legal instant")
    }

    #[test]
    fn a_minute_counts_its_own_changes_and_the_seconds_without_a_database() {
        let (writer, status) = channel();
        writer.enter(Phase::Assigned);
        let hops = writer.hops().clone();
        hops.record(Hop::Whole, Duration::from_secs(9), 5); // before
        let mut minutes = Minutes::new(hops.clone(), Duration::from_secs(2), at(30));
        hops.record(Hop::Whole, Duration::from_millis(900), 99);
        hops.record(Hop::Whole, Duration::from_secs(3), 1);
        assert_eq!(minutes.second(&status.borrow(), at(31)), None);
        writer.trouble(Some("Postgres is away".to_owned()));
        for second in 32..35 {
            assert_eq!(minutes.second(&status.borrow(), at(second)), None);
        }
        writer.trouble(None);
        let over = minutes.second(&status.borrow(), at(60)).expect("a new minute begins");
        assert_eq!((over.minute, over.changes, over.in_budget, over.down_seconds), (at(0), 100, 99, 3));
        assert!((900_000..=1_012_500).contains(&over.p99_us.expect("there were changes")), "{over:?}");
        let quiet = minutes.second(&status.borrow(), at(120)).expect("another one");
        assert_eq!((quiet.minute, quiet.changes, quiet.p99_us, quiet.down_seconds), (at(60), 0, None, 0));
    }
}
