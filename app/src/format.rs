//! How numbers, times and states are written on the pages: fixed decimals, thin-space grouping, `−` for minus, `—` for
//! what is not known, times in the exchange's zone. Knows no clock and no framework.

use crate::zone::Zone;
use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use market::{Bar, EXCHANGE_ZONE, Freshness, Timeframe};
use rust_decimal::{Decimal, RoundingStrategy};

/// Stands for a value that is not known.
pub const UNKNOWN: &str = "—";
const THIN_SPACE: char = '\u{2009}';
const MINUS: char = '−';

/// Which way a value went. Shown by sign and arrow, and by colour last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
    Flat,
}

impl Direction {
    pub fn of(change: Decimal) -> Self {
        match change.cmp(&Decimal::ZERO) {
            std::cmp::Ordering::Greater => Self::Up,
            std::cmp::Ordering::Less => Self::Down,
            std::cmp::Ordering::Equal => Self::Flat,
        }
    }

    pub fn arrow(self) -> &'static str {
        match self {
            Self::Up => "▲",
            Self::Down => "▼",
            Self::Flat => "•",
        }
    }

    /// The class that colours it.
    pub fn class(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Flat => "flat",
        }
    }
}

/// Decimal places that show every price of the bars: 2, or as many as they need up to 4.
pub fn price_places(bars: &[Bar]) -> u32 {
    let needed =
        |bar: &Bar| [bar.open, bar.high, bar.low, bar.close].map(|price| price.normalize().scale()).into_iter().max();
    bars.iter().filter_map(needed).max().unwrap_or(0).clamp(2, 4)
}

fn group(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3 * THIN_SPACE.len_utf8());
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(THIN_SPACE);
        }
        grouped.push(digit);
    }
    grouped
}

/// `1234.5` with 2 places is `1 234.50`; rounded half away from zero.
pub fn number(value: Decimal, places: u32) -> String {
    let rounded = value.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero);
    let text = format!("{:.*}", places as usize, rounded.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut result = String::new();
    if rounded.is_sign_negative() && !rounded.is_zero() {
        result.push(MINUS);
    }
    result.push_str(&group(whole));
    if places > 0 {
        result.push('.');
        result.push_str(fraction);
    }
    result
}

/// A reading of an indicator: `number` for values that are no money, or `—`.
pub fn reading(value: Option<f64>, places: u32) -> String {
    let exact = value.and_then(Decimal::from_f64_retain);
    exact.map_or_else(|| UNKNOWN.to_owned(), |value| number(value, places))
}

/// A number that always carries its sign: `+1.20`, `−0.30`, `0.00`.
pub fn signed(value: Decimal, places: u32) -> String {
    let text = number(value, places);
    let shows_zero = !text.chars().any(|c| c.is_ascii_digit() && c != '0');
    if value.is_sign_negative() || shows_zero { text } else { format!("+{text}") }
}

/// `2.51 %`, or `—`.
pub fn percent(value: Option<Decimal>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| format!("{}\u{a0}%", number(value, 2)))
}

/// `+2.51 %`, `−2.51 %`, or `—`.
pub fn signed_percent(value: Option<Decimal>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| format!("{}\u{a0}%", signed(value, 2)))
}

/// A whole number, grouped.
pub fn count(value: i64) -> String {
    let digits = group(&value.unsigned_abs().to_string());
    if value < 0 { format!("{MINUS}{digits}") } else { digits }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `16 Jan`.
pub fn day_of_year(day: &impl Datelike) -> String {
    format!("{} {}", day.day(), MONTHS[day.month0() as usize])
}

/// `16 Jan 2024`.
pub fn date(day: &impl Datelike) -> String {
    format!("{} {}", day_of_year(day), day.year())
}

/// `Tue 16 Jan 2024`.
pub fn full_date(day: &impl Datelike) -> String {
    format!("{} {}", day.weekday(), date(day))
}

/// `09:31`.
pub fn time_of_day(time: &impl Timelike) -> String {
    format!("{:02}:{:02}", time.hour(), time.minute())
}

/// `2024-01-16T14:31Z`: a minute in a link. A date writes itself as links and forms do.
pub fn minute(time: DateTime<Utc>) -> String {
    format!("{}T{}Z", time.date_naive(), time_of_day(&time))
}

/// Reads a minute in a link.
pub fn read_minute(text: &str) -> Option<DateTime<Utc>> {
    format!("{}:00Z", text.strip_suffix('Z')?).parse().ok()
}

/// The start of a bar in full, in the exchange's zone: `Tue 16 Jan 2024 09:31 EST`.
pub fn bar_time(time: DateTime<Utc>, timeframe: Timeframe) -> String {
    Zone::Exchange.bar_time(time, timeframe)
}

/// The start of a bar in a table, in the exchange's zone: `16 Jan 09:31`.
pub fn short_bar_time(time: DateTime<Utc>, timeframe: Timeframe) -> String {
    Zone::Exchange.short_bar_time(time, timeframe)
}

/// An instant to the second, with its zone; with its date when it is most of a day away.
pub fn instant(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let local = time.with_timezone(&EXCHANGE_ZONE);
    let far = (now - time).abs() > TimeDelta::hours(18);
    if far { full_instant(time) } else { format!("{}:{:02} {}", time_of_day(&local), local.second(), local.offset()) }
}

/// An instant to the second, with its date and zone: `16 Jan 2024 16:00:00 EST`.
pub fn full_instant(time: DateTime<Utc>) -> String {
    let local = time.with_timezone(&EXCHANGE_ZONE);
    format!("{} {}:{:02} {}", date(&local), time_of_day(&local), local.second(), local.offset())
}

/// An instant to the millisecond, with its date and zone: `16 Jan 2024 16:00:00.250 EST`.
pub fn precise_instant(time: DateTime<Utc>) -> String {
    let local = time.with_timezone(&EXCHANGE_ZONE);
    let (seconds, millis) = (local.second(), time.timestamp_subsec_millis());
    format!("{} {}:{seconds:02}.{millis:03} {}", date(&local), time_of_day(&local), local.offset())
}

/// How long something took, in the unit that tells most: `12 ms`, `4.20 s`, `34 min`, `5 h`, `1 042 days`.
pub fn span(delta: TimeDelta) -> String {
    let ms = delta.num_milliseconds();
    match ms.abs() {
        ..1_000 => format!("{}\u{a0}ms", count(ms)),
        1_000..120_000 => seconds(delta),
        120_000..7_200_000 => format!("{}\u{a0}min", count(delta.num_minutes())),
        7_200_000..172_800_000 => format!("{}\u{a0}h", count(delta.num_hours())),
        _ => format!("{}\u{a0}days", count(delta.num_days())),
    }
}

/// `0.18 s`, for the hops of one record.
pub fn seconds(delta: TimeDelta) -> String {
    format!("{}\u{a0}s", number(Decimal::new(delta.num_milliseconds(), 3), 2))
}

/// The one vocabulary of freshness, as text.
pub fn freshness(state: Freshness, now: DateTime<Utc>) -> String {
    match state {
        Freshness::Live => "LIVE".to_owned(),
        Freshness::Delayed { seconds } => format!("DELAYED {} s", count(seconds)),
        Freshness::Stale { since } => format!("STALE since {}", instant(since, now)),
        Freshness::Offline { retry_seconds } if retry_seconds > 0 => format!("OFFLINE, retry in {retry_seconds} s"),
        Freshness::Offline { .. } => "OFFLINE, retrying".to_owned(),
        Freshness::Replay { speed } => format!("REPLAY {speed}×"),
        Freshness::MarketClosed => "MARKET CLOSED".to_owned(),
    }
}

/// Close of the last bar of the exchange day before the newest bar's: what a day's change is measured against.
pub fn previous_close(bars: &[Bar]) -> Option<Decimal> {
    let day = |bar: &Bar| bar.time.with_timezone(&EXCHANGE_ZONE).date_naive();
    let today = day(bars.last()?);
    bars.iter().rev().find(|bar| day(bar) < today).map(|bar| bar.close)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn bar(time: &str, close: &str) -> Bar {
        let close = decimal(close);
        Bar { time: at(time), open: close, high: close, low: close, close, volume: 1 }
    }

    #[test]
    fn numbers_have_fixed_decimals_grouping_and_a_true_minus() {
        assert_eq!(number(decimal("1234567.5"), 2), "1\u{2009}234\u{2009}567.50");
        assert_eq!(number(decimal("-0.125"), 2), "−0.13");
        assert_eq!(number(decimal("-0.001"), 2), "0.00");
        assert_eq!(number(decimal("999"), 0), "999");
        assert_eq!(signed(decimal("1.2"), 2), "+1.20");
        assert_eq!(signed(decimal("0.001"), 2), "0.00");
        assert_eq!(signed_percent(Some(decimal("-2.5149"))), "−2.51\u{a0}%");
        assert_eq!(percent(None), "—");
        assert_eq!(count(-18_250), "−18\u{2009}250");
    }

    #[test]
    fn a_price_gets_two_places_unless_it_needs_more() {
        assert_eq!(price_places(&[]), 2);
        assert_eq!(price_places(&[bar("2024-01-16T14:31:00Z", "153.4")]), 2);
        assert_eq!(price_places(&[bar("2024-01-16T14:31:00Z", "153.4275"), bar("2024-01-16T14:32:00Z", "1")]), 4);
    }

    #[test]
    fn times_are_in_the_exchange_zone_and_say_so() {
        let winter = at("2024-01-16T14:31:00Z");
        assert_eq!(bar_time(winter, Timeframe::MINUTE_1), "Tue 16 Jan 2024 09:31 EST");
        assert_eq!(bar_time(at("2024-07-16T13:31:00Z"), Timeframe::MINUTE_1), "Tue 16 Jul 2024 09:31 EDT");
        assert_eq!(bar_time(at("2024-01-16T05:00:00Z"), Timeframe::DAY_1), "Tue 16 Jan 2024");
        let zone = Zone::Exchange;
        assert_eq!(zone.category(winter, Timeframe::MINUTE_1), "2024-01-16 09:31");
        assert_eq!(
            zone.window(at("2024-01-12T14:30:00Z"), winter, Timeframe::MINUTE_1),
            "12 Jan 09:30 – 16 Jan 09:31 EST"
        );
    }

    #[test]
    fn a_span_is_told_in_the_unit_that_tells_most() {
        let spans = [(12, "12 ms"), (-3, "−3 ms"), (4_200, "4.20 s"), (2_040_000, "34 min"), (90_000_000, "25 h")];
        for (ms, shown) in spans {
            assert_eq!(span(TimeDelta::milliseconds(ms)), shown.replace(' ', "\u{a0}"));
        }
        assert_eq!(span(TimeDelta::days(1042)), "1\u{2009}042\u{a0}days");
        assert_eq!(precise_instant(at("2024-01-16T14:32:00.25Z")), "16 Jan 2024 09:32:00.250 EST");
    }

    #[test]
    fn freshness_is_said_in_one_vocabulary() {
        let now = at("2024-01-16T15:33:00Z");
        assert_eq!(freshness(Freshness::Delayed { seconds: 4 }, now), "DELAYED 4 s");
        assert_eq!(freshness(Freshness::Stale { since: at("2024-01-16T15:32:10Z") }, now), "STALE since 10:32:10 EST");
        assert_eq!(
            freshness(Freshness::Stale { since: at("2024-01-12T20:59:00Z") }, now),
            "STALE since 12 Jan 2024 15:59:00 EST"
        );
        assert_eq!(freshness(Freshness::Offline { retry_seconds: 3 }, now), "OFFLINE, retry in 3 s");
        assert_eq!(freshness(Freshness::Replay { speed: 60 }, now), "REPLAY 60×");
    }

    #[test]
    fn the_previous_close_is_of_the_day_before_not_of_the_bar_before() {
        let bars = [
            bar("2024-01-12T20:58:00Z", "150"),
            bar("2024-01-12T20:59:00Z", "151"),
            bar("2024-01-16T14:30:00Z", "152"),
            bar("2024-01-16T14:31:00Z", "153"),
        ];
        assert_eq!(previous_close(&bars), Some(decimal("151")));
        assert_eq!(previous_close(&bars[2..]), None);
        assert_eq!(previous_close(&[]), None);
    }
}
