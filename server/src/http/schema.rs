//! The bodies of the API as OpenAPI schemas.
//!
//! `market` knows nothing of OpenAPI, so its wire types are mirrored here, for the document only. A test holds each
//! mirror against what the real type serialises to.

use chrono::{DateTime, Utc};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{KnownFormat, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, Type},
    },
};

/// Open, high, low, close and volume of the interval that starts at `time`.
#[derive(ToSchema)]
#[schema(example = json!({
    "time": "2024-01-16T14:31:00Z", "open": 153.42, "high": 153.5, "low": 153.27, "close": 153.36, "volume": 18250
}))]
pub struct Bar {
    /// Start of the interval.
    pub time: DateTime<Utc>,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    /// Shares.
    pub volume: i64,
}

/// A page of bars.
#[derive(ToSchema)]
#[schema(example = json!({
    "bars": [{
        "time": "2024-01-16T14:31:00Z", "open": 153.42, "high": 153.5, "low": 153.27, "close": 153.36, "volume": 18250
    }],
    "next_cursor": null
}))]
pub struct BarsPage {
    pub bars: Vec<Bar>,
    /// Pass it as `cursor` for the next page; `null` on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// A symbol and the span of its one-minute bars.
#[derive(ToSchema)]
#[schema(example = json!({
    "symbol": "AMZN", "first": "2024-01-16T14:30:00Z", "last": "2024-01-19T20:59:00Z", "bars": 1560, "simulated": true
}))]
pub struct SymbolInfo {
    pub symbol: String,
    pub first: DateTime<Utc>,
    pub last: DateTime<Utc>,
    /// How many.
    pub bars: i64,
    /// Whether the prices are made up.
    pub simulated: bool,
}

/// The newest one-minute bar of a symbol.
#[derive(ToSchema)]
#[schema(example = json!({
    "symbol": "AMZN", "time": "2024-01-16T14:31:00Z", "open": 153.42, "high": 153.5, "low": 153.27, "close": 153.36,
    "volume": 18250, "event_time": "2024-01-16T14:32:00.250Z", "committed_at": "2024-01-16T14:32:00.281Z"
}))]
pub struct LatestBar {
    pub symbol: String,
    /// Start of the minute.
    pub time: DateTime<Utc>,
    pub open: f64,
    pub high: f64,
    pub low: f64,
    pub close: f64,
    /// Shares.
    pub volume: i64,
    /// When the source made the change.
    pub event_time: DateTime<Utc>,
    /// When this server committed it.
    pub committed_at: DateTime<Utc>,
}

/// Statistics of the close over a window of bars; prices are rounded to 4 places.
#[derive(ToSchema)]
#[schema(example = json!({
    "from": "2024-01-16T14:30:00Z", "to": "2024-01-16T20:59:00Z", "rows": 390, "min": 151.2, "max": 154.1,
    "average": 152.9134, "variation_percent": 1.918, "change_percent": -0.2934, "stddev": 0.6127, "first": 153.4,
    "last": 152.95, "volume": 6210443
}))]
pub struct Stats {
    /// Start of the first bar.
    pub from: DateTime<Utc>,
    /// Start of the last bar.
    pub to: DateTime<Utc>,
    /// Number of bars.
    #[schema(minimum = 1)]
    pub rows: u64,
    pub min: f64,
    pub max: f64,
    pub average: f64,
    /// `(max − min) / min × 100`.
    #[schema(required)]
    pub variation_percent: Option<f64>,
    /// `(last − first) / first × 100`.
    #[schema(required)]
    pub change_percent: Option<f64>,
    /// Sample standard deviation; `null` for a single bar.
    #[schema(required)]
    pub stddev: Option<f64>,
    pub first: f64,
    pub last: f64,
    /// Shares, summed.
    pub volume: i64,
}

/// Length of a bar.
#[derive(ToSchema)]
#[schema(default = json!("1m"))]
pub enum Timeframe {
    #[schema(rename = "1m")]
    Minute1,
    #[schema(rename = "5m")]
    Minute5,
    #[schema(rename = "15m")]
    Minute15,
    #[schema(rename = "1h")]
    Hour1,
    #[schema(rename = "1d")]
    Day1,
}

/// Order of a page.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase", default = json!("asc"))]
pub enum Sort {
    Asc,
    Desc,
}

/// How bars are written.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Format {
    Json,
    Csv,
}

/// An instant or a day, as parameters take it; or nothing, which counts as not given.
pub struct Instant;

impl PartialSchema for Instant {
    fn schema() -> RefOr<Schema> {
        let text =
            |format| ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(format)));
        let nothing = ObjectBuilder::new().schema_type(Type::String).max_length(Some(0));
        let instants = OneOfBuilder::new().item(text(KnownFormat::DateTime)).item(text(KnownFormat::Date));
        Schema::from(instants.item(nothing)).into()
    }
}

impl ToSchema for Instant {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    fn properties<S: PartialSchema>() -> BTreeSet<String> {
        let schema = serde_json::to_value(S::schema()).unwrap();
        let names: BTreeSet<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        let required: BTreeSet<String> =
            schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
        assert_eq!(names, required, "every member is always there");
        assert_eq!(names, keys(&schema["example"]), "the example shows every member");
        names
    }

    fn keys(value: &Value) -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    }

    /// The real type, read from the example of its mirror, must serialise to the same members.
    fn serialises_to<T: serde::de::DeserializeOwned + serde::Serialize, S: PartialSchema>() {
        let example = serde_json::to_value(S::schema()).unwrap()["example"].clone();
        let real: T = serde_json::from_value(example.clone()).unwrap();
        let written = serde_json::to_value(real).unwrap();
        assert_eq!(keys(&written), properties::<S>());
        assert_eq!(written, example);
    }

    #[test]
    fn every_mirror_is_its_wire_type() {
        serialises_to::<market::Bar, Bar>();
        serialises_to::<market::wire::BarsPage, BarsPage>();
        serialises_to::<market::wire::SymbolInfo, SymbolInfo>();
        serialises_to::<market::wire::LatestBar, LatestBar>();
        serialises_to::<market::Stats, Stats>();
    }

    #[test]
    fn the_choices_are_those_the_parser_takes() {
        let names: Vec<&str> = market::Timeframe::ALL.iter().map(|timeframe| timeframe.as_str()).collect();
        assert_eq!(serde_json::to_value(Timeframe::schema()).unwrap()["enum"], json!(names));
        assert_eq!(serde_json::to_value(Sort::schema()).unwrap()["enum"], json!(["asc", "desc"]));
    }
}
