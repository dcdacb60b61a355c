//! The KPI strip: what a window of bars amounts to.

use crate::Bar;
use chrono::{DateTime, Utc};
use rust_decimal::{Decimal, MathematicalOps, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// Statistics of the close over a window of bars. All prices are rounded half away from zero to 4 places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Start of the first bar of the window.
    pub from: DateTime<Utc>,
    /// Start of the last bar of the window.
    pub to: DateTime<Utc>,
    /// Number of bars in the window; at least 1.
    pub rows: u64,
    /// Lowest close.
    #[serde(with = "rust_decimal::serde::float")]
    pub min: Decimal,
    /// Highest close.
    #[serde(with = "rust_decimal::serde::float")]
    pub max: Decimal,
    /// Arithmetic mean of the closes.
    #[serde(with = "rust_decimal::serde::float")]
    pub average: Decimal,
    /// `(max − min) / min × 100` of the closes: the spread, in percent, as the original dashboard had it.
    #[serde(with = "optional_number")]
    pub variation_percent: Option<Decimal>,
    /// `(last − first) / first × 100` of the closes: the change over the window, in percent.
    #[serde(with = "optional_number")]
    pub change_percent: Option<Decimal>,
    /// Sample standard deviation of the closes, `sqrt(Σ(x − mean)² / (n − 1))`; `None` for fewer than two bars.
    #[serde(with = "optional_number")]
    pub stddev: Option<Decimal>,
    /// First and last close of the window.
    #[serde(with = "rust_decimal::serde::float")]
    pub first: Decimal,
    #[serde(with = "rust_decimal::serde::float")]
    pub last: Decimal,
    /// Sum of the volumes, in shares.
    pub volume: i64,
}

/// `None` as `null`, a value as a JSON number. Not `rust_decimal::serde::float_option`: that one cannot read a `null` which
/// serde buffered, as it does for every message with a `type` tag.
mod optional_number {
    use rust_decimal::Decimal;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Number(#[serde(with = "rust_decimal::serde::float")] Decimal);

    pub fn serialize<S: Serializer>(value: &Option<Decimal>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Number).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
        Ok(Option::<Number>::deserialize(deserializer)?.map(|Number(value)| value))
    }
}

fn round(value: Decimal) -> Decimal {
    value.round_dp_with_strategy(4, RoundingStrategy::MidpointAwayFromZero).normalize()
}

fn percent(part: Decimal, whole: Decimal) -> Option<Decimal> {
    part.checked_div(whole)?.checked_mul(Decimal::ONE_HUNDRED).map(round)
}

impl Stats {
    /// The statistics of bars in time order; `None` for an empty window or one whose sums leave the range of `Decimal`.
    pub fn of(bars: &[Bar]) -> Option<Self> {
        let (first, last) = (bars.first()?, bars.last()?);
        let rows = bars.len() as u64;
        let count = Decimal::from(rows);
        let mut min = first.close;
        let mut max = first.close;
        let mut sum = Decimal::ZERO;
        let mut volume = 0_i64;
        for bar in bars {
            min = min.min(bar.close);
            max = max.max(bar.close);
            sum = sum.checked_add(bar.close)?;
            volume = volume.saturating_add(bar.volume);
        }
        let mean = sum.checked_div(count)?;
        let mut squares = Decimal::ZERO;
        for bar in bars {
            let distance = bar.close - mean;
            squares = squares.checked_add(distance.checked_mul(distance)?)?;
        }
        let stddev = if rows > 1 { (squares / (count - Decimal::ONE)).sqrt().map(round) } else { None };
        Some(Self {
            from: first.time,
            to: last.time,
            rows,
            min,
            max,
            average: round(mean),
            variation_percent: percent(max - min, min),
            change_percent: percent(last.close - first.close, first.close),
            stddev,
            first: first.close,
            last: last.close,
            volume,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::dec;

    fn bars(closes: &[Decimal]) -> Vec<Bar> {
        closes
            .iter()
            .zip(0..)
            .map(|(&close, minute)| Bar {
                time: DateTime::from_timestamp(1_705_415_400 + minute * 60, 0).unwrap(),
                open: close,
                high: close,
                low: close,
                close,
                volume: 10,
            })
            .collect()
    }

    #[test]
    fn the_formulas_give_the_hand_computed_values() {
        let stats =
            Stats::of(&bars(&[dec!(2), dec!(4), dec!(4), dec!(4), dec!(5), dec!(5), dec!(7), dec!(9)])).unwrap();
        assert_eq!((stats.rows, stats.min, stats.max, stats.average), (8, dec!(2), dec!(9), dec!(5)));
        assert_eq!(stats.stddev, Some(dec!(2.1381))); // sqrt(32 / 7)
        assert_eq!(stats.variation_percent, Some(dec!(350)));
        assert_eq!(stats.change_percent, Some(dec!(350)));
        assert_eq!(stats.volume, 80);
    }

    #[test]
    fn the_two_variations_differ_when_the_window_does_not_end_at_its_extremes() {
        let stats = Stats::of(&bars(&[dec!(100), dec!(90), dec!(110), dec!(105)])).unwrap();
        assert_eq!(stats.variation_percent, Some(dec!(22.2222)));
        assert_eq!(stats.change_percent, Some(dec!(5)));
    }

    #[test]
    fn unknown_is_none_never_zero_or_nan() {
        assert_eq!(Stats::of(&[]), None);
        let one = Stats::of(&bars(&[dec!(3)])).unwrap();
        assert_eq!(one.stddev, None);
        let zero = Stats::of(&bars(&[dec!(0), dec!(1)])).unwrap();
        assert_eq!((zero.variation_percent, zero.change_percent), (None, None));
    }
}
