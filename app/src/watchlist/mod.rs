//! The watchlist: what a row shows when the live stream has gone on, and what its page asks for. Knows no clock.

pub mod order;
mod watch;

pub use watch::Watch;
#[cfg(feature = "hydrate")]
pub use watch::follow;

use crate::live::Heard;
use chrono::{DateTime, NaiveDate, Utc};
use market::{
    Bar, EXCHANGE_ZONE, Severity,
    watchlist::{WatchRow, Watchlist},
    wire::SourceKind,
};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::{Deserialize, Serialize};
use std::{fmt::Write, future::Future};

/// The page's address, and the API's.
pub const PATH: &str = "/watchlist";
pub const API: &str = "/api/v1/watchlist";

/// The course's size, in its own units.
pub const WIDTH: f64 = 96.0;
pub const HEIGHT: f64 = 24.0;

/// The content of the page's first paint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct First {
    pub source: Option<SourceKind>,
    /// Or why there is none, for people.
    pub list: Result<Watchlist, String>,
}

/// What a row shows now.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    pub last: Decimal,
    /// Against the last close of the exchange day before.
    pub change: Option<Decimal>,
    pub percent: Option<Decimal>,
    /// Shares traded on the exchange day.
    pub volume: i64,
}

fn day(time: DateTime<Utc>) -> NaiveDate {
    time.with_timezone(&EXCHANGE_ZONE).date_naive()
}

/// The bars from the row's newest on.
fn continued<'b>(row: &WatchRow, newest: &'b [Bar]) -> &'b [Bar] {
    &newest[newest.partition_point(|bar| bar.time < row.time)..]
}

/// The row as the newest bars, oldest first, continue it. What was corrected further back, the next answer of the API has.
pub fn figures(row: &WatchRow, newest: &[Bar]) -> Figures {
    let newer = continued(row, newest);
    let last = newer.last().map_or(row.close, |bar| bar.close);
    let today = day(newer.last().map_or(row.time, |bar| bar.time));
    let sum = |bars: &[Bar]| bars.iter().fold(0_i64, |sum, bar| sum.saturating_add(bar.volume));
    let (previous, volume) = if today == day(row.time) {
        let again = newer.first().is_some_and(|bar| bar.time == row.time);
        let known = if again { row.volume.saturating_sub(row.bar_volume) } else { row.volume };
        (row.previous_close, known.saturating_add(sum(newer)))
    } else {
        let begins = newer.partition_point(|bar| day(bar.time) < today);
        (Some(newer[..begins].last().map_or(row.close, |bar| bar.close)), sum(&newer[begins..]))
    };
    let change = previous.map(|previous| last - previous);
    let percent = change
        .zip(previous)
        .and_then(|(change, previous)| change.checked_div(previous))
        .map(|part| part * Decimal::ONE_HUNDRED);
    Figures { last, change, percent, volume }
}

/// Closes of the newest exchange day, as the newest bars continue them.
pub fn course(row: &WatchRow, newest: &[Bar]) -> Vec<f64> {
    let newer = continued(row, newest);
    let today = day(newer.last().map_or(row.time, |bar| bar.time));
    let mut closes = if today == day(row.time) { row.closes.clone() } else { Vec::new() };
    let mut newer = &newer[newer.partition_point(|bar| day(bar.time) < today)..];
    if let Some((bar, rest)) = newer.split_first().filter(|(bar, _)| bar.time == row.time) {
        closes.pop();
        closes.extend(bar.close.to_f64());
        newer = rest;
    }
    let step = WatchRow::course_step(usize::try_from(row.bars).unwrap_or_default());
    let mut points: Vec<f64> = newer.iter().rev().step_by(step).filter_map(|bar| bar.close.to_f64()).collect();
    points.reverse();
    closes.extend(points);
    closes
}

/// A course as an SVG path in a box of [`WIDTH`] by [`HEIGHT`]; `None` of fewer than two points.
pub fn path(closes: &[f64]) -> Option<String> {
    const EDGE: f64 = 1.5;
    let steps = closes.len().checked_sub(1).filter(|steps| *steps > 0)?;
    let (low, high) = closes.iter().fold((f64::MAX, f64::MIN), |(low, high), &close| (low.min(close), high.max(close)));
    let y = |close: f64| {
        if high > low { EDGE + (HEIGHT - 2.0 * EDGE) * (high - close) / (high - low) } else { HEIGHT / 2.0 }
    };
    let mut path = String::new();
    for (index, &close) in closes.iter().enumerate() {
        let letter = if index == 0 { 'M' } else { 'L' };
        // Writing to a string cannot fail.
        let _ = write!(path, "{letter}{:.1} {:.1}", WIDTH * index as f64 / steps as f64, y(close));
    }
    Some(path)
}

/// When the row's newest change happened; it was new to this page when the server had it.
pub fn heard(row: &WatchRow) -> Heard {
    Heard { event_time: Some(row.event_time), committed_at: row.committed_at, received_at: row.committed_at }
}

/// What the rules say of the day: `3 tagged, 1 finding`, or that nothing stands against it.
pub fn quality(row: &WatchRow) -> String {
    let findings = match row.findings {
        0 => None,
        1 => Some("1 finding".to_owned()),
        count => Some(format!("{} findings", crate::format::count(count))),
    };
    let tagged = (row.tagged > 0).then(|| format!("{} tagged", crate::format::count(row.tagged)));
    let parts: Vec<String> = findings.into_iter().chain(tagged).collect();
    if parts.is_empty() { "clean".to_owned() } else { parts.join(", ") }
}

/// How bad the day is: the worst finding's severity, or a warning for tagged bars alone.
pub fn severity(row: &WatchRow) -> Option<Severity> {
    row.worst.max((row.tagged > 0).then_some(Severity::Warning))
}

/// The content of the page: asked for by the server while it renders, carried in the page.
#[cfg(feature = "ssr")]
pub fn load() -> impl Future<Output = First> + Send {
    let backend = crate::initial::backend();
    async move {
        match backend {
            Err(why) => First { source: None, list: Err(why) },
            Ok(backend) => First {
                source: Some(backend.source()),
                list: backend.watchlist().await.map_err(|unavailable| unavailable.0),
            },
        }
    }
}

/// In the browser the page is there with its content.
#[cfg(not(feature = "ssr"))]
pub fn load() -> impl Future<Output = First> + Send {
    std::future::ready(First { source: None, list: Err("The server has not been asked yet.".to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    pub fn row(symbol: &str, close: i64, previous: Option<i64>) -> WatchRow {
        WatchRow {
            symbol: symbol.parse().unwrap(),
            simulated: true,
            time: at("2024-01-16T20:58:00Z"),
            close: close.into(),
            bar_volume: 10,
            previous_close: previous.map(Decimal::from),
            volume: 1_000,
            bars: 3,
            tagged: 0,
            findings: 0,
            worst: None,
            closes: vec![1.0, 2.0, close as f64],
            event_time: at("2024-01-16T20:59:00Z"),
            committed_at: at("2024-01-16T20:59:00Z"),
        }
    }

    fn bar(time: &str, close: i64, volume: i64) -> Bar {
        let close = Decimal::from(close);
        Bar { time: at(time), open: close, high: close, low: close, close, volume }
    }

    #[test]
    fn a_tick_moves_price_change_and_volume_and_counts_no_bar_twice() {
        let row = row("AMZN", 100, Some(80));
        let still = figures(&row, &[]);
        assert_eq!((still.last, still.percent, still.volume), (100.into(), Some(25.into()), 1_000));
        let newest = [
            bar("2024-01-16T20:57:00Z", 1, 7),
            bar("2024-01-16T20:58:00Z", 101, 15),
            bar("2024-01-16T20:59:00Z", 88, 5),
        ];
        let moved = figures(&row, &newest);
        assert_eq!((moved.last, moved.change, moved.percent), (88.into(), Some(8.into()), Some(10.into())));
        assert_eq!(moved.volume, 1_000 - 10 + 15 + 5);
        assert_eq!(figures(&row, &newest[2..]).volume, 1_005, "the row's own bar did not come again");
    }

    #[test]
    fn a_new_day_is_measured_against_the_last_close_of_the_one_before() {
        let newest = [
            bar("2024-01-16T20:59:00Z", 90, 5),
            bar("2024-01-17T14:30:00Z", 99, 3),
            bar("2024-01-17T14:31:00Z", 108, 4),
        ];
        let next = figures(&row("AMZN", 100, Some(80)), &newest);
        assert_eq!((next.change, next.percent, next.volume), (Some(18.into()), Some(20.into()), 7));
        assert_eq!(figures(&row("AMZN", 100, None), &newest[1..]).change, Some(8.into()));
        assert_eq!(figures(&row("AMZN", 100, None), &[]).percent, None, "nothing is known of the day before");
    }

    #[test]
    fn the_course_goes_on_with_the_bars_of_its_day_and_begins_anew_on_the_next() {
        let row = row("AMZN", 100, None);
        assert_eq!(course(&row, &[]), [1.0, 2.0, 100.0]);
        let same_day = [bar("2024-01-16T20:58:00Z", 101, 1), bar("2024-01-16T20:59:00Z", 88, 1)];
        assert_eq!(course(&row, &same_day), [1.0, 2.0, 101.0, 88.0]);
        assert_eq!(course(&row, &same_day[1..]), [1.0, 2.0, 100.0, 88.0]);
        let next_day = [same_day[1], bar("2024-01-17T14:30:00Z", 99, 3), bar("2024-01-17T14:31:00Z", 98, 3)];
        assert_eq!(course(&row, &next_day), [99.0, 98.0]);
    }

    #[test]
    fn a_path_fills_its_box() {
        assert_eq!(path(&[1.0, 3.0, 2.0]).as_deref(), Some("M0.0 22.5L48.0 1.5L96.0 12.0"));
        assert_eq!(path(&[2.0, 2.0]).as_deref(), Some("M0.0 12.0L96.0 12.0"));
        assert_eq!(path(&[1.0]), None);
    }

    #[test]
    fn quality_is_said_in_words_and_by_its_worst() {
        let clean = row("AMZN", 100, None);
        assert_eq!((quality(&clean), severity(&clean)), ("clean".to_owned(), None));
        let tagged = WatchRow { tagged: 3, findings: 1, worst: Some(Severity::Info), ..clean.clone() };
        assert_eq!((quality(&tagged), severity(&tagged)), ("1 finding, 3 tagged".to_owned(), Some(Severity::Warning)));
        let found = WatchRow { findings: 1_200, worst: Some(Severity::Critical), ..clean };
        assert_eq!(quality(&found), "1\u{2009}200 findings");
    }
}
