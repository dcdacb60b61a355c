//! The door of the live stream: who is refused a socket, and how that is said.

use super::{
    error::{Problem, ProblemBody},
    limit,
    market_data::TAG,
    state::AppState,
};
use crate::feed::{self, Refusal};
use axum::{
    extract::{ConnectInfo, Request, State},
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
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
    let caller = peer.and_then(|peer| limit::caller(peer, state.limits.limit_loopback));
    match feed::open(&state.feed, caller, request) {
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
