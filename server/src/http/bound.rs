//! What bounds every request: how large it may be, how long its answer may take, whether its sender is let in; and what
//! becomes of all that goes wrong.
//!
//! One middleware with everything in it, and not one for each: axum copies all that a layer has inside of it, twice for each
//! request, and what that has inside of it again.

use super::{
    Problem,
    admit::Entrance,
    dialect::Dialect,
    error,
    observe::{explain, set_default},
};
use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use http_body_util::Limited;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

/// The largest request body that is read.
pub(super) const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// The bounds of some routes.
pub(super) struct Bounds {
    /// Who is let in; without it, everybody is.
    pub entrance: Option<Entrance>,
    /// Until the answer has to begin. An open WebSocket is an answer that has begun.
    pub answer: Duration,
    /// What caches are told where the handler does not say it.
    pub cache_control: &'static str,
}

/// Answers within the bounds, or says in the words of the path why not: 413, 503 too slow, 500 for a panic, and what the
/// entrance refuses.
pub(super) async fn bound(State(bounds): State<Arc<Bounds>>, request: Request, next: Next) -> Response {
    let dialect = Dialect::of(request.uri().path());
    let answer = AssertUnwindSafe(tokio::time::timeout(bounds.answer, bounds.answer(request, next))).catch_unwind();
    let response = match answer.await {
        Ok(Ok(response)) => response,
        Ok(Err(_elapsed)) => Problem::too_slow().into_response(),
        Err(panic) => error::panicked(panic),
    };
    dialect.translate(explain(response).await)
}

impl Bounds {
    async fn answer(&self, request: Request, next: Next) -> Response {
        let said = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if said.is_some_and(|bytes: usize| bytes > BODY_LIMIT_BYTES) {
            return Problem::too_large(BODY_LIMIT_BYTES).into_response();
        }
        // Without a length, or with a wrong one, it ends where it becomes too long.
        let request = if request.body().is_end_stream() {
            request
        } else {
            request.map(|body| Body::new(Limited::new(body, BODY_LIMIT_BYTES)))
        };
        let run = |request: Request| async {
            let mut response = next.run(request).await;
            set_default(response.headers_mut(), header::CACHE_CONTROL, self.cache_control);
            response
        };
        match &self.entrance {
            Some(entrance) => entrance.admit(request, run).await,
            None => run(request).await,
        }
    }
}
