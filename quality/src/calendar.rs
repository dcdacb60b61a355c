//! The market's phase at an instant, remembered: rows come in time order, and asking the tz database and the holiday
//! rules for each of them would cost more than all other rules together. Nothing but [`market::phase_of`] decides here.

use chrono::{DateTime, Utc};
use market::SessionPhase;
use std::cell::Cell;

/// Every phase begins and ends on a full or half hour in New York, which is whole hours away from UTC, so that one
/// answer holds for half an hour.
const BUCKET_SECONDS: i64 = 30 * 60;

/// Half hours remembered per thread: a little over five days.
const REMEMBERED: usize = 256;

/// 1900-01-01 and 2200-01-01: before, New York kept local mean time; outside, nobody knows a calendar.
const KNOWN: std::ops::Range<i64> = -2_208_988_800..7_258_118_400;

thread_local! {
    static PHASES: [Cell<(i64, SessionPhase)>; REMEMBERED] =
        const { [const { Cell::new((i64::MIN, SessionPhase::Closed)) }; REMEMBERED] };
}

/// [`market::phase_of`] for the years 1900 to 2199; closed in all others.
pub(crate) fn phase_at(time: DateTime<Utc>) -> SessionPhase {
    let seconds = time.timestamp();
    if !KNOWN.contains(&seconds) {
        return SessionPhase::Closed;
    }
    let bucket = seconds.div_euclid(BUCKET_SECONDS);
    PHASES.with(|phases| {
        let slot = &phases[bucket.rem_euclid(REMEMBERED as i64) as usize];
        let (remembered, phase) = slot.get();
        if remembered == bucket {
            return phase;
        }
        let phase = market::phase_of(time);
        slot.set((bucket, phase));
        phase
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    #[test]
    fn remembered_phases_are_those_of_the_market_through_a_year_with_its_holidays_and_clock_changes() {
        let start: DateTime<Utc> = "2024-01-01T00:00:00Z".parse().unwrap();
        for minute in (0..366 * 24 * 60).step_by(5) {
            // The second question is answered from memory.
            for second in [0, 299] {
                let time = start + TimeDelta::seconds(minute * 60 + second);
                assert_eq!(phase_at(time), market::phase_of(time), "{time}");
            }
        }
    }

    #[test]
    fn the_ends_of_time_are_closed() {
        for time in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert_eq!(phase_at(time), SessionPhase::Closed);
        }
    }
}
