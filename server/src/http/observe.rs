//! What happens to every request and response, whatever it is about: counting, and headers.

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use std::time::Instant;

/// Whatever is not a page runs nothing and is framed by nobody.
const STRICT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

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
    set_default(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set_default(&mut response, header::REFERRER_POLICY, "same-origin");
    set_default(&mut response, header::CONTENT_SECURITY_POLICY, STRICT_POLICY);
    response
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
