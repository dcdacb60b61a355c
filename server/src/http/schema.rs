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

/// The newest one-minute bar of a symbol, and the days around it.
#[derive(ToSchema)]
#[schema(example = json!({
    "symbol": "AMZN", "time": "2024-01-16T14:31:00Z", "open": 153.42, "high": 153.5, "low": 153.27, "close": 153.36,
    "volume": 18250, "event_time": "2024-01-16T14:32:00.250Z", "committed_at": "2024-01-16T14:32:00.281Z",
    "daily": {
        "time": "2024-01-16T05:00:00Z", "open": 153.4, "high": 153.5, "low": 153.2, "close": 153.36, "volume": 36100
    },
    "previous_daily": null
}))]
pub struct Snapshot {
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
    /// The bar of the minute's day, so far.
    pub daily: Bar,
    /// The bar of the day with bars before it; `null` on the first.
    #[schema(required)]
    pub previous_daily: Option<Bar>,
}

/// The newest figures of many symbols.
#[derive(ToSchema)]
#[schema(example = json!({ "total": 1, "rows": [{
    "symbol": "AMZN", "simulated": true, "time": "2024-01-16T14:33:00Z", "close": 153.36, "bar_volume": 18250,
    "previous_close": 154.62, "volume": 61200, "bars": 4, "tagged": 0, "findings": 1, "worst": "warning",
    "closes": [153.4, 153.42, 153.5, 153.36], "event_time": "2024-01-16T14:34:00.250Z",
    "committed_at": "2024-01-16T14:34:00.281Z"
}] }))]
pub struct Watchlist {
    /// Symbols that the filter lets through; `rows` has the first of them.
    #[schema(minimum = 0)]
    pub total: i64,
    pub rows: Vec<WatchRow>,
}

/// One symbol on its newest exchange day.
#[derive(ToSchema)]
#[schema(example = json!({
    "symbol": "AMZN", "simulated": true, "time": "2024-01-16T14:33:00Z", "close": 153.36, "bar_volume": 18250,
    "previous_close": 154.62, "volume": 61200, "bars": 4, "tagged": 0, "findings": 1, "worst": "warning",
    "closes": [153.4, 153.42, 153.5, 153.36], "event_time": "2024-01-16T14:34:00.250Z",
    "committed_at": "2024-01-16T14:34:00.281Z"
}))]
pub struct WatchRow {
    pub symbol: String,
    /// Whether the prices are made up.
    pub simulated: bool,
    /// Start of the newest one-minute bar.
    pub time: DateTime<Utc>,
    pub close: f64,
    /// Shares, of that bar.
    pub bar_volume: i64,
    /// Close of the last bar of the exchange day before; `null` on the first day.
    #[schema(required)]
    pub previous_close: Option<f64>,
    /// Shares traded on the day.
    pub volume: i64,
    /// One-minute bars of the day.
    #[schema(minimum = 1)]
    pub bars: i64,
    /// Those of them that a rule tagged.
    #[schema(minimum = 0)]
    pub tagged: i64,
    /// What the rules over several bars found since the day began and what still holds.
    #[schema(minimum = 0)]
    pub findings: i64,
    /// The worst severity of the findings; `null` without any.
    #[schema(required)]
    pub worst: Option<Severity>,
    /// Closes of the day, oldest first, evenly thinned to 40 at most; the last is the newest bar's.
    pub closes: Vec<f64>,
    /// When the source made the newest change.
    pub event_time: DateTime<Utc>,
    /// When this server committed it.
    pub committed_at: DateTime<Utc>,
}

/// What changed after a seq.
#[derive(ToSchema)]
#[schema(example = json!({
    "epoch": "2f0c8c1e-5d0b-4f9e-8f57-0f6a1c1d2e3f", "seq": 42, "timeframe": "1m", "changes": [{
        "symbol": "AMZN", "kind": "bar", "time": "2024-01-16T14:31:00Z", "open": 153.42, "high": 153.5, "low": 153.27,
        "close": 153.36, "volume": 18250, "event_time": "2024-01-16T14:32:00.250Z",
        "committed_at": "2024-01-16T14:32:00.281Z"
    }]
}))]
pub struct Changes {
    /// Names one history of `seq`.
    pub epoch: String,
    /// Pass it as `since`, with `epoch`, for what changes next.
    #[schema(minimum = 0)]
    pub seq: i64,
    #[schema(inline)]
    pub timeframe: Timeframe,
    pub changes: Vec<Changed>,
}

/// A bar that changed, as it is now.
#[derive(ToSchema)]
pub struct Changed {
    pub symbol: String,
    /// `bar`: it is new, or grew by new rows; `rev`: something that was known is different; `del`: it is gone.
    #[schema(pattern = "^(bar|rev|del)$")]
    pub kind: String,
    /// Start of the bar.
    pub time: DateTime<Utc>,
    /// The rest of the bar, and when the source made the change; absent of one that is gone.
    pub open: Option<f64>,
    pub high: Option<f64>,
    pub low: Option<f64>,
    pub close: Option<f64>,
    pub volume: Option<i64>,
    pub event_time: Option<DateTime<Utc>>,
    /// When this server committed the change.
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

/// How much a broken rule matters.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

/// What one rule of the built-in pack found at one bar, or at one minute that should have a bar.
#[derive(ToSchema)]
#[schema(example = json!({
    "rule": "gap", "severity": "warning", "symbol": "AMZN", "time": "2024-01-16T14:32:00Z",
    "observed": "3 minutes missing", "expected": "a bar for each minute of a session",
    "text": "AMZN has no bar for 3 minutes of a session, from 2024-01-16T14:32:00Z to 2024-01-16T14:34:00Z.",
    "first_seen": "2024-01-16T14:36:00.250Z", "count": 1, "resolved_at": null
}))]
pub struct Finding {
    /// Code of the rule, as in `GET /api/v1/rules`.
    pub rule: String,
    pub severity: Severity,
    /// `null` for what is no symbol's.
    #[schema(required)]
    pub symbol: Option<String>,
    /// Start of the minute it is about.
    pub time: DateTime<Utc>,
    #[schema(required)]
    pub observed: Option<String>,
    #[schema(required)]
    pub expected: Option<String>,
    /// What was found, as a sentence.
    pub text: String,
    pub first_seen: DateTime<Utc>,
    /// How many times a change of the data made the rule say so.
    pub count: i64,
    /// Since when it does not hold any more; `null` while it does.
    #[schema(required)]
    pub resolved_at: Option<DateTime<Utc>>,
}

/// A page of findings.
#[derive(ToSchema)]
#[schema(example = json!({
    "findings": [{
        "rule": "gap", "severity": "warning", "symbol": "AMZN", "time": "2024-01-16T14:32:00Z",
        "observed": "3 minutes missing", "expected": "a bar for each minute of a session",
        "text": "AMZN has no bar for 3 minutes of a session, from 2024-01-16T14:32:00Z to 2024-01-16T14:34:00Z.",
        "first_seen": "2024-01-16T14:36:00.250Z", "count": 1, "resolved_at": null
    }],
    "next_cursor": null
}))]
pub struct FindingsPage {
    pub findings: Vec<Finding>,
    /// Pass it as `cursor` for the next page; `null` on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// Length of a bar, or nothing, which counts as not given.
pub struct Timeframe;

impl PartialSchema for Timeframe {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(TIMEFRAMES));
        Schema::from(text.default(Some("1m".into())).examples(["1m", "5m", "4h", "1d", "1w", "3mo"])).into()
    }
}

impl ToSchema for Timeframe {}

/// Length of a bar that is told live: a day at most.
pub struct LiveTimeframe;

impl PartialSchema for LiveTimeframe {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some(LIVE_TIMEFRAMES));
        Schema::from(text.default(Some("1m".into())).examples(["1m", "5m", "4h", "1d"])).into()
    }
}

impl ToSchema for LiveTimeframe {}

const LIVE_TIMEFRAMES: &str = "^(([1-9]|[1-5][0-9])m|([1-9]|1[0-9]|2[0-3])h|1d)?$";
/// Every timeframe there is, as a regular expression.
const TIMEFRAMES: &str = "^(([1-9]|[1-5][0-9])m|([1-9]|1[0-9]|2[0-3])h|1d|1w|([12346]|12)mo)?$";

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
    Arrow,
    Parquet,
}

/// A body that is no text.
pub struct Binary;

impl PartialSchema for Binary {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
        Schema::from(ObjectBuilder::new().schema_type(Type::String).format(Some(format))).into()
    }
}

impl ToSchema for Binary {}

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

/// A day, as parameters take it; or nothing, which counts as not given.
pub struct Day;

impl PartialSchema for Day {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let day = text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)));
        Schema::from(OneOfBuilder::new().item(day).item(text().max_length(Some(0)))).into()
    }
}

impl ToSchema for Day {}

/// True or false, as parameters take them; or nothing, which counts as not given.
pub struct Flag;

impl PartialSchema for Flag {
    fn schema() -> RefOr<Schema> {
        one_of_these(["true", "false"].into_iter())
    }
}

impl ToSchema for Flag {}

/// The code of a rule that makes findings; or nothing, which counts as not given.
pub struct PackRule;

impl PartialSchema for PackRule {
    fn schema() -> RefOr<Schema> {
        one_of_these(quality::pack::PackRule::ALL.iter().map(|rule| rule.code()))
    }
}

impl ToSchema for PackRule {}

/// A severity as a filter; or nothing, which counts as not given.
pub struct SeverityFilter;

impl PartialSchema for SeverityFilter {
    fn schema() -> RefOr<Schema> {
        one_of_these(["info", "warning", "critical"].into_iter())
    }
}

impl ToSchema for SeverityFilter {}

fn one_of_these<'t>(texts: impl Iterator<Item = &'t str>) -> RefOr<Schema> {
    let texts = texts.chain(std::iter::once(""));
    Schema::from(ObjectBuilder::new().schema_type(Type::String).enum_values(Some(texts))).into()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    pub(in crate::http) fn properties<S: PartialSchema>() -> BTreeSet<String> {
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
    pub(in crate::http) fn serialises_to<T: serde::de::DeserializeOwned + serde::Serialize, S: PartialSchema>() {
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
        serialises_to::<market::wire::Snapshot, Snapshot>();
        serialises_to::<market::wire::Changes, Changes>();
        serialises_to::<market::Stats, Stats>();
        serialises_to::<market::watchlist::Watchlist, Watchlist>();
        serialises_to::<market::watchlist::WatchRow, WatchRow>();
        serialises_to::<market::wire::Finding, Finding>();
        serialises_to::<market::wire::FindingsPage, FindingsPage>();
    }

    #[test]
    fn the_choices_are_those_the_parser_takes() {
        let severities: Vec<&str> = market::Severity::ALL.iter().map(|severity| severity.as_str()).collect();
        assert_eq!(serde_json::to_value(Severity::schema()).unwrap()["enum"], json!(severities));
        assert_eq!(serde_json::to_value(Sort::schema()).unwrap()["enum"], json!(["asc", "desc"]));
        let formats = crate::http::format::Format::ALL.map(crate::http::format::Format::as_str);
        assert_eq!(serde_json::to_value(Format::schema()).unwrap()["enum"], json!(formats));
    }
}
