//! The door of the live stream: who is refused a socket, and how that is said.

use super::{
    admit::Identity,
    alpaca,
    error::{Problem, ProblemBody},
    limit,
    market_data::TAG,
    state::AppState,
};
use crate::{
    access::Pass,
    feed::{self, Dialect, Refusal},
};
use axum::{
    extract::{ConnectInfo, Path, Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use std::net::SocketAddr;

/// Seconds after which a client that was one too many may come again.
const RETRY_AFTER_SECONDS: u32 = 10;

/// The live stream, a WebSocket: `hello`, then `sub` from the client, then a snapshot and gap-free deltas. JSON text,
/// or MessagePack with the sub-protocol `stockstream.v1.msgpack`. A browser must be on a page of this server, or of an
/// origin that its configuration allows.
#[utoipa::path(get, path = "/api/v1/stream", tag = TAG, operation_id = "open_stream", responses(
    (status = 101, description = "The socket is open"),
    (status = 400, description = "Not a WebSocket handshake", body = ProblemBody, content_type = "application/problem+json"),
    (status = 403, description = "A page of another origin", body = ProblemBody, content_type = "application/problem+json"),
    (status = 426, description = "Another version of the protocol than 13", body = ProblemBody, content_type = "application/problem+json"),
    (status = 429, description = "Too many sockets from this address", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, description = "Too many sockets, or the server stops", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn open_stream(State(state): State<AppState>, request: Request) -> Response {
    open(&state, Dialect::Native, request)
}

/// The live stream in Alpaca's words: `auth`, `subscribe` and `unsubscribe` of `bars`, `updatedBars` and `dailyBars`, `*`
/// for every symbol, in JSON, or in MessagePack with `Content-Type: application/msgpack`. There is one source: every feed
/// has all of it. Any key is accepted, unless the server asks for keys of its own.
#[utoipa::path(get, path = "/v2/{feed}", tag = alpaca::TAG, operation_id = "open_alpaca_stream",
    params(("feed" = String, Path, description = "Feed: `iex`, `sip`, `delayed_sip` or `test`", example = "iex",
        pattern = "^(iex|sip|delayed_sip|test)$")),
    responses(
        (status = 101, description = "The socket is open"),
        (status = 400, description = "Not a WebSocket handshake", body = alpaca::AlpacaError),
        (status = 403, description = "A page of another origin", body = alpaca::AlpacaError),
        (status = 404, description = "Unknown feed", body = alpaca::AlpacaError),
        (status = 426, description = "Another version of the protocol than 13", body = alpaca::AlpacaError),
        (status = 429, description = "Too many sockets from this address", body = alpaca::AlpacaError),
        (status = 503, description = "Too many sockets, or the server stops", body = alpaca::AlpacaError),
    ),
)]
pub async fn open_alpaca_stream(State(state): State<AppState>, Path(feed): Path<String>, request: Request) -> Response {
    if ["iex", "sip", "delayed_sip", "test"].contains(&feed.as_str()) {
        open(&state, Dialect::Alpaca, request)
    } else {
        alpaca::not_found(request.uri().clone()).await.into_response()
    }
}

fn open(state: &AppState, dialect: Dialect, request: Request) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let caller = peer.and_then(|peer| limit::caller(peer, state.limits.limit_loopback));
    let pass = match request.extensions().get::<Identity>() {
        Some(Identity::Key(key)) => Some(key.clone().into()),
        Some(Identity::Operator) => Some(Pass::default()),
        _ => None,
    };
    match feed::open(&state.feed, dialect, caller, pass, request) {
        Ok(response) => response,
        Err(refusal) => refuse(refusal),
    }
}

fn refuse(refusal: Refusal) -> Response {
    let (status, code, title, detail) = match refusal {
        Refusal::NotAHandshake(what) => (
            StatusCode::BAD_REQUEST,
            "no_handshake",
            "WebSocket handshake expected",
            format!("This is a WebSocket: begin with the handshake of RFC 6455; {what}."),
        ),
        Refusal::Version => (
            StatusCode::UPGRADE_REQUIRED,
            "websocket_version",
            "Another WebSocket version",
            format!("The only version here is {}.", feed::VERSION),
        ),
        Refusal::Origin => (
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "Page of another origin",
            "Pages of other origins may not listen; the operator allows one with --allow-origin.".to_owned(),
        ),
        Refusal::AddressIsCrowded => (
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_sockets",
            "Too many sockets",
            "This address has as many sockets as one may have; close one, or come again later.".to_owned(),
        ),
        Refusal::ServerIsCrowded => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_sockets",
            "Too many sockets",
            "The server has as many sockets as it takes; come again later.".to_owned(),
        ),
        Refusal::Stopping => (
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "The server stops",
            "The server is about to end; come again in a moment.".to_owned(),
        ),
    };
    metrics::counter!("stockstream_feed_sockets_refused_total", "reason" => code).increment(1);
    let mut response = Problem::no_socket(status, code, title, detail).into_response();
    let headers = response.headers_mut();
    match refusal {
        Refusal::Version => {
            headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(feed::VERSION));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        Refusal::AddressIsCrowded | Refusal::ServerIsCrowded | Refusal::Stopping => {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
        }
        Refusal::NotAHandshake(_) | Refusal::Origin => {}
    }
    response
}
