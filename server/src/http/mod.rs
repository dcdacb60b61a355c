//! HTTP: who may ask what, and how answers and refusals look.
//!
//! This module knows no SQL and no Kafka: `store` answers, `pipeline::Status` says how the pipeline does, `feed` serves
//! sockets. [`router`] is what is answered, [`serve`] the connections it is answered on; opening the port belongs to the
//! caller.

mod catalogue;
mod control;
mod csv;
mod cursor;
mod data_docs;
mod document;
mod error;
mod gate;
mod health;
mod limit;
mod market_data;
mod observe;
mod original;
mod pages;
mod params;
mod patience;
mod quarantine;
mod quarantine_pages;
mod redrive;
pub mod schema;
mod serve;
mod state;
mod stream;
mod validations;

pub use catalogue::Catalogue;
pub use error::{Problem, Violation};
pub use gate::Gate;
pub use limit::{Limits, RequestRate};
pub use original::Replays;
pub use pages::{PageBackend, data_docs_pages};
pub use serve::serve;
pub use state::AppState;

use axum::{
    Router, middleware,
    routing::{any, get},
};
use tower_http::{
    catch_panic::CatchPanicLayer, compression::CompressionLayer, limit::RequestBodyLimitLayer, trace::TraceLayer,
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The largest request body that is read.
const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// What programs call, as often as [`RequestRate`] allows.
fn limited() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(document::outline())
        // Programs that want market data
        .routes(routes!(market_data::list_symbols))
        .routes(routes!(market_data::list_bars))
        .routes(routes!(market_data::list_latest))
        .routes(routes!(market_data::find_stats))
        .routes(routes!(stream::open_stream))
        // Clients of the original stock API
        .routes(routes!(original::next_amzn))
        .routes(routes!(original::next_aapl))
        .routes(routes!(original::find_line))
        // Operators
        .routes(routes!(control::find_pipeline))
        .routes(routes!(control::order_pipeline))
        .routes(routes!(control::list_audit))
        // People who look after the data
        .routes(routes!(quarantine::list_quarantine))
        .routes(routes!(quarantine::find_quarantine))
        .routes(routes!(redrive::redrive_quarantine))
        .routes(routes!(validations::list_validations))
        .routes(routes!(validations::list_validated_suites))
        .routes(routes!(validations::find_validation))
        .routes(routes!(validations::list_validation_trends))
}

/// What supervisors and Prometheus call, as often as they like: a busy server must not look like a dead one.
fn unlimited() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(health::livez)).routes(routes!(health::readyz)).routes(routes!(health::metrics))
}

/// Everything the server answers.
///
/// Peer addresses are taken from `ConnectInfo<SocketAddr>` in the request's extensions when the caller put it there.
pub fn router(state: AppState) -> Router {
    let description = document::Encoded::from(openapi());
    let (data, _) = limited().split_for_parts();
    let data = data
        // People who write clients
        .route("/api/openapi.json", get(move || description.answer()))
        // Everybody who mistyped
        .route("/api", any(error::not_found))
        .route("/api/", any(error::not_found))
        .route("/api/{*path}", any(error::not_found))
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(middleware::from_fn(observe::never_store));

    // People with a browser
    let pages = pages::routes(&state).method_not_allowed_fallback(error::method_not_allowed);

    let limit_rate = middleware::from_fn_with_state(state.rate.clone(), limit::limit_rate);
    let (operations, _) = unlimited().split_for_parts();
    let operations = operations
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(middleware::from_fn(observe::never_store));

    data.merge(pages)
        .layer(limit_rate)
        .merge(operations)
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT_BYTES))
        .layer(middleware::from_fn_with_state(BODY_LIMIT_BYTES, observe::explain))
        .layer(middleware::from_fn_with_state(state.limits.answer, limit::limit_time))
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(observe::secure))
        .layer(middleware::from_fn(observe::measure))
        .layer(TraceLayer::new_for_http().on_failure(()))
        .with_state(state)
}

/// The API's description of itself, as `/api/openapi.json` has it.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut description = limited().into_openapi();
    document::add_limits(&mut description, BODY_LIMIT_BYTES);
    description.merge(unlimited().into_openapi());
    description
}
