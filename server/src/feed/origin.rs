//! Which pages may open a socket.
//!
//! A browser lets any page open a WebSocket to any server, and says truthfully in `Origin` which page it was; refusing
//! the others is the server's business. A program that is no browser sends no `Origin` and is let in: it could as well
//! lie. Knows nothing of WebSockets.

use axum::http::{HeaderMap, header, uri::Authority};
use std::{fmt, str::FromStr};

/// Scheme, host and port of a page, as RFC 6454 compares them: `https://stocks.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    secure: bool,
    host: String,
    port: u16,
}

/// The text is not the origin of a page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an origin: http:// or https://, a host, and a port unless it is the usual one; no path")]
pub struct InvalidOrigin(String);

impl Origin {
    fn of(secure: bool, authority: &str) -> Option<Self> {
        let authority: Authority = authority.parse().ok()?;
        let host = authority.host();
        // `Authority` also takes user:password@host, and host: with something else than a port.
        let port = match authority.as_str().strip_prefix(host)?.strip_prefix(':') {
            Some(port) => port.parse().ok()?,
            None if authority.as_str() == host && !host.is_empty() => Self::usual_port(secure),
            None => return None,
        };
        Some(Self { secure, host: host.to_ascii_lowercase(), port })
    }

    fn usual_port(secure: bool) -> u16 {
        if secure { 443 } else { 80 }
    }

    /// The origin that a request was sent to: its `Host`; and `https` when the proxy in front says so in
    /// `X-Forwarded-Proto`, which no page can set on a WebSocket.
    fn of_server(headers: &HeaderMap) -> Option<Self> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
        let secure = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
        Self::of(secure, host.to_str().ok()?)
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_once("://")
            .and_then(|(scheme, authority)| match scheme.to_ascii_lowercase().as_str() {
                "http" => Self::of(false, authority),
                "https" => Self::of(true, authority),
                _ => None,
            })
            .ok_or_else(|| InvalidOrigin(text.chars().take(100).collect()))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.secure { "https" } else { "http" }, self.host)?;
        if self.port == Self::usual_port(self.secure) { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Whether a request with these headers may open a socket: it comes from no page, from one of this server, or from one
/// of `allowed`.
pub fn is_welcome(headers: &HeaderMap, allowed: &[Origin]) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (None, _) => true,
        (Some(origin), None) => origin
            .to_str()
            .ok()
            .and_then(|text| text.parse::<Origin>().ok())
            .is_some_and(|origin| Origin::of_server(headers).as_ref() == Some(&origin) || allowed.contains(&origin)),
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn is_let_in(host: &str, origin: &str, more: &[(&'static str, &str)]) -> bool {
        let allowed = ["https://partner.example".parse().unwrap(), "http://intranet:8000".parse().unwrap()];
        let mut lines = vec![("host", host), ("origin", origin)];
        lines.extend(more);
        is_welcome(&headers(&lines), &allowed)
    }

    #[test]
    fn programs_pages_of_this_server_and_listed_pages_are_let_in() {
        assert!(is_welcome(&headers(&[("host", "a:1")]), &[]));
        for (host, origin) in [
            ("stocks.example:8080", "http://stocks.example:8080"),
            ("stocks.example", "http://stocks.example"),
            ("stocks.example:80", "http://stocks.example"),
            ("Stocks.Example:8080", "http://stocks.example:8080"),
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("[::1]:8080", "http://[::1]:8080"),
            ("stocks.example", "https://partner.example"),
            ("stocks.example", "https://partner.example:443"),
            ("stocks.example", "http://intranet:8000"),
        ] {
            assert!(is_let_in(host, origin, &[]), "{origin} at {host}");
        }
        assert!(is_let_in("stocks.example", "https://stocks.example", &[("x-forwarded-proto", "https")]));
    }

    #[test]
    fn any_other_page_is_not() {
        for (host, origin) in [
            ("stocks.example:8080", "http://stocks.example"),
            ("stocks.example:8080", "http://stocks.example:8081"),
            ("stocks.example", "https://stocks.example"),
            ("stocks.example", "http://stocks.example.evil"),
            ("stocks.example", "http://evil.stocks.example"),
            ("stocks.example", "http://stocks.example@evil"),
            ("stocks.example", "http://evil/http://stocks.example"),
            ("stocks.example", "http://partner.example"),
            ("stocks.example", "https://partner.example.evil"),
            ("stocks.example", "https://xpartner.example"),
            ("stocks.example", "https://partner.example/"),
            ("stocks.example", "null"),
            ("stocks.example", ""),
            ("stocks.example", "stocks.example"),
            ("stocks.example", "file://"),
            ("stocks.example", "chrome-extension://stocks.example"),
            ("stocks.example:x", "http://stocks.example:x"),
            ("", "http://"),
        ] {
            assert!(!is_let_in(host, origin, &[]), "{origin} at {host}");
        }
        assert!(!is_let_in("stocks.example", "http://stocks.example", &[("x-forwarded-proto", "https")]));
        assert!(!is_let_in("a", "http://a", &[("origin", "http://a")]), "two origins");
        assert!(!is_let_in("a", "http://a", &[("host", "a")]), "two hosts");
        assert!(!is_welcome(&headers(&[("origin", "http://a")]), &[]), "no host");
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for (text, written) in
            [("HTTPS://A.Example:443", "https://a.example"), ("http://[::1]:8080", "http://[::1]:8080")]
        {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), written);
        }
    }
}
