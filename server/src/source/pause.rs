//! How long to wait before trying again.

use rand::Rng;
use std::time::Duration;

/// The first pause after a lost connection, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Pauses that double, each shortened by chance so that many clients do not come back at once.
#[derive(Debug)]
pub(super) struct Pause {
    first: Duration,
    longest: Duration,
    taken: u32,
}

impl Default for Pause {
    fn default() -> Self {
        Self::between(PAUSES.0, PAUSES.1)
    }
}

impl Pause {
    pub(super) fn between(first: Duration, longest: Duration) -> Self {
        Self { first, longest, taken: 0 }
    }

    pub(super) fn next(&mut self) -> Duration {
        let full = self.first.saturating_mul(1 << self.taken.min(16)).min(self.longest);
        self.taken += 1;
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }

    /// How many there were since the last success.
    pub(super) fn taken(&self) -> u32 {
        self.taken
    }

    /// It worked: the next pause is the first again.
    pub(super) fn reset(&mut self) {
        self.taken = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut pause = Pause::default();
        let pauses: Vec<Duration> = (0..20).map(|_| pause.next()).collect();
        assert!(pauses[0] <= PAUSES.0);
        assert!(pauses.iter().all(|pause| *pause <= PAUSES.1));
        assert!(pauses[19] >= PAUSES.1 / 2);
        assert_eq!(pause.taken(), 20);
        pause.reset();
        assert!(pause.next() <= PAUSES.0);
    }
}
