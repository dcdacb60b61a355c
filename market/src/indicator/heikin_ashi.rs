//! Heikin-Ashi candles.

use super::float;
use crate::Bar;

/// A candle that is computed, not traded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candle {
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
}

impl From<&Bar> for Candle {
    fn from(bar: &Bar) -> Self {
        Self { open: float(bar.open), high: float(bar.high), low: float(bar.low), close: float(bar.close) }
    }
}

/// Averaged candles: close `(o + h + l + c) ÷ 4`; open the middle of the candle before, the first `(o + c) ÷ 2`; high and
/// low reach over both. Dan Valcu, "Using the Heikin-Ashi Technique", *Stocks & Commodities*, February 2004.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeikinAshi {
    last: Option<Candle>,
}

impl HeikinAshi {
    pub fn push(&mut self, bar: &Bar) -> Candle {
        let candle = self.peek(bar);
        self.last = Some(candle);
        candle
    }

    pub fn peek(&self, bar: &Bar) -> Candle {
        let Candle { open, high, low, close } = Candle::from(bar);
        let average = (open + high + low + close) / 4.0;
        let begin = self.last.map_or((open + close) / 2.0, |last| (last.open + last.close) / 2.0);
        Candle { open: begin, high: high.max(begin).max(average), low: low.min(begin).min(average), close: average }
    }
}
