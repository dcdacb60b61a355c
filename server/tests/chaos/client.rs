//! A WebSocket client that follows some symbols by the protocol of `market::wire`, comes back whenever it is cut, and
//! writes down every promise that was not kept.

use super::source::SYMBOLS;
use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use futures::{SinkExt, StreamExt};
use market::{
    Bar, Symbol, Timeframe,
    wire::{ClientMessage, MSGPACK_PROTOCOL, Record, ServerMessage},
};
use rand::Rng;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream,
    tungstenite::{Message, client::IntoClientRequest},
};

/// Longer than two beats: the server is gone.
const SILENCE: Duration = Duration::from_secs(12);
/// More than any symbol has.
const BARS: u32 = 2_000;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One symbol, as the client knows it.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// The last change contained; `None` after the server said that history is gone.
    pub seq: Option<i64>,
    pub bars: BTreeMap<DateTime<Utc>, Bar>,
    /// The highest seq ever shown: never to be fallen behind.
    highest: i64,
}

#[derive(Debug, Default)]
pub struct View {
    pub series: BTreeMap<Symbol, Series>,
    epoch: Option<String>,
    /// Promises that were not kept.
    pub broken: Vec<String>,
    pub connections: u64,
    pub snaps: u64,
    pub deltas: u64,
    pub refetches: u64,
}

/// A client that runs until it is dropped.
pub struct Client {
    pub name: String,
    view: Arc<Mutex<View>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    /// Follows two of the symbols; every third client speaks MessagePack. `shown` is raised to every seq it is shown.
    pub fn start(number: usize, port: u16, shown: Arc<AtomicI64>) -> Self {
        let view = Arc::new(Mutex::new(View::default()));
        let symbols = [number, number + 2].map(|index| SYMBOLS[index % SYMBOLS.len()]);
        let symbols: Vec<Symbol> =
            symbols.iter().map(|symbol| symbol.parse().expect("the symbols are tickers")).collect();
        lock(&view).series = symbols.iter().map(|symbol| (symbol.clone(), Series::default())).collect();
        let name = format!("client {number} ({})", symbols.iter().map(Symbol::as_str).collect::<Vec<_>>().join(", "));
        let follower = Follower { port, symbols, msgpack: number % 3 == 2, view: view.clone(), shown };
        Self { name, view, task: tokio::spawn(follower.run()) }
    }

    pub fn view(&self) -> MutexGuard<'_, View> {
        lock(&self.view)
    }
}

fn lock(view: &Mutex<View>) -> MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Follower {
    port: u16,
    symbols: Vec<Symbol>,
    msgpack: bool,
    view: Arc<Mutex<View>>,
    shown: Arc<AtomicI64>,
}

impl Follower {
    async fn run(self) {
        loop {
            // Why it ended is not asked: cutting is what this is about.
            let _ = self.follow().await;
            let pause = rand::rng().random_range(20..200);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn follow(&self) -> anyhow::Result<()> {
        let mut request = format!("ws://127.0.0.1:{}/api/v1/stream", self.port).into_client_request()?;
        if self.msgpack {
            request.headers_mut().insert("sec-websocket-protocol", MSGPACK_PROTOCOL.parse()?);
        }
        let connect = tokio_tungstenite::connect_async(request);
        let (mut socket, _) = tokio::time::timeout(Duration::from_secs(3), connect).await??;
        lock(&self.view).connections += 1;
        loop {
            let message = tokio::time::timeout(SILENCE, socket.next()).await?.context("closed")??;
            let message: ServerMessage = match message {
                Message::Text(text) => serde_json::from_str(&text)?,
                Message::Binary(bytes) => rmp_serde::from_slice(&bytes)?,
                Message::Close(_) => return Ok(()),
                _ => continue,
            };
            match message {
                ServerMessage::Hello { epoch, .. } => {
                    let held = self.subscription();
                    // A server that has not seen its database yet knows no epoch.
                    if !epoch.is_empty() {
                        lock(&self.view).epoch = Some(epoch);
                    }
                    self.send(&mut socket, &held).await?;
                }
                ServerMessage::Error { code, .. } if code == "unavailable" => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    self.send(&mut socket, &self.subscription()).await?;
                }
                ServerMessage::Error { code, message } => bail!("{code}: {message}"),
                other => {
                    if lock(&self.view).take(other, &self.shown) == Next::Subscribe {
                        self.send(&mut socket, &self.subscription()).await?;
                    }
                }
            }
        }
    }

    /// What it wants, from where it stands.
    fn subscription(&self) -> ClientMessage {
        let view = lock(&self.view);
        let since = view.series.values().map(|series| series.seq).min().flatten();
        let epoch = view.epoch.clone().filter(|_| since.is_some());
        let since = since.filter(|_| epoch.is_some());
        let symbols = self.symbols.clone();
        ClientMessage::Sub { symbols, timeframe: Timeframe::MINUTE_1, epoch, since, bars: Some(BARS) }
    }

    async fn send(&self, socket: &mut Socket, message: &ClientMessage) -> anyhow::Result<()> {
        let frame = if self.msgpack {
            Message::Binary(rmp_serde::to_vec_named(message)?.into())
        } else {
            Message::Text(serde_json::to_string(message)?.into())
        };
        Ok(socket.send(frame).await?)
    }
}

#[derive(PartialEq)]
enum Next {
    Read,
    Subscribe,
}

impl View {
    fn take(&mut self, message: ServerMessage, shown: &AtomicI64) -> Next {
        match message {
            ServerMessage::Snap { symbol, seq, bars, .. } => {
                self.snaps += 1;
                shown.fetch_max(seq, Ordering::SeqCst);
                let Some(series) = self.series.get_mut(&symbol) else {
                    self.broken.push(format!("a snapshot of {symbol}, which was not asked for"));
                    return Next::Read;
                };
                if seq < series.highest {
                    self.broken
                        .push(format!("step back: {symbol} was at {}, its snapshot is of {seq}", series.highest));
                }
                series.seq = Some(seq);
                series.highest = series.highest.max(seq);
                series.bars = bars.into_iter().map(|bar| (bar.time, bar)).collect();
            }
            ServerMessage::Delta { symbol, prev, seq, records, .. } => {
                self.deltas += 1;
                shown.fetch_max(seq, Ordering::SeqCst);
                let Some(series) = self.series.get_mut(&symbol) else {
                    self.broken.push(format!("a change of {symbol}, which was not asked for"));
                    return Next::Read;
                };
                // Between a refetch and its snapshot there is nothing to apply it to.
                let Some(mine) = series.seq else { return Next::Read };
                if seq <= mine {
                    return Next::Read;
                }
                if prev > mine {
                    self.broken.push(format!("gap: {symbol} is at {mine}, the next change is {seq} after {prev}"));
                    series.seq = None;
                    return Next::Subscribe;
                }
                for record in records {
                    match record {
                        Record::Bar { bar, .. } | Record::Rev { bar, .. } => {
                            series.bars.insert(bar.time, bar);
                        }
                        Record::Del { time, .. } => {
                            series.bars.remove(&time);
                        }
                    }
                }
                series.seq = Some(seq);
                series.highest = series.highest.max(seq);
            }
            ServerMessage::Refetch { .. } => {
                self.refetches += 1;
                self.series.values_mut().for_each(|series| series.seq = None);
            }
            _ => {}
        }
        Next::Read
    }
}
