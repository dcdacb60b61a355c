//! How fast minutes follow each other.

use chrono::{DateTime, Utc};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

const MINUTE: Duration = Duration::from_secs(60);
const COARSENESS: Duration = Duration::from_millis(250);

/// A pace in multiples of real time.
#[derive(Debug)]
pub struct Pace {
    pause: Duration,
    /// When the last minute was due.
    last: Option<Instant>,
}

impl Pace {
    /// `speed` minutes each minute; 0 makes no pauses.
    pub fn new(speed: u32) -> Self {
        Self { pause: if speed == 0 { Duration::ZERO } else { MINUTE / speed }, last: None }
    }

    /// Whether [`wait_for`](Self::wait_for) would return at once.
    pub fn is_due(&self, minute: DateTime<Utc>) -> bool {
        let now = Instant::now();
        self.due_at(now) <= now && left_of(minute, Utc::now()).is_zero()
    }

    /// Waits until it is the minute's turn, and in any case until the minute is over by the real clock. Time lost between
    /// the calls is not made up for.
    pub async fn wait_for(&mut self, minute: DateTime<Utc>) {
        let due = self.due_at(Instant::now());
        sleep_until(due).await;
        self.last = Some(due);
        let left = left_of(minute, Utc::now());
        if !left.is_zero() {
            sleep(left).await;
            self.last = Some(Instant::now());
        }
    }

    fn due_at(&self, now: Instant) -> Instant {
        match self.last {
            // A little late is no lost time: timers are coarse, and the schedule is kept.
            Some(last) if last + self.pause + COARSENESS > now => last + self.pause,
            _ => now,
        }
    }
}

/// How much of the minute is still to come.
fn left_of(minute: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    (minute + MINUTE - now).to_std().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(last: Instant, speed: u32) -> Pace {
        Pace { last: Some(last), ..Pace::new(speed) }
    }

    #[test]
    fn sixty_times_real_time_is_a_minute_a_second() {
        let now = Instant::now();
        assert_eq!(Pace::new(60).due_at(now), now);
        assert_eq!(after(now, 60).due_at(now), now + Duration::from_secs(1));
        assert_eq!(after(now, 0).due_at(now), now);
    }

    #[test]
    fn a_late_timer_does_not_slow_the_schedule_down_but_lost_time_is_not_made_up_for() {
        let last = Instant::now();
        let due = last + Duration::from_secs(1);
        assert_eq!(after(last, 60).due_at(due + Duration::from_millis(3)), due);
        let much_later = due + Duration::from_secs(100);
        assert_eq!(after(last, 60).due_at(much_later), much_later);
    }

    #[test]
    fn a_minute_is_waited_for_until_it_is_over() {
        let at = |text: &str| -> DateTime<Utc> { text.parse().unwrap() };
        let minute = at("2024-01-16T14:30:00Z");
        assert_eq!(left_of(minute, at("2024-01-16T14:30:15Z")), Duration::from_secs(45));
        assert_eq!(left_of(minute, at("2024-01-16T14:31:00Z")), Duration::ZERO);
        assert_eq!(left_of(minute, at("2026-01-16T14:31:00Z")), Duration::ZERO);
    }

    #[tokio::test]
    async fn the_first_minute_of_long_ago_is_due_at_once() {
        let minute = "2024-01-16T14:30:00Z".parse().unwrap();
        let mut pace = Pace::new(1);
        assert!(pace.is_due(minute));
        pace.wait_for(minute).await;
        assert!(!pace.is_due(minute));
    }
}
