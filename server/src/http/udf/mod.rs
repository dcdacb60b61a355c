//! TradingView's UDF protocol: what its charting library, and whatever else speaks it, asks of a server.
//!
//! Answers to wrong questions are `{"s":"error","errmsg":…}`, with a status that says the same to programs. Times are Unix
//! seconds; a bar of a day or longer has the midnight of its first day in UTC, because the library reads only its date.

pub(super) mod history;
pub(super) mod marks;
pub(super) mod quotes;
pub(super) mod symbols;

use super::Problem;
use market::{Symbol, Timeframe, Unit};
use serde::Serialize;
use std::str::FromStr;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, Type},
    },
};

pub(super) const TAG: &str = "TradingView UDF";

/// The body of a refusal.
#[derive(Serialize, ToSchema)]
#[schema(as = UdfError, example = json!({"s": "error", "errmsg": "resolution: is missing"}))]
pub struct UdfError<'a> {
    /// `error`.
    s: &'static str,
    /// What is wrong.
    errmsg: &'a str,
}

impl<'a> From<&'a Problem> for UdfError<'a> {
    fn from(problem: &'a Problem) -> Self {
        Self { s: "error", errmsg: problem.detail() }
    }
}

/// The length of a bar as the library writes it: minutes (`1`, `30`, `240`), or `1D`, `1W`, `3M`; `D` is `1D`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Resolution(Timeframe);

impl FromStr for Resolution {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let count: Option<u16> =
            if count.is_empty() { Some(1) } else { count.parse().ok().filter(|_| !count.starts_with('0')) };
        let (count, unit) = match (count, unit) {
            (Some(minutes), "") if digits > 0 && minutes % 60 == 0 => (Some(minutes / 60), Unit::Hour),
            (Some(minutes), "") if digits > 0 => (Some(minutes), Unit::Minute),
            (days, "D") => (days, Unit::Day),
            (weeks, "W") => (weeks, Unit::Week),
            (months, "M") => (months, Unit::Month),
            _ => (None, Unit::Minute),
        };
        count
            .and_then(|count| u8::try_from(count).ok())
            .and_then(|count| Timeframe::new(count, unit))
            .map(Self)
            .ok_or("is not a resolution: use 1 to 59, 60, 120 up to 1380 (minutes), 1D, 1W, or 1M, 2M, 3M, 4M, 6M, 12M")
    }
}

impl PartialSchema for Resolution {
    fn schema() -> RefOr<Schema> {
        let lengths = Timeframe::all().map(|timeframe| match (timeframe.unit(), timeframe.count()) {
            (Unit::Minute, count) => count.to_string(),
            (Unit::Hour, count) => (u32::from(count) * 60).to_string(),
            (Unit::Day, count) => format!("{count}D"),
            (Unit::Week, count) => format!("{count}W"),
            (Unit::Month, count) => format!("{count}M"),
        });
        let text = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(lengths.collect::<Vec<_>>()));
        Schema::from(text).into()
    }
}

impl ToSchema for Resolution {}

/// A symbol, with or without the name of an exchange before it (`NASDAQ:AMZN`).
struct Ticker(Symbol);

impl FromStr for Ticker {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.rsplit_once(':').map_or(text, |(_, name)| name);
        name.parse().map(Self).map_err(|error: market::InvalidSymbol| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolutions_are_minutes_days_weeks_and_months() {
        for (text, native) in [
            ("1", "1m"),
            ("45", "45m"),
            ("60", "1h"),
            ("240", "4h"),
            ("1380", "23h"),
            ("D", "1d"),
            ("1D", "1d"),
            ("1W", "1w"),
            ("M", "1mo"),
            ("12M", "12mo"),
        ] {
            let Resolution(timeframe) = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(timeframe.to_string(), native);
        }
        for text in ["", "0", "90", "1440", "2D", "5M", "1S", "01", "-1", "1d", "99999999"] {
            assert!(text.parse::<Resolution>().is_err(), "{text:?}");
        }
    }
}
