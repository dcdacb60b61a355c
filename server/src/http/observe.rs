//! What happens to every request and response, whatever it is about: counting, and headers.

use super::Problem;
use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::time::Instant;

/// What every answer carries, where its handler has not set its own. HSTS is for whoever ends TLS before this server.
const SECURITY: [(HeaderName, &str); 6] = [
    // Whatever is not a page runs nothing and is framed by nobody.
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    // Files are what they say, and not what a browser makes of their bytes.
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    // No page needs any of it, nor does anything that could be smuggled into one.
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    // Pages of others get no handle on our windows, and cannot embed our answers. Programs are not bound by it.
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The longest reason that a layer or an extractor gives, in bytes.
const LONGEST_REASON: usize = 4 * 1024;

/// Counts and times requests by route, which is the pattern and not the path: a scanner must not make a metric per
/// guess.
pub async fn measure(request: Request, next: Next) -> Response {
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let method = match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    let started = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::counter!("stockstream_http_requests_total", "method" => method, "route" => route.clone(), "status" => status)
        .increment(1);
    metrics::histogram!("stockstream_http_request_seconds", "route" => route).record(started.elapsed());
    response
}

/// Security headers, where the handler has not set its own.
pub async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in SECURITY {
        set_default(&mut response, name, value);
    }
    response
}

/// Says in one language what layers and extractors refuse in plain text: a body that is too large, or does not come.
pub async fn explain(State(limit): State<usize>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let plain = |kind: &HeaderValue| kind.as_bytes().starts_with(b"text/plain");
    if !status.is_client_error() || !response.headers().get(header::CONTENT_TYPE).is_some_and(plain) {
        return response;
    }
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::too_large(limit).into_response();
    }
    let text = axum::body::to_bytes(response.into_body(), LONGEST_REASON).await.unwrap_or_default();
    Problem::bad_request(status, String::from_utf8_lossy(&text)).into_response()
}

/// Live data is old the moment it is stored.
pub async fn never_store(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    set_default(&mut response, header::CACHE_CONTROL, "no-store");
    response
}

/// Pages and files are asked for again each time; an unchanged file answers 304.
pub async fn revalidate(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    set_default(&mut response, header::CACHE_CONTROL, "no-cache");
    response
}

fn set_default(response: &mut Response, name: HeaderName, value: &'static str) {
    response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
}
