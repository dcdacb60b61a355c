//! One client: what it asked for, what it is owed, and when it has to go.

use super::{
    Feed,
    allowance::Allowance,
    catch_up::{Answer, Question, Ticket},
    door::SocketConfig,
    frame::{Encoding, encode},
    hub::Membership,
    mailbox::Delivery,
    socket::{Ended, Event, Socket},
};
use crate::access::Pass;
use chrono::Utc;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use market::{
    Symbol, Timeframe,
    wire::{
        CLOSE_RESTART, CLOSE_SILENT, CLOSE_SLOW, CLOSE_TOO_MANY_MESSAGES, CLOSE_UNKNOWN, ClientMessage, MAX_SYMBOLS,
        ServerMessage,
    },
};
use serde::Deserialize;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

/// Bars per snapshot: what is sent when the client does not say, and the most it may ask for.
const BARS: (u32, u32) = (390, 2_000);
/// The longest bars sent live: with every change, all minutes of a bar are read again.
const LONGEST: Timeframe = Timeframe::DAY_1;
/// Messages, pings included, that a client may send at once, and per second.
const MESSAGES: (u32, u32) = (30, 5);
/// How long a client that comes while the server starts waits for its hello, so that it can go on where it was.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two attempts to read a snapshot while Postgres does not answer; up to as much again at random.
const RETRY: Duration = Duration::from_secs(1);
/// How deep a message may be nested. Ours are not; a reader that follows any depth runs out of stack.
const MAX_DEPTH: usize = 16;
/// Characters of an error text: it may quote the client.
const MAX_ERROR: usize = 300;

/// What the client asked for.
struct Watch {
    symbols: Vec<Symbol>,
    timeframe: Timeframe,
    bars: u32,
}

pub struct Session {
    socket: Socket<TokioIo<Upgraded>>,
    encoding: Encoding,
    feed: Feed,
    /// With what the client came in.
    pass: Pass,
    membership: Membership,
    messages: Allowance,
    /// The epoch of the last hello.
    told_epoch: String,
    watched: Option<Watch>,
    /// Symbols whose snapshot the client waits for. Their deltas are not sent: the snapshot has them.
    owed: BTreeSet<Symbol>,
    /// What is being read for the client. Until it is there, what comes in waits in the mailbox.
    asked: Option<(Question, Ticket)>,
    /// Postgres did not answer: when to ask again.
    retry_at: Option<Instant>,
    /// When the client was pinged, if nothing came from it since.
    pinged_at: Option<Instant>,
}

/// Why a session ends.
#[derive(Debug)]
pub(super) enum End {
    Socket(Ended),
    /// The client does not take what it is sent.
    Slow,
    /// Nothing comes from the client, not even an answer to a ping.
    Silent,
    /// The client sends too many messages.
    TooMany,
    /// The client does not say who it is, or its key was revoked.
    Unknown,
    /// The server stops.
    Restart,
}

impl End {
    /// Whether there is nobody left to say goodbye to.
    pub(super) fn is_cut(&self) -> bool {
        matches!(self, Self::Socket(Ended::Gone))
    }

    /// Its name among the metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Socket(Ended::Left) => "left",
            Self::Socket(Ended::Gone) => "gone",
            Self::Socket(Ended::Violation(..)) => "violation",
            Self::Socket(Ended::Flood) | Self::TooMany => "too_many_messages",
            Self::Slow => "slow",
            Self::Silent => "silent",
            Self::Unknown => "unknown",
            Self::Restart => "restart",
        }
    }

    pub(super) fn close(&self) -> Option<(u16, &str)> {
        match self {
            Self::Socket(Ended::Left | Ended::Gone) => None,
            Self::Socket(Ended::Violation(code, reason)) => Some((*code, reason)),
            Self::Socket(Ended::Flood) | Self::TooMany => Some((CLOSE_TOO_MANY_MESSAGES, "too many messages")),
            Self::Slow => Some((CLOSE_SLOW, "too slow")),
            Self::Silent => Some((CLOSE_SILENT, "no answer to a ping")),
            Self::Unknown => Some((CLOSE_UNKNOWN, "not authenticated")),
            Self::Restart => Some((CLOSE_RESTART, "restart")),
        }
    }
}

impl Session {
    pub fn new(socket: Socket<TokioIo<Upgraded>>, encoding: Encoding, feed: Feed, pass: Pass) -> Self {
        Self {
            socket,
            encoding,
            membership: feed.hub.join(),
            feed,
            pass,
            messages: Allowance::new(MESSAGES.0, MESSAGES.1, Instant::now()),
            told_epoch: String::new(),
            watched: None,
            owed: BTreeSet::new(),
            asked: None,
            retry_at: None,
            pinged_at: None,
        }
    }

    fn config(&self) -> &SocketConfig {
        self.feed.door.config()
    }

    pub async fn run(mut self) {
        let end = self.serve().await;
        metrics::counter!("stockstream_feed_sockets_ended_total", "reason" => end.label()).increment(1);
        if end.is_cut() {
            return;
        }
        let within = self.config().farewell_within;
        let Self { socket, membership, .. } = self;
        drop(membership); // its frames are nobody's now
        // Boxed: what only the end needs would otherwise be part of every idle session.
        Box::pin(socket.farewell(end.close(), within)).await;
    }

    async fn serve(&mut self) -> End {
        let stop = self.feed.shutdown.clone();
        let stopped = stop.cancelled();
        tokio::pin!(stopped);
        tokio::select! {
            () = self.feed.hub.begun() => {}
            () = tokio::time::sleep(PATIENCE) => {}
            () = &mut stopped => return End::Restart,
        }
        self.greet();
        let pipe = self.feed.status.borrow().clone();
        let rows_per_second = self.feed.hub.rate() as f64;
        self.send(&ServerMessage::Pipe { state: pipe.state, lag: pipe.lag, rows_per_second });
        let mut beat = tokio::time::interval(self.config().beat_every);
        beat.reset();
        let mailbox = self.membership.mailbox.clone();
        loop {
            self.ask();
            let is_written = self.socket.is_written();
            let overdue = self.socket.waiting_since().map(|since| since + self.config().write_within);
            let end = tokio::select! {
                event = self.socket.event() => self.happened(event).err(),
                answer = answer(&mut self.asked), if is_written && self.asked.is_some() => {
                    self.answered(answer);
                    None
                }
                delivery = mailbox.take(), if is_written && self.asked.is_none() => {
                    self.deliver(delivery);
                    None
                }
                () = until(self.retry_at), if self.retry_at.is_some() => {
                    self.retry_at = None;
                    None
                }
                () = until(overdue), if overdue.is_some() => Some(End::Slow),
                _ = beat.tick() => self.tick().err(),
                () = &mut stopped => Some(End::Restart),
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    fn send(&mut self, message: &ServerMessage) {
        self.socket.send(encode(message, self.encoding));
    }

    fn refuse(&mut self, code: &str, message: &str) {
        let message = message.chars().take(MAX_ERROR).collect();
        self.send(&ServerMessage::Error { code: code.into(), message });
    }

    fn greet(&mut self) {
        let (epoch, seq) = self.feed.hub.head();
        self.told_epoch.clone_from(&epoch);
        self.send(&ServerMessage::Hello {
            epoch,
            seq,
            server_time: Utc::now(),
            budget_ms: self.feed.budget_ms,
            source: self.feed.source.clone(),
        });
    }

    fn happened(&mut self, event: Event) -> Result<(), End> {
        let message = match event {
            Event::Waiting | Event::Written => return Ok(()),
            Event::Ended(ended) => return Err(End::Socket(ended)),
            Event::Message(message) => message,
        };
        if !self.messages.take(1, Instant::now()) {
            let limit = format!("at most {} messages at once and {} a second", MESSAGES.0, MESSAGES.1);
            self.refuse("too_many_messages", &limit);
            return Err(End::TooMany);
        }
        match understand(&message) {
            Some(Ok(message)) => self.subscribe(message),
            Some(Err(error)) => self.refuse("bad_message", &error),
            None => {}
        }
        Ok(())
    }

    fn subscribe(&mut self, ClientMessage::Sub { mut symbols, timeframe, epoch, since, bars }: ClientMessage) {
        symbols.sort();
        symbols.dedup();
        if symbols.is_empty() || symbols.len() > MAX_SYMBOLS {
            let text = format!("1 to {MAX_SYMBOLS} symbols, not {}", symbols.len());
            return self.refuse("bad_subscription", &text);
        }
        if timeframe > LONGEST {
            let text = format!("bars live are of at most {LONGEST}; /api/v1/bars has longer ones");
            return self.refuse("bad_subscription", &text);
        }
        let since = match (epoch, since) {
            (Some(epoch), Some(since @ 0..)) => Some((epoch, since)),
            (_, Some(..0)) => return self.refuse("bad_subscription", "since is a seq: 0 or more"),
            (None, Some(_)) => return self.refuse("bad_subscription", "since means nothing without its epoch"),
            (_, None) => None,
        };
        // Watch first, read after: whatever is committed in between arrives as a frame that the client skips or applies.
        self.membership.watch(&symbols, timeframe);
        self.owed.clear();
        self.retry_at = None;
        self.asked = None;
        let bars = bars.unwrap_or(BARS.0).clamp(1, BARS.1);
        match since {
            None => self.owed.extend(symbols.iter().cloned()),
            Some((epoch, since)) if epoch == self.feed.hub.head().0 => {
                let question = Question::Missed { symbols: symbols.clone(), timeframe, since };
                let ticket = self.feed.catch_up.ask(question.clone());
                self.asked = Some((question, ticket));
            }
            Some(_) => {
                self.owed.extend(symbols.iter().cloned());
                self.send(&ServerMessage::Refetch { reason: "the stream was restarted".into() });
            }
        }
        self.watched = Some(Watch { symbols, timeframe, bars });
    }

    /// Asks for the next snapshot that is owed, unless something is being read already.
    fn ask(&mut self) {
        if self.asked.is_some() || self.retry_at.is_some() || self.owed.is_empty() {
            return;
        }
        // What came in between two answers: for the symbols still owed it is in their snapshots, which are read later.
        if self.socket.is_written()
            && let Some(delivery) = self.membership.mailbox.try_take()
        {
            self.deliver(delivery);
        }
        let (Some(watch), Some(symbol)) = (&self.watched, self.owed.first()) else { return };
        let question = Question::Snapshot { symbol: symbol.clone(), timeframe: watch.timeframe, bars: watch.bars };
        let ticket = self.feed.catch_up.ask(question.clone());
        self.asked = Some((question, ticket));
    }

    fn answered(&mut self, answer: Answer) {
        let Some((question, _)) = self.asked.take() else { return };
        match (answer, question) {
            (Answer::Frames(frames), question) => {
                for frame in frames.iter() {
                    self.socket.send(frame.encoded(self.encoding));
                }
                if let Question::Snapshot { symbol, .. } = question {
                    self.owed.remove(&symbol);
                }
            }
            (Answer::Unknown, _) => self.start_over("too much has changed since, or nothing is known of that seq"),
            (Answer::Unavailable, Question::Missed { .. }) => self.start_over("the database does not answer"),
            (Answer::Unavailable, Question::Snapshot { symbol, .. }) => {
                let text = format!("{symbol}: the database does not answer; the snapshot follows when it does");
                self.refuse("unavailable", &text);
                self.retry_at = Some(Instant::now() + RETRY + RETRY.mul_f64(rand::random()));
            }
        }
    }

    fn start_over(&mut self, reason: &str) {
        if self.feed.hub.head().0 != self.told_epoch {
            self.greet();
        }
        self.send(&ServerMessage::Refetch { reason: reason.into() });
        self.asked = None;
        self.owed = self.watched.iter().flat_map(|watch| watch.symbols.iter().cloned()).collect();
    }

    fn deliver(&mut self, delivery: Delivery) {
        if let Some(reason) = delivery.resync {
            self.start_over(reason);
        }
        for frame in delivery.frames {
            match frame.message() {
                ServerMessage::Delta { symbol, .. } if self.owed.contains(symbol) => {}
                _ => self.socket.send(frame.encoded(self.encoding)),
            }
        }
        self.owed.extend(delivery.snapshots);
    }

    /// Says that the server lives, and finds out whether the client does.
    fn tick(&mut self) -> Result<(), End> {
        if !self.pass.is_good() {
            return Err(End::Unknown);
        }
        if self.socket.is_written() {
            let (_, seq) = self.feed.hub.head();
            self.send(&ServerMessage::Beat { seq, server_time: Utc::now() });
        }
        let (now, heard_at) = (Instant::now(), self.socket.heard_at());
        self.pinged_at = self.pinged_at.filter(|pinged_at| heard_at <= *pinged_at);
        match self.pinged_at {
            Some(pinged_at) if now - pinged_at >= self.config().pong_within => return Err(End::Silent),
            None if now - heard_at >= self.config().ping_every => {
                self.socket.ping();
                self.pinged_at = Some(now);
            }
            _ => {}
        }
        Ok(())
    }
}

/// What the client says, or why that is nothing; `None` for pings and pongs.
fn understand(message: &Message) -> Option<Result<ClientMessage, String>> {
    match message {
        Message::Text(text) => Some(serde_json::from_str(text).map_err(|error| error.to_string())),
        Message::Binary(bytes) => {
            let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
            reader.set_max_depth(MAX_DEPTH);
            Some(ClientMessage::deserialize(&mut reader).map_err(|error| error.to_string()))
        }
        _ => None,
    }
}

async fn answer(asked: &mut Option<(Question, Ticket)>) -> Answer {
    match asked {
        Some((_, ticket)) => ticket.answer().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn from_json(text: &str) -> Result<ClientMessage, String> {
        understand(&Message::text(text)).unwrap()
    }

    fn from_msgpack(bytes: impl Into<bytes::Bytes>) -> Result<ClientMessage, String> {
        understand(&Message::binary(bytes)).unwrap()
    }

    #[test]
    fn a_mistake_is_said_so_that_it_can_be_mended() {
        for (text, hint) in [
            ("", "EOF"),
            ("hello", "expected value"),
            ("[]", "missing field `type`"),
            ("null", "invalid type: null"),
            (r#"{"symbols":["AMZN"]}"#, "missing field `type`"),
            (r#"{"type":"unsub"}"#, "unknown variant `unsub`, expected `sub`"),
            (r#"{"type":"sub"}"#, "missing field `symbols`"),
            (r#"{"type":"sub","symbols":"AMZN"}"#, "expected a sequence"),
            (r#"{"type":"sub","symbols":["amzn"]}"#, "\"amzn\" is not a symbol"),
            (r#"{"type":"sub","symbols":["AMZN"],"timeframe":"2y"}"#, "\"2y\" is not a timeframe: use 1m"),
            (r#"{"type":"sub","symbols":["AMZN"],"since":"now"}"#, "expected i64"),
            (r#"{"type":"sub","symbols":["AMZN"],"since":1e99}"#, "expected i64"),
            (r#"{"type":"sub","symbols":["AMZN"],"bars":-1}"#, "expected u32"),
            (r#"{"type":"sub","symbols":["AMZN"],"sinse":1}"#, "unknown field `sinse`"),
            (r#"{"type":"sub","symbols":["AMZN"]} x"#, "trailing characters"),
            (r#"{"type":"sub","symbols":["AMZN"],"symbols":["AAPL"]}"#, "duplicate field `symbols`"),
        ] {
            let error = from_json(text).unwrap_err();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }

    #[test]
    fn nesting_of_any_depth_is_refused_and_not_followed() {
        for depth in [1_000, 30_000, 65_000] {
            assert!(from_json(&"[".repeat(depth)).is_err());
            assert!(from_json(&r#"{"type":"#.repeat(depth / 8)).is_err());
            for byte in [0x91, 0x81, 0xdd] {
                assert!(from_msgpack(vec![byte; depth]).is_err(), "{byte:x} {depth} times");
            }
        }
        // A list that says it has four billion items, and has none.
        assert!(from_msgpack(b"\x82\xa4type\xa3sub\xa7symbols\xdd\xff\xff\xff\xff".to_vec()).is_err());
    }

    fn subscription() -> impl Strategy<Value = ClientMessage> {
        (
            proptest::collection::vec("[A-Z][A-Z0-9.-]{0,14}", 0..5),
            proptest::sample::select(Timeframe::all().collect::<Vec<_>>()),
            proptest::option::of(".{0,20}"),
            proptest::option::of(any::<i64>()),
            proptest::option::of(any::<u32>()),
        )
            .prop_map(|(symbols, timeframe, epoch, since, bars)| ClientMessage::Sub {
                symbols: symbols.iter().map(|symbol| symbol.parse().unwrap()).collect(),
                timeframe,
                epoch,
                since,
                bars,
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn every_subscription_is_understood_in_both_encodings(message in subscription()) {
            prop_assert_eq!(from_json(&serde_json::to_string(&message).unwrap()), Ok(message.clone()));
            prop_assert_eq!(from_msgpack(rmp_serde::to_vec_named(&message).unwrap()), Ok(message));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(
            message in subscription(),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
            noise in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let mutated = |mut bytes: Vec<u8>| {
                for (place, byte) in &changes {
                    let place = place.index(bytes.len());
                    bytes[place] = *byte;
                }
                bytes
            };
            let json = mutated(serde_json::to_vec(&message).unwrap());
            let _ = from_json(&String::from_utf8_lossy(&json));
            let _ = from_msgpack(mutated(rmp_serde::to_vec_named(&message).unwrap()));
            let _ = from_json(&String::from_utf8_lossy(&noise));
            let _ = from_msgpack(noise);
        }
    }
}
