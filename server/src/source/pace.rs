//! How fast minutes follow each other.

use chrono::{DateTime, Utc};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

const MINUTE: Duration = Duration::from_secs(60);

/// A pace in multiples of real time.
#[derive(Debug)]
pub struct Pace {
    pause: Duration,
    due: Option<Instant>,
}

impl Pace {
    /// `speed` minutes each minute; 0 makes no pauses.
    pub fn new(speed: u32) -> Self {
        Self { pause: if speed == 0 { Duration::ZERO } else { MINUTE / speed }, due: None }
    }

    /// Whether [`wait_for`](Self::wait_for) would return at once.
    pub fn is_due(&self, minute: DateTime<Utc>) -> bool {
        self.next_due() <= Instant::now() && ahead(minute).is_zero()
    }

    /// Waits until it is the minute's turn, and in any case until the minute is over by the real clock. Time lost between
    /// the calls is not made up for.
    pub async fn wait_for(&mut self, minute: DateTime<Utc>) {
        let due = self.next_due();
        sleep_until(due).await;
        self.due = Some(due);
        let ahead = ahead(minute);
        if !ahead.is_zero() {
            sleep(ahead).await;
            self.due = Some(Instant::now());
        }
    }

    fn next_due(&self) -> Instant {
        let now = Instant::now();
        match self.due {
            // A wait of a millisecond more is no lost time: the schedule is kept.
            Some(due) if due + self.pause + Duration::from_millis(250) > now => due + self.pause,
            _ => now,
        }
    }
}

/// How long the minute still lasts.
fn ahead(minute: DateTime<Utc>) -> Duration {
    (minute + MINUTE - Utc::now()).to_std().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long_ago() -> DateTime<Utc> {
        "2024-01-16T14:30:00Z".parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn sixty_times_real_time_is_a_minute_a_second() {
        let mut pace = Pace::new(60);
        let started = Instant::now();
        for _ in 0..11 {
            pace.wait_for(long_ago()).await;
        }
        assert_eq!(started.elapsed().as_secs(), 10);
        assert!(!pace.is_due(long_ago()));
    }

    #[tokio::test(start_paused = true)]
    async fn lost_time_is_not_made_up_for() {
        let mut pace = Pace::new(60);
        pace.wait_for(long_ago()).await;
        sleep(Duration::from_secs(100)).await;
        let started = Instant::now();
        for _ in 0..3 {
            pace.wait_for(long_ago()).await;
        }
        assert_eq!(started.elapsed().as_secs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_speed_there_are_no_pauses() {
        let mut pace = Pace::new(0);
        let started = Instant::now();
        for _ in 0..1000 {
            pace.wait_for(long_ago()).await;
        }
        assert_eq!(started.elapsed().as_secs(), 0);
        assert!(pace.is_due(long_ago()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_that_is_not_over_is_waited_for() {
        let mut pace = Pace::new(0);
        let started = Instant::now();
        pace.wait_for(Utc::now()).await;
        assert!((59..=60).contains(&started.elapsed().as_secs()));
    }
}
