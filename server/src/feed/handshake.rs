//! From an HTTP request to a socket: RFC 6455, section 4.2, and who is refused before it.

use super::{Feed, alpaca::AlpacaSession, door::Crowded, frame::Encoding, origin, session::Session, socket::Socket};
use crate::access::Pass;
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, Method, StatusCode, Version, header},
    response::Response,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use market::wire::MSGPACK_PROTOCOL;
use std::{net::IpAddr, time::Duration};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// The one version of the protocol.
pub const VERSION: &str = "13";
/// How long the connection may take to be handed over after the answer.
const HAND_OVER: Duration = Duration::from_secs(10);

/// Which protocol is spoken on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// That of [`market::wire`].
    Native,
    /// That of Alpaca's stream.
    Alpaca,
}

/// The headers with which Alpaca's clients say who they are.
const ALPACA_KEYS: [HeaderName; 2] =
    [HeaderName::from_static("apca-api-key-id"), HeaderName::from_static("apca-api-secret-key")];
/// What Alpaca's clients say when they want MessagePack.
const MSGPACK_TYPE: &str = "application/msgpack";

/// Why a request is not made a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not the handshake that a WebSocket begins with; this is missing or wrong.
    NotAHandshake(&'static str),
    /// It asks for another version of the protocol than [`VERSION`].
    Version,
    /// It comes from a page of another origin.
    Origin,
    /// Its address has as many sockets as one may have.
    AddressIsCrowded,
    /// The server has as many sockets as it takes.
    ServerIsCrowded,
    /// The server is about to end.
    Stopping,
}

/// Answers a handshake and starts the session behind it.
///
/// `caller` is whom limits per address count this client as; `None` when they do not hold for it. `pass`: with what it came
/// in; `None` when it has said nothing of itself.
///
/// # Errors
/// The request is no handshake, or the client is not let in.
pub fn open(
    feed: &Feed,
    dialect: Dialect,
    caller: Option<IpAddr>,
    pass: Option<Pass>,
    mut request: Request,
) -> Result<Response, Refusal> {
    let key = checked_key(&request)?;
    let upgrade = request
        .extensions_mut()
        .remove::<OnUpgrade>()
        .ok_or(Refusal::NotAHandshake("this connection cannot be upgraded"))?;
    let headers = request.headers();
    if !origin::is_welcome(headers, &feed.door.config().allowed_origins) {
        return Err(Refusal::Origin);
    }
    if feed.shutdown.is_cancelled() {
        return Err(Refusal::Stopping);
    }
    let seat = feed.door.enter(caller).map_err(|crowded| match crowded {
        Crowded::Caller => Refusal::AddressIsCrowded,
        Crowded::Server => Refusal::ServerIsCrowded,
    })?;
    let is_packed = match dialect {
        Dialect::Native => names(headers, &header::SEC_WEBSOCKET_PROTOCOL).any(|name| name == MSGPACK_PROTOCOL),
        Dialect::Alpaca => names(headers, &header::CONTENT_TYPE).any(|name| name.eq_ignore_ascii_case(MSGPACK_TYPE)),
    };
    let encoding = if is_packed { Encoding::MessagePack } else { Encoding::Json };
    // Where keys are not looked at, any will do.
    let has_any = ALPACA_KEYS.iter().all(|name| headers.get(name).is_some_and(|key| !key.is_empty()));
    let known = pass.clone().or_else(|| (has_any && !feed.door.keys().are_on()).then(Pass::default));
    let pass = pass.unwrap_or_default();

    let mut response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()));
    if is_packed && dialect == Dialect::Native {
        response = response.header(header::SEC_WEBSOCKET_PROTOCOL, MSGPACK_PROTOCOL);
    }
    let response = response.body(Body::empty()).expect("these headers are ASCII");

    let feed = feed.clone();
    let sockets = feed.sockets.clone();
    sockets.spawn(async move {
        let _seat = seat;
        if let Ok(Ok(upgraded)) = tokio::time::timeout(HAND_OVER, upgrade).await {
            let socket = Socket::new(TokioIo::new(upgraded));
            match dialect {
                Dialect::Native => Session::new(socket, encoding, feed, pass).run().await,
                Dialect::Alpaca => AlpacaSession::new(socket, encoding, feed, known).run().await,
            }
        }
    });
    Ok(response)
}

/// The client's nonce, when everything about the request is as the protocol wants it.
fn checked_key(request: &Request) -> Result<String, Refusal> {
    use Refusal::NotAHandshake;
    let headers = request.headers();
    if request.version() != Version::HTTP_11 {
        return Err(NotAHandshake("it must be an HTTP/1.1 request"));
    }
    if request.method() != Method::GET {
        return Err(NotAHandshake("the method must be GET"));
    }
    if !names(headers, &header::CONNECTION).any(|name| name.eq_ignore_ascii_case("upgrade")) {
        return Err(NotAHandshake("Connection must name upgrade"));
    }
    if !names(headers, &header::UPGRADE).any(|name| name.eq_ignore_ascii_case("websocket")) {
        return Err(NotAHandshake("Upgrade must name websocket"));
    }
    match only(headers, &header::SEC_WEBSOCKET_VERSION) {
        Some(VERSION) => {}
        Some(_) => return Err(Refusal::Version),
        None => return Err(NotAHandshake("Sec-WebSocket-Version must be there once")),
    }
    only(headers, &header::SEC_WEBSOCKET_KEY)
        .filter(|key| BASE64_STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16))
        .map(str::to_owned)
        .ok_or(NotAHandshake("Sec-WebSocket-Key must be there once, 16 bytes in Base64"))
}

/// The items of a header that is a list, over all its lines.
fn names<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().map(str::trim),
        _ => None,
    }
}
