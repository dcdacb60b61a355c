//! HTTP: who may ask what, and how answers and refusals look.
//!
//! This module knows no SQL and no Kafka: `store` answers, `pipeline::Status` says how the pipeline does, `feed` serves
//! sockets. [`answers`] is what is answered, [`serve`] the connections it is answered on; opening the port belongs to the
//! caller.

mod admit;
mod alpaca;
mod audit;
mod bound;
mod caching;
mod catalogue;
mod changes;
mod checkpoints;
mod columns;
mod control;
mod cors;
mod credential;
mod csv;
mod cursor;
mod data_docs;
mod dialect;
mod dismiss;
mod document;
mod error;
mod findings;
mod format;
mod freshness;
mod gate;
mod head_timer;
mod health;
mod json;
mod limit;
mod market_data;
mod observe;
mod openbb;
mod order;
mod original;
mod pages;
mod params;
mod patience;
mod pipeline_view;
mod provenance;
pub mod provenance_schema;
mod quarantine;
mod quarantine_pages;
mod rate;
mod reactive;
mod redrive;
pub mod schema;
mod serve;
mod state;
mod stream;
mod udf;
mod validations;
mod watchlist;

pub use catalogue::Catalogue;
pub use error::{Problem, Violation};
pub use gate::Gate;
pub use limit::Limits;
pub use original::Replays;
pub use pages::{PageBackend, data_docs_pages};
pub use rate::RequestRate;
pub use serve::serve;
pub use state::AppState;

use axum::{
    Router,
    extract::Request,
    response::Response,
    routing::{Route, any, get},
};
use bound::{BODY_LIMIT_BYTES, Bounds};
use observe::Observed;
use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};
use tower::{Service, layer::layer_fn, service_fn};
use utoipa_axum::{router::OpenApiRouter, routes};

/// What programs call: who may, and as often as [`RequestRate`] allows.
fn limited() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(document::outline())
        // Programs that want market data
        .routes(routes!(market_data::list_symbols))
        .routes(routes!(market_data::list_bars))
        .routes(routes!(market_data::list_latest))
        .routes(routes!(market_data::find_stats))
        .routes(routes!(watchlist::list_watched))
        .routes(routes!(changes::list_snapshots))
        .routes(routes!(changes::list_changes))
        .routes(routes!(provenance::find_provenance))
        .routes(routes!(stream::open_stream))
        // Clients of Alpaca
        .routes(routes!(alpaca::bars::list_alpaca_bars))
        .routes(routes!(alpaca::bars::list_alpaca_bars_of))
        .routes(routes!(alpaca::bars::list_alpaca_latest))
        .routes(routes!(alpaca::bars::list_alpaca_latest_of))
        .routes(routes!(alpaca::snapshots::list_alpaca_snapshots))
        .routes(routes!(alpaca::snapshots::find_alpaca_snapshot))
        .routes(routes!(stream::open_alpaca_stream))
        // Charts of TradingView
        .routes(routes!(udf::symbols::find_udf_config))
        .routes(routes!(udf::symbols::find_udf_time))
        .routes(routes!(udf::symbols::find_udf_symbol))
        .routes(routes!(udf::symbols::search_udf))
        .routes(routes!(udf::history::find_udf_history))
        .routes(routes!(udf::marks::find_udf_marks))
        .routes(routes!(udf::marks::find_udf_timescale_marks))
        .routes(routes!(udf::quotes::find_udf_quotes))
        .routes(routes!(openbb::list_openbb_widgets))
        .routes(routes!(openbb::list_openbb_apps))
        // Clients of the original stock API
        .routes(routes!(original::next_amzn))
        .routes(routes!(original::next_aapl))
        .routes(routes!(original::find_line))
        // Operators
        .routes(routes!(control::find_pipeline))
        .routes(routes!(control::order_pipeline))
        .routes(routes!(audit::list_audit))
        .routes(routes!(freshness::find_freshness))
        // People who look after the data
        .routes(routes!(quarantine::list_quarantine))
        .routes(routes!(quarantine::find_quarantine))
        .routes(routes!(redrive::redrive_quarantine))
        .routes(routes!(dismiss::dismiss_quarantined))
        .routes(routes!(validations::list_validations, checkpoints::run_validation))
        .routes(routes!(validations::list_validated_suites))
        .routes(routes!(validations::find_validation))
        .routes(routes!(validations::list_validation_trends))
        .routes(routes!(checkpoints::list_checkpoints))
        .routes(routes!(checkpoints::find_checkpoint))
        .routes(routes!(findings::list_findings))
        .routes(routes!(findings::list_rules))
}

/// What supervisors and Prometheus call, as often as they like: a busy server must not look like a dead one.
fn unlimited() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(health::livez)).routes(routes!(health::readyz)).routes(routes!(health::metrics))
}

/// What answers requests. Cheap to clone.
#[derive(Clone)]
pub struct Answers(Arc<Observed>);

impl Service<Request> for Answers {
    type Response = Response;
    type Error = Infallible;
    type Future = observe::Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> observe::Answer {
        self.0.answer(request)
    }
}

/// Everything the server answers.
///
/// Peer addresses are taken from `ConnectInfo<SocketAddr>` in the request's extensions when the caller put it there.
pub fn answers(state: AppState) -> Answers {
    let description = document::Encoded::from(openapi());
    let (data, _) = limited().split_for_parts();
    let data = data
        // People who write clients
        .route("/api/openapi.json", get(move || description.answer()))
        // Everybody who mistyped
        .route("/api", any(error::not_found))
        .route("/api/", any(error::not_found))
        .route("/api/{*path}", any(error::not_found))
        .route("/udf", any(error::not_found))
        .route("/udf/", any(error::not_found))
        .route("/udf/{*path}", any(error::not_found))
        .route("/v2/stocks/{symbol}", any(alpaca::not_found))
        .route("/v2/stocks/{symbol}/{kind}", any(alpaca::not_found))
        .route("/v2/stocks/{symbol}/{kind}/{which}", any(alpaca::not_found))
        .method_not_allowed_fallback(error::method_not_allowed);

    // People with a browser
    let pages = pages::routes(&state).method_not_allowed_fallback(error::method_not_allowed);

    let keys = state.feed.door.keys().clone();
    let entrance = admit::Entrance { rate: state.rate.clone(), keys, gate: state.gate.clone() };
    let counts = observe::Counts::default();
    let bound = |routes: Router<AppState>, entrance, cache_control| {
        let bounds = Bounds { entrance, answer: state.limits.answer, cache_control, counts: counts.clone() };
        let bounds = Arc::new(bounds);
        routes.layer(layer_fn(move |mut route: Route| {
            let bounds = bounds.clone();
            service_fn(move |request: Request| bound::bound(bounds.clone(), &mut route, request))
        }))
    };
    // Live data is old the moment it is stored.
    let data = bound(data, Some(entrance.clone()), "no-store");
    // Around all that can refuse, so that a page of another origin can read why.
    let data = match cors::layer(&state.feed.door.config().allowed_origins) {
        Some(cors) => data.layer(cors),
        None => data,
    };
    let (operations, _) = unlimited().split_for_parts();
    let operations = operations.method_not_allowed_fallback(error::method_not_allowed);

    let routes = data
        // Pages and files are asked for again each time; an unchanged file answers 304.
        .merge(bound(pages, Some(entrance), "no-cache"))
        .merge(bound(operations, None, "no-store"))
        .with_state(state);
    // Around all routes and not each of them, because axum copies what is around a route for every request.
    Answers(Arc::new(Observed::new(routes)))
}

/// The API's description of itself, as `/api/openapi.json` has it.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut description = limited().into_openapi();
    document::add_limits(&mut description, BODY_LIMIT_BYTES);
    description.merge(unlimited().into_openapi());
    description
}
