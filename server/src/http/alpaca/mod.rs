//! Alpaca's market data API, version 2, so that its clients work here unchanged: paths, parameters, member names, paging
//! and error bodies are Alpaca's, the bars are ours.
//!
//! **What differs.** There is one source, so `feed`, `asof` and `adjustment` are accepted and change nothing: bars are
//! what the source database holds, adjusted or not. `currency` can only be USD. Trades are not known: `n` (their number),
//! `vw` (their average price), `latestTrade` and `latestQuote` are `null`, never made up. Without `start` everything is
//! asked for, not only the current day. Credentials are accepted and not needed.

pub(super) mod bars;
pub(super) mod snapshots;
mod words;

use super::Problem;
use axum::http::{StatusCode, Uri};
use chrono::{DateTime, Utc};
use market::{Bar, Symbol};
use rust_decimal::Decimal;
use serde::Serialize;
use utoipa::ToSchema;

pub(super) const TAG: &str = "Alpaca market data v2";

/// A bar with Alpaca's member names.
#[derive(Serialize, ToSchema)]
#[schema(as = AlpacaBar, example = json!({
    "t": "2024-01-16T14:31:00Z", "o": 153.42, "h": 153.5, "l": 153.27, "c": 153.36, "v": 18250, "n": null, "vw": null
}))]
pub struct AlpacaBar {
    /// Start of the interval.
    t: DateTime<Utc>,
    #[serde(with = "rust_decimal::serde::float")]
    #[schema(value_type = f64)]
    o: Decimal,
    #[serde(with = "rust_decimal::serde::float")]
    #[schema(value_type = f64)]
    h: Decimal,
    #[serde(with = "rust_decimal::serde::float")]
    #[schema(value_type = f64)]
    l: Decimal,
    #[serde(with = "rust_decimal::serde::float")]
    #[schema(value_type = f64)]
    c: Decimal,
    /// Shares.
    v: i64,
    /// Number of trades: not known.
    #[schema(required)]
    n: Option<u64>,
    /// Average price of the trades: not known.
    #[schema(required)]
    vw: Option<f64>,
}

impl From<&Bar> for AlpacaBar {
    fn from(bar: &Bar) -> Self {
        let &Bar { time, open, high, low, close, volume } = bar;
        Self { t: time, o: open, h: high, l: low, c: close, v: volume, n: None, vw: None }
    }
}

/// The body of a refusal.
#[derive(Serialize, ToSchema)]
#[schema(as = AlpacaError, example = json!({"code": 40010000, "message": "timeframe: is missing"}))]
pub struct AlpacaError<'a> {
    /// The HTTP status, and five digits more, as Alpaca's codes are made.
    code: u32,
    /// What is wrong.
    message: &'a str,
}

impl<'a> From<&'a Problem> for AlpacaError<'a> {
    fn from(problem: &'a Problem) -> Self {
        Self { code: u32::from(problem.status().as_u16()) * 100_000 + 10_000, message: problem.detail() }
    }
}

/// The symbol of a path.
fn symbol(text: &str) -> Result<Symbol, Problem> {
    text.parse().map_err(|error: market::InvalidSymbol| Problem::invalid_parameter("symbol", &error.to_string()))
}

/// 404 for what of Alpaca's API is not here.
pub async fn not_found(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(120).collect();
    let detail = format!("There is nothing at {path}: of Alpaca's market data there are bars and snapshots of stocks.");
    Problem::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail)
}
