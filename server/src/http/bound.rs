//! What bounds every request: how large it may be, how long its answer may take, whether its sender is let in; what becomes
//! of all that goes wrong; and how it is counted.
//!
//! One service with everything in it, and not a layer for each: axum copies all that is around a route, twice for each
//! request.

use super::{
    Problem,
    admit::{Admission, Entrance},
    dialect::Dialect,
    error,
    observe::{Counted, Counts, explain, is_plain, set_default},
};
use axum::{
    body::{Body, HttpBody},
    extract::Request,
    http::header,
    response::{IntoResponse, Response},
    routing::Route,
};
use futures::{FutureExt, poll};
use http_body_util::Limited;
use std::{
    convert::Infallible,
    future::Future,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::time::{error::Elapsed, timeout};
use tower::Service;

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
pub(super) fn bound(
    bounds: Arc<Bounds>,
    route: &mut Route,
    mut request: Request,
) -> impl Future<Output = Result<Response, Infallible>> + use<> {
    let (dialect, counted) = (Dialect::of(request.uri().path()), Counted::from(&request));
    let Admission { refusal, left } = bounds.admit(&mut request);
    let answer = match refusal {
        None => Ok(route.call(limited(request))),
        Some(refusal) => Err(refusal),
    };
    async move {
        let mut response = match answer {
            Ok(answer) => match AssertUnwindSafe(within(bounds.answer, pin!(answer))).catch_unwind().await {
                Ok(Ok(Ok(response))) => response,
                Ok(Err(_elapsed)) => Problem::too_slow().into_response(),
                Err(panic) => error::panicked(panic),
            },
            Err(refusal) => *refusal,
        };
        if is_plain(&response) {
            response = Box::pin(explain(response)).await;
        }
        response = dialect.translate(response);
        set_default(response.headers_mut(), header::CACHE_CONTROL, bounds.cache_control);
        if let Some(entrance) = &bounds.entrance {
            entrance.tell(left.as_ref(), &mut response);
        }
        bounds.counts.count(&counted, response.status());
        Ok(response)
    }
}

/// The clock is looked at only for answers that have to wait for something.
async fn within<T>(limit: Duration, mut answer: Pin<&mut impl Future<Output = T>>) -> Result<T, Elapsed> {
    match poll!(&mut answer) {
        Poll::Ready(answer) => Ok(answer),
        Poll::Pending => Box::pin(timeout(limit, answer)).await,
    }
}

impl Bounds {
    fn admit(&self, request: &mut Request) -> Admission {
        let said = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if said.is_some_and(|bytes: usize| bytes > BODY_LIMIT_BYTES) {
            return Admission {
                refusal: Some(Box::new(Problem::too_large(BODY_LIMIT_BYTES).into_response())),
                left: None,
            };
        }
        self.entrance.as_ref().map(|entrance| entrance.admit(request)).unwrap_or_default()
    }
}

/// Without a length, or with a wrong one, a body ends where it becomes too long.
fn limited(request: Request) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    request.map(|body| Body::new(Limited::new(body, BODY_LIMIT_BYTES)))
}
