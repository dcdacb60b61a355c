//! The loop that accepts connections and ends them: in time, in number, and in good order.
//!
//! `axum::serve` waits for ever for slow headers, counts nothing and gives up no connection; this is the same on hyper,
//! with [`Limits`]. HTTP/1.1 only: browsers speak HTTP/2 only over TLS, which is a reverse proxy's, and a protocol that
//! nobody speaks is only a surface to attack. What is not HTTP at all, or has over 100 headers or [`HEAD_BYTES`] of
//! them, is answered by hyper with a bare 400, 414 or 431.

use super::{
    head_timer::HeadTimer,
    limit::{Doorkeeper, Limits, Refusal},
    patience::Patient,
};
use axum::{
    body::{Body, HttpBody},
    extract::ConnectInfo,
    http::Request,
    response::Response,
};
use futures::{StreamExt, stream};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, sleep_until, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{Service, ServiceExt};

/// The longest request line and headers together.
const HEAD_BYTES: usize = 32 * 1024;
/// Pauses after the system refused to hand out a connection, mostly for want of descriptors: first and longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// Refused callers that are told why at the same time; the others are just cut off.
const TOLD_AT_ONCE: usize = 64;
/// How long a refused caller is given to hear it.
const TOLD_WITHIN: Duration = Duration::from_secs(1);
/// What a caller over the limit is told.
const REFUSED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/problem+json\r\n\
    content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n\
    x-content-type-options: nosniff\r\n\
    retry-after: 5\r\nconnection: close\r\ncontent-length: 240\r\n\r\n\
    {\"type\":\"urn:stockstream:problem:too_many_connections\",\"title\":\"Too many connections\",\"status\":503,\
    \"detail\":\"Close some connections, or try again later.\",\"code\":\"too_many_connections\",\
    \"message\":\"Close some connections, or try again later.\"}";

/// Serves until `shutdown`, and then until what is under way has been answered, at most `limits.drain`.
pub async fn serve<S>(listener: TcpListener, answers: S, limits: Limits, shutdown: CancellationToken)
where
    S: Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static,
{
    let connections = TaskTracker::new();
    let doorkeeper = Doorkeeper::new(&limits);
    let told = Arc::new(Semaphore::new(TOLD_AT_ONCE));
    let limits = Arc::new(limits);
    let mut pause = PAUSE.0;
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, peer)) => {
                pause = PAUSE.0;
                match doorkeeper.admit(peer.ip()) {
                    Ok(place) => {
                        // Without it the kernel holds small answers back; it fails only when the peer is gone already.
                        let _ = stream.set_nodelay(true);
                        let stream = Patient::new(stream, limits.write, place);
                        let connection = Connection {
                            peer,
                            answers: answers.clone(),
                            limits: limits.clone(),
                            shutdown: shutdown.clone(),
                        };
                        connections.spawn(connection.serve(stream));
                    }
                    Err(refusal) => refuse(stream, peer, refusal, &told, &connections),
                }
            }
            // That caller is gone; the next may come.
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "the system hands out no connection; trying again");
                metrics::counter!("stockstream_http_accept_errors_total").increment(1);
                shutdown.run_until_cancelled(sleep(pause)).await;
                pause = (pause * 2).min(PAUSE.1);
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Says why, to as many as there is time for.
fn refuse(mut stream: TcpStream, peer: SocketAddr, refusal: Refusal, told: &Arc<Semaphore>, tasks: &TaskTracker) {
    metrics::counter!("stockstream_http_connections_refused_total", "reason" => refusal.as_str()).increment(1);
    tracing::debug!(%peer, reason = refusal.as_str(), "connection refused");
    let Ok(permit) = told.clone().try_acquire_owned() else {
        return;
    };
    tasks.spawn(async move {
        let _ = timeout(TOLD_WITHIN, async {
            stream.write_all(REFUSED).await?;
            stream.shutdown().await?;
            // A connection that is closed with something unread is reset, and the answer lost.
            let mut rest = [0; 1024];
            while stream.read(&mut rest).await? > 0 {}
            io::Result::Ok(())
        })
        .await;
        drop(permit);
    });
}

struct Connection<S> {
    peer: SocketAddr,
    answers: S,
    limits: Arc<Limits>,
    shutdown: CancellationToken,
}

impl<S> Connection<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static,
{
    async fn serve(self, stream: Patient<TcpStream>) {
        let Self { peer, answers, limits, shutdown } = self;
        let within = limits.body;
        let service = answers.map_request(move |request: Request<Incoming>| {
            let mut request = request.map(|body| timed(body, within));
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        });
        let connection = http1::Builder::new()
            .timer(HeadTimer::new(limits.header))
            .header_read_timeout(limits.header)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                match timeout(limits.drain, connection).await {
                    Ok(ended) => ended,
                    Err(_elapsed) => {
                        tracing::warn!(%peer, "a request was still under way at the end");
                        return;
                    }
                }
            }
        };
        if let Err(error) = ended {
            if error.is_timeout() {
                metrics::counter!("stockstream_http_connections_cut_total", "reason" => "slow_headers").increment(1);
            }
            tracing::debug!(%peer, %error, "a connection ended badly");
        }
    }
}

/// A body that has to come in time, as a whole.
#[derive(Debug, thiserror::Error)]
#[error("the body did not come in time")]
struct SlowBody;

fn timed(body: Incoming, within: Duration) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    let deadline = Box::pin(sleep_until((Instant::now() + within).into()));
    let parts = Body::new(body).into_data_stream();
    Body::from_stream(stream::unfold(Some((parts, deadline)), |state| async move {
        let (mut parts, mut deadline) = state?;
        tokio::select! {
            biased;
            () = &mut deadline => {
                metrics::counter!("stockstream_http_connections_cut_total", "reason" => "slow_body").increment(1);
                Some((Err(axum::Error::new(SlowBody)), None))
            }
            part = parts.next() => part.map(|part| (part, Some((parts, deadline)))),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_is_as_long_as_it_says_and_is_json() {
        let text = std::str::from_utf8(REFUSED).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "it has {} bytes", body.len());
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["code"], "too_many_connections");
    }
}
