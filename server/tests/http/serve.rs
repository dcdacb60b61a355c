//! The serve loop: slow peers, too many peers, and the end.

use crate::wire::{PATIENCE, Served, until, within};
use axum::{
    Router,
    body::Bytes,
    extract::{ConnectInfo, ws::WebSocketUpgrade},
    routing::{any, get, post},
};
use futures::future::join_all;
use server::http::Limits;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::AsyncReadExt,
    sync::{Notify, watch},
};

/// Larger than what the kernel keeps of an unread answer.
const LARGE: usize = 64 << 20;

fn router() -> Router {
    Router::new()
        .route("/hello", get(async || "hello"))
        .route("/peer", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string()))
        .route("/read", post(async |body: Bytes| body.len().to_string()))
        .route("/large", get(async || vec![b'x'; LARGE]))
        .route(
            "/socket",
            any(async |upgrade: WebSocketUpgrade| {
                upgrade.on_upgrade(async |mut socket| while let Some(Ok(_)) = socket.recv().await {})
            }),
        )
}

/// Limits that a test need not wait long for.
fn hasty() -> Limits {
    let second = Duration::from_secs(1);
    Limits { header: second, body: second, write: second, ..Limits::default() }
}

const HANDSHAKE: &[u8] = b"GET /socket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[tokio::test]
async fn slow_headers_and_bodies_are_cut_while_others_are_answered() {
    let served = Arc::new(Served::start(router(), hasty()).await);
    let (cut, all_cut) = watch::channel(false);
    let beginnings: [&[u8]; 3] = [
        b"",
        b"GET /hello HTTP/1.1\r\nhost: x\r\nx-slow: ",
        b"POST /read HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n",
    ];
    let slow = beginnings.iter().flat_map(|&beginning| std::iter::repeat_n(beginning, 100)).map(|beginning| {
        let served = served.clone();
        async move {
            let mut wire = served.connect().await;
            wire.send(beginning).await;
            if !beginning.is_empty() {
                // One byte now and then keeps no connection open.
                let mut tick = tokio::time::interval(Duration::from_millis(100));
                let trickle = async {
                    loop {
                        tick.tick().await;
                        wire.0.writable().await.unwrap();
                        if wire.0.try_write(b"a").is_err() {
                            return;
                        }
                    }
                };
                within("a slow peer is cut", trickle).await;
            }
            wire.until_closed().await
        }
    });
    let healthy = tokio::spawn({
        let served = served.clone();
        async move {
            let mut answered = 0;
            while !*all_cut.borrow() {
                assert_eq!(served.get("/hello").await.text(), "hello");
                answered += 1;
            }
            answered
        }
    });
    join_all(slow).await;
    cut.send(true).unwrap();
    assert!(within("the healthy peer ends", healthy).await.unwrap() > 0);
}

#[tokio::test]
async fn an_idle_connection_answers_again_and_is_closed_when_it_stays_idle() {
    let served = Served::start(router(), hasty()).await;
    let mut wire = served.connect().await;
    for _ in 0..3 {
        wire.send(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await;
        assert_eq!(wire.reply().await.text(), "hello");
    }
    assert_eq!(wire.until_closed().await, b"");
    assert_eq!(served.get("/peer").await.text(), "127.0.0.1");
}

#[tokio::test]
async fn who_does_not_read_is_cut_and_who_reads_steadily_gets_everything() {
    let limits = Limits { connections: 1, ..hasty() };
    let served = Served::start(router(), limits).await;
    let mut deaf = served.connect().await;
    deaf.send(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await;
    // Its place is free when it was cut.
    until("the place of a peer that does not read is free", || async {
        (served.get("/hello").await.status == 200).then_some(())
    })
    .await;
    assert!(deaf.until_closed().await.len() < LARGE);

    let mut steady = served.connect().await;
    steady.send(b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let (mut part, mut sum) = (vec![0; 1 << 20], 0);
    // With pauses that add up to more than the server's patience.
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    within("a steady reader gets everything", async {
        while let bytes @ 1.. = steady.0.read(&mut part).await.unwrap() {
            sum += bytes;
            tick.tick().await;
        }
    })
    .await;
    assert!(sum > LARGE, "{sum}");
}

#[tokio::test]
async fn one_address_too_many_is_told_so_and_admitted_when_another_has_left() {
    let limits = Limits { connections_per_address: Some(2), limit_loopback: true, ..Limits::default() };
    let served = Served::start(router(), limits).await;
    let mut first = served.connect().await;
    first.send(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await;
    first.reply().await;
    // A socket counts as long as it is open, not only until its handshake.
    let mut socket = served.connect().await;
    socket.send(HANDSHAKE).await;
    assert_eq!(socket.reply().await.status, 101);

    let refused = served.get("/hello").await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, "5"));
    assert_eq!(refused.header("content-type"), "application/problem+json");
    assert!(refused.text().contains("too_many_connections"), "{refused:?}");

    drop(socket);
    until("the place of a closed socket is free", || async {
        (served.get("/hello").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn this_machine_is_not_limited_unless_told_to_be() {
    let limits = Limits { connections_per_address: Some(1), ..Limits::default() };
    let served = Served::start(router(), limits).await;
    let _first = served.connect().await;
    assert_eq!(served.get("/hello").await.status, 200);
}

#[tokio::test]
async fn at_the_end_requests_are_answered_idle_peers_are_closed_and_nobody_new_comes_in() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, go_on) = (begun.clone(), go_on.clone());
        get(move || async move {
            begun.notify_one();
            go_on.notified().await;
            "answered"
        })
    };
    let served = Served::start(router().route("/slow", slow), Limits::default()).await;
    let mut idle = served.connect().await;
    idle.send(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").await;
    idle.reply().await;
    let mut silent = served.connect().await;
    let mut busy = served.connect().await;
    busy.send(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await;
    within("the slow request begins", begun.notified()).await;

    served.shutdown.cancel();
    assert_eq!(idle.until_closed().await, b"");
    assert_eq!(silent.until_closed().await, b"");
    assert!(tokio::net::TcpStream::connect(served.address).await.is_err(), "nobody listens any more");
    go_on.notify_one();
    let answer = busy.reply().await;
    assert_eq!((answer.text().as_str(), answer.header("connection")), ("answered", "close"));
    served.stop().await;
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let forever = get(async || std::future::pending::<()>().await);
    let limits = Limits { drain: Duration::from_millis(200), header: PATIENCE * 2, ..Limits::default() };
    let served = Served::start(router().route("/forever", forever), limits).await;
    let mut endless = served.connect().await;
    endless.send(b"GET /forever HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut half = served.connect().await;
    half.send(b"GET /hello HTTP/1.1\r\nhost: ").await;
    served.stop().await;
    assert_eq!(endless.until_closed().await, b"");
    assert_eq!(half.until_closed().await, b"");
}
