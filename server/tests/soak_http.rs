//! Thousands of slow peers at once, measured: `cargo test -p server --test soak_http -- --nocapture`.
//!
//! Not part of a plain `cargo test`: it takes its time and judges by the clock. Half of the peers never finish their
//! headers, half never finish a body that is being read; each sends a byte a second. With the limits as they are by
//! default all must be cut within 15 s, while requests that ask Postgres go on being answered.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without has failed it")]

#[path = "http/site.rs"]
#[allow(dead_code, reason = "shared with the suite, which uses all of it")]
mod site;
#[path = "http/wire.rs"]
#[allow(dead_code, reason = "shared with the suite, which uses all of it")]
mod wire;

use axum::{Router, body::Bytes, routing::post};
use server::http::Limits;
use site::Site;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{io::AsyncReadExt, sync::watch, task::JoinSet, time::interval};
use wire::Served;

/// Slow peers of each kind.
const PEERS: usize = 2_000;
/// By when the last of them must be cut.
const CUT_WITHIN: Duration = Duration::from_secs(15);
/// How long the healthy peer is measured alone.
const ALONE: Duration = Duration::from_secs(10);
/// Between two requests of the healthy peer.
const PAUSE: Duration = Duration::from_millis(20);

const HEADERS: &[u8] = b"GET /api/v1/latest HTTP/1.1\r\nhost: x\r\nx-slow: ";
const BODY: &[u8] = b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n";

struct Latency(Vec<Duration>);

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
        write!(f, "{} requests, p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms", sorted.len())
    }
}

/// Asks on new connections, one after the other, until told to stop.
async fn measure(served: Arc<Served>, mut stop: watch::Receiver<bool>) -> Latency {
    let mut latency = Vec::new();
    let mut pause = interval(PAUSE);
    while !*stop.borrow_and_update() {
        pause.tick().await;
        let asked = Instant::now();
        let reply = served.get("/api/v1/latest?symbols=AMZN").await;
        latency.push(asked.elapsed());
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    Latency(latency)
}

/// How long the server put up with it.
async fn dawdle(served: Arc<Served>, beginning: &'static [u8]) -> Duration {
    let mut wire = served.connect().await;
    let begun = Instant::now();
    wire.send(beginning).await;
    let mut second = interval(Duration::from_secs(1));
    let mut byte = [0; 512];
    loop {
        tokio::select! {
            _ = second.tick() => { let _ = wire.0.try_write(b"a"); }
            read = wire.0.read(&mut byte) => if !matches!(read, Ok(1..)) { return begun.elapsed() }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_slow_peers_are_cut_and_the_others_hardly_notice() {
    let site = Site::start().await;
    site.fill("AMZN", 1).await;
    let read = Router::new().route("/read", post(async |body: Bytes| body.len().to_string()));
    let served = Arc::new(Served::start(read.fallback_service(site.answers()), Limits::default()).await);

    let (stop, stopped) = watch::channel(false);
    let alone = tokio::spawn(measure(served.clone(), stopped));
    tokio::time::sleep(ALONE).await;
    stop.send(true).unwrap();
    println!("alone: {}", alone.await.unwrap());

    let (stop, stopped) = watch::channel(false);
    let crowded = tokio::spawn(measure(served.clone(), stopped));
    let mut peers = JoinSet::new();
    for beginning in [HEADERS, BODY] {
        for _ in 0..PEERS {
            peers.spawn(dawdle(served.clone(), beginning));
        }
    }
    let mut longest = Duration::ZERO;
    while let Some(time) = peers.join_next().await {
        longest = longest.max(time.unwrap());
    }
    stop.send(true).unwrap();
    println!("beside {} slow peers: {}", 2 * PEERS, crowded.await.unwrap());
    println!("the last slow peer was cut after {:.1} s", longest.as_secs_f64());
    assert!(longest < CUT_WITHIN, "{longest:?}");
}
