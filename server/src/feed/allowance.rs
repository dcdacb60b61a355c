//! How much one client may send.

use std::time::Duration;
use tokio::time::Instant;

/// A token bucket: full at first, refilled at a steady rate.
#[derive(Debug)]
pub struct Allowance {
    capacity: u32,
    /// Tokens per second.
    rate: u32,
    /// When the bucket was, or will be, empty if nothing more is taken; the tokens in it are the time since then.
    empty_at: Instant,
}

impl Allowance {
    pub fn new(capacity: u32, rate: u32, now: Instant) -> Self {
        Self { capacity, rate: rate.max(1), empty_at: now - Self::time_for(capacity, rate.max(1)) }
    }

    fn time_for(tokens: u32, rate: u32) -> Duration {
        Duration::from_secs(1) * tokens / rate
    }

    /// Takes tokens; false, and takes none, when there are not enough.
    pub fn take(&mut self, tokens: u32, now: Instant) -> bool {
        let full = now - Self::time_for(self.capacity, self.rate);
        let empty_at = self.empty_at.max(full) + Self::time_for(tokens, self.rate);
        if empty_at > now {
            return false;
        }
        self.empty_at = empty_at;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_then_a_steady_rate() {
        let start = Instant::now() + Duration::from_secs(1_000);
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut allowance = Allowance::new(10, 2, start);
        assert!((0..10).all(|_| allowance.take(1, start)), "the burst");
        assert!(!allowance.take(1, start));
        assert!(allowance.take(2, at(1)) && !allowance.take(1, at(1)), "two a second");
        assert!(allowance.take(10, at(1_000)), "it fills again");
        assert!(!allowance.take(1, at(1_000)), "but not beyond its capacity");
    }
}
