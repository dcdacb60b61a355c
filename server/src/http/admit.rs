//! Who is let in to what: finds out whose a request is, counts it, and refuses what its sender may not ask.
//!
//! | `--api-keys` | no key | a key that is right | any other |
//! | --- | --- | --- | --- |
//! | `off` | let in, counted by address | is not looked at | is not looked at |
//! | `optional` | let in, counted by address | what its scopes allow, counted by key | 401, counted by address |
//! | `required` | 401, counted by address | what its scopes allow, counted by key | 401, counted by address |
//!
//! The control token may do everything. Orders are the [gate](super::gate)'s to refuse, because a refused order leaves a row
//! in the audit trail; a key with the scope `control` opens it as the token does. Alpaca's stream is always opened: its
//! clients say on the socket who they are. The API's own description is for everybody.

use super::{Gate, Problem, RequestRate, credential::Presented, rate::Left};
use crate::access::{Denied, Key, KeyMode, Keys, Scope};
use axum::{
    extract::{ConnectInfo, Request},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::ExposeSecret;
use std::{net::SocketAddr, sync::Arc};

/// What everybody passes through.
#[derive(Clone)]
pub(super) struct Entrance {
    pub rate: Option<RequestRate>,
    pub keys: Keys,
    pub gate: Gate,
}

/// Whose a request is; handlers find it in the request's extensions, unless it is nobody's.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// Nobody says, or nobody asks.
    Anonymous,
    Key(Arc<Key>),
    /// Has the control token.
    Operator,
    /// Says what is not so.
    Wrong,
    /// Cannot be known now.
    Unknown,
}

impl Identity {
    pub(super) fn key(&self) -> Option<&Arc<Key>> {
        match self {
            Self::Key(key) => Some(key),
            _ => None,
        }
    }
}

/// What became of a request at the entrance.
#[derive(Default)]
pub(super) struct Admission {
    /// The whole answer; without it, the request is let in.
    pub refusal: Option<Box<Response>>,
    pub left: Option<Left>,
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    /// The gate's to say.
    Order,
    Scope(Scope),
}

impl Need {
    fn of(method: &Method, path: &str) -> Self {
        let is_alpaca_stream = path.strip_prefix("/v2/").is_some_and(|feed| !feed.contains('/'));
        match (method, path) {
            // What a browser asks before it asks; it cannot send a key then.
            (&Method::OPTIONS, _) | (_, "/api/openapi.json") => Self::Nothing,
            (&Method::GET, "/api/v1/stream") => Self::Scope(Scope::Stream),
            (&Method::GET, _) if is_alpaca_stream => Self::Scope(Scope::Stream),
            (&Method::GET | &Method::HEAD, _) => Self::Scope(Scope::Read),
            _ => Self::Order,
        }
    }
}

impl Entrance {
    fn identify(&self, request: &Request) -> Identity {
        if !self.keys.are_on() {
            return Identity::Anonymous;
        }
        let key = match Presented::of(request) {
            Presented::Nothing => return Identity::Anonymous,
            Presented::Bearer(token) if self.gate.is_token(&token) => return Identity::Operator,
            Presented::Bearer(token) => token.expose_secret().parse().ok(),
            Presented::Key(key) => Some(key),
            Presented::Unreadable => None,
        };
        match key.map(|key| self.keys.find(&key)) {
            Some(Ok(key)) => Identity::Key(key),
            Some(Err(Denied::Unread)) => Identity::Unknown,
            Some(Err(Denied::Unknown)) | None => Identity::Wrong,
        }
    }

    /// Why the request is not let in, if it is not.
    fn refusal(&self, identity: &Identity, need: Need, path: &str) -> Option<Response> {
        let Need::Scope(scope) = need else { return None };
        match identity {
            Identity::Operator => None,
            Identity::Key(key) if key.may(scope) => None,
            Identity::Key(_) => Some(insufficient_scope(scope).into_response()),
            Identity::Unknown => Some(Problem::unavailable().into_response()),
            Identity::Wrong => Some(challenge(path, "This is no key of this server, or one that was revoked.", true)),
            Identity::Anonymous if self.keys.mode() == KeyMode::Required && !says_later(path) => {
                let detail =
                    "Send a key: Authorization: Bearer <key>, APCA-API-KEY-ID and APCA-API-SECRET-KEY, or ?apikey=.";
                Some(challenge(path, detail, false))
            }
            Identity::Anonymous => None,
        }
    }

    /// Counts a request, and lets it in or refuses it.
    pub(super) fn admit(&self, request: &mut Request) -> Admission {
        let identity = self.identify(request);
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let key = identity.key().map(Arc::as_ref);
        let left = match self.rate.as_ref().map(|rate| rate.count(key, peer)) {
            Some(Ok(left)) => left,
            Some(Err(too_fast)) => return Admission { refusal: Some(too_fast), left: None },
            None => None,
        };
        let path = request.uri().path();
        let refusal = self.refusal(&identity, Need::of(request.method(), path), path);
        if let Some(refusal) = &refusal {
            metrics::counter!("stockstream_http_denied_total", "status" => refusal.status().as_str().to_owned())
                .increment(1);
        } else if !matches!(identity, Identity::Anonymous) {
            request.extensions_mut().insert(identity);
        }
        Admission { refusal: refusal.map(Box::new), left }
    }

    /// Tells whoever asked what is left of what they may ask, and caches for whom the answer is.
    pub(super) fn tell(&self, left: Option<&Left>, response: &mut Response) {
        // An answer that needed a key is nobody else's: a cache in between must not keep it for others.
        if self.keys.mode() == KeyMode::Required {
            keep_private(response);
        }
        if self.keys.are_on() {
            response.headers_mut().append(header::VARY, HeaderValue::from_static("authorization, apca-api-key-id"));
        }
        if let Some(left) = left {
            left.tell(response);
        }
    }
}

/// Whether clients say on the socket who they are.
fn says_later(path: &str) -> bool {
    path.strip_prefix("/v2/").is_some_and(|feed| !feed.contains('/'))
}

/// 403, in the words of RFC 6750.
pub(super) fn insufficient_scope(scope: Scope) -> Problem {
    let detail = format!("This needs a key with the scope {scope}; yours has not got it.");
    Problem::new(StatusCode::FORBIDDEN, "insufficient_scope", "Insufficient scope", detail)
}

/// 401. Programs are asked for a bearer token; a browser that opens a page asks its user for id and secret.
fn challenge(path: &str, detail: &str, is_wrong: bool) -> Response {
    let mut response = Problem::unauthorized(detail).into_response();
    let is_api = ["/api", "/v2/", "/udf/", "/stock", "/line/"].iter().any(|prefix| path.starts_with(prefix));
    let challenge = match (is_api, is_wrong) {
        (true, true) => "Bearer realm=\"stockstream\", error=\"invalid_token\"",
        (true, false) => "Bearer realm=\"stockstream\"",
        (false, _) => "Basic realm=\"stockstream\", charset=\"UTF-8\"",
    };
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    response
}

fn keep_private(response: &mut Response) {
    const CACHE_CONTROL: HeaderName = header::CACHE_CONTROL;
    let now = response.headers().get(CACHE_CONTROL).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !now.contains("no-store") && !now.contains("private") {
        let rest = now.replace("public", "");
        let rest = rest.trim_matches([',', ' ']);
        let both = if rest.is_empty() { "private".to_owned() } else { format!("private, {rest}") };
        if let Ok(value) = HeaderValue::try_from(both) {
            response.headers_mut().insert(CACHE_CONTROL, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_follows_from_method_and_path() {
        for (method, path, need) in [
            (Method::GET, "/api/v1/bars", Need::Scope(Scope::Read)),
            (Method::HEAD, "/udf/config", Need::Scope(Scope::Read)),
            (Method::GET, "/dashboard", Need::Scope(Scope::Read)),
            (Method::GET, "/v2/stocks/bars", Need::Scope(Scope::Read)),
            (Method::GET, "/v2/iex", Need::Scope(Scope::Stream)),
            (Method::GET, "/api/v1/stream", Need::Scope(Scope::Stream)),
            (Method::POST, "/api/v1/pipeline/pause", Need::Order),
            (Method::OPTIONS, "/api/v1/bars", Need::Nothing),
            (Method::GET, "/api/openapi.json", Need::Nothing),
        ] {
            assert_eq!(Need::of(&method, path), need, "{method} {path}");
        }
    }

    #[test]
    fn answers_that_needed_a_key_are_not_for_shared_caches() {
        for (before, after) in [
            ("", "private"),
            ("no-store", "no-store"),
            ("public, max-age=9", "private, max-age=9"),
            ("no-cache", "private, no-cache"),
        ] {
            let mut response = Response::new(axum::body::Body::empty());
            if !before.is_empty() {
                response.headers_mut().insert(header::CACHE_CONTROL, before.parse().unwrap());
            }
            keep_private(&mut response);
            assert_eq!(response.headers()[header::CACHE_CONTROL], after);
        }
    }
}
