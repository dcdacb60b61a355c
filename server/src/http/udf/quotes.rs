//! The latest prices.

use super::{TAG, Ticker, UdfError};
use crate::{
    http::{
        Problem,
        params::{Params, Query, Request},
    },
    store::Store,
};
use axum::{Json, extract::State};
use market::{Symbol, wire::Snapshot};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::Serialize;
use utoipa::ToSchema;

/// Symbols in one question.
const MAX_SYMBOLS: usize = 100;

/// Prices of which symbols.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UdfQuotesRequest {
    /// Tickers, separated by commas, 100 at most.
    #[param(
        value_type = String, example = "AMZN,AAPL",
        pattern = "^([A-Za-z0-9_]{1,20}:)?[A-Z][A-Z0-9.-]{0,14}(,([A-Za-z0-9_]{1,20}:)?[A-Z][A-Z0-9.-]{0,14}){0,99}$",
    )]
    symbols: Vec<(String, Symbol)>,
}

impl Request for UdfQuotesRequest {
    fn read(params: &mut Params) -> Option<Self> {
        let text: String = params.required("symbols")?;
        let names: Vec<&str> = text.split(',').collect();
        if names.len() > MAX_SYMBOLS {
            params.report("symbols", format!("names more than {MAX_SYMBOLS} symbols"));
            return None;
        }
        let mut symbols = Vec::new();
        for name in names {
            match name.trim().parse() {
                Ok(Ticker(symbol)) => symbols.push((name.trim().to_owned(), symbol)),
                Err(error) => params.report("symbols", error),
            }
        }
        Some(Self { symbols })
    }
}

/// The latest prices.
#[derive(Serialize, ToSchema)]
pub struct UdfQuotes {
    /// `ok`.
    #[schema(value_type = String)]
    s: &'static str,
    d: Vec<UdfQuote>,
}

/// The latest prices of one symbol.
#[derive(Serialize, ToSchema)]
pub struct UdfQuote {
    /// `ok`, or `error` for a symbol that is not known.
    #[schema(value_type = String)]
    s: &'static str,
    /// The symbol as it was asked for.
    n: String,
    v: UdfPrices,
}

/// Prices of the newest day. There are no quotes, so `ask`, `bid` and `spread` are absent.
#[derive(Default, Serialize, ToSchema)]
pub struct UdfPrices {
    #[serde(skip_serializing_if = "Option::is_none")]
    short_name: Option<String>,
    /// Newest close.
    #[serde(skip_serializing_if = "Option::is_none")]
    lp: Option<f64>,
    /// Its difference to the close of the trading day before, and the same in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    ch: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chp: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_price: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    high_price: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    low_price: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev_close_price: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    volume: Option<i64>,
}

impl From<&Snapshot> for UdfPrices {
    fn from(snapshot: &Snapshot) -> Self {
        let Snapshot { latest, daily, previous_daily } = snapshot;
        let close = latest.bar.close;
        let before = previous_daily.map(|bar| bar.close);
        let change = before.and_then(|before| close.checked_sub(before));
        let percent = change
            .zip(before)
            .and_then(|(change, before)| change.checked_div(before)?.checked_mul(Decimal::ONE_HUNDRED))
            .map(|percent| percent.round_dp(4));
        Self {
            short_name: Some(latest.symbol.to_string()),
            lp: close.to_f64(),
            ch: change.and_then(|change| change.to_f64()),
            chp: percent.and_then(|percent| percent.to_f64()),
            open_price: daily.open.to_f64(),
            high_price: daily.high.to_f64(),
            low_price: daily.low.to_f64(),
            prev_close_price: before.and_then(|before| before.to_f64()),
            volume: Some(daily.volume),
        }
    }
}

/// The latest prices of several symbols, in the order asked for.
#[utoipa::path(get, path = "/udf/quotes", tag = TAG, operation_id = "find_udf_quotes", params(UdfQuotesRequest), responses(
    (status = 200, description = "The prices; a symbol that is not known has none", body = UdfQuotes),
    (status = 400, description = "Parameters are wrong; all of them are named", body = UdfError),
    (status = 503, description = "The database does not answer", body = UdfError),
))]
pub async fn find_udf_quotes(
    State(store): State<Store>,
    Query(UdfQuotesRequest { symbols }): Query<UdfQuotesRequest>,
) -> Result<Json<UdfQuotes>, Problem> {
    let asked: Vec<Symbol> = symbols.iter().map(|(_, symbol)| symbol.clone()).collect();
    let snapshots = store.snapshots(&asked).await?;
    let quote =
        |(name, symbol): (String, Symbol)| match snapshots.iter().find(|snapshot| snapshot.latest.symbol == symbol) {
            Some(snapshot) => UdfQuote { s: "ok", n: name, v: snapshot.into() },
            None => UdfQuote { s: "error", n: name, v: UdfPrices::default() },
        };
    Ok(Json(UdfQuotes { s: "ok", d: symbols.into_iter().map(quote).collect() }))
}
