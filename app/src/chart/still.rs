//! A chart as plain SVG paths: what a page shows before, or without, its canvas.

use market::Bar;
use rust_decimal::{Decimal, prelude::ToPrimitive};
use std::fmt::Write;

/// Width and height of the drawing, in its own units.
pub const WIDTH: f64 = 600.0;
pub const HEIGHT: f64 = 240.0;

/// Margin above the highest and below the lowest price.
const MARGIN: f64 = 8.0;

/// The candles of a drawing: rising ones hollow, falling ones filled, and where the last close is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Still {
    pub rising: String,
    pub falling: String,
    /// Height of the last close; `None` without bars.
    pub last: Option<f64>,
}

fn float(value: Decimal) -> f64 {
    value.to_f64().unwrap_or_default()
}

/// Draws the bars, which must be in time order, evenly spaced over the whole width.
pub fn draw(bars: &[Bar]) -> Still {
    let mut still = Still::default();
    let highest = bars.iter().map(|bar| float(bar.high)).fold(f64::NEG_INFINITY, f64::max);
    let lowest = bars.iter().map(|bar| float(bar.low)).fold(f64::INFINITY, f64::min);
    let range = if highest > lowest { highest - lowest } else { 1.0 };
    let y = |price: Decimal| MARGIN + (highest - float(price)) / range * (HEIGHT - 2.0 * MARGIN);
    let band = WIDTH / bars.len().max(1) as f64;
    for (index, bar) in bars.iter().enumerate() {
        let x = (index as f64 + 0.5) * band;
        let (left, right) = (x - band * 0.35, x + band * 0.35);
        let (top, bottom) = (y(bar.open.max(bar.close)), y(bar.open.min(bar.close)));
        let path = if bar.close < bar.open { &mut still.falling } else { &mut still.rising };
        // Writing to a String cannot fail.
        let _ = write!(
            path,
            "M{x:.1} {:.1}V{top:.1}M{x:.1} {bottom:.1}V{:.1}M{left:.1} {top:.1}H{right:.1}V{bottom:.1}H{left:.1}Z",
            y(bar.high),
            y(bar.low),
        );
    }
    still.last = bars.last().map(|bar| y(bar.close));
    still
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(open: i64, high: i64, low: i64, close: i64) -> Bar {
        let price = |value| Decimal::new(value, 0);
        Bar {
            time: "2024-01-16T14:31:00Z".parse().unwrap(),
            open: price(open),
            high: price(high),
            low: price(low),
            close: price(close),
            volume: 1,
        }
    }

    #[test]
    fn candles_fill_the_drawing_from_highest_to_lowest() {
        let still = draw(&[bar(10, 20, 10, 20), bar(20, 20, 0, 0)]);
        assert_eq!(still.rising, "M150.0 8.0V8.0M150.0 120.0V120.0M45.0 8.0H255.0V120.0H45.0Z");
        assert_eq!(still.falling, "M450.0 8.0V8.0M450.0 232.0V232.0M345.0 8.0H555.0V232.0H345.0Z");
        assert_eq!(still.last, Some(232.0));
    }

    #[test]
    fn no_bars_and_flat_prices_make_no_nonsense() {
        assert_eq!(draw(&[]), Still::default());
        let flat = draw(&[bar(5, 5, 5, 5)]);
        assert!(!flat.rising.contains("NaN") && !flat.rising.contains("inf"));
    }
}
