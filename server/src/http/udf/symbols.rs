//! What there is: the server's abilities and clock, and symbols with their sessions.

use super::{TAG, Ticker, UdfError};
use crate::http::{
    Catalogue, Problem,
    params::{Limit, Params, Query, Request},
};
use axum::{Json, extract::State};
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc, Weekday};
use market::{EXCHANGE_ZONE, Symbol, session_on, wire::SymbolInfo};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Resolutions that a chart offers; every other one that exists is answered too.
const RESOLUTIONS: [&str; 17] =
    ["1", "2", "3", "5", "10", "15", "30", "45", "60", "120", "180", "240", "1D", "1W", "1M", "3M", "12M"];
/// Those of them that are not whole days.
const INTRADAY: usize = 12;
/// Prices have four decimal places.
const PRICE_SCALE: u32 = 10_000;
/// Symbols that a search finds when it does not say how many, and at most.
const FOUND: (u32, u32) = (30, 1_000);

/// What the server can do.
#[derive(Serialize, ToSchema)]
pub struct UdfConfig {
    #[schema(value_type = Vec<String>)]
    supported_resolutions: [&'static str; 17],
    supports_search: bool,
    supports_group_request: bool,
    supports_marks: bool,
    supports_timescale_marks: bool,
    supports_time: bool,
    exchanges: Vec<UdfChoice>,
    symbols_types: Vec<UdfChoice>,
}

/// An entry of a list to choose from.
#[derive(Serialize, ToSchema)]
pub struct UdfChoice {
    #[schema(value_type = String)]
    value: &'static str,
    #[schema(value_type = String)]
    name: &'static str,
    #[schema(value_type = String)]
    desc: &'static str,
}

/// What the server can do: resolutions, search, marks, its clock.
#[utoipa::path(get, path = "/udf/config", tag = TAG, operation_id = "find_udf_config", responses(
    (status = 200, description = "The configuration", body = UdfConfig),
))]
pub async fn find_udf_config() -> Json<UdfConfig> {
    Json(UdfConfig {
        supported_resolutions: RESOLUTIONS,
        supports_search: true,
        supports_group_request: false,
        supports_marks: true,
        supports_timescale_marks: true,
        supports_time: true,
        exchanges: vec![UdfChoice { value: "", name: "All exchanges", desc: "There is one source" }],
        symbols_types: vec![UdfChoice { value: "stock", name: "Stock", desc: "Shares" }],
    })
}

/// The server's clock, in Unix seconds.
#[utoipa::path(get, path = "/udf/time", tag = TAG, operation_id = "find_udf_time", responses(
    (status = 200, description = "Unix seconds, as text", body = String, content_type = "text/plain"),
))]
pub async fn find_udf_time() -> String {
    Utc::now().timestamp().to_string()
}

/// Which symbol.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UdfSymbolRequest {
    /// Ticker; a name of an exchange before it (`NASDAQ:AMZN`) is ignored.
    #[param(value_type = String, example = "AMZN", pattern = "^([A-Za-z0-9_]{1,20}:)?[A-Z][A-Z0-9.-]{0,14}$")]
    symbol: Symbol,
}

impl Request for UdfSymbolRequest {
    fn read(params: &mut Params) -> Option<Self> {
        let Ticker(symbol) = params.required("symbol")?;
        Some(Self { symbol })
    }
}

/// A symbol, and when it is traded.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "name": "AMZN", "ticker": "AMZN", "description": "AMZN", "type": "stock", "exchange": "", "listed_exchange": "",
    "timezone": "America/New_York", "session": "0930-1600", "session_holidays": "20240101,20240115",
    "corrections": "0930-1300:20240703,20241129", "minmov": 1, "pricescale": 10000, "has_intraday": true,
    "has_daily": true, "has_weekly_and_monthly": true, "intraday_multipliers": ["1"], "supported_resolutions": ["1", "1D"],
    "volume_precision": 0, "data_status": "streaming", "format": "price"
}))]
pub struct UdfSymbol {
    #[schema(value_type = String)]
    name: Symbol,
    #[schema(value_type = String)]
    ticker: Symbol,
    /// The ticker: no other name is known. Simulated prices are called so.
    description: String,
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: &'static str,
    /// Not known.
    #[schema(value_type = String)]
    exchange: &'static str,
    /// Not known.
    #[schema(value_type = String)]
    listed_exchange: &'static str,
    #[schema(value_type = String)]
    timezone: &'static str,
    /// The regular session of a full day, on the exchange's clocks.
    session: String,
    /// Weekdays without a session, as far as there are bars and a year on: `YYYYMMDD`, separated by commas.
    session_holidays: String,
    /// Days that close early: `0930-1300:YYYYMMDD,…`.
    corrections: String,
    minmov: u32,
    pricescale: u32,
    has_intraday: bool,
    has_daily: bool,
    has_weekly_and_monthly: bool,
    #[schema(value_type = Vec<String>)]
    intraday_multipliers: &'static [&'static str],
    #[schema(value_type = Vec<String>)]
    supported_resolutions: [&'static str; 17],
    volume_precision: u32,
    #[schema(value_type = String)]
    data_status: &'static str,
    #[schema(value_type = String)]
    format: &'static str,
}

impl UdfSymbol {
    fn of(info: &SymbolInfo) -> Self {
        let Hours { session, session_holidays, corrections } =
            Hours::of(day(info.first), day(info.last) + TimeDelta::days(366));
        Self {
            name: info.symbol.clone(),
            ticker: info.symbol.clone(),
            description: described(info),
            kind: "stock",
            exchange: "",
            listed_exchange: "",
            timezone: EXCHANGE_ZONE.name(),
            session,
            session_holidays,
            corrections,
            minmov: 1,
            pricescale: PRICE_SCALE,
            has_intraday: true,
            has_daily: true,
            has_weekly_and_monthly: true,
            intraday_multipliers: &RESOLUTIONS[..INTRADAY],
            supported_resolutions: RESOLUTIONS,
            volume_precision: 0,
            data_status: "streaming",
            format: "price",
        }
    }
}

fn described(info: &SymbolInfo) -> String {
    if info.simulated { format!("{} (simulated)", info.symbol) } else { info.symbol.to_string() }
}

fn day(time: DateTime<Utc>) -> NaiveDate {
    time.with_timezone(&EXCHANGE_ZONE).date_naive()
}

/// When the exchange is open from one day to another, as the protocol writes it.
struct Hours {
    session: String,
    session_holidays: String,
    corrections: String,
}

impl Hours {
    fn of(first: NaiveDate, last: NaiveDate) -> Self {
        let mut holidays: Vec<String> = Vec::new();
        let mut days: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let weekdays = first.iter_days().take_while(|day| *day <= last);
        for day in weekdays.filter(|day| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun)) {
            let written = day.format("%Y%m%d").to_string();
            match session_on(day) {
                None => holidays.push(written),
                Some(session) => {
                    let clock = |time: DateTime<Utc>| time.with_timezone(&EXCHANGE_ZONE).format("%H%M").to_string();
                    let hours = format!("{}-{}", clock(session.open), clock(session.close));
                    days.entry(hours).or_default().push(written);
                }
            }
        }
        // The hours of most days are the session; all others are corrections of it.
        let session =
            days.iter().max_by_key(|(_, days)| days.len()).map(|(hours, _)| hours.clone()).unwrap_or_default();
        days.remove(&session);
        let corrections: Vec<String> =
            days.into_iter().map(|(hours, days)| format!("{hours}:{}", days.join(","))).collect();
        Self { session, session_holidays: holidays.join(","), corrections: corrections.join(";") }
    }
}

/// One symbol: its session, its holidays, its resolutions.
#[utoipa::path(get, path = "/udf/symbols", tag = TAG, operation_id = "find_udf_symbol", params(UdfSymbolRequest), responses(
    (status = 200, description = "The symbol", body = UdfSymbol),
    (status = 400, description = "Parameters are wrong; all of them are named", body = UdfError),
    (status = 404, description = "Unknown symbol", body = UdfError),
    (status = 503, description = "The database does not answer", body = UdfError),
))]
pub async fn find_udf_symbol(
    State(catalogue): State<Catalogue>,
    Query(UdfSymbolRequest { symbol }): Query<UdfSymbolRequest>,
) -> Result<Json<UdfSymbol>, Problem> {
    let symbols = catalogue.symbols().await?;
    match symbols.iter().find(|info| info.symbol == symbol) {
        Some(info) => Ok(Json(UdfSymbol::of(info))),
        None => Err(Problem::unknown_symbol(&[symbol])),
    }
}

/// What to look for.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UdfSearchRequest {
    /// Part of a ticker, in either case; everything when not given.
    #[param(value_type = String, required = false, example = "am")]
    query: Option<String>,
    /// `stock`, or nothing.
    #[param(value_type = String, required = false, example = "stock")]
    r#type: Option<String>,
    /// Nothing is known of exchanges: without effect.
    #[param(value_type = String, required = false)]
    #[expect(dead_code, reason = "what is accepted without effect is only described")]
    exchange: Option<String>,
    /// Symbols at most.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 1_000, default = 30)]
    limit: u32,
}

impl Request for UdfSearchRequest {
    fn read(params: &mut Params) -> Option<Self> {
        Some(Self {
            query: params.optional("query"),
            r#type: params.optional("type"),
            exchange: params.optional("exchange"),
            limit: params.optional::<Limit<{ FOUND.1 }>>("limit").map_or(FOUND.0, |Limit(limit)| limit),
        })
    }
}

/// A symbol that was found.
#[derive(Serialize, ToSchema)]
pub struct UdfFound {
    #[schema(value_type = String)]
    symbol: Symbol,
    #[schema(value_type = String)]
    full_name: Symbol,
    description: String,
    #[schema(value_type = String)]
    exchange: &'static str,
    #[schema(value_type = String)]
    ticker: Symbol,
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: &'static str,
}

/// Symbols whose names have the text in them; those that begin with it come first.
#[utoipa::path(get, path = "/udf/search", tag = TAG, operation_id = "search_udf", params(UdfSearchRequest), responses(
    (status = 200, description = "The symbols found", body = [UdfFound]),
    (status = 400, description = "Parameters are wrong; all of them are named", body = UdfError),
    (status = 503, description = "The database does not answer", body = UdfError),
))]
pub async fn search_udf(
    State(catalogue): State<Catalogue>,
    Query(request): Query<UdfSearchRequest>,
) -> Result<Json<Vec<UdfFound>>, Problem> {
    if request.r#type.is_some_and(|kind| kind != "stock") {
        return Ok(Json(Vec::new()));
    }
    let wanted = request.query.unwrap_or_default().to_ascii_uppercase();
    let symbols = catalogue.symbols().await?;
    let mut found: Vec<&SymbolInfo> = symbols.iter().filter(|info| info.symbol.as_str().contains(&wanted)).collect();
    found.sort_by_key(|info| !info.symbol.as_str().starts_with(&wanted));
    let found = found.into_iter().take(request.limit as usize).map(|info| UdfFound {
        symbol: info.symbol.clone(),
        full_name: info.symbol.clone(),
        description: described(info),
        exchange: "",
        ticker: info.symbol.clone(),
        kind: "stock",
    });
    Ok(Json(found.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_those_of_the_exchange() {
        let hours = Hours::of("2024-01-01".parse().unwrap(), "2024-12-31".parse().unwrap());
        assert_eq!(hours.session, "0930-1600");
        assert_eq!(hours.corrections, "0930-1300:20240703,20241129,20241224");
        let holidays: Vec<&str> = hours.session_holidays.split(',').collect();
        assert_eq!((holidays.len(), holidays[0], holidays[9]), (10, "20240101", "20241225"));
    }
}
