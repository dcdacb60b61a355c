//! The trend of an expectation as a line small enough to stand in a row of text.

use crate::format;
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// One run in the trend of an expectation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub run_id: i64,
    pub started_at: DateTime<Utc>,
    pub success: bool,
    /// The observed value, where it is a number.
    pub observed: Option<f64>,
    /// Unexpected values, in percent of those that are not null.
    pub unexpected: Option<f64>,
}

/// The picture's size, in its own units.
pub const WIDTH: f64 = 120.0;
pub const HEIGHT: f64 = 28.0;
/// Room for the marks at the edges.
const EDGE: f64 = 5.0;
/// Half of a cross.
const ARM: f64 = 2.5;

/// What is drawn: paths in a box of [`WIDTH`] by [`HEIGHT`], and the same in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Sparkline {
    /// The values, run by run; broken where one is not known.
    pub line: String,
    /// A cross for each run in which it was not met.
    pub crosses: String,
    /// A dot on the newest run, when it is met.
    pub dot: Option<(f64, f64)>,
    pub words: String,
}

/// What the line goes by: observed values, or else the share of unexpected ones, or else whether it was met.
enum Measure {
    Observed,
    Unexpected,
    Met,
}

impl Measure {
    fn of(points: &[Point]) -> Self {
        if points.iter().any(|point| point.observed.is_some()) {
            Self::Observed
        } else if points.iter().any(|point| point.unexpected.is_some()) {
            Self::Unexpected
        } else {
            Self::Met
        }
    }

    fn value(&self, point: &Point) -> Option<f64> {
        match self {
            Self::Observed => point.observed,
            Self::Unexpected => point.unexpected,
            Self::Met => Some(f64::from(u8::from(point.success))),
        }
    }
}

/// A measured value with at most four decimals.
pub fn value(value: f64) -> String {
    match Decimal::try_from(value) {
        Ok(value) => {
            let value = value.round_dp(4).normalize();
            format::number(value, value.scale())
        }
        // Too large for a decimal, so that its decimals do not matter.
        Err(_) => format!("{value:e}"),
    }
}

/// Draws points that come oldest first; `None` when there are fewer than two, which are no trend.
pub fn draw(points: &[Point]) -> Option<Sparkline> {
    if points.len() < 2 {
        return None;
    }
    let measure = Measure::of(points);
    let known = || points.iter().filter_map(|point| measure.value(point));
    let low = known().fold(f64::INFINITY, f64::min);
    let high = known().fold(f64::NEG_INFINITY, f64::max);
    let y = |value: f64| {
        // Halves, because the difference of two large numbers may be none.
        let share = if high > low { (value / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0) } else { 0.5 };
        HEIGHT - EDGE - share * (HEIGHT - 2.0 * EDGE)
    };
    let step = (WIDTH - 2.0 * EDGE) / (points.len() - 1) as f64;
    let (mut line, mut crosses, mut dot, mut pen_is_down) = (String::new(), String::new(), None, false);
    for (index, point) in points.iter().enumerate() {
        let x = EDGE + step * index as f64;
        let height = measure.value(point).map(y);
        if let Some(y) = height {
            // Writing to a string cannot fail.
            let _ = write!(line, "{}{x:.1} {y:.1}", if pen_is_down { "L" } else { "M" });
        }
        pen_is_down = height.is_some();
        let y = height.unwrap_or(HEIGHT / 2.0);
        if !point.success {
            let (left, top, side) = (x - ARM, y - ARM, 2.0 * ARM);
            let _ = write!(crosses, "M{left:.1} {top:.1}l{side} {side}m-{side} 0l{side} -{side}");
        } else if index + 1 == points.len() {
            dot = Some((x, y));
        }
    }
    Some(Sparkline { line, crosses, dot, words: words(points, &measure, low, high) })
}

fn words(points: &[Point], measure: &Measure, low: f64, high: f64) -> String {
    let mut words = match points.iter().filter(|point| !point.success).count() {
        0 => format!("{} runs, all met", points.len()),
        unmet => format!("{} runs, {unmet} not met", points.len()),
    };
    let unit = match measure {
        Measure::Observed => "",
        Measure::Unexpected => "\u{a0}% unexpected",
        Measure::Met => return words,
    };
    let last = points.last().and_then(|point| measure.value(point));
    // Writing to a string cannot fail.
    let _ = if low == high && points.iter().all(|point| measure.value(point).is_some()) {
        write!(words, "; always {}{unit}", value(low))
    } else {
        let last = last.map_or_else(|| format::UNKNOWN.to_owned(), value);
        write!(words, "; {} to {}{unit}, last {last}", value(low), value(high))
    };
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(success: bool, observed: Option<f64>, unexpected: Option<f64>) -> Point {
        Point { run_id: 1, started_at: DateTime::UNIX_EPOCH, success, observed, unexpected }
    }

    #[test]
    fn one_run_is_no_trend() {
        assert_eq!(draw(&[]), None);
        assert_eq!(draw(&[point(true, Some(1.0), None)]), None);
    }

    #[test]
    fn the_line_goes_by_observed_values_and_each_unmet_run_has_a_cross() {
        let observed = [point(true, Some(3.0), None), point(false, Some(9.0), None), point(true, Some(3.0), None)];
        let drawn = draw(&observed).unwrap();
        assert_eq!(drawn.line, "M5.0 23.0L60.0 5.0L115.0 23.0");
        assert_eq!(drawn.crosses, "M57.5 2.5l5 5m-5 0l5 -5");
        assert_eq!(drawn.dot, Some((115.0, 23.0)));
        assert_eq!(drawn.words, "3 runs, 1 not met; 3 to 9, last 3");
    }

    #[test]
    fn a_run_without_a_value_breaks_the_line_and_the_last_unmet_run_has_no_dot() {
        let points = [
            point(true, None, Some(0.5)),
            point(false, None, None),
            point(true, None, Some(0.5)),
            point(false, None, Some(0.5)),
        ];
        let drawn = draw(&points).unwrap();
        assert_eq!(drawn.line.matches('M').count(), 2, "{}", drawn.line);
        assert_eq!(drawn.crosses.matches('M').count(), 2);
        assert_eq!(drawn.dot, None);
        assert_eq!(drawn.words, "4 runs, 2 not met; 0.5 to 0.5\u{a0}% unexpected, last 0.5");
    }

    #[test]
    fn what_never_changes_is_said_to_be_so() {
        let drawn = draw(&[point(true, Some(9.0), None), point(true, Some(9.0), None)]).unwrap();
        assert_eq!(drawn.words, "2 runs, all met; always 9");
        assert_eq!(draw(&[point(true, None, None), point(true, None, None)]).unwrap().words, "2 runs, all met");
    }

    #[test]
    fn extreme_values_are_written_without_a_panic() {
        assert_eq!(value(1e40), "1e40");
        assert_eq!(value(-0.123_456), "−0.1235");
        let drawn = draw(&[point(true, Some(f64::MAX), None), point(true, Some(f64::MIN), None)]).unwrap();
        assert_eq!(drawn.line, "M5.0 5.0L115.0 23.0");
    }
}
