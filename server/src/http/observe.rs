//! What happens to every request and response, whatever it is about: a line in the log, counting, compression, and headers.

use super::{Problem, bound::BODY_LIMIT_BYTES, credential, format::Format};
use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{TryFutureExt, future::BoxFuture};
use metrics::{Counter, Histogram};
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tower::{Layer, Service, ServiceExt};
use tower_http::compression::{
    CompressionLayer,
    predicate::{And, DefaultPredicate, NotForContentType, Predicate},
};
use tracing::Instrument;

/// What every answer carries, where its handler has not set its own. HSTS is for whoever ends TLS before this server.
const EVERY_ANSWER: [(HeaderName, &str); 3] = [
    // Whatever is not a page runs nothing and is framed by nobody.
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    // Files are what they say, and not what a browser makes of their bytes.
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Pages of others cannot embed our answers. Programs are not bound by it.
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// What a document carries besides; for what is none, browsers do not heed it.
const DOCUMENT: [(HeaderName, &str); 3] = [
    (header::REFERRER_POLICY, "same-origin"),
    // No page needs any of it, nor does anything that could be smuggled into one.
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    // Pages of others get no handle on our windows.
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// The longest reason that a layer or an extractor gives, in bytes.
const LONGEST_REASON: usize = 4 * 1024;

/// Requests answered and how long that took, by route, which is the pattern and not the path: a scanner must not make a
/// metric per guess. Remembers where each is counted, because looking that up by its labels costs as much as a small answer.
#[derive(Clone, Default)]
pub struct Counts(Arc<RwLock<HashMap<String, OfRoute>>>);

/// A request that is being answered.
pub(super) struct Counted {
    method: &'static str,
    route: Option<MatchedPath>,
    started: Instant,
}

impl Counted {
    pub(super) fn from(request: &Request) -> Self {
        let method = match *request.method() {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::OPTIONS => "OPTIONS",
            _ => "other",
        };
        Self { method, route: request.extensions().get::<MatchedPath>().cloned(), started: Instant::now() }
    }
}

struct OfRoute {
    seconds: Histogram,
    answered: Vec<(&'static str, StatusCode, Counter)>,
}

impl Counts {
    pub(super) fn count(&self, answered: &Counted, status: StatusCode) {
        let (method, took) = (answered.method, answered.started.elapsed());
        let route = answered.route.as_ref().map_or("other", MatchedPath::as_str);
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.get(route).is_some_and(|of| of.count(method, status, took)) {
            return;
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let of = known.entry(route.to_owned()).or_insert_with(|| OfRoute {
            seconds: metrics::histogram!("stockstream_http_request_seconds", "route" => route.to_owned()),
            answered: Vec::new(),
        });
        if !of.count(method, status, took) {
            let labels =
                [("method", method.to_owned()), ("route", route.to_owned()), ("status", status.as_str().to_owned())];
            let counter = metrics::counter!("stockstream_http_requests_total", &labels);
            of.answered.push((method, status, counter));
            of.count(method, status, took);
        }
    }
}

impl OfRoute {
    /// False when none like it was answered before.
    fn count(&self, method: &'static str, status: StatusCode, took: Duration) -> bool {
        let Some((.., counter)) = self.answered.iter().find(|(of, with, _)| (*of, *with) == (method, status)) else {
            return false;
        };
        counter.increment(1);
        self.seconds.record(took);
        true
    }
}

/// An answer that is being made.
pub(super) type Answer = BoxFuture<'static, Result<Response, Infallible>>;

/// Everything that is answered, and what happens to all of it.
pub(super) struct Observed {
    routes: Router,
    compression: CompressionLayer<Compressible>,
    compressible: Compressible,
}

/// A Parquet file is compressed in itself.
type Compressible = And<DefaultPredicate, NotForContentType>;

impl Observed {
    pub(super) fn new(routes: Router) -> Self {
        let parquet = NotForContentType::const_new(Format::Parquet.media_type());
        let compressible = DefaultPredicate::new().and(parquet);
        Self { routes, compression: CompressionLayer::new().compress_when(compressible.clone()), compressible }
    }

    /// A key leaves the address before anything is logged, and the answer gets security headers where its handler has not
    /// set its own.
    pub(super) fn answer(&self, request: Request) -> Answer {
        let request = credential::take(request);
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return self.compressed(request);
        }
        // With a span for all that is logged on the way, and a line at its end.
        let span = tracing::debug_span!("request", method = %request.method(), uri = %request.uri());
        let (started, answer) = (Instant::now(), span.in_scope(|| self.compressed(request)));
        let logged = answer.inspect_ok(move |response| {
            tracing::debug!(status = response.status().as_u16(), took = ?started.elapsed(), "answered");
        });
        Box::pin(logged.instrument(span))
    }

    /// Compressed, if the client can read that. For others there is nothing around the body, and caches are told all the same.
    fn compressed(&self, request: Request) -> Answer {
        let mut routes = self.routes.clone();
        if request.headers().contains_key(header::ACCEPT_ENCODING) {
            let answer = self.compression.layer(routes).oneshot(request);
            return Box::pin(answer.map_ok(|response| secured(response.map(Body::new))));
        }
        let compressible = self.compressible.clone();
        Box::pin(routes.call(request).map_ok(move |mut response| {
            if compressible.should_compress(&response) {
                tell_of_encodings(response.headers_mut());
            }
            secured(response)
        }))
    }
}

/// As the compression does it.
fn tell_of_encodings(headers: &mut HeaderMap) {
    let tells = |value: &HeaderValue| value.to_str().is_ok_and(|names| names.contains("accept-encoding"));
    if !headers.get_all(header::VARY).iter().any(tells) {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}

fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let document: &[_] = if is_document(headers) { &DOCUMENT } else { &[] };
    for (name, value) in EVERY_ANSWER.iter().chain(document) {
        set_default(headers, name.clone(), value);
    }
    response
}

/// Whether a browser would show it, rather than a program read it.
fn is_document(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    !kind.starts_with(b"application/")
}

/// Whether it is a refusal in plain text, of a layer or an extractor.
pub(super) fn is_plain(response: &Response) -> bool {
    let plain = |kind: &HeaderValue| kind.as_bytes().starts_with(b"text/plain");
    response.status().is_client_error() && response.headers().get(header::CONTENT_TYPE).is_some_and(plain)
}

/// Says in one language what is refused in plain text: a body that is too large, or does not come.
pub(super) async fn explain(response: Response) -> Response {
    let status = response.status();
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::too_large(BODY_LIMIT_BYTES).into_response();
    }
    let text = axum::body::to_bytes(response.into_body(), LONGEST_REASON).await.unwrap_or_default();
    Problem::bad_request(status, String::from_utf8_lossy(&text)).into_response()
}

/// Sets a header that has no value yet.
pub(super) fn set_default(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
