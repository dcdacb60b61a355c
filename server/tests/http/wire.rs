//! The server on a real port, and a client that can misbehave.

use axum::{extract::Request, response::Response};
use server::http::{self, Limits};
use std::{convert::Infallible, future::Future, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tower::Service;

/// The longest a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Served {
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    ended: JoinHandle<()>,
}

impl Served {
    pub async fn start<S>(answers: S, limits: Limits) -> Self
    where
        S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let ended = tokio::spawn(http::serve(listener, answers, limits, shutdown.clone()));
        Self { address, shutdown, ended }
    }

    pub async fn connect(&self) -> Wire {
        Wire(TcpStream::connect(self.address).await.unwrap())
    }

    /// What the server says to these bytes until it closes the connection.
    pub async fn exchange(&self, bytes: &[u8]) -> Reply {
        let mut wire = self.connect().await;
        wire.send(bytes).await;
        Reply::read(&wire.until_closed().await)
    }

    /// One GET on a connection of its own.
    pub async fn get(&self, path: &str) -> Reply {
        self.exchange(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await
    }

    /// Tells the server to stop and waits until it has.
    pub async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.ended).await.expect("the server ends").unwrap();
    }
}

/// One connection.
pub struct Wire(pub TcpStream);

impl Wire {
    /// Sends; a server that has closed already is no mistake of the test.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// Everything until the server closes the connection, in whatever way.
    pub async fn until_closed(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut part = [0; 16 * 1024];
        within("the server closes the connection", async {
            while let Ok(bytes @ 1..) = self.0.read(&mut part).await {
                all.extend_from_slice(&part[..bytes]);
            }
        })
        .await;
        all
    }

    /// The next answer of a connection that stays open; it must say how long it is.
    pub async fn reply(&mut self) -> Reply {
        let mut all = Vec::new();
        within("an answer comes", async {
            loop {
                let mut byte = [0; 1];
                self.0.read_exact(&mut byte).await.expect("the connection is open");
                all.push(byte[0]);
                if all.ends_with(b"\r\n\r\n") {
                    break;
                }
            }
            let length = Reply::read(&all).header("content-length").parse().unwrap_or(0);
            let mut body = vec![0; length];
            self.0.read_exact(&mut body).await.expect("the body is as long as it says");
            all.extend(body);
        })
        .await;
        Reply::read(&all)
    }
}

/// A parsed answer.
#[derive(Debug)]
pub struct Reply {
    /// 0 when there was none.
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Reply {
    fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let body = bytes.get(end + 4..).unwrap_or_default().to_vec();
        Self { status, head, body }
    }

    /// The header's text; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.trim())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Waits, and says for what when it was in vain.
pub async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// Asks again until the answer is there.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    within(what, async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tick.tick().await;
        }
    })
    .await
}
