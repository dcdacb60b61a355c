//! Bars, page by page, and the newest ones.

use super::{
    AlpacaBar, AlpacaError, TAG, symbol,
    words::{AlpacaTimeframe, InclusiveEnd, as_they_are, one_source},
};
use crate::{
    http::{
        Problem,
        cursor::Cursor,
        market_data::{Sort, SymbolList},
        params::{Instant, Limit, Params, Query, Request},
        schema,
    },
    store::{BarsQuery, ReadError, Store},
};
use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, Utc};
use market::{Bar, Symbol, Timeframe};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Bars on a page that does not say how many it wants, and on the longest.
const BARS: (u32, u32) = (1_000, 10_000);

/// Which bars, of whichever symbols.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AlpacaWindow {
    /// Length of a bar: `1Min` to `59Min` (`T`), `1Hour` to `23Hour` (`H`), `1Day` (`D`), `1Week` (`W`), or 1, 2, 3, 4, 6,
    /// 12 `Month` (`M`).
    #[param(
        value_type = String, example = "1Min",
        pattern = "^(([1-9]|[1-5][0-9])(Min|T)|([1-9]|1[0-9]|2[0-3])(Hour|H)|1(Day|D|Week|W)|([12346]|12)(Month|M))$",
    )]
    timeframe: Timeframe,
    /// Bars that start at this instant (RFC 3339) or later; a day is its midnight in New York. Everything when not given.
    #[param(value_type = schema::Instant, inline, required = false, example = "2024-01-16T14:30:00Z")]
    start: Option<DateTime<Utc>>,
    /// Bars that start at this instant or before; on this day or before.
    #[param(value_type = schema::Instant, inline, required = false, example = "2024-01-17")]
    end: Option<DateTime<Utc>>,
    /// Bars on a page, of all symbols together.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 10_000, default = 1_000)]
    limit: u32,
    /// `asc`: oldest first; `desc`: newest first. Symbols are in the order of their names.
    #[param(value_type = schema::Sort, inline, required = false)]
    sort: Sort,
    /// `next_page_token` of the page before; everything else must stay as it was.
    #[param(value_type = String, required = false, pattern = "^[A-Za-z0-9_-]*$")]
    page_token: Option<Cursor>,
}

impl Request for AlpacaWindow {
    fn read(params: &mut Params) -> Option<Self> {
        let timeframe = params.required("timeframe").map(|AlpacaTimeframe(timeframe)| timeframe);
        let start = params.optional("start").map(|Instant(start)| start);
        let end = params.optional("end").map(|InclusiveEnd(end)| end);
        if let (Some(start), Some(end)) = (start, end)
            && start >= end
        {
            params.report("end", "should not be before start");
        }
        let Limit(limit) = params.optional::<Limit<{ BARS.1 }>>("limit").unwrap_or(Limit(BARS.0));
        let sort = params.optional("sort").unwrap_or(Sort::Ascending);
        let page_token: Option<Cursor> = params.optional("page_token");
        one_source(params);
        as_they_are(params);
        let timeframe = timeframe?;
        if page_token.as_ref().is_some_and(|token| (token.timeframe, token.sort) != (timeframe, sort)) {
            params.report("page_token", "belongs to another timeframe or sort");
        }
        Some(Self { timeframe, start, end, limit, sort, page_token })
    }
}

impl AlpacaWindow {
    /// The bars of a page, by symbol, and the token of the next.
    async fn page(
        &self,
        store: &Store,
        symbols: &[Symbol],
    ) -> Result<(BTreeMap<Symbol, Vec<Bar>>, Option<String>), ReadError> {
        let mut found: BTreeMap<Symbol, Vec<Bar>> = BTreeMap::new();
        // One more than shown tells whether there is another page.
        let mut wanted = self.limit + 1;
        let mut last: Option<(Symbol, DateTime<Utc>)> = None;
        let done = self.page_token.as_ref().map(|token| &token.symbol);
        for symbol in symbols.iter().filter(|symbol| done.is_none_or(|done| *symbol >= done)) {
            let after = self.page_token.as_ref().filter(|token| token.symbol == *symbol).map(|token| token.after);
            let query = BarsQuery {
                symbol: symbol.clone(),
                timeframe: self.timeframe,
                start: self.start,
                end: self.end,
                limit: wanted,
                descending: self.sort == Sort::Descending,
                after,
            };
            let mut bars = store.bars(&query).await?;
            wanted = wanted.saturating_sub(u32::try_from(bars.len()).unwrap_or(u32::MAX));
            if wanted == 0 {
                bars.pop();
            }
            if let Some(bar) = bars.last() {
                last = Some((symbol.clone(), bar.time));
                found.insert(symbol.clone(), bars);
            }
            if wanted == 0 {
                let (timeframe, sort) = (self.timeframe, self.sort);
                let token = last.map(|(symbol, after)| Cursor { symbol, timeframe, sort, after }.to_string());
                return Ok((found, token));
            }
        }
        Ok((found, None))
    }
}

/// Which bars of which symbols.
pub struct AlpacaBarsRequest {
    symbols: Vec<Symbol>,
    window: AlpacaWindow,
}

/// Of which symbols.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AlpacaSymbols {
    /// Tickers, separated by commas, 100 at most.
    #[param(
        value_type = String, example = "AMZN,AAPL",
        pattern = "^[A-Z][A-Z0-9.-]{0,14}(,[A-Z][A-Z0-9.-]{0,14}){0,99}$",
    )]
    pub(super) symbols: Vec<Symbol>,
}

impl Request for AlpacaBarsRequest {
    fn read(params: &mut Params) -> Option<Self> {
        let symbols: Option<SymbolList> = params.required("symbols");
        let window = AlpacaWindow::read(params);
        let (SymbolList(symbols), window) = (symbols?, window?);
        if window.page_token.as_ref().is_some_and(|token| !symbols.contains(&token.symbol)) {
            params.report("page_token", "belongs to other symbols");
        }
        Some(Self { symbols, window })
    }
}

/// A page of bars of several symbols.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "bars": {"AMZN": [{
        "t": "2024-01-16T14:31:00Z", "o": 153.42, "h": 153.5, "l": 153.27, "c": 153.36, "v": 18250, "n": null, "vw": null
    }]},
    "next_page_token": null
}))]
pub struct AlpacaBars {
    /// By symbol; one without bars is left out.
    #[schema(value_type = std::collections::HashMap<String, Vec<AlpacaBar>>)]
    bars: BTreeMap<Symbol, Vec<AlpacaBar>>,
    /// Pass it as `page_token` for the next page; `null` on the last.
    #[schema(required)]
    next_page_token: Option<String>,
}

/// A page of bars of one symbol.
#[derive(Serialize, ToSchema)]
pub struct AlpacaBarsOf {
    bars: Vec<AlpacaBar>,
    #[schema(value_type = String)]
    symbol: Symbol,
    /// Pass it as `page_token` for the next page; `null` on the last.
    #[schema(required)]
    next_page_token: Option<String>,
}

/// Bars of several symbols, page by page: first all of one symbol, then of the next.
#[utoipa::path(get, path = "/v2/stocks/bars", tag = TAG, operation_id = "list_alpaca_bars", params(AlpacaSymbols, AlpacaWindow, AlpacaSource, AlpacaAdjustment), responses(
    (status = 200, description = "A page of bars", body = AlpacaBars),
    (status = 400, description = "Parameters are wrong; all of them are named", body = AlpacaError),
    (status = 503, description = "The database does not answer", body = AlpacaError),
))]
pub async fn list_alpaca_bars(
    State(store): State<Store>,
    Query(AlpacaBarsRequest { symbols, window }): Query<AlpacaBarsRequest>,
) -> Result<Json<AlpacaBars>, Problem> {
    let (found, next_page_token) = window.page(&store, &symbols).await?;
    let bars = found.into_iter().map(|(symbol, bars)| (symbol, bars.iter().map(AlpacaBar::from).collect())).collect();
    Ok(Json(AlpacaBars { bars, next_page_token }))
}

/// Bars of one symbol, page by page.
#[utoipa::path(get, path = "/v2/stocks/{symbol}/bars", tag = TAG, operation_id = "list_alpaca_bars_of",
    params(("symbol" = String, Path, description = "Ticker", pattern = "^[A-Z][A-Z0-9.-]{0,14}$", example = "AMZN"), AlpacaWindow, AlpacaSource, AlpacaAdjustment),
    responses(
        (status = 200, description = "A page of bars", body = AlpacaBarsOf),
        (status = 400, description = "Parameters are wrong; all of them are named", body = AlpacaError),
        (status = 503, description = "The database does not answer", body = AlpacaError),
    ),
)]
pub async fn list_alpaca_bars_of(
    State(store): State<Store>,
    Path(name): Path<String>,
    Query(window): Query<AlpacaWindow>,
) -> Result<Json<AlpacaBarsOf>, Problem> {
    let symbol = symbol(&name)?;
    if window.page_token.as_ref().is_some_and(|token| token.symbol != symbol) {
        return Err(Problem::invalid_parameter("page_token", "belongs to another symbol"));
    }
    let (found, next_page_token) = window.page(&store, std::slice::from_ref(&symbol)).await?;
    let bars = found.get(&symbol).into_iter().flatten().map(AlpacaBar::from).collect();
    Ok(Json(AlpacaBarsOf { bars, symbol, next_page_token }))
}

/// The newest bar of several symbols.
#[derive(Serialize, ToSchema)]
pub struct AlpacaLatest {
    /// By symbol; one without bars is left out.
    #[schema(value_type = std::collections::HashMap<String, AlpacaBar>)]
    bars: BTreeMap<Symbol, AlpacaBar>,
}

/// The newest bar of one symbol.
#[derive(Serialize, ToSchema)]
pub struct AlpacaLatestOf {
    bar: AlpacaBar,
    #[schema(value_type = String)]
    symbol: Symbol,
}

/// Of which source: there is one.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what is accepted without effect is only described")]
pub struct AlpacaSource {
    /// Accepted, without effect: there is one source.
    #[param(value_type = String, required = false, pattern = "^(sip|iex|delayed_sip|boats|overnight|otc)?$")]
    feed: (),
    /// Only USD.
    #[param(value_type = String, required = false, pattern = "^(USD)?$")]
    currency: (),
}

/// Adjusted how: bars are what the source holds.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what is accepted without effect is only described")]
pub struct AlpacaAdjustment {
    /// Accepted, without effect: bars are what the source holds.
    #[param(value_type = String, required = false, pattern = "^(raw|split|dividend|spin-off|all)?$")]
    adjustment: (),
    /// A day. Accepted, without effect: symbols are called what the source calls them.
    #[param(value_type = schema::Day, inline, required = false)]
    asof: (),
}

impl Request for AlpacaSource {
    fn read(params: &mut Params) -> Option<Self> {
        one_source(params);
        Some(Self { feed: (), currency: () })
    }
}

impl Request for AlpacaSymbols {
    fn read(params: &mut Params) -> Option<Self> {
        let symbols: Option<SymbolList> = params.required("symbols");
        one_source(params);
        let SymbolList(symbols) = symbols?;
        Some(Self { symbols })
    }
}

/// The newest one-minute bar of several symbols.
#[utoipa::path(get, path = "/v2/stocks/bars/latest", tag = TAG, operation_id = "list_alpaca_latest", params(AlpacaSymbols, AlpacaSource), responses(
    (status = 200, description = "One bar per symbol", body = AlpacaLatest),
    (status = 400, description = "Parameters are wrong; all of them are named", body = AlpacaError),
    (status = 503, description = "The database does not answer", body = AlpacaError),
))]
pub async fn list_alpaca_latest(
    State(store): State<Store>,
    Query(AlpacaSymbols { symbols }): Query<AlpacaSymbols>,
) -> Result<Json<AlpacaLatest>, Problem> {
    let latest = store.latest(Some(&symbols)).await?;
    let bars = latest.into_iter().map(|latest| (latest.symbol, AlpacaBar::from(&latest.bar))).collect();
    Ok(Json(AlpacaLatest { bars }))
}

/// The newest one-minute bar of one symbol.
#[utoipa::path(get, path = "/v2/stocks/{symbol}/bars/latest", tag = TAG, operation_id = "list_alpaca_latest_of",
    params(("symbol" = String, Path, description = "Ticker", pattern = "^[A-Z][A-Z0-9.-]{0,14}$", example = "AMZN"), AlpacaSource),
    responses(
        (status = 200, description = "The bar", body = AlpacaLatestOf),
        (status = 400, description = "Parameters are wrong; all of them are named", body = AlpacaError),
        (status = 404, description = "The symbol has no bars", body = AlpacaError),
        (status = 503, description = "The database does not answer", body = AlpacaError),
    ),
)]
pub async fn list_alpaca_latest_of(
    State(store): State<Store>,
    Path(name): Path<String>,
    Query(AlpacaSource { .. }): Query<AlpacaSource>,
) -> Result<Json<AlpacaLatestOf>, Problem> {
    let symbol = symbol(&name)?;
    match store.latest(Some(std::slice::from_ref(&symbol))).await?.first() {
        Some(latest) => Ok(Json(AlpacaLatestOf { bar: AlpacaBar::from(&latest.bar), symbol })),
        None => Err(Problem::no_bars(&symbol)),
    }
}
