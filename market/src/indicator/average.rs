//! Moving averages.

use std::collections::VecDeque;

/// The newest values, at most as many as asked for, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Window {
    values: VecDeque<f64>,
    period: usize,
}

impl Window {
    /// A period of nothing counts as one.
    pub(super) fn new(period: usize) -> Self {
        let period = period.max(1);
        Self { values: VecDeque::with_capacity(period), period }
    }

    pub(super) fn push(&mut self, value: f64) {
        if self.values.len() == self.period {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }

    /// The newest `period` values if `next` came; `None` while there are too few.
    pub(super) fn with(&self, next: f64) -> Option<impl Iterator<Item = f64> + Clone + '_> {
        let kept = self.period - 1;
        let skipped = self.values.len().checked_sub(kept)?;
        Some(self.values.iter().skip(skipped).copied().chain(std::iter::once(next)))
    }
}

/// Simple moving average: the mean of the newest `period` values. Added anew at each step, so that nothing drifts.
#[derive(Clone, Debug)]
pub struct Sma {
    window: Window,
}

impl Sma {
    /// `period` is at least 1.
    pub fn new(period: usize) -> Self {
        Self { window: Window::new(period) }
    }

    pub fn push(&mut self, value: f64) -> Option<f64> {
        let mean = self.peek(value);
        self.window.push(value);
        mean
    }

    /// `None` for the first `period − 1` values.
    pub fn peek(&self, value: f64) -> Option<f64> {
        Some(self.window.with(value)?.sum::<f64>() / self.window.period as f64)
    }
}

/// Exponential moving average: `e + (value − e) × 2 ÷ (period + 1)`, begun with the simple average of the first `period`
/// values, as TA-Lib does (pandas' `ewm(adjust=False)` begins with the first value).
#[derive(Clone, Copy, Debug)]
pub struct Ema {
    period: usize,
    seen: usize,
    /// Sum of the values until there are `period` of them, the average from then on.
    state: f64,
}

impl Ema {
    /// `period` is at least 1.
    pub fn new(period: usize) -> Self {
        Self { period: period.max(1), seen: 0, state: 0.0 }
    }

    pub fn push(&mut self, value: f64) -> Option<f64> {
        *self = self.next(value);
        self.value()
    }

    /// `None` for the first `period − 1` values.
    pub fn peek(&self, value: f64) -> Option<f64> {
        self.next(value).value()
    }

    fn value(&self) -> Option<f64> {
        (self.seen >= self.period).then_some(self.state)
    }

    fn next(self, value: f64) -> Self {
        let seen = self.seen.saturating_add(1);
        let state = if self.seen >= self.period {
            self.state + (value - self.state) * 2.0 / (self.period as f64 + 1.0)
        } else {
            let sum = self.state + value;
            if seen == self.period { sum / self.period as f64 } else { sum }
        };
        Self { seen, state, ..self }
    }
}
