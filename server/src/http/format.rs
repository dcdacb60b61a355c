//! How bars are written: what a client names, or what its `Accept` prefers.

use axum::http::{HeaderMap, header};
use std::str::FromStr;

/// A way to write bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Csv,
    /// Arrow's IPC stream.
    Arrow,
    Parquet,
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let format = Self::ALL.into_iter().find(|format| format.as_str() == text);
        format.ok_or("must be json, csv, arrow or parquet")
    }
}

impl Format {
    /// All of them; of those that a client likes equally, the first is taken.
    pub const ALL: [Self; 4] = [Self::Json, Self::Csv, Self::Arrow, Self::Parquet];

    /// Its name as a parameter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Arrow => "arrow",
            Self::Parquet => "parquet",
        }
    }

    /// The `Content-Type` of an answer.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The name of a file that an answer is saved in; JSON is not.
    pub fn file_name(self) -> Option<&'static str> {
        match self {
            Self::Json => None,
            Self::Csv => Some("bars.csv"),
            Self::Arrow => Some("bars.arrows"),
            Self::Parquet => Some("bars.parquet"),
        }
    }

    /// The ranges of `Accept` that mean it.
    fn ranges(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["application/json", "application/*", "*/*"],
            Self::Csv => &["text/csv", "text/*"],
            Self::Arrow => &["application/vnd.apache.arrow.stream"],
            Self::Parquet => &["application/vnd.apache.parquet"],
        }
    }

    /// What `Accept` prefers; JSON when it prefers none of them.
    pub fn preferred(headers: &HeaderMap) -> Self {
        let mut best = (Self::Json, 0.001);
        for format in Self::ALL {
            let weight = format.weight(headers);
            if weight > best.1 {
                best = (format, weight);
            }
        }
        best.0
    }

    fn weight(self, headers: &HeaderMap) -> f32 {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let weights = accepted.flat_map(|value| value.split(',')).filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().filter(|kind| self.ranges().iter().any(|name| kind.eq_ignore_ascii_case(name)))?;
            let q = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
            // A named kind outweighs a wildcard of the same q.
            Some(q.unwrap_or(1.0) + if kind.contains('*') { 0.0 } else { 0.0001 })
        });
        weights.fold(0.0, f32::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn names_read_back() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
    }

    #[test]
    fn each_is_for_those_who_prefer_it() {
        for (accept, expected) in [
            ("", Format::Json),
            ("*/*", Format::Json),
            ("text/csv", Format::Csv),
            ("text/csv;q=0", Format::Json),
            ("text/csv, */*", Format::Csv),
            ("application/json, text/csv;q=0.5", Format::Json),
            ("application/json;q=0.5, TEXT/CSV;q=0.9", Format::Csv),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Json),
            (";;,q=,text/csv;q=x", Format::Csv),
            ("application/vnd.apache.arrow.stream", Format::Arrow),
            ("application/vnd.apache.arrow.stream, */*", Format::Arrow),
            ("application/vnd.apache.parquet, application/vnd.apache.arrow.stream;q=0.9, */*;q=0.1", Format::Parquet),
            ("application/json, application/vnd.apache.parquet", Format::Json),
            ("application/vnd.apache.parquet;q=0", Format::Json),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(Format::preferred(&headers), expected, "{accept:?}");
        }
    }
}
