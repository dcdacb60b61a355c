//! The native API: symbols, bars, the latest bar, statistics.

use super::{
    Catalogue, Problem,
    caching::{self, Version},
    columns::{self, WriteError},
    csv,
    cursor::Cursor,
    error::ProblemBody,
    format::Format,
    json,
    params::{Instant, Limit, Params, Query, Request},
    schema,
};
use crate::store::{BarsQuery, RecentWindow, Store};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use market::{
    Stats, Symbol, Timeframe,
    wire::{LatestBar, SymbolInfo},
};
use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

pub(super) const TAG: &str = "Market data";
/// Bars on a page that does not say how many it wants.
const DEFAULT_BARS: u32 = 100;
/// Bars on the longest page, and in the longest window of statistics.
const MAX_BARS: u32 = 10_000;
/// Symbols in one question for the latest bars.
const MAX_SYMBOLS: usize = 100;

/// The order of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Ascending,
    Descending,
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ascending => "asc",
            Self::Descending => "desc",
        })
    }
}

impl FromStr for Sort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "asc" => Ok(Self::Ascending),
            "desc" => Ok(Self::Descending),
            _ => Err("must be asc (oldest first) or desc (newest first)"),
        }
    }
}

/// Several symbols, separated by commas.
pub(super) struct SymbolList(pub Vec<Symbol>);

impl FromStr for SymbolList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let symbols: BTreeSet<Symbol> = text
            .split(',')
            .map(|part| part.trim().parse().map_err(|e: market::InvalidSymbol| e.to_string()))
            .collect::<Result<_, _>>()?;
        if symbols.len() > MAX_SYMBOLS {
            return Err(format!("names more than {MAX_SYMBOLS} symbols"));
        }
        Ok(Self(symbols.into_iter().collect()))
    }
}

/// Reads `start` and `end`, which must not contradict each other.
fn window(params: &mut Params) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
    let start = params.optional("start").map(|Instant(start)| start);
    let end = params.optional("end").map(|Instant(end)| end);
    if let (Some(start), Some(end)) = (start, end)
        && start > end
    {
        params.report("end", "must not be earlier than start");
    }
    (start, end)
}

/// Every symbol there is, with the span of its one-minute bars. Some seconds old at most.
#[utoipa::path(get, path = "/api/v1/symbols", tag = TAG, operation_id = "list_symbols", responses(
    (status = 200, description = "All symbols, by name", body = [schema::SymbolInfo]),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn list_symbols(State(catalogue): State<Catalogue>) -> Result<Json<Arc<[SymbolInfo]>>, Problem> {
    Ok(Json(catalogue.symbols().await?))
}

/// Which bars.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BarsRequest {
    /// Ticker.
    #[param(value_type = String, example = "AMZN", pattern = "^[A-Z][A-Z0-9.-]{0,14}$")]
    symbol: Symbol,
    /// Length of a bar: `1m` to `59m`, `1h` to `23h`, `1d`, `1w`, or `1mo`, `2mo`, `3mo`, `4mo`, `6mo`, `12mo`. Longer bars
    /// are made of one-minute bars: minutes and hours start at multiples of their length in UTC; days, weeks (on Monday)
    /// and months at midnight in New York.
    #[param(value_type = schema::Timeframe, inline, required = false)]
    timeframe: Timeframe,
    /// Bars that start at this instant (RFC 3339) or later; a day, `2024-01-16`, is its midnight in New York.
    #[param(value_type = schema::Instant, inline, required = false, example = "2024-01-16T14:30:00Z")]
    start: Option<DateTime<Utc>>,
    /// Bars that start before this instant, or day.
    #[param(value_type = schema::Instant, inline, required = false, example = "2024-01-17")]
    end: Option<DateTime<Utc>>,
    /// Bars on a page.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 10_000, default = 100)]
    limit: u32,
    /// `asc`: oldest first; `desc`: newest first.
    #[param(value_type = schema::Sort, inline, required = false)]
    sort: Sort,
    /// `next_cursor` of the page before; everything else must stay as it was.
    #[param(value_type = String, required = false, pattern = "^[A-Za-z0-9_-]*$")]
    cursor: Option<Cursor>,
    /// `csv`: comma-separated values, one line per bar; `arrow`: an Arrow IPC stream, `parquet`: a Parquet file, both with
    /// prices as `decimal128(38, 18)`. Where the next page of these is, is in the header `Link`. When not given, the header
    /// `Accept` decides.
    #[param(value_type = schema::Format, inline, required = false)]
    format: Option<Format>,
    /// What stands in the `ETag` of a closed window, without `W/` and quotes: the answer is that state of the window, and may
    /// be kept for ever; 410 when the source has corrected it since.
    #[param(value_type = String, required = false, pattern = "^([0-9a-f]{16})?$")]
    version: Option<Version>,
}

impl Request for BarsRequest {
    fn read(params: &mut Params) -> Option<Self> {
        let symbol: Option<Symbol> = params.required("symbol");
        let timeframe = params.optional("timeframe").unwrap_or_default();
        let (start, end) = window(params);
        let Limit(limit) = params.optional::<Limit<MAX_BARS>>("limit").unwrap_or(Limit(DEFAULT_BARS));
        let sort = params.optional("sort").unwrap_or(Sort::Ascending);
        let cursor: Option<Cursor> = params.optional("cursor");
        let format = params.optional("format");
        let version = params.optional("version");
        if version.is_some() && !caching::is_closed(timeframe, end, Utc::now()) {
            params.report("version", "is of a closed window: one whose end is given, and whose last bar is over");
        }
        let symbol = symbol?;
        if let Some(cursor) = &cursor
            && (&cursor.symbol, cursor.timeframe, cursor.sort) != (&symbol, timeframe, sort)
        {
            params.report("cursor", "belongs to another symbol, timeframe or sort");
        }
        Some(Self { symbol, timeframe, start, end, limit, sort, cursor, format, version })
    }
}

impl BarsRequest {
    /// Whether it asks for exactly what is kept in memory.
    fn is_newest(&self) -> bool {
        self.sort == Sort::Descending
            && self.timeframe == Timeframe::MINUTE_1
            && self.limit as usize == RecentWindow::BARS
            && self.start.is_none()
            && self.end.is_none()
            && self.cursor.is_none()
    }
}

/// Bars of one symbol, page by page. While bars arrive, pages that go forward find the new ones at their end, and
/// pages that go backward do not move. A closed window, whose `end` is given and whose last bar is over, has an `ETag` and
/// may be kept, but must be asked for again: a source can correct any row. With its `version` it may be kept for ever.
#[utoipa::path(get, path = "/api/v1/bars", tag = TAG, operation_id = "list_bars", params(BarsRequest), responses(
    (
        status = 200, description = "A page of bars; an empty one when the window has none",
        content(
            (schema::BarsPage = "application/json"), (String = "text/csv"),
            (schema::Binary = "application/vnd.apache.arrow.stream"), (schema::Binary = "application/vnd.apache.parquet"),
        ),
        headers(
            ("link" = String, description = "Of all but JSON: where the next page is (`rel=\"next\"`); absent on the last"),
            ("etag" = String, description = "Of a closed window: its version"),
        ),
    ),
    (status = 304, description = "A closed window that is what `If-None-Match` names"),
    (status = 400, description = "Parameters are wrong; all of them are named", body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, description = "Unknown symbol", body = ProblemBody, content_type = "application/problem+json"),
    (status = 406, description = "A price has more digits than Arrow or Parquet hold exactly; JSON and CSV are possible", body = ProblemBody, content_type = "application/problem+json"),
    (status = 410, description = "The window has another version now (`corrected`)", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn list_bars(
    State(store): State<Store>,
    Query(request): Query<BarsRequest>,
    asked: axum::extract::Request,
) -> Result<Response, Problem> {
    let headers = asked.headers();
    let format = request.format.unwrap_or_else(|| Format::preferred(headers));
    if format == Format::Json
        && request.is_newest()
        && let Some(window) = store.window(&request.symbol).await?
    {
        let mut response = Body::from(window.encoded(|window| newest_page(&request.symbol, window))).into_response();
        describe(response.headers_mut(), Format::Json, None);
        return Ok(response);
    }
    // Apart, because what is not polled has to be moved all the same: this is much, and most questions end above.
    Box::pin(read_bars(store, request, format, asked)).await
}

async fn read_bars(
    store: Store,
    request: BarsRequest,
    format: Format,
    asked: axum::extract::Request,
) -> Result<Response, Problem> {
    let BarsRequest { symbol, timeframe, start, end, limit, sort, cursor, version, .. } = request;
    let is_closed = caching::is_closed(timeframe, end, Utc::now());
    let query = BarsQuery {
        symbol,
        timeframe,
        start,
        end,
        // One more than shown tells whether there is another page.
        limit: limit + 1,
        descending: sort == Sort::Descending,
        after: cursor.map(|cursor| cursor.after),
    };
    let mut bars = store.bars(&query).await?;
    if bars.is_empty() {
        refuse_unknown(&store, std::slice::from_ref(&query.symbol)).await?;
    }
    let more = bars.len() > limit as usize;
    bars.truncate(limit as usize);
    let next_cursor = bars
        .last()
        .filter(|_| more)
        .map(|bar| Cursor { symbol: query.symbol.clone(), timeframe, sort, after: bar.time }.to_string());
    let link = next_cursor.as_deref().filter(|_| format != Format::Json).map(|cursor| next_page(asked.uri(), cursor));
    let body = match format {
        Format::Json => json::bars_page(&bars, next_cursor.as_deref()),
        Format::Csv => csv::write_bars(&query.symbol, &bars),
        Format::Arrow => columns::write_stream(&query.symbol, &bars)?,
        Format::Parquet => columns::write_parquet(&query.symbol, &bars)?,
    };
    let mut response = if is_closed {
        caching::answer_closed(asked.headers(), version, body)?
    } else {
        Body::from(body).into_response()
    };
    describe(response.headers_mut(), format, link);
    Ok(response)
}

/// The page that most charts begin with, made once for each change of it.
fn newest_page(symbol: &Symbol, window: &RecentWindow) -> Bytes {
    let bars = window.newest(RecentWindow::BARS);
    let has_more = window.newest(RecentWindow::BARS + 1).len() > bars.len();
    let (timeframe, sort) = (Timeframe::MINUTE_1, Sort::Descending);
    let next_cursor = bars
        .last()
        .filter(|_| has_more)
        .map(|bar| Cursor { symbol: symbol.clone(), timeframe, sort, after: bar.time }.to_string());
    json::bars_page(bars, next_cursor.as_deref()).into()
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::TooManyDigits => Self::not_acceptable(&error.to_string()),
            WriteError::Arrow(_) | WriteError::Parquet(_) => Self::unwritable(&error),
        }
    }
}

/// Says what the body is, and where the next page is if the body does not.
fn describe(headers: &mut HeaderMap, format: Format, next: Option<String>) {
    // These and all that come on the way out, so that they move once.
    headers.reserve(12);
    headers.insert(header::VARY, HeaderValue::from_static("accept, accept-encoding"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    if let Some(name) = format.file_name() {
        let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
        headers.insert(header::CONTENT_DISPOSITION, disposition.expect("names of files are ASCII"));
    }
    if let Some(link) = next.and_then(|next| HeaderValue::try_from(format!("<{next}>; rel=\"next\"")).ok()) {
        headers.insert(header::LINK, link);
    }
}

/// The same question with another cursor.
fn next_page(uri: &Uri, cursor: &str) -> String {
    let others = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.starts_with("cursor="));
    let query: Vec<&str> = others.filter(|pair| !pair.is_empty()).collect();
    format!("{}?{}&cursor={cursor}", uri.path(), query.join("&"))
}

/// Whose latest bar.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LatestRequest {
    /// Tickers, separated by commas, 100 at most; all when not given.
    #[param(
        value_type = String, required = false, example = "AMZN,AAPL",
        pattern = "^([A-Z][A-Z0-9.-]{0,14}(,[A-Z][A-Z0-9.-]{0,14}){0,99})?$",
    )]
    symbols: Option<Vec<Symbol>>,
}

impl Request for LatestRequest {
    fn read(params: &mut Params) -> Option<Self> {
        Some(Self { symbols: params.optional("symbols").map(|SymbolList(symbols)| symbols) })
    }
}

/// The newest one-minute bar of each symbol, with the instant its change was made in the source and the instant it was
/// committed here.
#[utoipa::path(get, path = "/api/v1/latest", tag = TAG, operation_id = "list_latest", params(LatestRequest), responses(
    (status = 200, description = "One bar per symbol, by name", body = [schema::LatestBar]),
    (status = 400, description = "Parameters are wrong; all of them are named", body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, description = "Unknown symbols; all of them are named", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn list_latest(
    State(store): State<Store>,
    Query(LatestRequest { symbols }): Query<LatestRequest>,
) -> Result<Json<Vec<LatestBar>>, Problem> {
    let latest = store.latest(symbols.as_deref()).await?;
    if let Some(symbols) = symbols.filter(|symbols| symbols.len() > latest.len()) {
        refuse_unknown(&store, &symbols).await?;
    }
    Ok(Json(latest))
}

/// Statistics of which bars.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatsRequest {
    /// Ticker.
    #[param(value_type = String, example = "AMZN", pattern = "^[A-Z][A-Z0-9.-]{0,14}$")]
    symbol: Symbol,
    /// Length of a bar, as for bars.
    #[param(value_type = schema::Timeframe, inline, required = false)]
    timeframe: Timeframe,
    /// Bars that start at this instant (RFC 3339) or later; a day, `2024-01-16`, is its midnight in New York.
    #[param(value_type = schema::Instant, inline, required = false, example = "2024-01-16T14:30:00Z")]
    start: Option<DateTime<Utc>>,
    /// Bars that start before this instant, or day.
    #[param(value_type = schema::Instant, inline, required = false, example = "2024-01-17")]
    end: Option<DateTime<Utc>>,
    /// The newest bars of the window, as many as this.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 10_000, default = 10_000)]
    limit: u32,
}

impl Request for StatsRequest {
    fn read(params: &mut Params) -> Option<Self> {
        let symbol = params.required("symbol");
        let timeframe = params.optional("timeframe").unwrap_or_default();
        let (start, end) = window(params);
        let Limit(limit) = params.optional::<Limit<MAX_BARS>>("limit").unwrap_or(Limit(MAX_BARS));
        Some(Self { symbol: symbol?, timeframe, start, end, limit })
    }
}

/// What the closes of a window of bars amount to: minimum, maximum, average, spread, change, standard deviation.
#[utoipa::path(get, path = "/api/v1/stats", tag = TAG, operation_id = "find_stats", params(StatsRequest), responses(
    (status = 200, description = "The statistics, with their window and row count", body = schema::Stats),
    (status = 400, description = "Parameters are wrong; all of them are named", body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, description = "Unknown symbol (`unknown_symbol`), or none of its bars in this window (`no_bars`)", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn find_stats(
    State(store): State<Store>,
    Query(request): Query<StatsRequest>,
) -> Result<Json<Stats>, Problem> {
    let StatsRequest { symbol, timeframe, start, end, limit } = request;
    match store.stats(&symbol, timeframe, start, end, limit).await? {
        Some(stats) => Ok(Json(stats)),
        None => {
            refuse_unknown(&store, std::slice::from_ref(&symbol)).await?;
            Err(Problem::no_bars(&symbol))
        }
    }
}

pub(super) async fn refuse_unknown(store: &Store, symbols: &[Symbol]) -> Result<(), Problem> {
    let unknown = store.unknown(symbols).await?;
    if unknown.is_empty() { Ok(()) } else { Err(Problem::unknown_symbol(&unknown)) }
}
