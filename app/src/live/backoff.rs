//! When to try again: exponential backoff with full jitter, so that a thousand browsers do not return at once.

use std::time::Duration;

const FIRST: f64 = 0.5;
const LONGEST: f64 = 15.0;

/// The wait before attempt number `attempt` (0 is the first after a loss): a random share of 0.5 s, 1 s, 2 s … at most
/// 15 s. `random` is uniform in `0..1`.
pub fn wait(attempt: u32, random: f64) -> Duration {
    let limit = (FIRST * 2_f64.powi(attempt.min(16) as i32)).min(LONGEST);
    Duration::from_secs_f64(limit * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_doubles_up_to_fifteen_seconds() {
        let limits: Vec<_> = (0..7).map(|attempt| wait(attempt, 1.0).as_secs_f64()).collect();
        assert_eq!(limits, [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]);
        assert_eq!(wait(u32::MAX, 1.0), Duration::from_secs(15));
    }

    #[test]
    fn the_jitter_is_full() {
        assert_eq!(wait(6, 0.0), Duration::ZERO);
        assert_eq!(wait(6, 0.5), Duration::from_millis(7_500));
    }
}
