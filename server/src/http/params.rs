//! Query strings: read as a whole, so that everything that is wrong is said at once.

use super::{Problem, Violation};
use axum::{
    extract::FromRequestParts,
    http::{Uri, request::Parts},
};
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeZone, Utc};
use market::EXCHANGE_ZONE;
use std::{borrow::Cow, fmt, str::FromStr};
use url::form_urlencoded;

/// A request that is read from a query string.
pub trait Request: Sized {
    /// Takes what it needs and reports what is wrong; `None` when something was.
    fn read(params: &mut Params) -> Option<Self>;
}

/// Extracts a [`Request`], or refuses with every reason why not.
pub struct Query<T>(pub T);

impl<T: Request, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        read_uri(&parts.uri).map(Self)
    }
}

/// Reads a request from a query string that did not come in a request of its own.
///
/// # Errors
/// All that is wrong with it.
pub fn read<T: Request>(query: &str) -> Result<T, Problem> {
    let uri = format!("/?{query}").parse::<Uri>();
    read_uri(&uri.map_err(|_| Problem::invalid_parameter("query", "cannot be part of an address"))?)
}

/// Reads a request from the query string of an address.
///
/// # Errors
/// All that is wrong with it.
pub(super) fn read_uri<T: Request>(uri: &Uri) -> Result<T, Problem> {
    let mut params = Params::parse(uri);
    let request = T::read(&mut params);
    params.finish(request)
}

/// The parameters of one request and what was found wrong with them.
#[derive(Debug)]
pub struct Params<'a> {
    /// Not yet asked for.
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    known: Vec<&'static str>,
    violations: Vec<Violation>,
}

impl<'a> Params<'a> {
    fn parse(uri: &'a Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let pairs = if query.contains(['%', '+']) {
            form_urlencoded::parse(query.as_bytes()).collect()
        } else {
            let pairs = query.split('&').filter(|pair| !pair.is_empty());
            pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (k.into(), v.into())).collect()
        };
        Self { pairs, known: Vec::with_capacity(12), violations: Vec::new() }
    }

    /// Says what is wrong with a parameter.
    pub fn report(&mut self, parameter: impl Into<String>, reason: impl Into<String>) {
        self.violations.push(Violation { parameter: parameter.into(), reason: reason.into() });
    }

    /// The text of a parameter; without a value it counts as not given.
    fn take(&mut self, name: &'static str) -> Option<Cow<'a, str>> {
        self.known.push(name);
        let (mut found, mut is_repeated) = (None, false);
        while let Some(at) = self.pairs.iter().position(|(pair, _)| pair == name) {
            let (_, value) = self.pairs.remove(at);
            if !value.is_empty() {
                is_repeated |= found.is_some();
                found = Some(value);
            }
        }
        if is_repeated {
            self.report(name, "is given more than once");
            return None;
        }
        found
    }

    /// `None` when it was not given, and also when it was wrong; then it is reported.
    pub fn optional<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        match self.take(name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.report(name, error.to_string());
                None
            }
        }
    }

    /// Reports when it was not given.
    pub fn required<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let before = self.violations.len();
        let value = self.optional(name);
        if value.is_none() && self.violations.len() == before {
            self.report(name, "is missing");
        }
        value
    }

    fn finish<T>(mut self, request: Option<T>) -> Result<T, Problem> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            let shown: String = name.chars().take(40).collect();
            self.report(shown, format!("is not a parameter here; there are: {}", self.known.join(", ")));
        }
        match request {
            Some(request) if self.violations.is_empty() => Ok(request),
            _ => Err(Problem::invalid_parameters(self.violations)),
        }
    }
}

/// A number of bars from 1 to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit<const MAX: u32>(pub u32);

impl<const MAX: u32> FromStr for Limit<MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(limit) if (1..=MAX).contains(&limit) => Ok(Self(limit)),
            _ => Err(format!("must be a whole number from 1 to {MAX}")),
        }
    }
}

/// An instant, or a day of the exchange, which stands for its midnight in New York.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant(pub DateTime<Utc>);

impl FromStr for Instant {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const REASON: &str = "is not an instant: write 2024-01-16T14:31:00Z (RFC 3339; a + of an offset must be \
                              written %2B) or a day, 2024-01-16";
        let day = |day: NaiveDate| EXCHANGE_ZONE.from_local_datetime(&day.and_time(NaiveTime::MIN)).earliest();
        let instant = match text.parse::<NaiveDate>() {
            Ok(date) => day(date).map(|midnight| midnight.with_timezone(&Utc)),
            Err(_) => DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.with_timezone(&Utc)),
        };
        instant.filter(|instant| is_in_calendar(*instant)).map(Self).ok_or(REASON)
    }
}

/// Whether the database can hold the instant, with days to spare on both sides.
pub fn is_in_calendar(instant: DateTime<Utc>) -> bool {
    (2..=9998).contains(&instant.year())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Window {
        start: Instant,
        limit: Limit<10>,
    }

    impl Request for Window {
        fn read(params: &mut Params) -> Option<Self> {
            let (start, limit) = (params.required("start"), params.required("limit"));
            Some(Self { start: start?, limit: limit? })
        }
    }

    fn read(query: &str) -> Result<Window, Vec<Violation>> {
        let uri: Uri = format!("/?{query}").parse().unwrap();
        let mut params = Params::parse(&uri);
        let window = Window::read(&mut params);
        params.finish(window).map_err(|problem| problem.violations().to_vec())
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let wrong = read("start=yesterday&limit=11&colour=red").unwrap_err();
        let names: Vec<&str> = wrong.iter().map(|violation| violation.parameter.as_str()).collect();
        assert_eq!(names, ["start", "limit", "colour"]);
        let wrong = read("limit=1&limit=2").unwrap_err();
        assert_eq!(wrong[0].reason, "is missing");
        assert_eq!(wrong[1].reason, "is given more than once");
    }

    #[test]
    fn a_day_is_midnight_in_new_york_and_an_offset_is_heeded() {
        let window = read("start=2024-01-16&limit=10").unwrap();
        assert_eq!(window.start.0.to_rfc3339(), "2024-01-16T05:00:00+00:00");
        assert_eq!(window.limit, Limit(10));
        let window = read("start=2024-07-16T09:30:00-04:00&limit=1").unwrap();
        assert_eq!(window.start.0.to_rfc3339(), "2024-07-16T13:30:00+00:00");
        assert!(read("start=2024-07-16T09:30:00+02:00&limit=1").is_err(), "a bare + is a space");
        assert!(read("start=9999-12-31&limit=1").is_err());
    }
}
