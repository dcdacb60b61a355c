//! Where a page ended, as text that only this server reads.

use super::market_data::Sort;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use market::{Symbol, Timeframe};
use std::{fmt, str::FromStr};

/// The last bar of a page, and the question it answered: a cursor does not fit another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub symbol: Symbol,
    pub timeframe: Timeframe,
    pub sort: Sort,
    /// Start of the last bar of the page.
    pub after: DateTime<Utc>,
}

/// The text was not made by this server, or by a version that wrote them differently.
#[derive(Debug, thiserror::Error)]
#[error("is not a cursor: pass on `next_cursor` of the page before, unchanged")]
pub struct InvalidCursor;

/// A plain text as a cursor carries it.
pub(super) fn seal(plain: &str) -> String {
    URL_SAFE_NO_PAD.encode(plain)
}

/// The plain text of a cursor; `None` when it carries none.
pub(super) fn open(text: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

const VERSION: &str = "1";

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { symbol, timeframe, sort, after } = self;
        let plain = format!("{VERSION} {symbol} {timeframe} {sort} {}", after.timestamp_micros());
        f.write_str(&seal(&plain))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = open(text).ok_or(InvalidCursor)?;
        let parts: Vec<&str> = plain.split(' ').collect();
        let [VERSION, symbol, timeframe, sort, after] = parts[..] else {
            return Err(InvalidCursor);
        };
        Ok(Self {
            symbol: symbol.parse().map_err(|_| InvalidCursor)?,
            timeframe: timeframe.parse().map_err(|_| InvalidCursor)?,
            sort: sort.parse().map_err(|_| InvalidCursor)?,
            after: after
                .parse()
                .ok()
                .and_then(DateTime::from_timestamp_micros)
                .filter(|after| super::params::is_in_calendar(*after))
                .ok_or(InvalidCursor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> Cursor {
        Cursor {
            symbol: "BRK.B".parse().unwrap(),
            timeframe: Timeframe::MINUTE_5,
            sort: Sort::Descending,
            after: "2024-01-16T14:30:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_cursor_survives_the_trip_through_a_client() {
        let text = cursor().to_string();
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')), "{text}");
        assert_eq!(text.parse::<Cursor>().unwrap(), cursor());
    }

    #[test]
    fn made_up_cursors_are_refused() {
        let far = URL_SAFE_NO_PAD.encode("1 AMZN 1m asc 9223372036854775807");
        for text in ["", "x", "MQ", "1 AMZN 1m asc 0", "////", &far] {
            assert!(text.parse::<Cursor>().is_err(), "{text:?}");
        }
    }
}
