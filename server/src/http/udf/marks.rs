//! What the built-in rules found, as marks on bars and on the axis of time.

use super::{
    Resolution, TAG, Ticker, UdfError,
    history::{Seconds, real, shown},
};
use crate::{
    http::{
        Problem,
        params::{Params, Query, Request},
    },
    store::{FindingFilter, Store},
};
use axum::{Json, extract::State};
use chrono::{DateTime, NaiveTime, Utc};
use market::{Severity, Symbol, Timeframe, wire::Finding};
use serde::Serialize;
use std::collections::HashMap;
use utoipa::ToSchema;

/// Marks in one answer: the newest ones.
const MAX_MARKS: u32 = 1_000;
/// Marks on one bar, as many as the library shows.
const MARKS_OF_BAR: usize = 10;

/// Marks in which window.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UdfMarksRequest {
    /// Ticker; a name of an exchange before it (`NASDAQ:AMZN`) is ignored.
    #[param(value_type = String, example = "AMZN", pattern = "^([A-Za-z0-9_]{1,20}:)?[A-Z][A-Z0-9.-]{0,14}$")]
    symbol: Symbol,
    /// The first bar shown, in Unix seconds.
    #[param(value_type = i64, example = 1705415400)]
    from: DateTime<Utc>,
    /// The last bar shown, in Unix seconds: its marks belong to the answer.
    #[param(value_type = i64, example = 1705438800)]
    to: DateTime<Utc>,
    /// Length of a bar: minutes, or `1D`, `1W`, `1M`.
    #[param(value_type = Resolution, inline, example = "5")]
    resolution: Timeframe,
}

impl Request for UdfMarksRequest {
    fn read(params: &mut Params) -> Option<Self> {
        let symbol = params.required("symbol").map(|Ticker(symbol)| symbol);
        let from = params.required("from").map(|Seconds(from)| from);
        let to = params.required("to").map(|Seconds(to)| to);
        let resolution = params.required("resolution").map(|Resolution(timeframe)| timeframe);
        Some(Self { symbol: symbol?, from: from?, to: to?, resolution: resolution? })
    }
}

/// A mark on a bar.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "scale_error 1705415460", "time": 1705415460, "color": "red", "text": "AMZN is a hundred times too high.",
    "label": "!", "labelFontColor": "white", "minSize": 14
}))]
#[serde(rename_all = "camelCase")]
pub struct UdfMark {
    id: String,
    /// Start of the bar, in Unix seconds.
    time: i64,
    #[schema(value_type = String)]
    color: &'static str,
    text: String,
    #[schema(value_type = String)]
    label: &'static str,
    #[schema(value_type = String)]
    label_font_color: &'static str,
    min_size: u32,
}

/// A mark on the axis of time.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "gap 1705415460", "time": 1705415460, "color": "yellow", "label": "?", "tooltip": ["gap", "AMZN has no bar."]
}))]
pub struct UdfTimescaleMark {
    id: String,
    /// Start of the bar, in Unix seconds.
    time: i64,
    #[schema(value_type = String)]
    color: &'static str,
    #[schema(value_type = String)]
    label: &'static str,
    tooltip: Vec<String>,
}

/// Colour and letter of a severity. The library knows four colours of marks by name: red, green, blue and yellow.
fn looks(severity: Severity) -> (&'static str, &'static str) {
    match severity {
        Severity::Info => ("blue", "i"),
        Severity::Warning => ("yellow", "?"),
        Severity::Critical => ("red", "!"),
    }
}

/// The findings of a window that still hold, oldest first, each with the time of its bar as the protocol shows it.
async fn find(store: &Store, request: UdfMarksRequest) -> Result<Vec<(i64, Finding)>, Problem> {
    let UdfMarksRequest { symbol, from, to, resolution } = request;
    // `to` is the last bar that is shown, and not the end of a window as in `history`; of days only the date counts.
    let last = if resolution.is_intraday() { to } else { to.date_naive().and_time(NaiveTime::MIN).and_utc() };
    let filter = FindingFilter {
        symbol: Some(symbol),
        from: Some(real(from, resolution)),
        to: Some(resolution.bucket_end(resolution.bucket(real(last, resolution)))),
        ..FindingFilter::default()
    };
    let found = store.findings(&filter, MAX_MARKS).await?;
    let mut on_bar: HashMap<i64, usize> = HashMap::new();
    let mut marks: Vec<(i64, Finding)> = found
        .into_iter()
        .map(|(_, finding)| (shown(resolution.bucket(finding.time), resolution), finding))
        .filter(|(time, _)| {
            let count = on_bar.entry(*time).or_default();
            *count += 1;
            *count <= MARKS_OF_BAR
        })
        .collect();
    marks.reverse();
    Ok(marks)
}

/// What the built-in rules found at bars and what still holds, ten per bar at most; of more than 1,000 the newest.
#[utoipa::path(get, path = "/udf/marks", tag = TAG, operation_id = "find_udf_marks", params(UdfMarksRequest), responses(
    (status = 200, description = "The marks, oldest first", body = [UdfMark]),
    (status = 400, description = "Parameters are wrong; all of them are named", body = UdfError),
    (status = 503, description = "The database does not answer", body = UdfError),
))]
pub async fn find_udf_marks(
    State(store): State<Store>,
    Query(request): Query<UdfMarksRequest>,
) -> Result<Json<Vec<UdfMark>>, Problem> {
    let marks = find(&store, request).await?.into_iter().map(|(time, finding)| {
        let (color, label) = looks(finding.severity);
        let id = format!("{} {}", finding.rule, finding.time.timestamp());
        UdfMark { id, time, color, text: finding.text, label, label_font_color: "white", min_size: 14 }
    });
    Ok(Json(marks.collect()))
}

/// The same on the axis of time, where a minute without a bar has its place too.
#[utoipa::path(get, path = "/udf/timescale_marks", tag = TAG, operation_id = "find_udf_timescale_marks", params(UdfMarksRequest), responses(
    (status = 200, description = "The marks, oldest first", body = [UdfTimescaleMark]),
    (status = 400, description = "Parameters are wrong; all of them are named", body = UdfError),
    (status = 503, description = "The database does not answer", body = UdfError),
))]
pub async fn find_udf_timescale_marks(
    State(store): State<Store>,
    Query(request): Query<UdfMarksRequest>,
) -> Result<Json<Vec<UdfTimescaleMark>>, Problem> {
    let marks = find(&store, request).await?.into_iter().map(|(time, finding)| {
        let (color, label) = looks(finding.severity);
        let id = format!("{} {}", finding.rule, finding.time.timestamp());
        UdfTimescaleMark { id, time, color, label, tooltip: vec![finding.rule, finding.text] }
    });
    Ok(Json(marks.collect()))
}
