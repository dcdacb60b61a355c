//! The real program as a process: how it ends, and what it does when the system has nothing left to give.

use crate::wire::{Wire, until, within};
use std::{net::SocketAddr, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

/// `stockstream serve` beside a Postgres and a Kafka that do not answer: the edges are the same.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    async fn start(descriptors: u32) -> Self {
        let mut child = Command::new("/bin/sh")
            .args(["-c", &format!("ulimit -n {descriptors}; exec \"$@\""), "sh"])
            .arg(env!("CARGO_BIN_EXE_stockstream"))
            .args(["serve", "--listen", "127.0.0.1:0", "--database-url", "postgres://a:b@127.0.0.1:1/c"])
            .args(["--brokers", "127.0.0.1:1", "--topic", "t", "--log", "info,rdkafka=off"])
            .env_clear()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = within("the server says where it listens", async {
            loop {
                let line = log.next_line().await.unwrap().expect("the server runs");
                if let Some((_, address)) = line.split_once("serves http://") {
                    return address.trim().parse().unwrap();
                }
            }
        })
        .await;
        // Whoever writes a log wants it read.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Self { child, address }
    }

    async fn connect(&self) -> Wire {
        Wire(TcpStream::connect(self.address).await.unwrap())
    }

    async fn signal(&self, name: &str) {
        let process = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([name, &process]).status().await.unwrap().success());
    }
}

#[tokio::test]
async fn told_to_stop_it_closes_every_socket_in_order_and_exits_with_0() {
    let mut process = Process::start(1024).await;
    let mut idle = process.connect().await;
    idle.send(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(idle.reply().await.status, 200);
    // Half a request and a deaf peer do not hold it up.
    let mut half = process.connect().await;
    half.send(b"GET /livez HTTP/1.1\r\nhost").await;
    let mut socket = process.connect().await;
    let host = process.address;
    let handshake = format!(
        "GET /api/v1/stream HTTP/1.1\r\nhost: {host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.send(handshake.as_bytes()).await;
    assert_eq!(socket.reply().await.status, 101);
    let mut first = [0; 1];
    within("the socket says hello", socket.0.read_exact(&mut first)).await.unwrap();

    process.signal("-TERM").await;
    let status = within("the server ends", process.child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
    // A Close frame with 1012, service restart (RFC 6455 5.5.1, IANA).
    let said = socket.until_closed().await;
    let close = [&[0x88, 2 + "restart".len() as u8][..], &1012_u16.to_be_bytes(), b"restart"].concat();
    assert!(said.windows(close.len()).any(|window| window == close), "{:?}", String::from_utf8_lossy(&said));
    assert_eq!(idle.until_closed().await, b"");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut process = Process::start(1024).await;
    // A request that is never finished would keep it for its whole patience.
    let mut half = process.connect().await;
    half.send(b"GET /livez HTTP/1.1\r\nhost").await;
    process.signal("-INT").await;
    until("nobody listens any more", || async { TcpStream::connect(process.address).await.is_err().then_some(()) })
        .await;
    process.signal("-INT").await;
    let status = within("the server ends", process.child.wait()).await.unwrap();
    assert_eq!(status.code(), Some(130));
}

#[tokio::test]
async fn without_a_descriptor_to_spare_it_waits_for_one_and_goes_on() {
    let process = Process::start(64).await;
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(process.connect().await);
    }
    // The last of them is in the queue: it is accepted when others have left.
    let mut last = crowd.pop().unwrap();
    last.send(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
    drop(crowd);
    assert_eq!(last.reply().await.status, 200);
}
