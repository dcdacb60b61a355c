//! Snapshots: the newest minute, its day and the day before.

use super::{
    AlpacaBar, AlpacaError, TAG,
    bars::{AlpacaSource, AlpacaSymbols},
    symbol,
};
use crate::{
    http::{Problem, params::Query},
    store::Store,
};
use axum::{
    Json,
    extract::{Path, State},
};
use market::{Symbol, wire::Snapshot};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What a symbol is worth now. Trades and quotes are not known.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(rename_all = "camelCase")]
pub struct AlpacaSnapshot {
    /// Not known.
    #[schema(required, value_type = Option<Object>)]
    latest_trade: Option<()>,
    /// Not known.
    #[schema(required, value_type = Option<Object>)]
    latest_quote: Option<()>,
    minute_bar: AlpacaBar,
    daily_bar: AlpacaBar,
    /// Of the trading day before; `null` on the first.
    #[schema(required)]
    prev_daily_bar: Option<AlpacaBar>,
}

impl From<&Snapshot> for AlpacaSnapshot {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            latest_trade: None,
            latest_quote: None,
            minute_bar: AlpacaBar::from(&snapshot.latest.bar),
            daily_bar: AlpacaBar::from(&snapshot.daily),
            prev_daily_bar: snapshot.previous_daily.as_ref().map(AlpacaBar::from),
        }
    }
}

/// The snapshot of one symbol.
#[derive(Serialize, ToSchema)]
pub struct AlpacaSnapshotOf {
    #[schema(value_type = String)]
    symbol: Symbol,
    #[serde(flatten)]
    snapshot: AlpacaSnapshot,
}

/// Snapshots of several symbols, by symbol; one without bars is left out.
#[utoipa::path(get, path = "/v2/stocks/snapshots", tag = TAG, operation_id = "list_alpaca_snapshots", params(AlpacaSymbols, AlpacaSource), responses(
    (status = 200, description = "One snapshot per symbol", body = std::collections::HashMap<String, AlpacaSnapshot>),
    (status = 400, description = "Parameters are wrong; all of them are named", body = AlpacaError),
    (status = 503, description = "The database does not answer", body = AlpacaError),
))]
pub async fn list_alpaca_snapshots(
    State(store): State<Store>,
    Query(AlpacaSymbols { symbols }): Query<AlpacaSymbols>,
) -> Result<Json<BTreeMap<Symbol, AlpacaSnapshot>>, Problem> {
    let snapshots = store.snapshots(&symbols).await?;
    Ok(Json(snapshots.iter().map(|snapshot| (snapshot.latest.symbol.clone(), snapshot.into())).collect()))
}

/// The snapshot of one symbol.
#[utoipa::path(get, path = "/v2/stocks/{symbol}/snapshot", tag = TAG, operation_id = "find_alpaca_snapshot",
    params(("symbol" = String, Path, description = "Ticker", pattern = "^[A-Z][A-Z0-9.-]{0,14}$", example = "AMZN"), AlpacaSource),
    responses(
        (status = 200, description = "The snapshot", body = AlpacaSnapshotOf),
        (status = 400, description = "Parameters are wrong; all of them are named", body = AlpacaError),
        (status = 404, description = "The symbol has no bars", body = AlpacaError),
        (status = 503, description = "The database does not answer", body = AlpacaError),
    ),
)]
pub async fn find_alpaca_snapshot(
    State(store): State<Store>,
    Path(name): Path<String>,
    Query(AlpacaSource { .. }): Query<AlpacaSource>,
) -> Result<Json<AlpacaSnapshotOf>, Problem> {
    let symbol = symbol(&name)?;
    match store.snapshots(std::slice::from_ref(&symbol)).await?.first() {
        Some(snapshot) => Ok(Json(AlpacaSnapshotOf { symbol, snapshot: snapshot.into() })),
        None => Err(Problem::no_bars(&symbol)),
    }
}
