//! Moving average convergence/divergence.

use super::average::Ema;

/// What there is of it at one bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MacdPoint {
    pub macd: f64,
    /// Begins `signal − 1` bars after the line.
    pub signal: Option<f64>,
}

impl MacdPoint {
    /// Line less signal.
    pub fn histogram(&self) -> Option<f64> {
        self.signal.map(|signal| self.macd - signal)
    }
}

/// `EMA(close, fast) − EMA(close, slow)`, and the EMA of that line as its signal: Gerald Appel, *Technical Analysis: Power
/// Tools for Active Investors*; 12, 26 and 9. TA-Lib's `MACD` begins its fast average later, so that its first values
/// differ; the difference fades and is gone after some 150 bars.
#[derive(Clone, Copy, Debug)]
pub struct Macd {
    fast: Ema,
    slow: Ema,
    signal: Ema,
}

impl Macd {
    pub fn new(fast: usize, slow: usize, signal: usize) -> Self {
        Self { fast: Ema::new(fast), slow: Ema::new(slow), signal: Ema::new(signal) }
    }

    pub fn push(&mut self, close: f64) -> Option<MacdPoint> {
        let (fast, slow) = (self.fast.push(close), self.slow.push(close));
        let macd = fast? - slow?;
        Some(MacdPoint { macd, signal: self.signal.push(macd) })
    }

    /// `None` until the slow average exists.
    pub fn peek(&self, close: f64) -> Option<MacdPoint> {
        let mut next = *self;
        next.push(close)
    }
}
