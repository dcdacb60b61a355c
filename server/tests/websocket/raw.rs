//! A server without a database, and a client that sends whatever bytes it is told to.

use leptos::config::LeptosOptions;
use market::wire::{ServerMessage, SourceKind, SourceMode};
use server::{
    feed::{CatchUp, Door, Feed, Hub, Publisher, SocketConfig},
    http::{self, AppState, Limits},
    pipeline,
    store::{Head, Store},
};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The key and the answer that RFC 6455 itself has as its example.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// The server's HTTP side with a feed that has begun; its Postgres is away.
pub struct Site {
    pub address: SocketAddr,
    pub hub: Hub,
    pub door: Door,
    pub sockets: TaskTracker,
    pub shutdown: CancellationToken,
}

impl Site {
    pub async fn start(config: SocketConfig) -> Self {
        let store = Store::new("postgres://nobody@127.0.0.1:1/none".parse().unwrap(), 1);
        let hub = Hub::default();
        Publisher::new(hub.clone()).begin(Head { epoch: uuid::Uuid::nil(), seq: 7 });
        let (_, status) = pipeline::channel();
        let feed = Feed {
            hub: hub.clone(),
            catch_up: CatchUp::new(store.clone()),
            door: Door::new(config),
            store,
            status,
            source: SourceKind { mode: SourceMode::Live, simulated: false, speed: None },
            budget_ms: 2_000,
            shutdown: CancellationToken::new(),
            sockets: TaskTracker::new(),
        };
        let (door, sockets, shutdown) = (feed.door.clone(), feed.sockets.clone(), feed.shutdown.clone());
        let options = LeptosOptions::builder().output_name("stockstream").build();
        let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle();
        let limits = Limits { limit_loopback: true, ..Limits::default() };
        let answers =
            http::answers(AppState::new(feed, options, metrics, pipeline::Controls::default()).limited(&limits));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(http::serve(listener, answers, limits, CancellationToken::new()));
        Self { address, hub, door, sockets, shutdown }
    }

    /// Waits until every seat is free again.
    pub async fn until_empty(&self) {
        in_time("every seat is free", async {
            while self.door.taken() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

/// A handshake as RFC 6455 has it, with its lines changed: an empty value takes a line out.
pub fn request(changes: &[(&str, &str)]) -> String {
    let mut lines = vec![
        ("Host", "stocks.example"),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", KEY),
    ];
    lines.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    lines.extend(changes.iter().filter(|(_, value)| !value.is_empty()));
    let lines: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("GET /api/v1/stream HTTP/1.1\r\n{lines}\r\n")
}

/// What came from the server.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a handful of them live at a time")]
pub enum Reply {
    Message(ServerMessage),
    Ping,
    Pong(Vec<u8>),
    /// The code, if there was one, and the reason.
    Close(Option<u16>, String),
    /// The end of the stream.
    End,
}

/// A client past its handshake.
pub struct Raw {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Raw {
    /// Sends a request and reads the head of the answer.
    pub async fn ask(address: SocketAddr, request: &[u8]) -> (Self, String) {
        Self::ask_on(TcpStream::connect(address).await.unwrap(), request).await
    }

    pub async fn ask_on(stream: TcpStream, request: &[u8]) -> (Self, String) {
        stream.set_nodelay(true).unwrap();
        let mut raw = Self { stream, buffer: Vec::new() };
        raw.send(request).await;
        let end = loop {
            if let Some(end) = raw.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(raw.read().await > 0, "the answer breaks off: {:?}", String::from_utf8_lossy(&raw.buffer));
        };
        let head = String::from_utf8(raw.buffer.drain(..end).collect()).unwrap();
        (raw, head)
    }

    pub async fn open(address: SocketAddr) -> Self {
        let (raw, head) = Self::ask(address, request(&[]).as_bytes()).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw
    }

    async fn read(&mut self) -> usize {
        let read = in_time("the server says something or ends", self.stream.read_buf(&mut self.buffer)).await;
        read.unwrap_or(0) // a reset is an end, too
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await; // the server may have ended it
    }

    /// Ends this side; the other may go on.
    pub async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Cuts the connection without a goodbye: the kernel resets it.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// The body of an HTTP answer that was not an upgrade.
    pub async fn body(mut self, head: &str) -> String {
        let length: usize = header(head, "content-length").expect("a length").parse().unwrap();
        while self.buffer.len() < length {
            assert!(self.read().await > 0, "the body breaks off");
        }
        String::from_utf8(self.buffer).unwrap()
    }

    /// Reads a little, and looks at nothing.
    pub async fn sip(&mut self, most: usize) {
        let mut bytes = vec![0; most];
        let read = in_time("the server says something", self.stream.read(&mut bytes)).await.unwrap_or(0);
        self.buffer.extend(&bytes[..read]);
    }

    pub async fn reply(&mut self) -> Reply {
        loop {
            if let Some((first, payload)) = self.frame() {
                return match first {
                    0x81 => Reply::Message(serde_json::from_slice(&payload).expect("the protocol's JSON")),
                    0x88 if payload.is_empty() => Reply::Close(None, String::new()),
                    0x88 => Reply::Close(
                        Some(u16::from_be_bytes([payload[0], payload[1]])),
                        String::from_utf8(payload[2..].to_vec()).expect("a reason in UTF-8"),
                    ),
                    0x89 => Reply::Ping,
                    0x8a => Reply::Pong(payload),
                    other => panic!("the server sent a frame {other:x}"),
                };
            }
            if self.read().await == 0 {
                assert!(self.buffer.is_empty(), "the server's last frame breaks off");
                return Reply::End;
            }
        }
    }

    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, second) = (*self.buffer.first()?, *self.buffer.get(1)?);
        assert!(second < 128, "a server never masks");
        let (length, start) = match second {
            126 => (usize::from(u16::from_be_bytes(self.buffer.get(2..4)?.try_into().unwrap())), 4),
            127 => (u64::from_be_bytes(self.buffer.get(2..10)?.try_into().unwrap()) as usize, 10),
            short => (usize::from(short), 2),
        };
        let payload = self.buffer.get(start..start + length)?.to_vec();
        self.buffer.drain(..start + length);
        Some((first, payload))
    }

    /// The next reply that is not about the stream as a whole.
    pub async fn answer(&mut self) -> Reply {
        loop {
            match self.reply().await {
                Reply::Message(
                    ServerMessage::Hello { .. }
                    | ServerMessage::Pipe { .. }
                    | ServerMessage::Beat { .. }
                    | ServerMessage::Dq { .. },
                ) => {}
                other => return other,
            }
        }
    }
}

/// A header of an answer's head.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().filter_map(|line| line.split_once(": ")).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|h| h.1)
}

/// A masked frame; `first` is the first byte: FIN, the reserved bits and the opcode.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let size = match length {
        0..126 => vec![length as u8],
        126..65_536 => [&[126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[127][..], &(length as u64).to_be_bytes()].concat(),
    };
    with_size(first, &size, payload)
}

/// The same with the length written as told.
pub fn with_size(first: u8, size: &[u8], payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let masked = payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    let mut frame = vec![first, size[0] | 0x80];
    frame.extend(&size[1..]);
    frame.extend(MASK);
    frame.extend(masked);
    frame
}
