//! What clients start from, read once for all who ask at the same time.
//!
//! When a server comes back, thousands of clients ask for the same few snapshots within a second. Reads therefore take
//! turns, a few at a time, and a read serves everybody who asked *before it began*. Nobody is given an older one:
//! between the reading and the asking a change may have been committed that was sent to nobody, because nobody
//! watched; a client that watches first and asks then has no gap.

use super::{change::Change, frame::Frame};
use crate::store::{Missed, ReadError, Store};
use chrono::{DateTime, Utc};
use market::{Stats, Symbol, Timeframe, wire::ServerMessage};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Semaphore, watch};

/// Reads at the same time: a quarter of the connections that readers have by default, so that the REST API stays quick.
const TURNS: usize = 4;
/// Candles that a returning client is brought up to date with; beyond it a snapshot is sent.
const MAX_MISSED: i64 = 2_000;

/// Reads for sessions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CatchUp {
    store: Store,
    turns: Arc<Semaphore>,
    /// Reads that have not begun yet.
    waiting: Arc<Mutex<HashMap<Question, Ticket>>>,
}

/// What a client needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Question {
    /// The newest bars of a symbol.
    Snapshot { symbol: Symbol, timeframe: Timeframe, bars: u32 },
    /// What changed since a seq.
    Missed { symbols: Vec<Symbol>, timeframe: Timeframe, since: i64 },
}

/// What it gets.
#[derive(Clone, Debug)]
pub enum Answer {
    Frames(Arc<[Frame]>),
    /// The log does not reach back to that seq, or too much has changed since.
    Unknown,
    /// Postgres does not answer.
    Unavailable,
}

/// The promise of an answer.
#[derive(Clone, Debug)]
pub struct Ticket(watch::Receiver<Option<Answer>>);

impl Ticket {
    /// Waits for the answer. Nothing is lost when it is dropped before.
    pub async fn answer(&mut self) -> Answer {
        match self.0.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone().unwrap_or(Answer::Unavailable),
            Err(_) => Answer::Unavailable,
        }
    }
}

impl CatchUp {
    pub fn new(store: Store) -> Self {
        Self { store, turns: Arc::new(Semaphore::new(TURNS)), waiting: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Question, Ticket>> {
        // No code panics while it holds the lock, and every state is valid.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks; the answer is read after this call. Whoever drops the ticket is not read for.
    pub fn ask(&self, question: Question) -> Ticket {
        let mut waiting = self.lock();
        if let Some(ticket) = waiting.get(&question) {
            metrics::counter!("stockstream_feed_shared_reads_total").increment(1);
            return ticket.clone();
        }
        let (sender, receiver) = watch::channel(None);
        let ticket = Ticket(receiver);
        waiting.insert(question.clone(), ticket.clone());
        drop(waiting);
        let reader = self.clone();
        tokio::spawn(async move {
            let _turn = reader.turns.acquire().await.expect("nobody closes it");
            // From here on it is too late to join this read.
            reader.lock().remove(&question);
            if !sender.is_closed() {
                sender.send_replace(Some(reader.read(&question).await));
            }
        });
        ticket
    }

    async fn read(&self, question: &Question) -> Answer {
        let frames = match question {
            Question::Snapshot { symbol, timeframe, bars } => self.snapshot(symbol, *timeframe, *bars).await.map(Some),
            Question::Missed { symbols, timeframe, since } => self.missed(symbols, *timeframe, *since).await,
        };
        match frames {
            Ok(Some(frames)) => Answer::Frames(frames.into()),
            Ok(None) => Answer::Unknown,
            Err(error) => {
                tracing::warn!(%error, ?question, "could not read what a client starts from");
                Answer::Unavailable
            }
        }
    }

    async fn snapshot(&self, symbol: &Symbol, timeframe: Timeframe, bars: u32) -> Result<Vec<Frame>, ReadError> {
        let (seq, bars) = self.store.snapshot(symbol, timeframe, bars).await?;
        // Of another process, it may hold what the publisher has not seen yet.
        self.store.recent().forget([symbol]);
        let stats = Stats::of(&bars);
        Ok(vec![Frame::new(ServerMessage::Snap { symbol: symbol.clone(), timeframe, seq, bars, stats })])
    }

    /// The frames that bring a client from `since` to the head; `None` when the log does not reach back.
    async fn missed(
        &self,
        symbols: &[Symbol],
        timeframe: Timeframe,
        since: i64,
    ) -> Result<Option<Vec<Frame>>, ReadError> {
        let (seq, candles, bars) = match self.store.missed(since, symbols, timeframe, MAX_MISSED).await? {
            Missed::Known { seq, candles, bars } => (seq, candles, bars),
            Missed::Gone => return Ok(None),
        };
        self.store.recent().forget(symbols);
        if seq == since {
            return Ok(Some(Vec::new()));
        }
        // A symbol that did not change still gets its frame, which moves its seq.
        let mut by_symbol: BTreeMap<Symbol, BTreeMap<DateTime<Utc>, Change>> =
            symbols.iter().map(|symbol| (symbol.clone(), BTreeMap::new())).collect();
        for candle in candles {
            let (bucket, change) = (timeframe.bucket(candle.time), Change::from(&candle));
            let buckets = by_symbol.entry(candle.symbol).or_default();
            buckets.entry(bucket).and_modify(|all| *all = all.and(change)).or_insert(change);
        }
        let frames = by_symbol
            .into_iter()
            .map(|(symbol, buckets)| {
                let records = buckets
                    .into_iter()
                    .map(|(time, change)| change.record(time, bars.get(&(symbol.clone(), time))))
                    .collect();
                Frame::new(ServerMessage::Delta { symbol, timeframe, prev: since, seq, records })
            })
            .collect();
        Ok(Some(frames))
    }
}
