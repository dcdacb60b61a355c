//! Parameters as Alpaca spells them.

use super::super::params::{Instant, Params, is_in_calendar};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use market::{Timeframe, Unit};
use std::str::FromStr;

/// A timeframe: `5Min` or `5T`, `1Hour` or `1H`, `1Day`, `1Week`, `3Month`, or their first letters.
pub(super) struct AlpacaTimeframe(pub Timeframe);

impl FromStr for AlpacaTimeframe {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let unit = match unit {
            "Min" | "T" => Some(Unit::Minute),
            "Hour" | "H" => Some(Unit::Hour),
            "Day" | "D" => Some(Unit::Day),
            "Week" | "W" => Some(Unit::Week),
            "Month" | "M" => Some(Unit::Month),
            _ => None,
        };
        let count = count.parse().ok().filter(|_| !count.starts_with('0'));
        count
            .zip(unit)
            .and_then(|(count, unit)| Timeframe::new(count, unit))
            .map(Self)
            .ok_or("is not a timeframe: use 1Min to 59Min, 1Hour to 23Hour, 1Day, 1Week, or 1, 2, 3, 4, 6 or 12Month")
    }
}

/// The end of a window, which belongs to it: an instant, or a day to its last moment.
pub(super) struct InclusiveEnd(pub DateTime<Utc>);

impl FromStr for InclusiveEnd {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Instant(last) = text.parse()?;
        let next_day = text.parse::<NaiveDate>().ok().and_then(|day| day.checked_add_days(Days::new(1)));
        let end = match next_day.and_then(|day| day.to_string().parse().ok()) {
            Some(Instant(next_day)) => next_day,
            None => last + TimeDelta::microseconds(1),
        };
        if is_in_calendar(end) { Ok(Self(end)) } else { Err("is too far away") }
    }
}

/// One of some words.
fn one_of(params: &mut Params, name: &'static str, words: &[&str]) {
    if let Some(word) = params.optional::<String>(name)
        && !words.contains(&word.as_str())
    {
        params.report(name, format!("must be one of {}", words.join(", ")));
    }
}

/// Reads the parameters that say which data is meant, where there is only one.
pub(super) fn one_source(params: &mut Params) {
    one_of(params, "feed", &["sip", "iex", "delayed_sip", "boats", "overnight", "otc"]);
    one_of(params, "currency", &["USD"]);
}

/// Reads the parameters that say how bars are adjusted: they are what the source holds.
pub(super) fn as_they_are(params: &mut Params) {
    one_of(params, "adjustment", &["raw", "split", "dividend", "spin-off", "all"]);
    params.optional::<NaiveDate>("asof");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeframes_are_understood_in_both_spellings() {
        for (text, native) in [
            ("1Min", "1m"),
            ("59T", "59m"),
            ("1Hour", "1h"),
            ("23H", "23h"),
            ("1Day", "1d"),
            ("1D", "1d"),
            ("1Week", "1w"),
            ("12Month", "12mo"),
            ("3M", "3mo"),
        ] {
            let AlpacaTimeframe(timeframe) = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(timeframe.to_string(), native);
        }
        for text in ["", "Min", "0Min", "60Min", "24Hour", "2Day", "5Month", "1min", "01Min", "1m"] {
            assert!(text.parse::<AlpacaTimeframe>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_end_is_part_of_the_window() {
        let end = |text: &str| text.parse::<InclusiveEnd>().map(|InclusiveEnd(end)| end.to_rfc3339()).ok();
        assert_eq!(end("2024-01-16T14:31:00Z").unwrap(), "2024-01-16T14:31:00.000001+00:00");
        // To the end of the day on which New York's clocks go forward.
        assert_eq!(end("2024-03-10").unwrap(), "2024-03-11T04:00:00+00:00");
        assert_eq!(end("tomorrow"), None);
    }
}
