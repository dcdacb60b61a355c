//! Bars.

use super::{Resolution, TAG, Ticker, UdfError};
use crate::{
    http::{
        Problem,
        params::{Params, Query, Request, is_in_calendar},
    },
    store::{BarsQuery, Store},
};
use axum::{Json, extract::State};
use chrono::{DateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use market::{Bar, EXCHANGE_ZONE, Symbol, Timeframe};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::Serialize;
use std::str::FromStr;
use utoipa::ToSchema;

/// Bars in the longest answer: a chart goes on before the first of them.
const MAX_BARS: u32 = 10_000;

/// Unix seconds; what lies outside the calendar is its edge, as charts ask for everything with 0 or with far numbers.
pub(super) struct Seconds(pub DateTime<Utc>);

impl FromStr for Seconds {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds: i64 = text.parse().map_err(|_| "must be a time in Unix seconds")?;
        let edge = if seconds < 0 { "0002-01-02T00:00:00Z" } else { "9998-12-30T00:00:00Z" };
        let edge = edge.parse().expect("both edges are instants");
        Ok(Self(DateTime::from_timestamp(seconds, 0).filter(|time| is_in_calendar(*time)).unwrap_or(edge)))
    }
}

/// Which bars.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UdfHistoryRequest {
    /// Ticker; a name of an exchange before it (`NASDAQ:AMZN`) is ignored.
    #[param(value_type = String, example = "AMZN", pattern = "^([A-Za-z0-9_]{1,20}:)?[A-Z][A-Z0-9.-]{0,14}$")]
    symbol: Symbol,
    /// Bars that start at this time or later, in Unix seconds. Without effect when `countback` is given.
    #[param(value_type = i64, required = false, example = 1705415400)]
    from: Option<DateTime<Utc>>,
    /// Bars that start before this time, in Unix seconds.
    #[param(value_type = i64, example = 1705438800)]
    to: DateTime<Utc>,
    /// Length of a bar: minutes, or `1D`, `1W`, `1M`.
    #[param(value_type = Resolution, inline, example = "5")]
    resolution: Timeframe,
    /// The newest bars before `to`, as many as this; more than 10000 count as 10000.
    #[param(value_type = u32, required = false, minimum = 1, example = 300)]
    countback: Option<u32>,
}

impl Request for UdfHistoryRequest {
    fn read(params: &mut Params) -> Option<Self> {
        let symbol = params.required("symbol").map(|Ticker(symbol)| symbol);
        let from = params.optional("from").map(|Seconds(from)| from);
        let to = params.required("to").map(|Seconds(to)| to);
        let resolution = params.required("resolution").map(|Resolution(timeframe)| timeframe);
        let countback = params.optional::<u32>("countback");
        if countback == Some(0) {
            params.report("countback", "must be 1 or more");
        }
        Some(Self { symbol: symbol?, from, to: to?, resolution: resolution?, countback })
    }
}

/// Bars in columns; or that there are none.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum UdfHistory {
    #[schema(example = json!({
        "s": "ok", "t": [1705415460], "o": [153.42], "h": [153.5], "l": [153.27], "c": [153.36], "v": [18250]
    }))]
    Bars {
        /// `ok`.
        #[schema(value_type = String, pattern = "^ok$")]
        s: &'static str,
        /// Starts, oldest first.
        t: Vec<i64>,
        o: Vec<f64>,
        h: Vec<f64>,
        l: Vec<f64>,
        c: Vec<f64>,
        /// Shares.
        v: Vec<i64>,
    },
    #[schema(example = json!({"s": "no_data", "nextTime": 1705352340}))]
    Nothing {
        /// `no_data`.
        #[schema(value_type = String, pattern = "^no_data$")]
        s: &'static str,
        /// Where the newest bar before the window is; absent when there is none.
        #[serde(rename = "nextTime", skip_serializing_if = "Option::is_none")]
        next_time: Option<i64>,
    },
}

impl UdfHistory {
    fn of(bars: &[Bar], timeframe: Timeframe) -> Self {
        let column =
            |price: fn(&Bar) -> Decimal| bars.iter().map(|bar| price(bar).to_f64().unwrap_or_default()).collect();
        Self::Bars {
            s: "ok",
            t: bars.iter().map(|bar| shown(bar.time, timeframe)).collect(),
            o: column(|bar| bar.open),
            h: column(|bar| bar.high),
            l: column(|bar| bar.low),
            c: column(|bar| bar.close),
            v: bars.iter().map(|bar| bar.volume).collect(),
        }
    }
}

/// The time of a bar as the protocol has it.
pub(super) fn shown(time: DateTime<Utc>, timeframe: Timeframe) -> i64 {
    if timeframe.is_intraday() {
        return time.timestamp();
    }
    time.with_timezone(&EXCHANGE_ZONE).date_naive().and_time(NaiveTime::MIN).and_utc().timestamp()
}

/// The first instant at which a bar may start that the protocol shows at `time` or later.
pub(super) fn real(time: DateTime<Utc>, timeframe: Timeframe) -> DateTime<Utc> {
    if timeframe.is_intraday() {
        return time;
    }
    let midnight = time.date_naive().and_time(NaiveTime::MIN);
    let day = if midnight.and_utc() == time { midnight } else { midnight + TimeDelta::days(1) };
    EXCHANGE_ZONE.from_local_datetime(&day).earliest().map_or(time, |midnight| midnight.with_timezone(&Utc))
}

/// Bars of one symbol, oldest first: the window, or the newest `countback` of them before `to`, whatever `from` is. A window
/// without bars says where the newest bar before it is. Of more than 10,000 bars there are the newest 10,000.
#[utoipa::path(get, path = "/udf/history", tag = TAG, operation_id = "find_udf_history", params(UdfHistoryRequest), responses(
    (status = 200, description = "The bars, or `no_data`", body = UdfHistory),
    (status = 400, description = "Parameters are wrong; all of them are named", body = UdfError),
    (status = 404, description = "Unknown symbol", body = UdfError),
    (status = 503, description = "The database does not answer", body = UdfError),
))]
pub async fn find_udf_history(
    State(store): State<Store>,
    Query(request): Query<UdfHistoryRequest>,
) -> Result<Json<UdfHistory>, Problem> {
    let UdfHistoryRequest { symbol, from, to, resolution: timeframe, countback } = request;
    let from = from.filter(|_| countback.is_none()).map(|from| real(from, timeframe));
    let limit = countback.unwrap_or(MAX_BARS).min(MAX_BARS);
    let newest =
        |start, end, limit| BarsQuery { start, end: Some(end), ..BarsQuery::newest(symbol.clone(), timeframe, limit) };
    let to = real(to, timeframe);
    let mut bars = store.bars(&newest(from, to, limit)).await?;
    bars.reverse();
    if !bars.is_empty() {
        return Ok(Json(UdfHistory::of(&bars, timeframe)));
    }
    let before = match from {
        Some(from) => store.bars(&newest(None, from.min(to), 1)).await?,
        None => Vec::new(),
    };
    if before.is_empty() {
        let unknown = store.unknown(std::slice::from_ref(&symbol)).await?;
        if !unknown.is_empty() {
            return Err(Problem::unknown_symbol(&unknown));
        }
    }
    let next_time = before.first().map(|bar| shown(bar.time, timeframe));
    Ok(Json(UdfHistory::Nothing { s: "no_data", next_time }))
}
