//! Relative strength index.

/// `100 − 100 ÷ (1 + gain ÷ loss)`, where gain and loss are the averages of the upward and of the downward changes: the
/// mean of the first `period` changes, then smoothed as `(average × (period − 1) + change) ÷ period`. J. Welles Wilder,
/// *New Concepts in Technical Trading Systems*, 1978; his period is 14.
#[derive(Clone, Copy, Debug)]
pub struct Rsi {
    period: usize,
    last: Option<f64>,
    changes: usize,
    /// Sums until there are `period` changes, averages from then on.
    gain: f64,
    loss: f64,
}

impl Rsi {
    /// `period` is at least 1.
    pub fn new(period: usize) -> Self {
        Self { period: period.max(1), last: None, changes: 0, gain: 0.0, loss: 0.0 }
    }

    pub fn push(&mut self, close: f64) -> Option<f64> {
        *self = self.next(close);
        self.value()
    }

    /// From 0 to 100; `None` for the first `period` closes, and while no close ever differed from the one before.
    pub fn peek(&self, close: f64) -> Option<f64> {
        self.next(close).value()
    }

    fn value(&self) -> Option<f64> {
        let moved = self.gain + self.loss;
        (self.changes >= self.period && moved > 0.0).then(|| 100.0 * self.gain / moved)
    }

    fn next(self, close: f64) -> Self {
        let Some(last) = self.last else { return Self { last: Some(close), ..self } };
        let change = close - last;
        let (up, down) = (change.max(0.0), (-change).max(0.0));
        let changes = self.changes.saturating_add(1);
        let period = self.period as f64;
        let average = |before: f64, now: f64| {
            if self.changes >= self.period {
                (before * (period - 1.0) + now) / period
            } else if changes == self.period {
                (before + now) / period
            } else {
                before + now
            }
        };
        Self { last: Some(close), changes, gain: average(self.gain, up), loss: average(self.loss, down), ..self }
    }
}
