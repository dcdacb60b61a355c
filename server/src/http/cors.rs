//! Which pages of other origins may read answers: those that may also open a socket (`--allow-origin`). They may ask, and
//! give no orders; programs that are no browsers are not concerned. Refusals say it too, or a page could not read why; and
//! what a browser asks beforehand (`OPTIONS`) is answered before anybody is asked for a key, which it cannot send then.

use crate::feed::Origin;
use axum::http::{HeaderName, HeaderValue, Method, header};
use std::time::Duration;
use tower_http::cors::{AllowHeaders, CorsLayer};

/// How long a browser remembers what it was allowed.
const REMEMBERED: Duration = Duration::from_secs(600);

/// `None` when there are no such pages: then answers say nothing of other origins, and `OPTIONS` stays what it is.
pub(super) fn layer(allowed: &[Origin]) -> Option<CorsLayer> {
    if allowed.is_empty() {
        return None;
    }
    let origins = allowed.iter().filter_map(|origin| HeaderValue::try_from(origin.to_string()).ok());
    let told = [
        header::ETAG,
        header::LINK,
        header::RETRY_AFTER,
        header::WWW_AUTHENTICATE,
        HeaderName::from_static("ratelimit"),
        HeaderName::from_static("ratelimit-policy"),
    ];
    Some(
        CorsLayer::new()
            .allow_origin(origins.collect::<Vec<_>>())
            .allow_methods([Method::GET, Method::HEAD])
            // Not `*`, which leaves out `Authorization`.
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(told)
            .max_age(REMEMBERED),
    )
}
