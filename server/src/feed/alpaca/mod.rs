//! Alpaca's stream, spoken to its clients: the same hub, other words.
//!
//! A subscription to `bars` tells of minutes that are new, `updatedBars` of minutes that were corrected, `dailyBars` of
//! the bar of the day with every change of it. A minute that is gone is not told: Alpaca has no word for it. Who reads
//! slowly gets the newest bar of each symbol instead of those it missed, and is cut (407) when it does not read at all.
//! When the history of the stream is replaced, the socket is closed with 1012, so that the client comes back and reads the
//! bars again.
//!
//! | code | why |
//! | --- | --- |
//! | 400 | invalid syntax: not a message of this protocol, or not a symbol |
//! | 401 | not authenticated: say `auth` before anything else |
//! | 402 | auth failed: no key, or none that may listen here |
//! | 403 | already authenticated |
//! | 404 | auth timeout: no `auth` within ten seconds, or its key was revoked; closes |
//! | 405 | symbol limit exceeded |
//! | 407 | slow client; closes |
//! | 410 | invalid subscribe action: only bars are known |
//!
//! A second connection is not refused (406), and every feed has all data (409).

mod message;

use super::{
    Feed,
    allowance::Allowance,
    catch_up::{Answer, Question, Ticket},
    frame::{Encoding, encode},
    hub::{Membership, Topic},
    mailbox::Delivery,
    session::{End, until},
    socket::{Event, Socket},
};
use crate::access::{ApiKey, Pass, Scope};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use market::{
    Symbol, Timeframe,
    wire::{Record, ServerMessage},
};
use message::{BarNotice, Channel, Channels, Notice, Order};
use serde::Deserialize;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

/// Time for a client to say who it is.
const AUTH_WITHIN: Duration = Duration::from_secs(10);
/// How long a client that comes while the server starts waits for its welcome.
const PATIENCE: Duration = Duration::from_secs(2);
/// Messages, pings included, that a client may send at once, and per second.
const MESSAGES: (u32, u32) = (30, 5);
/// Symbols that a client may name; `*` is all of them and counts as none.
const MAX_SYMBOLS: usize = 1_000;
/// Bars in one frame: the readers of most clients end at a megabyte.
const MAX_BARS: usize = 1_000;
/// Between two attempts to read a bar while Postgres does not answer.
const RETRY: Duration = Duration::from_secs(1);
/// How deep a message may be nested.
const MAX_DEPTH: usize = 16;

pub struct AlpacaSession {
    socket: Socket<TokioIo<Upgraded>>,
    encoding: Encoding,
    feed: Feed,
    /// With what the client came in.
    pass: Pass,
    membership: Membership,
    messages: Allowance,
    /// Until when the client must have said who it is; `None` once it has.
    auth_by: Option<Instant>,
    bars: Channel,
    updated: Channel,
    daily: Channel,
    /// Bars whose newest one is sent in place of those that were too many.
    owed: BTreeSet<Topic>,
    asked: Option<(Topic, Ticket)>,
    retry_at: Option<Instant>,
    pinged_at: Option<Instant>,
}

impl AlpacaSession {
    /// `known`: the client has said who it is with the request.
    pub fn new(socket: Socket<TokioIo<Upgraded>>, encoding: Encoding, feed: Feed, known: Option<Pass>) -> Self {
        let now = Instant::now();
        Self {
            socket,
            encoding,
            membership: feed.hub.join(),
            feed,
            messages: Allowance::new(MESSAGES.0, MESSAGES.1, now),
            auth_by: known.is_none().then(|| now + AUTH_WITHIN),
            pass: known.unwrap_or_default(),
            bars: Channel::default(),
            updated: Channel::default(),
            daily: Channel::default(),
            owed: BTreeSet::new(),
            asked: None,
            retry_at: None,
            pinged_at: None,
        }
    }

    pub async fn run(mut self) {
        let end = self.serve().await;
        metrics::counter!("stockstream_feed_sockets_ended_total", "reason" => end.label()).increment(1);
        if end.is_cut() {
            return;
        }
        match end {
            End::Slow => self.refuse(407, "slow client"),
            End::Unknown => self.refuse(404, "auth timeout"),
            _ => {}
        }
        let within = self.feed.door.config().farewell_within;
        let Self { socket, membership, .. } = self;
        drop(membership); // its frames are nobody's now
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
        self.send(&[Notice::Success { msg: "connected" }]);
        if self.auth_by.is_none() {
            self.send(&[Notice::Success { msg: "authenticated" }]);
        }
        let mut tick = tokio::time::interval(self.feed.door.config().beat_every);
        tick.reset();
        let mailbox = self.membership.mailbox.clone();
        loop {
            self.ask();
            let is_written = self.socket.is_written();
            let overdue = self.socket.waiting_since().map(|since| since + self.feed.door.config().write_within);
            let end = tokio::select! {
                event = self.socket.event() => self.happened(event).err(),
                answer = answer(&mut self.asked), if is_written && self.asked.is_some() => {
                    self.answered(&answer);
                    None
                }
                delivery = mailbox.take(), if is_written && self.asked.is_none() => self.deliver(delivery).err(),
                () = until(self.retry_at), if self.retry_at.is_some() => {
                    self.retry_at = None;
                    None
                }
                () = until(overdue), if overdue.is_some() => Some(End::Slow),
                () = until(self.auth_by), if self.auth_by.is_some() => Some(End::Unknown),
                _ = tick.tick() => self.look_alive().err(),
                () = &mut stopped => Some(End::Restart),
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    fn send(&mut self, notices: &[Notice]) {
        for part in notices.chunks(MAX_BARS) {
            self.socket.send(encode(&part, self.encoding));
        }
    }

    fn refuse(&mut self, code: u16, msg: impl Into<String>) {
        self.send(&[Notice::Error { code, msg: msg.into() }]);
    }

    fn happened(&mut self, event: Event) -> Result<(), End> {
        let message = match event {
            Event::Waiting | Event::Written => return Ok(()),
            Event::Ended(ended) => return Err(End::Socket(ended)),
            Event::Message(message) => message,
        };
        if !self.messages.take(1, Instant::now()) {
            return Err(End::TooMany);
        }
        match understand(&message) {
            Some(Ok(order)) => self.obey(order),
            Some(Err(())) => self.refuse(400, "invalid syntax"),
            None => {}
        }
        Ok(())
    }

    fn obey(&mut self, order: Order) {
        match (order, self.auth_by) {
            (Order::Auth { .. }, None) => self.refuse(403, "already authenticated"),
            (Order::Auth { key, secret }, Some(_)) => match self.recognise(&key, &secret) {
                Some(pass) => {
                    (self.auth_by, self.pass) = (None, pass);
                    self.send(&[Notice::Success { msg: "authenticated" }]);
                }
                None => self.refuse(402, "auth failed"),
            },
            (_, Some(_)) => self.refuse(401, "not authenticated"),
            (Order::Subscribe(channels), None) => self.subscribe(&channels),
            (Order::Unsubscribe(channels), None) => {
                self.bars.remove(&channels.bars);
                self.updated.remove(&channels.updated_bars);
                self.daily.remove(&channels.daily_bars);
                self.watch();
            }
        }
    }

    /// Where keys are not looked at, any will do but an empty one, which is a mistake of the client's configuration.
    fn recognise(&self, key: &str, secret: &str) -> Option<Pass> {
        let keys = self.feed.door.keys();
        if !keys.are_on() {
            return (!key.is_empty() && !secret.is_empty()).then(Pass::default);
        }
        let key = keys.find(&ApiKey::of(key, secret).ok()?).ok()?;
        key.may(Scope::Stream).then(|| key.into())
    }

    /// All of it, or nothing.
    fn subscribe(&mut self, channels: &Channels) {
        if channels.is_about_more_than_bars() {
            return self.refuse(410, "invalid subscribe action: only bars, updatedBars and dailyBars are known here");
        }
        let (mut bars, mut updated, mut daily) = (self.bars.clone(), self.updated.clone(), self.daily.clone());
        let added = bars
            .add(&channels.bars)
            .and_then(|()| updated.add(&channels.updated_bars))
            .and_then(|()| daily.add(&channels.daily_bars));
        if let Err(error) = added {
            return self.refuse(400, format!("invalid syntax: {error}"));
        }
        if bars.symbols.len() + updated.symbols.len() + daily.symbols.len() > MAX_SYMBOLS {
            return self.refuse(405, format!("symbol limit exceeded: {MAX_SYMBOLS} symbols, or *"));
        }
        (self.bars, self.updated, self.daily) = (bars, updated, daily);
        self.watch();
    }

    fn watch(&mut self) {
        let minutes = self.bars.symbols.union(&self.updated.symbols).map(|symbol| (symbol, Timeframe::MINUTE_1));
        let days = self.daily.symbols.iter().map(|symbol| (symbol, Timeframe::DAY_1));
        let topics = minutes.chain(days).map(|(symbol, timeframe)| (symbol.clone(), timeframe)).collect();
        let mut everything = Vec::new();
        if self.bars.all || self.updated.all {
            everything.push(Timeframe::MINUTE_1);
        }
        if self.daily.all {
            everything.push(Timeframe::DAY_1);
        }
        self.membership.watch_topics(topics, everything);
        self.send(&[Notice::subscription(&self.bars, &self.updated, &self.daily)]);
    }

    fn deliver(&mut self, delivery: Delivery) -> Result<(), End> {
        if delivery.resync.is_some() {
            return Err(End::Restart);
        }
        let mut notices = Vec::new();
        for frame in &delivery.frames {
            if let ServerMessage::Delta { symbol, timeframe, records, .. } = frame.message() {
                notices.extend(records.iter().filter_map(|record| self.notice(symbol, *timeframe, record)));
            }
        }
        self.send(&notices);
        for symbol in delivery.snapshots {
            if self.bars.has(&symbol) || self.updated.has(&symbol) {
                self.owed.insert((symbol.clone(), Timeframe::MINUTE_1));
            }
            if self.daily.has(&symbol) {
                self.owed.insert((symbol, Timeframe::DAY_1));
            }
        }
        Ok(())
    }

    /// What the client wants to hear of a change.
    fn notice(&self, symbol: &Symbol, timeframe: Timeframe, record: &Record) -> Option<Notice> {
        let told = |bar| BarNotice::new(symbol.clone(), bar);
        match record {
            Record::Bar { bar, .. } | Record::Rev { bar, .. } if timeframe == Timeframe::DAY_1 => {
                self.daily.has(symbol).then(|| Notice::Daily(told(bar)))
            }
            Record::Bar { bar, .. } => self.bars.has(symbol).then(|| Notice::Bar(told(bar))),
            Record::Rev { bar, .. } => self.updated.has(symbol).then(|| Notice::Updated(told(bar))),
            Record::Del { .. } => None,
        }
    }

    /// Asks for the next bar that is owed, unless one is being read already.
    fn ask(&mut self) {
        if self.asked.is_some() || self.retry_at.is_some() || !self.socket.is_written() {
            return;
        }
        let Some(topic) = self.owed.pop_first() else { return };
        let (symbol, timeframe) = topic.clone();
        let ticket = self.feed.catch_up.ask(Question::Snapshot { symbol, timeframe, bars: 1 });
        self.asked = Some((topic, ticket));
    }

    fn answered(&mut self, answer: &Answer) {
        let Some((topic, _)) = self.asked.take() else { return };
        let Answer::Frames(frames) = answer else {
            self.owed.insert(topic);
            self.retry_at = Some(Instant::now() + RETRY + RETRY.mul_f64(rand::random()));
            return;
        };
        for frame in frames.iter() {
            let ServerMessage::Snap { symbol, timeframe, bars, .. } = frame.message() else { continue };
            let Some(bar) = bars.last().map(|bar| BarNotice::new(symbol.clone(), bar)) else { continue };
            let notice = match *timeframe {
                Timeframe::DAY_1 => Notice::Daily(bar),
                _ if self.bars.has(symbol) => Notice::Bar(bar),
                _ => Notice::Updated(bar),
            };
            self.send(&[notice]);
        }
    }

    /// Finds out whether the client lives.
    fn look_alive(&mut self) -> Result<(), End> {
        if !self.pass.is_good() {
            return Err(End::Unknown);
        }
        let (now, heard_at, config) = (Instant::now(), self.socket.heard_at(), self.feed.door.config());
        self.pinged_at = self.pinged_at.filter(|pinged_at| heard_at <= *pinged_at);
        match self.pinged_at {
            Some(pinged_at) if now - pinged_at >= config.pong_within => return Err(End::Silent),
            None if now - heard_at >= config.ping_every => {
                self.socket.ping();
                self.pinged_at = Some(now);
            }
            _ => {}
        }
        Ok(())
    }
}

/// What the client says, or that it is nothing; `None` for pings and pongs.
fn understand(message: &Message) -> Option<Result<Order, ()>> {
    match message {
        Message::Text(text) => Some(serde_json::from_str(text).map_err(drop)),
        Message::Binary(bytes) => {
            let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
            reader.set_max_depth(MAX_DEPTH);
            Some(Order::deserialize(&mut reader).map_err(drop))
        }
        _ => None,
    }
}

async fn answer(asked: &mut Option<(Topic, Ticket)>) -> Answer {
    match asked {
        Some((_, ticket)) => ticket.answer().await,
        None => std::future::pending().await,
    }
}
