//! Technical indicators: documented formulas over bars, one step per bar.
//!
//! They are readings of prices, not prices: `f64`, as every published reference computes them, and a few digits beyond
//! what a chart can show. A value that does not exist yet (too few bars) or at all (0 ÷ 0) is `None`, never a zero and
//! never NaN.
//!
//! Each indicator has `push`, which closes a bar, and `peek`, which says what it would be if the forming bar closed as
//! it is now. So a live candle costs one step and not the whole history.

mod average;
mod bollinger;
mod heikin_ashi;
mod macd;
mod rsi;
mod study;
mod vwap;

pub use average::{Ema, Sma};
pub use bollinger::{Bands, Bollinger};
pub use heikin_ashi::{Candle, HeikinAshi};
pub use macd::{Macd, MacdPoint};
pub use rsi::Rsi;
pub use study::{InvalidStudy, LINES, Run, Study, Values};
pub use vwap::Vwap;

use rust_decimal::{Decimal, prelude::ToPrimitive};

/// A price as a number to compute with. Every decimal is a finite one.
fn float(price: Decimal) -> f64 {
    price.to_f64().unwrap_or_default()
}
