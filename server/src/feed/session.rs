//! One socket.

use super::{
    Feed,
    frame::{Encoding, Frame},
    hub::Membership,
    mailbox::Delivery,
    publisher::read_buckets,
};
use crate::store::{ChangesSince, ReadError, Store};
use axum::{
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    response::Response,
};
use chrono::{DateTime, Utc};
use market::{
    Stats, Symbol, Timeframe,
    wire::{BEAT_SECONDS, CLOSE_RESTART, CLOSE_SLOW, ClientMessage, MSGPACK_PROTOCOL, Record, ServerMessage},
};
use std::{collections::BTreeMap, time::Duration};

/// Symbols that one socket may watch.
const MAX_SYMBOLS: usize = 64;
/// Bars per snapshot: what is sent when the client does not say, and the most it may ask for.
const BARS: (u32, u32) = (390, 2_000);
/// Candles that a returning client is brought up to date with; beyond it a snapshot is sent.
const MAX_MISSED: i64 = 2_000;
/// How long one write may take before the client is cut.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest message accepted from a client, in bytes.
const MAX_MESSAGE: usize = 64 * 1024;

/// `GET /api/v1/stream`: upgrades to the live protocol of [`market::wire`].
pub async fn stream_handler(upgrade: WebSocketUpgrade, State(feed): State<Feed>) -> Response {
    let upgrade = upgrade
        .protocols([MSGPACK_PROTOCOL])
        .read_buffer_size(4 << 10)
        .write_buffer_size(4 << 10)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE);
    upgrade.on_upgrade(|socket| {
        let encoding = match socket.protocol() {
            Some(protocol) if protocol.as_bytes() == MSGPACK_PROTOCOL.as_bytes() => Encoding::MessagePack,
            _ => Encoding::Json,
        };
        let tracked = feed.sockets.clone();
        tracked.track_future(async move {
            let membership = feed.hub.join();
            let session = Session { socket, encoding, feed, membership, watched: None };
            session.run().await;
        })
    })
}

/// What the client asked for.
struct Watch {
    symbols: Vec<Symbol>,
    timeframe: Timeframe,
    bars: u32,
}

struct Session {
    socket: WebSocket,
    encoding: Encoding,
    feed: Feed,
    membership: Membership,
    watched: Option<Watch>,
}

/// Why a session ends.
enum End {
    /// The client left, or the network broke.
    Gone,
    /// The client reads too slowly.
    Slow,
    /// The server stops.
    Restart,
}

impl Session {
    async fn run(mut self) {
        let end = match self.serve().await {
            Err(end) => end,
            Ok(()) => End::Gone,
        };
        let close = match end {
            End::Gone => return,
            End::Slow => CloseFrame { code: CLOSE_SLOW, reason: "too slow".into() },
            End::Restart => CloseFrame { code: CLOSE_RESTART, reason: "restart".into() },
        };
        // Best effort: whoever does not read will not read this either.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.socket.send(Message::Close(Some(close)))).await;
    }

    async fn serve(&mut self) -> Result<(), End> {
        let (epoch, seq) = self.feed.hub.head();
        self.send(&Frame::new(ServerMessage::Hello {
            epoch,
            seq,
            server_time: Utc::now(),
            budget_ms: self.feed.budget_ms,
            source: self.feed.source.clone(),
        }))
        .await?;
        let pipe = self.feed.status.borrow().clone();
        self.send(&Frame::new(ServerMessage::Pipe { state: pipe.state, lag: pipe.lag, rows_per_second: 0.0 })).await?;
        let mut beat = tokio::time::interval(Duration::from_secs(BEAT_SECONDS));
        beat.reset();
        let mailbox = self.membership.mailbox.clone();
        let shutdown = self.feed.shutdown.clone();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Err(End::Restart),
                received = self.socket.recv() => match received {
                    None | Some(Err(_)) | Some(Ok(Message::Close(_))) => return Ok(()),
                    Some(Ok(Message::Text(text))) => self.receive(serde_json::from_str(&text).map_err(|e| e.to_string())).await?,
                    Some(Ok(Message::Binary(bytes))) => self.receive(rmp_serde::from_slice(&bytes).map_err(|e| e.to_string())).await?,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                },
                delivery = mailbox.take() => self.deliver(delivery).await?,
                _ = beat.tick() => {
                    let (_, seq) = self.feed.hub.head();
                    self.send(&Frame::new(ServerMessage::Beat { seq, server_time: Utc::now() })).await?;
                }
            }
        }
    }

    async fn send(&mut self, frame: &Frame) -> Result<(), End> {
        match tokio::time::timeout(WRITE_TIMEOUT, self.socket.send(frame.encode(self.encoding))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => {
                metrics::counter!("stockstream_feed_slow_clients_total").increment(1);
                Err(End::Slow)
            }
        }
    }

    async fn refuse(&mut self, code: &str, message: String) -> Result<(), End> {
        self.send(&Frame::new(ServerMessage::Error { code: code.into(), message })).await
    }

    async fn receive(&mut self, message: Result<ClientMessage, String>) -> Result<(), End> {
        let ClientMessage::Sub { mut symbols, timeframe, epoch, since, bars } = match message {
            Ok(message) => message,
            Err(error) => return self.refuse("bad_message", error).await,
        };
        symbols.sort();
        symbols.dedup();
        if symbols.is_empty() || symbols.len() > MAX_SYMBOLS {
            return self.refuse("bad_subscription", format!("1 to {MAX_SYMBOLS} symbols, not {}", symbols.len())).await;
        }
        let bars = bars.unwrap_or(BARS.0).clamp(1, BARS.1);
        // Watch first, read after: whatever is committed in between arrives as a frame that the client skips or applies.
        self.membership.watch(&symbols, timeframe);
        self.watched = Some(Watch { symbols: symbols.clone(), timeframe, bars });
        if let (Some(epoch), Some(since)) = (epoch, since)
            && self.resume(&epoch, since, &symbols, timeframe).await?
        {
            return Ok(());
        }
        self.snapshots(&symbols).await
    }

    /// Sends what was missed since `since`; false when that is not known any more.
    async fn resume(&mut self, epoch: &str, since: i64, symbols: &[Symbol], timeframe: Timeframe) -> Result<bool, End> {
        let reason = if self.feed.hub.head().0 == epoch {
            match missed(&self.feed.store, since, symbols, timeframe).await {
                Ok(Some(frames)) => {
                    for frame in frames {
                        self.send(&frame).await?;
                    }
                    return Ok(true);
                }
                Ok(None) => "too much has changed since",
                Err(error) => {
                    tracing::warn!(%error, "could not read what a client missed");
                    "the database does not answer"
                }
            }
        } else {
            "the stream was restarted"
        };
        self.send(&Frame::new(ServerMessage::Refetch { reason: reason.into() })).await?;
        Ok(false)
    }

    async fn snapshots(&mut self, symbols: &[Symbol]) -> Result<(), End> {
        let Some((timeframe, bars)) = self.watched.as_ref().map(|watch| (watch.timeframe, watch.bars)) else {
            return Ok(());
        };
        for symbol in symbols {
            match self.feed.store.snapshot(symbol, timeframe, bars).await {
                Ok((seq, bars)) => {
                    let stats = Stats::of(&bars);
                    let snap = ServerMessage::Snap { symbol: symbol.clone(), timeframe, seq, bars, stats };
                    self.send(&Frame::new(snap)).await?;
                }
                Err(error) => {
                    tracing::warn!(%error, %symbol, "no snapshot");
                    let text = format!("{symbol}: the database does not answer; subscribe again in a moment");
                    self.refuse("unavailable", text).await?;
                }
            }
        }
        Ok(())
    }

    async fn deliver(&mut self, delivery: Delivery) -> Result<(), End> {
        if let Some(reason) = delivery.resync {
            self.send(&Frame::new(ServerMessage::Refetch { reason: reason.into() })).await?;
            let symbols = self.watched.as_ref().map(|watch| watch.symbols.clone()).unwrap_or_default();
            self.snapshots(&symbols).await?;
        }
        for frame in &delivery.frames {
            self.send(frame).await?;
        }
        let symbols: Vec<Symbol> = delivery.snapshots.into_iter().collect();
        self.snapshots(&symbols).await
    }
}

/// The frames that bring a client from `since` to the head; `None` when the log does not reach back.
async fn missed(
    store: &Store,
    since: i64,
    symbols: &[Symbol],
    timeframe: Timeframe,
) -> Result<Option<Vec<Frame>>, ReadError> {
    let (seq, candles) = match store.changes_since(since, symbols, MAX_MISSED).await? {
        ChangesSince::Known { seq, candles } => (seq, candles),
        ChangesSince::Gone => return Ok(None),
    };
    if seq == since {
        return Ok(Some(Vec::new()));
    }
    // Newest event and commit per bucket; a symbol that did not change still gets its frame, which moves its seq.
    type Newest = BTreeMap<DateTime<Utc>, (DateTime<Utc>, DateTime<Utc>)>;
    let mut by_symbol: BTreeMap<Symbol, Newest> =
        symbols.iter().map(|symbol| (symbol.clone(), BTreeMap::new())).collect();
    for candle in candles {
        let newest = by_symbol
            .entry(candle.symbol)
            .or_default()
            .entry(timeframe.bucket(candle.time))
            .or_insert((candle.event_time, candle.committed_at));
        *newest = (newest.0.max(candle.event_time), newest.1.max(candle.committed_at));
    }
    let mut frames = Vec::new();
    for (symbol, buckets) in by_symbol {
        let topic = (symbol.clone(), timeframe);
        let bars = read_buckets(store, &topic, buckets.keys().copied()).await?;
        let records = buckets
            .into_iter()
            .map(|(time, (event_time, committed_at))| match bars.get(&time) {
                Some(&bar) => Record::Rev { bar, event_time, committed_at },
                None => Record::Del { time, committed_at },
            })
            .collect();
        frames.push(Frame::new(ServerMessage::Delta { symbol, timeframe, prev: since, seq, records }));
    }
    Ok(Some(frames))
}
