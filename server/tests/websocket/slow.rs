//! Clients that do not take what they are sent.

use crate::{
    raw::{Raw, Reply, frame, in_time, request},
    records::{Row, insert},
    stack::{Database, Server, Source, broker},
};
use market::wire::{CLOSE_SLOW, ServerMessage};
use server::pipeline::Assignment;
use std::{net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpSocket};

const BARS: i64 = 2_000;

/// A listener whose connections hold little in the kernel, so that a slow reader shows at once.
pub fn tight_listener() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(8 << 10).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket.listen(64).unwrap()
}

async fn tight_client(address: SocketAddr) -> (Raw, String) {
    tight_ask(address, &request(&[])).await
}

/// The same, with a request of its own.
pub async fn tight_ask(address: SocketAddr, request: &str) -> (Raw, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 << 10).unwrap();
    Raw::ask_on(socket.connect(address).await.unwrap(), request.as_bytes()).await
}

/// A subscription to much more than the kernel holds.
fn subscription() -> Vec<u8> {
    frame(0x81, br#"{"type":"sub","symbols":["AMZN"],"bars":2000}"#)
}

#[tokio::test]
async fn a_slow_reader_is_told_4407_after_its_last_whole_frame_and_disturbs_nobody() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let mut web = Server::web();
    web.sockets.max_sockets = 3;
    web.sockets.write_within = Duration::from_millis(300);
    web.sockets.farewell_within = Duration::from_secs(5);
    let server = Server::launch_on(tight_listener(), web, database.store(), &broker.bootstrap(), Assignment::Static);
    server.until_ready_is(200).await;
    source.send((0..BARS).map(|n| insert(&Row::new(n + 1, "AMZN", n, 15_000 + n % 100), n + 1))).await;
    server.until_consumed(BARS).await;

    let (mut brisk, _) = tight_client(server.address).await;
    brisk.send(&subscription()).await;
    let (mut slow, _) = tight_client(server.address).await;
    slow.send(&subscription()).await;
    // This one never reads; it must lose its seat all the same.
    let (mut dead, _) = tight_client(server.address).await;
    dead.send(&subscription()).await;

    // Far slower than the time it has: 60 KB of more than 200 KB.
    let dawdle = async {
        for _ in 0..60 {
            slow.sip(1 << 10).await;
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        let mut snapshots = 0;
        loop {
            match slow.answer().await {
                Reply::Message(ServerMessage::Snap { bars, .. }) => {
                    assert_eq!(bars.len() as i64, BARS, "what was begun comes whole");
                    snapshots += 1;
                }
                Reply::Close(code, _) => {
                    assert_eq!((code, snapshots), (Some(CLOSE_SLOW), 1));
                    break assert_eq!(slow.reply().await, Reply::End);
                }
                other => panic!("{other:?}"),
            }
        }
    };
    let live = async {
        let Reply::Message(ServerMessage::Snap { seq, .. }) = brisk.answer().await else { panic!("a snapshot") };
        source.send([insert(&Row::new(BARS + 1, "AMZN", BARS, 15_000), BARS + 1)]).await;
        match brisk.answer().await {
            Reply::Message(ServerMessage::Delta { prev, seq: next, .. }) => assert!(prev <= seq && seq < next),
            other => panic!("{other:?}"),
        }
    };
    tokio::join!(dawdle, live);
    drop(slow);
    // Three seats, one of them taken by who reads: two more find a place only when the dead one is cut.
    let _seats = in_time("the seat of who never reads is free", async {
        loop {
            let (first, one) = tight_client(server.address).await;
            let (second, two) = tight_client(server.address).await;
            if [&one, &two].iter().all(|head| head.starts_with("HTTP/1.1 101 ")) {
                return (first, second);
            }
            first.reset();
            second.reset();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    drop(dead);
    server.stop().await;
}
