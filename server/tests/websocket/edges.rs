//! What a client may cost: seats, messages, silence; and how all are let go.

use crate::raw::{Raw, Reply, Site, frame, header, in_time, request};
use futures::future::join_all;
use market::wire::{CLOSE_RESTART, CLOSE_SILENT, CLOSE_TOO_MANY_MESSAGES, ServerMessage};
use server::feed::SocketConfig;
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::net::TcpSocket;

async fn connect_from(source: &str, site: &Site) -> (Raw, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(source.parse().unwrap(), 0)).unwrap();
    Raw::ask_on(socket.connect(site.address).await.unwrap(), request(&[]).as_bytes()).await
}

#[tokio::test]
async fn sockets_are_capped_by_address_and_in_all_before_the_upgrade() {
    let site =
        Site::start(SocketConfig { max_sockets: 3, max_sockets_per_address: 2, ..SocketConfig::default() }).await;
    let refused = async |source: &str, expected: &str| {
        let (raw, head) = connect_from(source, &site).await;
        assert!(head.starts_with(expected), "{head}");
        assert!(header(&head, "retry-after").unwrap().parse::<u32>().unwrap() > 0);
        assert!(raw.body(&head).await.contains(r#""code":"too_many_sockets""#));
    };
    let (first, _) = connect_from("127.0.0.1", &site).await;
    let (_second, _) = connect_from("127.0.0.1", &site).await;
    refused("127.0.0.1", "HTTP/1.1 429 ").await;
    let (_third, head) = connect_from("127.0.0.2", &site).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "another address has its own seats: {head}");
    refused("127.0.0.3", "HTTP/1.1 503 ").await;
    first.reset();
    in_time("the seat is free", async {
        while site.door.taken() == 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let (_fourth, head) = connect_from("127.0.0.3", &site).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "a seat that is free is given: {head}");
}

#[tokio::test]
async fn a_client_that_sends_too_many_messages_is_told_and_closed() {
    let site = Site::start(SocketConfig::default()).await;
    for message in [frame(0x81, b"hi"), frame(0x89, b""), frame(0x8a, b"")] {
        let mut raw = Raw::open(site.address).await;
        raw.send(&message.repeat(100)).await;
        let mut told = false;
        loop {
            match raw.answer().await {
                Reply::Message(ServerMessage::Error { code, .. }) if code == "too_many_messages" => told = true,
                Reply::Message(_) | Reply::Pong(_) => assert!(!told, "nothing comes after it"),
                Reply::Close(code, _) => break assert_eq!(code, Some(CLOSE_TOO_MANY_MESSAGES)),
                other => panic!("{other:?}"),
            }
        }
        assert!(told);
    }
    site.until_empty().await;
}

#[tokio::test]
async fn a_flood_that_never_becomes_a_message_is_closed() {
    let site = Site::start(SocketConfig::default()).await;
    let mut raw = Raw::open(site.address).await;
    raw.send(&frame(0x01, b"")).await;
    raw.send(&frame(0x00, b"").repeat(100_000)).await;
    match raw.answer().await {
        Reply::Close(code, _) => assert_eq!(code, Some(CLOSE_TOO_MANY_MESSAGES)),
        other => panic!("{other:?}"),
    }
    site.until_empty().await;
}

#[tokio::test]
async fn a_silent_client_is_closed_and_one_that_answers_pings_stays() {
    let site = Site::start(SocketConfig {
        beat_every: Duration::from_millis(20),
        ping_every: Duration::from_millis(60),
        pong_within: Duration::from_millis(400),
        ..SocketConfig::default()
    })
    .await;
    let (mut silent, mut idle) = (Raw::open(site.address).await, Raw::open(site.address).await);
    let is_closed = async {
        loop {
            match silent.answer().await {
                Reply::Ping => {}
                Reply::Close(code, _) => return code,
                other => panic!("{other:?}"),
            }
        }
    };
    let stays = async {
        for _ in 0..10 {
            assert_eq!(idle.answer().await, Reply::Ping);
            idle.send(&frame(0x8a, b"")).await;
        }
    };
    let (code, ()) = tokio::join!(is_closed, stays);
    assert_eq!(code, Some(CLOSE_SILENT));
    assert_eq!(site.hub.sessions(), 1, "the one that answers");
}

#[tokio::test]
async fn at_a_shutdown_every_socket_gets_1012_and_new_ones_are_refused() {
    let site = Site::start(SocketConfig::default()).await;
    let mut clients = join_all((0..100).map(|_| Raw::open(site.address))).await;
    for client in &mut clients {
        client.reply().await;
    }
    let begun = Instant::now();
    site.shutdown.cancel();
    site.sockets.close();
    let endings = join_all(clients.iter_mut().map(|client| async {
        let close = client.answer().await;
        assert_eq!(client.reply().await, Reply::End);
        client.finish().await;
        close
    }))
    .await;
    for ending in endings {
        assert_eq!(ending, Reply::Close(Some(CLOSE_RESTART), "restart".to_owned()));
    }
    in_time("every session is over", site.sockets.wait()).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "within the drain");
    let (_, head) = Raw::ask(site.address, request(&[]).as_bytes()).await;
    assert!(head.starts_with("HTTP/1.1 503 ") && header(&head, "retry-after").is_some(), "{head}");
}

#[tokio::test]
async fn a_wrong_message_is_explained_and_the_connection_stays() {
    let site = Site::start(SocketConfig::default()).await;
    let many = format!(
        r#"{{"type":"sub","symbols":[{}]}}"#,
        (0..8_000).map(|n| format!("\"S{n}\"")).collect::<Vec<_>>().join(",")
    );
    let long = format!(r#"{{"type":"{}"}}"#, "x".repeat(60_000));
    let mut raw = Raw::open(site.address).await;
    for (text, code, hint) in [
        ("nonsense", "bad_message", "expected"),
        (r#"{"type":"sub","symbols":[]}"#, "bad_subscription", "1 to 64 symbols, not 0"),
        (&many, "bad_subscription", "1 to 64 symbols, not 8000"),
        (r#"{"type":"sub","symbols":["AMZN"],"since":-1,"epoch":"x"}"#, "bad_subscription", "0 or more"),
        (r#"{"type":"sub","symbols":["AMZN"],"since":1}"#, "bad_subscription", "epoch"),
        (r#"{"type":"sub","symbols":["AMZN"],"timeframe":"1y"}"#, "bad_message", "is not a timeframe"),
        (r#"{"type":"sub","symbols":["AMZN"],"timeframe":"1w"}"#, "bad_subscription", "at most 1d"),
        (&long, "bad_message", "unknown variant"),
    ] {
        raw.send(&frame(0x81, text.as_bytes())).await;
        match raw.answer().await {
            Reply::Message(ServerMessage::Error { code: given, message }) => {
                assert_eq!(given, code, "{message}");
                assert!(message.contains(hint) && message.len() < 1_000, "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
    let elsewhere = r#"{"type":"sub","symbols":["AMZN"],"since":5,"epoch":"another"}"#;
    raw.send(&frame(0x81, elsewhere.as_bytes())).await;
    let reply = raw.answer().await;
    assert!(matches!(reply, Reply::Message(ServerMessage::Refetch { .. })), "{reply:?}");
    raw.send(&frame(0x89, b"")).await;
    // Postgres is away here, which is said; and the socket lives.
    let mut answers = [raw.answer().await, raw.answer().await];
    answers.sort_by_key(|answer| matches!(answer, Reply::Message(_)));
    assert_eq!(answers[0], Reply::Pong(Vec::new()));
    let unavailable =
        |answer: &Reply| matches!(answer, Reply::Message(ServerMessage::Error { code, .. }) if code == "unavailable");
    assert!(unavailable(&answers[1]), "{answers:?}");
}
