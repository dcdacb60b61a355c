//! The original stock API: each call gives the next line of a file, here the next bar of a symbol, oldest first.
//!
//! Where a client is, is remembered per client: by `?client=NAME` when it gives one, otherwise by its address. Clients
//! behind one proxy share an address and should give names. Times are the exchange's wall time and every value is a
//! string, as in the CSV files of that API. A bar that arrives late, before a client's position, is not replayed.

use super::{
    AppState, Problem,
    error::ProblemBody,
    params::{Params, Query, Request},
};
use crate::store::{BarsQuery, Store};
use axum::{
    Json,
    extract::{ConnectInfo, FromRequestParts, Path, State},
    http::request::Parts,
};
use chrono::{DateTime, Utc};
use lru::LruCache;
use market::{Bar, EXCHANGE_ZONE, Symbol, Timeframe};
use rust_decimal::Decimal;
use serde::Serialize;
use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    num::NonZeroUsize,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};
use utoipa::ToSchema;

const TAG: &str = "Original stock API";
const AMZN: &str = "AMZN";
const AAPL: &str = "AAPL";
/// Positions remembered; the client that was silent longest starts again when there are more.
const POSITIONS: NonZeroUsize = NonZeroUsize::new(10_000).expect("ten thousand is not zero");
const MAX_NAME: usize = 64;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Client {
    Named(ClientName),
    At(IpAddr),
    /// The server was started without peer addresses.
    Nameless,
}

/// Start of the last bar a client got. Its lock is held while the next one is looked up, so that two calls at once
/// give two bars.
type Position = Arc<tokio::sync::Mutex<Option<DateTime<Utc>>>>;

/// Where each client is. Cheap to clone, bounded in memory.
#[derive(Clone)]
pub struct Replays(Arc<Mutex<LruCache<(Client, &'static str), Position>>>);

impl Default for Replays {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(LruCache::new(POSITIONS))))
    }
}

impl Replays {
    fn position(&self, client: Client, symbol: &'static str) -> Position {
        // A position is one word: whoever panicked while holding the lock cannot have left half of one.
        let mut positions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        positions.get_or_insert_mut((client, symbol), Position::default).clone()
    }
}

/// A client's name for itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ClientName(String);

impl FromStr for ClientName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() <= MAX_NAME && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("must be 1 to {MAX_NAME} printable ASCII characters without spaces"))
        }
    }
}

/// Whose position.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReplayRequest {
    /// A name for this client, so that it has its own position; its address otherwise.
    #[param(value_type = String, required = false, pattern = "^[!-~]{0,64}$", example = "nifi-1")]
    client: Option<ClientName>,
}

impl Request for ReplayRequest {
    fn read(params: &mut Params) -> Option<Self> {
        Some(Self { client: params.optional("client") })
    }
}

/// The peer's address, when the server was started with it.
pub struct Peer(Option<IpAddr>);

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())))
    }
}

/// A bar as a line of the CSV, or the end of it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum Line {
    #[schema(example = json!({
        "time": "2024-01-16 09:31:00", "open": "153.42", "high": "153.50", "low": "153.27", "close": "153.36",
        "volume": "18250", "symbol": "AMZN"
    }))]
    Bar {
        /// Start of the minute on the exchange's clocks.
        time: String,
        open: String,
        high: String,
        low: String,
        close: String,
        volume: String,
        #[schema(value_type = String)]
        symbol: &'static str,
    },
    #[schema(example = json!({"error": "end of file"}))]
    End {
        /// `end of file`: ask again when there may be more.
        #[schema(value_type = String)]
        error: &'static str,
    },
}

impl Line {
    fn of(bar: Option<Bar>, symbol: &'static str) -> Self {
        match bar {
            None => Self::End { error: "end of file" },
            Some(bar) => Self::Bar {
                time: bar.time.with_timezone(&EXCHANGE_ZONE).format("%Y-%m-%d %H:%M:%S").to_string(),
                open: price(bar.open),
                high: price(bar.high),
                low: price(bar.low),
                close: price(bar.close),
                volume: bar.volume.to_string(),
                symbol,
            },
        }
    }
}

/// At least two decimals, and no more zeros than that.
fn price(value: Decimal) -> String {
    let mut value = value.normalize();
    if value.scale() < 2 {
        value.rescale(2);
    }
    value.to_string()
}

/// The next bar of AMZN for this client.
#[utoipa::path(get, path = "/stock", tag = TAG, operation_id = "next_amzn", params(ReplayRequest), responses(
    (status = 200, description = "The next bar, or `end of file`", body = Line),
    (status = 400, description = "The name is none", body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, description = "AMZN is not stored", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn next_amzn(
    State(state): State<AppState>,
    peer: Peer,
    Query(request): Query<ReplayRequest>,
) -> Result<Json<Line>, Problem> {
    next_line(state, peer, request, AMZN).await
}

/// The next bar of AAPL for this client.
#[utoipa::path(get, path = "/stock1", tag = TAG, operation_id = "next_aapl", params(ReplayRequest), responses(
    (status = 200, description = "The next bar, or `end of file`", body = Line),
    (status = 400, description = "The name is none", body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, description = "AAPL is not stored", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn next_aapl(
    State(state): State<AppState>,
    peer: Peer,
    Query(request): Query<ReplayRequest>,
) -> Result<Json<Line>, Problem> {
    next_line(state, peer, request, AAPL).await
}

async fn next_line(
    state: AppState,
    Peer(address): Peer,
    ReplayRequest { client }: ReplayRequest,
    name: &'static str,
) -> Result<Json<Line>, Problem> {
    let client = client.map(Client::Named).or(address.map(Client::At)).unwrap_or(Client::Nameless);
    let position = state.replays.position(client, name);
    let mut after = position.lock().await;
    let query = BarsQuery {
        symbol: symbol(name),
        timeframe: Timeframe::MINUTE_1,
        start: None,
        end: None,
        limit: 1,
        descending: false,
        after: *after,
    };
    let bar = state.feed.store.bars(&query).await?.pop();
    match bar {
        Some(bar) => *after = Some(bar.time),
        None => refuse_unknown(&state.feed.store, query.symbol).await?,
    }
    Ok(Json(Line::of(bar, name)))
}

/// The `n`-th bar of AMZN, oldest first, counted from 0; it moves nobody's position.
#[utoipa::path(get, path = "/line/{n}", tag = TAG, operation_id = "find_line",
    params(("n" = i64, Path, description = "Number of the line, from 0", minimum = 0, example = 0)),
    responses(
        (status = 200, description = "The bar, or `end of file`", body = Line),
        (status = 400, description = "Not a number", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "AMZN is not stored", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn find_line(State(store): State<Store>, Path(n): Path<String>) -> Result<Json<Line>, Problem> {
    let Some(n) = n.parse().ok().filter(|n: &i64| *n >= 0) else {
        return Err(Problem::invalid_parameter("n", "must be a whole number from 0"));
    };
    let bar = store.bar_at(&symbol(AMZN), n).await?;
    if bar.is_none() {
        refuse_unknown(&store, symbol(AMZN)).await?;
    }
    Ok(Json(Line::of(bar, AMZN)))
}

async fn refuse_unknown(store: &Store, symbol: Symbol) -> Result<(), Problem> {
    let unknown = store.unknown(&[symbol]).await?;
    if unknown.is_empty() { Ok(()) } else { Err(Problem::unknown_symbol(&unknown)) }
}

fn symbol(name: &'static str) -> Symbol {
    name.parse().expect("the two names above are symbols")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_look_like_prices() {
        for (exact, shown) in [("153.4200", "153.42"), ("153.5", "153.50"), ("7", "7.00"), ("1.23450", "1.2345")] {
            assert_eq!(price(exact.parse().unwrap()), shown);
        }
    }

    #[test]
    fn positions_are_bounded_and_the_most_silent_client_goes_first() {
        let replays = Replays::default();
        let name = |n: usize| Client::Named(ClientName(format!("c{n}")));
        let first = replays.position(name(0), AMZN);
        assert!(Arc::ptr_eq(&first, &replays.position(name(0), AMZN)));
        for n in 1..=POSITIONS.get() {
            replays.position(name(n), AMZN);
        }
        assert_eq!(replays.0.lock().unwrap().len(), POSITIONS.get());
        assert!(!Arc::ptr_eq(&first, &replays.position(name(0), AMZN)));
    }
}
