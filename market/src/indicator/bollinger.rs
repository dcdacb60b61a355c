//! Bollinger bands.

use super::average::Window;

/// The three lines at one bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bands {
    pub upper: f64,
    pub middle: f64,
    pub lower: f64,
}

/// The simple average of the newest closes, and bands `width` standard deviations above and below it. The deviation is
/// that of a population, divided by n: John Bollinger, *Bollinger on Bollinger Bands*, whose defaults are 20 and 2.
///
/// Computed over the window in two passes: a running sum of squares would lose the digits that matter in a quiet market.
#[derive(Clone, Debug)]
pub struct Bollinger {
    window: Window,
    width: f64,
}

impl Bollinger {
    /// `period` is at least 1; `width` in standard deviations.
    pub fn new(period: usize, width: f64) -> Self {
        Self { window: Window::new(period), width }
    }

    pub fn push(&mut self, close: f64) -> Option<Bands> {
        let bands = self.peek(close);
        self.window.push(close);
        bands
    }

    /// `None` for the first `period − 1` closes.
    pub fn peek(&self, close: f64) -> Option<Bands> {
        let values = self.window.with(close)?;
        let count = values.clone().count() as f64;
        let middle = values.clone().sum::<f64>() / count;
        let variance = values.map(|value| (value - middle).powi(2)).sum::<f64>() / count;
        let reach = self.width * variance.sqrt();
        Some(Bands { upper: middle + reach, middle, lower: middle - reach })
    }
}
