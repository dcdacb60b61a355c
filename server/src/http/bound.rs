//! What bounds every request: how large it may be, how long its answer may take, whether its sender is let in; what becomes
//! of all that goes wrong; and how it is counted.
//!
//! One middleware with everything in it, and not one for each: axum copies all that a layer has inside of it, twice for each
//! request, and what that has inside of it again.

use super::{
    Problem,
    admit::Entrance,
    dialect::Dialect,
    error,
    observe::{Counted, Counts, explain, set_default},
};
use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::{FutureExt, poll};
use http_body_util::Limited;
use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::time::{error::Elapsed, timeout};

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
    pub counts: Counts,
}

/// Answers within the bounds, or says in the words of the path why not: 413, 503 too slow, 500 for a panic, and what the
/// entrance refuses.
pub(super) async fn bound(State(bounds): State<Arc<Bounds>>, request: Request, next: Next) -> Response {
    let (dialect, counted) = (Dialect::of(request.uri().path()), Counted::from(&request));
    // In its place from the beginning: what is around it would have to move it there.
    let answer = pin!(bounds.answer(request, next));
    let response = match AssertUnwindSafe(within(bounds.answer, answer)).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(_elapsed)) => Problem::too_slow().into_response(),
        Err(panic) => error::panicked(panic),
    };
    let response = dialect.translate(explain(response).await);
    bounds.counts.count(&counted, response.status());
    response
}

/// The clock is looked at only for answers that have to wait for something.
async fn within<T>(limit: Duration, mut answer: Pin<&mut impl Future<Output = T>>) -> Result<T, Elapsed> {
    match poll!(&mut answer) {
        Poll::Ready(answer) => Ok(answer),
        Poll::Pending => Box::pin(timeout(limit, answer)).await,
    }
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
