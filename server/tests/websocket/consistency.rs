//! What clients see while rows are written, corrected, deleted and written again: never a gap, never a step back, and
//! in the end what the database has. Clients change their minds, stall, leave and come back, all at random by a seed.

use crate::{
    records::{OPEN, Row, delete, insert, tombstone, update},
    stack::{Database, PATIENCE, Server, Source, broker},
};
use chrono::{DateTime, Utc};
use futures::{SinkExt, StreamExt, future::join_all};
use market::{
    Bar, Symbol, Timeframe,
    wire::{ClientMessage, Record as Change, ServerMessage},
};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

/// What REST says of each candle list, and at which seq.
type Truth = HashMap<(Symbol, Timeframe), (i64, BTreeMap<DateTime<Utc>, Bar>)>;

const SYMBOLS: [&str; 4] = ["AAPL", "AMZN", "MSFT", "TSLA"];
const TIMEFRAMES: [Timeframe; 3] = [Timeframe::MINUTE_1, Timeframe::MINUTE_5, Timeframe::HOUR_1];
const MINUTES: i64 = 40;
const CLIENTS: u64 = 12;
const ROUNDS: usize = 4;
const BATCHES: usize = 40;

/// Writes rows at random. Every version of a row has a higher close than all before it, so that a step back shows.
struct Writer {
    source: Source,
    random: ChaCha8Rng,
    /// Which (symbol, minute) there are.
    there: HashMap<(usize, i64), i64>,
    version: i64,
    records: i64,
}

impl Writer {
    async fn write(&mut self) {
        for _ in 0..BATCHES {
            let mut batch = Vec::new();
            for _ in 0..self.random.random_range(1..20) {
                self.version += 1;
                let place = (self.random.random_range(0..SYMBOLS.len()), self.random.random_range(0..MINUTES));
                let record_id = place.0 as i64 * 1_000 + place.1 + 1;
                let row = Row {
                    event_time: OPEN + self.version,
                    ..Row::new(record_id, SYMBOLS[place.0], place.1, 10_000 + self.version)
                };
                let is_there = self.there.contains_key(&place);
                if is_there && self.random.random_bool(0.15) {
                    self.there.remove(&place);
                    batch.extend([delete(record_id, self.version), tombstone(record_id)]);
                } else if self.there.insert(place, record_id).is_some() {
                    batch.push(update(&row, self.version));
                } else {
                    batch.push(insert(&row, self.version));
                }
            }
            self.records += batch.len() as i64;
            self.source.send(batch).await;
            if self.random.random_bool(0.5) {
                tokio::time::sleep(Duration::from_millis(self.random.random_range(0..25))).await;
            }
        }
    }
}

#[derive(Default)]
struct Series {
    /// `None` until the first snapshot of a subscription.
    seq: Option<i64>,
    bars: BTreeMap<DateTime<Utc>, Bar>,
}

/// A client by the rules of `market::wire`, and nothing more.
struct Client {
    name: String,
    url: String,
    random: ChaCha8Rng,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    epoch: String,
    timeframe: Timeframe,
    series: BTreeMap<Symbol, Series>,
    /// No answer to the last subscription has come yet.
    waits: bool,
    /// The highest close seen of each one-minute bar, whatever became of it, and whether it is gone.
    seen: HashMap<(Symbol, DateTime<Utc>), (Decimal, bool)>,
    deltas: usize,
    resumed: usize,
}

impl Client {
    async fn start(server: &Server, seed: u64) -> Self {
        let url = format!("ws://{}/api/v1/stream", server.address);
        let (socket, _) = connect_async(&url).await.unwrap();
        let mut client = Self {
            name: format!("client {seed}"),
            url,
            random: ChaCha8Rng::seed_from_u64(seed),
            socket,
            epoch: String::new(),
            timeframe: Timeframe::MINUTE_1,
            series: BTreeMap::new(),
            waits: false,
            seen: HashMap::new(),
            deltas: 0,
            resumed: 0,
        };
        client.change_mind().await;
        client
    }

    async fn subscribe(&mut self, since: Option<i64>) {
        let message = ClientMessage::Sub {
            symbols: self.series.keys().cloned().collect(),
            timeframe: self.timeframe,
            epoch: since.map(|_| self.epoch.clone()),
            since,
            bars: None,
        };
        self.socket.send(Message::text(serde_json::to_string(&message).unwrap())).await.unwrap();
    }

    /// Another choice of symbols, in the next timeframe: so it is known which subscription a frame belongs to.
    async fn change_mind(&mut self) {
        let place = TIMEFRAMES.iter().position(|timeframe| *timeframe == self.timeframe).unwrap();
        self.timeframe = TIMEFRAMES[(place + 1) % TIMEFRAMES.len()];
        let number = self.random.random_range(1..=SYMBOLS.len());
        self.series = SYMBOLS
            .choose_multiple(&mut self.random, number)
            .map(|symbol| (symbol.parse().unwrap(), Series::default()))
            .collect();
        self.waits = true;
        self.subscribe(None).await;
    }

    /// Leaves without a word and comes back with what it has.
    async fn come_back(&mut self) {
        let (socket, _) = connect_async(&self.url).await.unwrap();
        self.socket = socket;
        let since = self.series.values().map(|series| series.seq).min().flatten();
        if since.is_some() {
            self.resumed += 1;
        } else {
            self.series.values_mut().for_each(|series| *series = Series::default());
            self.waits = true;
        }
        self.subscribe(since).await;
    }

    async fn roam(&mut self, written: &AtomicBool) {
        while !written.load(Ordering::Relaxed) {
            match self.random.random_range(0..100) {
                0..2 => self.change_mind().await,
                2..4 => self.come_back().await,
                4..8 => tokio::time::sleep(Duration::from_millis(self.random.random_range(0..60))).await,
                _ => {}
            }
            if let Ok(message) = tokio::time::timeout(Duration::from_millis(50), self.socket.next()).await {
                self.receive(message);
            }
        }
    }

    /// Reads until it has what the database has.
    async fn settle(&mut self, truth: &Truth) {
        let settled = tokio::time::timeout(PATIENCE, async {
            while !self.series.iter().all(|(symbol, series)| {
                let (seq, bars) = &truth[&(symbol.clone(), self.timeframe)];
                series.seq.is_some_and(|mine| mine <= *seq) && series.bars == *bars
            }) {
                let message = self.socket.next().await;
                self.receive(message);
            }
        })
        .await;
        if settled.is_err() {
            for (symbol, series) in &self.series {
                let (seq, bars) = &truth[&(symbol.clone(), self.timeframe)];
                let differing: Vec<_> = bars
                    .keys()
                    .chain(series.bars.keys())
                    .filter(|time| bars.get(time) != series.bars.get(time))
                    .collect();
                eprintln!(
                    "{} {symbol} {}: {:?} of {seq}, differs at {differing:?}",
                    self.name, self.timeframe, series.seq
                );
            }
            panic!("{} does not come to what the database has", self.name);
        }
    }

    fn receive(&mut self, message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>) {
        let text = match message.expect("the socket is open").expect("a frame") {
            Message::Text(text) => text,
            Message::Ping(_) | Message::Pong(_) => return,
            other => panic!("{}: {other:?}", self.name),
        };
        match serde_json::from_str(&text).expect("the protocol's JSON") {
            ServerMessage::Hello { epoch, .. } => self.epoch = epoch,
            ServerMessage::Refetch { .. } => {
                self.series.values_mut().for_each(|series| *series = Series::default());
            }
            ServerMessage::Snap { symbol, timeframe, seq, bars, .. } => {
                if self.is_old(&symbol, timeframe) {
                    return;
                }
                for bar in &bars {
                    self.saw(&symbol, bar.time, Some(bar));
                }
                let bars = bars.into_iter().map(|bar| (bar.time, bar)).collect();
                let before = self.series.insert(symbol.clone(), Series { seq: Some(seq), bars });
                let before = before.and_then(|series| series.seq).unwrap_or(0);
                assert!(before <= seq, "{}: {symbol} steps back from {before} to {seq}", self.name);
            }
            ServerMessage::Delta { symbol, timeframe, prev, seq, records } => {
                if self.is_old(&symbol, timeframe) {
                    return;
                }
                let mine = self.series[&symbol]
                    .seq
                    .unwrap_or_else(|| panic!("{}: a delta of {symbol} before its snapshot", self.name));
                assert!(prev < seq && prev <= mine, "{}: {symbol} has a gap from {mine} to {prev}", self.name);
                if seq <= mine {
                    return;
                }
                self.deltas += 1;
                for record in records {
                    match record {
                        Change::Bar { bar, .. } | Change::Rev { bar, .. } => {
                            self.saw(&symbol, bar.time, Some(&bar));
                            self.series.get_mut(&symbol).unwrap().bars.insert(bar.time, bar);
                        }
                        Change::Del { time, .. } => {
                            self.saw(&symbol, time, None);
                            self.series.get_mut(&symbol).unwrap().bars.remove(&time);
                        }
                    }
                }
                self.series.get_mut(&symbol).unwrap().seq = Some(seq);
            }
            ServerMessage::Error { code, message } => panic!("{}: {code} {message}", self.name),
            _ => {}
        }
    }

    /// Whether this is about the subscription before the last one, which may be only until the last is answered.
    fn is_old(&mut self, symbol: &Symbol, timeframe: Timeframe) -> bool {
        let is_mine = timeframe == self.timeframe && self.series.contains_key(symbol);
        assert!(is_mine || self.waits, "{}: {symbol} {timeframe} is not what it asked for", self.name);
        let is_old = !is_mine;
        self.waits &= is_old;
        is_old
    }

    fn saw(&mut self, symbol: &Symbol, time: DateTime<Utc>, bar: Option<&Bar>) {
        if self.timeframe != Timeframe::MINUTE_1 {
            return; // the deletion of its newest minute makes a longer bar's close older, rightly
        }
        let seen = self.seen.entry((symbol.clone(), time)).or_insert((Decimal::ZERO, false));
        match bar {
            Some(bar) => {
                let is_newer = if seen.1 { bar.close > seen.0 } else { bar.close >= seen.0 };
                assert!(is_newer, "{}: {symbol} {time} steps back to {} from {seen:?}", self.name, bar.close);
                *seen = (bar.close, false);
            }
            None => seen.1 = true,
        }
    }
}

#[tokio::test]
async fn clients_of_every_habit_see_no_gap_no_step_back_and_end_with_what_the_database_has() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_240_116);
    let database = Database::start().await;
    let broker = broker();
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let mut writer = Writer {
        source: Source::new(&broker.bootstrap()),
        random: ChaCha8Rng::seed_from_u64(seed),
        there: HashMap::new(),
        version: 0,
        records: 0,
    };
    writer.write().await;
    let mut clients = join_all((1..=CLIENTS).map(|client| Client::start(&server, seed + client))).await;
    for _ in 0..ROUNDS {
        let written = AtomicBool::new(false);
        let write = async {
            writer.write().await;
            server.until_consumed(writer.records).await;
            written.store(true, Ordering::Relaxed);
        };
        tokio::join!(write, join_all(clients.iter_mut().map(|client| client.roam(&written))));
        let mut truth = HashMap::new();
        for symbol in SYMBOLS.iter().map(|symbol| symbol.parse::<Symbol>().unwrap()) {
            for timeframe in TIMEFRAMES {
                let (seq, bars) = server.store.snapshot(&symbol, timeframe, 390).await.unwrap();
                let bars = bars.into_iter().map(|bar| (bar.time, bar)).collect();
                truth.insert((symbol.clone(), timeframe), (seq, bars));
            }
        }
        join_all(clients.iter_mut().map(|client| client.settle(&truth))).await;
    }
    let (deltas, resumed) = clients.iter().fold((0, 0), |sum, client| (sum.0 + client.deltas, sum.1 + client.resumed));
    eprintln!("seed {seed}: {} records, {deltas} deltas applied, {resumed} returns", writer.records);
    assert!(deltas > 500 && resumed > 5, "the clients lived: {deltas} deltas, {resumed} returns");
    server.stop().await;
}
