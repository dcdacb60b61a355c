//! Charts: what they show is decided here by pure functions; `glue` hands it to the canvas in the browser.

#[cfg(feature = "hydrate")]
pub mod glue;
pub mod options;
pub mod palette;
pub mod still;

use market::Bar;

/// How to bring a canvas up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redraw {
    /// Nothing visible changed.
    Nothing,
    /// Only the forming candle moved: the thin overlay is enough.
    Live,
    /// A bar closed, or an older one was corrected or deleted.
    Base,
}

/// Compares what is drawn with what should be.
pub fn redraw(drawn: &[Bar], wanted: &[Bar]) -> Redraw {
    let (Some((old_last, old_closed)), Some((last, closed))) = (drawn.split_last(), wanted.split_last()) else {
        return if drawn.is_empty() && wanted.is_empty() { Redraw::Nothing } else { Redraw::Base };
    };
    if old_last.time != last.time || old_closed != closed {
        Redraw::Base
    } else if old_last == last {
        Redraw::Nothing
    } else {
        Redraw::Live
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use rust_decimal::Decimal;

    fn bar(minute: i64, close: i64) -> Bar {
        let close = Decimal::new(close, 2);
        let time = DateTime::from_timestamp(1_705_415_400 + minute * 60, 0).unwrap();
        Bar { time, open: close, high: close, low: close, close, volume: 1 }
    }

    #[test]
    fn only_the_forming_candle_is_drawn_without_the_base() {
        let drawn = [bar(0, 1), bar(1, 2)];
        assert_eq!(redraw(&drawn, &drawn), Redraw::Nothing);
        assert_eq!(redraw(&drawn, &[bar(0, 1), bar(1, 3)]), Redraw::Live);
        assert_eq!(redraw(&drawn, &[bar(0, 1), bar(1, 2), bar(2, 2)]), Redraw::Base);
        assert_eq!(redraw(&drawn, &[bar(0, 9), bar(1, 2)]), Redraw::Base);
        assert_eq!(redraw(&drawn, &[bar(0, 1)]), Redraw::Base);
        assert_eq!(redraw(&[], &drawn), Redraw::Base);
        assert_eq!(redraw(&[], &[]), Redraw::Nothing);
    }
}
