//! What a request says of who sends it: in which places a key may stand.
//!
//! | where | who sends it there |
//! | --- | --- |
//! | `Authorization: Bearer <key>` | programs |
//! | `Authorization: Basic`, id and secret as user name and password | browsers, when they are asked |
//! | `APCA-API-KEY-ID` and `APCA-API-SECRET-KEY` | clients of Alpaca |
//! | `?apikey=<key>` | who can send no headers: a browser's WebSocket, a spreadsheet |
//!
//! The first that is there counts. A key in the query is taken out of the address before anything else sees it, so that it
//! is in no log and no error, and no handler finds a parameter that it does not know.

use crate::access::ApiKey;
use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, Uri, header, uri::PathAndQuery},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};

/// The parameter in the query.
const PARAMETER: &str = "apikey";
const ALPACA_ID: HeaderName = HeaderName::from_static("apca-api-key-id");
const ALPACA_SECRET: HeaderName = HeaderName::from_static("apca-api-secret-key");

/// What stood in the query.
#[derive(Clone)]
struct InQuery(SecretString);

/// Takes a key out of the address and keeps it apart.
pub(super) fn take<B>(mut request: axum::http::Request<B>) -> axum::http::Request<B> {
    let Some(query) = request.uri().query().filter(|query| may_have_key(query)) else { return request };
    let is_key = |pair: &&str| name(pair) == PARAMETER;
    let mut found = query.split('&').filter(is_key);
    let Some(pair) = found.next() else { return request };
    let value = pair.split_once('=').map_or("", |(_, value)| value);
    // A second one makes it doubtful which is meant: then none is, and nobody is let in by it.
    let text =
        if found.next().is_some() { String::new() } else { percent_decode_str(value).decode_utf8_lossy().into() };
    let others: Vec<&str> = query.split('&').filter(|pair| !is_key(pair)).collect();
    let path = request.uri().path();
    let rest = if others.is_empty() { path.to_owned() } else { format!("{path}?{}", others.join("&")) };
    let mut parts = request.uri().clone().into_parts();
    // Parts of an address that was one are one again.
    parts.path_and_query = PathAndQuery::try_from(rest).ok();
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    request.extensions_mut().insert(InQuery(text.into()));
    request
}

/// Most queries have none: those are not taken apart.
fn may_have_key(query: &str) -> bool {
    query.contains(PARAMETER) || query.contains('%')
}

fn name(pair: &str) -> String {
    let name = pair.split_once('=').map_or(pair, |(name, _)| name);
    percent_decode_str(name).decode_utf8_lossy().into_owned()
}

/// What a request presents.
#[derive(Debug)]
pub(super) enum Presented {
    Nothing,
    /// A bearer token that may be a key, or the control token.
    Bearer(SecretString),
    Key(ApiKey),
    /// It looks like nothing that this server has given out.
    Unreadable,
}

impl Presented {
    pub(super) fn of(request: &Request) -> Self {
        let headers = request.headers();
        if headers.contains_key(header::AUTHORIZATION) {
            return authorization(headers);
        }
        if headers.contains_key(ALPACA_ID) || headers.contains_key(ALPACA_SECRET) {
            let key = only(headers, &ALPACA_ID).zip(only(headers, &ALPACA_SECRET));
            return Self::read(key.and_then(|(id, secret)| ApiKey::of(id, secret).ok()));
        }
        match request.extensions().get::<InQuery>() {
            Some(InQuery(text)) => Self::read(text.expose_secret().parse().ok()),
            None => Self::Nothing,
        }
    }

    fn read(key: Option<ApiKey>) -> Self {
        key.map_or(Self::Unreadable, Self::Key)
    }
}

fn authorization(headers: &HeaderMap) -> Presented {
    if let Some(token) = bearer(headers) {
        return Presented::Bearer(token);
    }
    let basic = || {
        let (scheme, text) = only(headers, &header::AUTHORIZATION)?.split_once(' ')?;
        let plain = BASE64_STANDARD.decode(text.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
        let plain = SecretString::from(String::from_utf8(plain).ok()?);
        let (user, password) = plain.expose_secret().split_once(':')?;
        // A whole key as the user name is what other vendors' clients send.
        if password.is_empty() { user.parse().ok() } else { ApiKey::of(user, password).ok() }
    };
    Presented::read(basic())
}

/// The one bearer token of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let (scheme, token) = only(headers, &header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().into())
}

/// The value of a header that is there exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    value.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    const ID: &str = "SKABCDEFGHIJKLMNOP23";

    fn request(path: &str, headers: &[(&'static str, &str)]) -> Request {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        take(request.body(Body::empty()).unwrap())
    }

    fn secret(request: &Request) -> Option<String> {
        let key = match Presented::of(request) {
            Presented::Key(key) => key,
            Presented::Bearer(text) => text.expose_secret().parse().ok()?,
            Presented::Nothing | Presented::Unreadable => return None,
        };
        assert_eq!(key.id.as_str(), ID);
        Some(key.secret().expose_secret().to_owned())
    }

    #[test]
    fn a_key_in_the_query_leaves_the_address_whatever_it_looks_like() {
        for (path, rest) in [
            (format!("/a?apikey={ID}.canary"), "/a"),
            (format!("/a?x=1&apikey={ID}.canary&y=%20"), "/a?x=1&y=%20"),
            (format!("/a?api%6Bey={ID}%2Ecanary&&z"), "/a?&z"),
        ] {
            let request = request(&path, &[]);
            assert_eq!(request.uri().to_string(), rest, "{path}");
            assert_eq!(secret(&request).as_deref(), Some("canary"), "{path}");
        }
        let twice = request(&format!("/a?apikey={ID}.canary&apikey={ID}.canary"), &[]);
        assert_eq!((twice.uri().to_string().as_str(), secret(&twice)), ("/a", None));
        assert!(matches!(Presented::of(&twice), Presented::Unreadable));
        let other = request("/a?apikeys=1&symbol=A%42", &[]);
        assert_eq!(other.uri().to_string(), "/a?apikeys=1&symbol=A%42");
        assert!(matches!(Presented::of(&other), Presented::Nothing));
    }

    #[test]
    fn a_key_is_read_from_each_of_its_places() {
        let (bearer, basic) =
            (format!("Bearer {ID}.canary"), format!("Basic {}", BASE64_STANDARD.encode(format!("{ID}:canary"))));
        let user = format!("basic {}", BASE64_STANDARD.encode(format!("{ID}.canary:")));
        for headers in [
            vec![("authorization", bearer.as_str())],
            vec![("authorization", &basic)],
            vec![("authorization", &user)],
            vec![("apca-api-key-id", ID), ("apca-api-secret-key", "canary")],
        ] {
            assert_eq!(secret(&request("/", &headers)).as_deref(), Some("canary"), "{headers:?}");
        }
        for headers in [
            vec![("authorization", bearer.as_str()), ("authorization", &bearer)],
            vec![("authorization", "Basic !"), ("apca-api-key-id", ID), ("apca-api-secret-key", "canary")],
            vec![("apca-api-key-id", ID)],
            vec![("apca-api-key-id", "key"), ("apca-api-secret-key", "secret")],
        ] {
            assert_eq!(secret(&request("/", &headers)), None, "{headers:?}");
        }
        let both = request(&format!("/?apikey={ID}.other"), &[("authorization", &bearer)]);
        assert_eq!(secret(&both).as_deref(), Some("canary"), "headers come first");
    }
}
