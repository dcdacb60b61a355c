//! What caches may keep of a window of bars.
//!
//! A window is *closed* when it has an end and every bar in it is over: no time that passes adds to it. A source can still
//! correct a row of it, years later too, so a closed window is not called immutable by its address alone. It carries an
//! `ETag` and may be stored, and has to be asked for again each time (`no-cache`), which costs a 304. Whoever puts that
//! tag into the address (`version=`) names one state of the window: that answer is immutable, and 410 once the window has
//! been corrected. Windows that are not closed are `no-store`.

use super::Problem;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use market::Timeframe;
use std::{fmt, str::FromStr};
use xxhash_rust::xxh3::xxh3_64;

/// One state of a closed window, by its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version(u64);

impl Version {
    fn of(body: &[u8]) -> Self {
        Self(xxh3_64(body))
    }

    /// Whether a client that has this version has it still.
    fn is_known(self, headers: &HeaderMap) -> bool {
        let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        tags.flat_map(|value| value.split(',')).map(str::trim).any(|tag| {
            let opaque = tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"');
            tag == "*" || opaque == self.to_string()
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Version {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        u64::from_str_radix(text, 16)
            .ok()
            .filter(|_| digits)
            .map(Self)
            .ok_or("is not a version: it is what stands in the ETag of a closed window, 16 hexadecimal digits")
    }
}

/// Whether every bar that starts before `end` is over.
pub fn is_closed(timeframe: Timeframe, end: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    end.is_some_and(|end| timeframe.bucket_end(timeframe.bucket(end - TimeDelta::microseconds(1))) <= now)
}

/// The answer that carries `body`, of a closed window, with what caches may do with it. `pinned` is the version that the
/// client named.
///
/// # Errors
/// The window has another version now.
pub fn answer_closed(headers: &HeaderMap, pinned: Option<Version>, body: Vec<u8>) -> Result<Response, Problem> {
    let version = Version::of(&body);
    let policy = match pinned {
        Some(pinned) if pinned != version => return Err(Problem::corrected()),
        Some(_) => "public, max-age=31536000, immutable",
        None => "no-cache",
    };
    let mut response = if version.is_known(headers) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Body::from(body).into_response()
    };
    // Weak: compression changes the bytes and not the bars.
    let tag = HeaderValue::try_from(format!("W/\"{version}\"")).expect("hexadecimal digits are ASCII");
    response.headers_mut().insert(header::ETAG, tag);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(policy));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_window_is_closed_when_its_last_bar_is_over() {
        let (minute, hour, month) = (Timeframe::MINUTE_1, Timeframe::HOUR_1, Timeframe::MONTH_1);
        for (timeframe, end, now, closed) in [
            (minute, "2024-01-16T14:31:00Z", "2024-01-16T14:31:00Z", true),
            (minute, "2024-01-16T14:31:00Z", "2024-01-16T14:30:59Z", false),
            // The bar of 14:00 starts before the end, and lasts until 15:00.
            (hour, "2024-01-16T14:30:00Z", "2024-01-16T14:59:59Z", false),
            (hour, "2024-01-16T14:30:00Z", "2024-01-16T15:00:00Z", true),
            (hour, "2024-01-16T15:00:00Z", "2024-01-16T15:00:00Z", true),
            (month, "2024-01-16T15:00:00Z", "2024-02-01T04:59:59Z", false),
            (month, "2024-01-16T15:00:00Z", "2024-02-01T05:00:00Z", true),
        ] {
            assert_eq!(is_closed(timeframe, Some(at(end)), at(now)), closed, "{timeframe} {end} {now}");
        }
        assert!(!is_closed(minute, None, at("2024-01-16T14:31:00Z")));
    }

    #[test]
    fn a_version_reads_back_and_nothing_else_is_one() {
        let version = Version::of(b"bars");
        assert_eq!(version.to_string().parse(), Ok(version));
        for text in ["", "0", "+000000000000000", "ABCDEF0123456789", "00000000000000000"] {
            assert!(text.parse::<Version>().is_err(), "{text:?}");
        }
    }
}
