//! Who watches what.

use super::{frame::Frame, mailbox::Mailbox};
use market::{Symbol, Timeframe, wire::ServerMessage};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::sync::watch;

/// What a frame is about.
pub type Topic = (Symbol, Timeframe);

/// The subscriptions of all sessions. Cheap to clone; its lock is held only for map operations, never across I/O.
#[derive(Clone, Default)]
pub struct Hub {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    next_session: AtomicU64,
    /// Whether the head is known.
    begun: watch::Sender<bool>,
    /// Records that the pipeline took in the last second.
    rate: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Everything up to this seq has been handed to the subscribers.
    head: i64,
    epoch: String,
    sessions: HashMap<u64, Arc<Mailbox>>,
    topics: HashMap<Symbol, BTreeMap<Timeframe, Watched>>,
    /// Who watches every symbol.
    everything: BTreeMap<Timeframe, HashMap<u64, Arc<Mailbox>>>,
}

impl State {
    /// Who watches a topic, each once.
    fn subscribers(&self, (symbol, timeframe): &Topic) -> impl Iterator<Item = &Arc<Mailbox>> {
        let everything = self.everything.get(timeframe);
        let of_topic = self.topics.get(symbol).and_then(|of| of.get(timeframe));
        let others = of_topic.into_iter().flat_map(|watched| &watched.subscribers);
        let others = others.filter(move |(id, _)| everything.is_none_or(|all| !all.contains_key(id)));
        everything.into_iter().flatten().chain(others).map(|(_, mailbox)| mailbox)
    }

    fn watched(&mut self, (symbol, timeframe): &Topic) -> Option<&mut Watched> {
        self.topics.get_mut(symbol)?.get_mut(timeframe)
    }
}

struct Watched {
    /// The seq of the last frame of this topic, or the head when the first subscriber came.
    last: i64,
    subscribers: HashMap<u64, Arc<Mailbox>>,
}

/// A session's place in the hub; leaving is dropping it.
pub struct Membership {
    hub: Hub,
    id: u64,
    pub mailbox: Arc<Mailbox>,
    watching: Vec<Topic>,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, and every state is valid.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Epoch and seq up to which everything has been published.
    pub fn head(&self) -> (String, i64) {
        let state = self.lock();
        (state.epoch.clone(), state.head)
    }

    /// Number of open sessions.
    pub fn sessions(&self) -> usize {
        self.lock().sessions.len()
    }

    /// Adds a session that watches nothing yet.
    pub fn join(&self) -> Membership {
        let id = self.inner.next_session.fetch_add(1, Ordering::Relaxed);
        let mailbox = Arc::new(Mailbox::default());
        self.lock().sessions.insert(id, mailbox.clone());
        Membership { hub: self.clone(), id, mailbox, watching: Vec::new() }
    }

    /// Waits until the head is known: at a start, that is when Postgres first answered.
    pub async fn begun(&self) {
        // Fails only without a sender, and the hub is one.
        let _ = self.inner.begun.subscribe().wait_for(|begun| *begun).await;
    }

    /// Starts or restarts the stream at a committed head. A changed epoch, or a head that is not the one known, makes
    /// every client start from a snapshot.
    pub(super) fn begin(&self, epoch: String, seq: i64) {
        let mut state = self.lock();
        self.inner.begun.send_replace(true);
        if state.epoch == epoch && state.head == seq {
            return;
        }
        state.epoch = epoch;
        state.head = seq;
        for watched in state.topics.values_mut().flat_map(BTreeMap::values_mut) {
            watched.last = seq;
        }
        for mailbox in state.sessions.values() {
            mailbox.push_resync("the stream was restarted");
        }
    }

    /// Everything that somebody watches.
    pub(super) fn topics(&self) -> Vec<Topic> {
        let state = self.lock();
        let topics = state.topics.iter();
        topics.flat_map(|(symbol, of)| of.keys().map(|timeframe| (symbol.clone(), *timeframe))).collect()
    }

    /// Whether somebody watches every symbol.
    pub(super) fn watches_everything(&self) -> bool {
        !self.lock().everything.is_empty()
    }

    /// The timeframes in which somebody watches a symbol.
    pub(super) fn watched(&self, symbol: &Symbol) -> Vec<Timeframe> {
        let state = self.lock();
        let mut timeframes: Vec<Timeframe> = state.everything.keys().copied().collect();
        let of_symbol = state.topics.get(symbol).into_iter().flat_map(|of| of.keys().copied());
        timeframes.extend(of_symbol.filter(|timeframe| !state.everything.contains_key(timeframe)));
        timeframes
    }

    /// Moves the head without a frame.
    pub(super) fn advance(&self, seq: i64) {
        let mut state = self.lock();
        state.head = state.head.max(seq);
    }

    /// Hands a frame, made with the seq before it in its topic, to the topic's subscribers.
    pub(super) fn send(&self, topic: &Topic, seq: i64, make: impl FnOnce(i64) -> Frame) {
        let mut state = self.lock();
        let head = state.head;
        let prev = state.watched(topic).map_or(head, |watched| std::mem::replace(&mut watched.last, seq));
        let frame = Arc::new(make(prev));
        for mailbox in state.subscribers(topic) {
            mailbox.push(frame.clone());
        }
    }

    /// Makes the subscribers of a topic take a snapshot: what changed is too much for a frame.
    pub(super) fn send_snapshots(&self, topic: &Topic, seq: i64) {
        let mut state = self.lock();
        if let Some(watched) = state.watched(topic) {
            watched.last = seq;
        }
        for mailbox in state.subscribers(topic) {
            mailbox.push_snapshot(topic.0.clone());
        }
    }

    /// Hands a message to every session that watches a symbol in whatever timeframe; without a symbol, to all.
    pub fn tell(&self, symbol: Option<&Symbol>, message: ServerMessage) {
        let Some(symbol) = symbol else { return self.broadcast(Frame::new(message)) };
        let frame = Arc::new(Frame::new(message));
        let state = self.lock();
        let watching = state.topics.get(symbol).into_iter().flat_map(BTreeMap::values);
        // A session watches in one timeframe at a time.
        for mailbox in watching.flat_map(|watched| watched.subscribers.values()) {
            mailbox.push(frame.clone());
        }
    }

    /// Records that the pipeline took in the last second; 0 before the first.
    pub fn rate(&self) -> u64 {
        self.inner.rate.load(Ordering::Relaxed)
    }

    pub fn set_rate(&self, rows_per_second: u64) {
        self.inner.rate.store(rows_per_second, Ordering::Relaxed);
    }

    /// Hands a frame to every session.
    pub fn broadcast(&self, frame: Frame) {
        let frame = Arc::new(frame);
        for mailbox in self.lock().sessions.values() {
            mailbox.push(frame.clone());
        }
    }
}

impl Membership {
    /// Replaces what the session watches, and takes what was not delivered of the old out of its mailbox. From now on
    /// every frame reaches the mailbox; a snapshot read after this call therefore leaves no gap.
    pub fn watch(&mut self, symbols: &[Symbol], timeframe: Timeframe) {
        self.watch_topics(symbols.iter().map(|symbol| (symbol.clone(), timeframe)).collect(), Vec::new());
    }

    /// The same for any topics, and for every symbol in some timeframes.
    pub fn watch_topics(&mut self, topics: Vec<Topic>, everything: Vec<Timeframe>) {
        let mut state = self.hub.lock();
        Self::forget(self.id, &mut self.watching, &mut state);
        self.mailbox.forget_symbols();
        let head = state.head;
        self.watching = topics;
        for topic in &self.watching {
            state
                .topics
                .entry(topic.0.clone())
                .or_default()
                .entry(topic.1)
                .or_insert_with(|| Watched { last: head, subscribers: HashMap::new() })
                .subscribers
                .insert(self.id, self.mailbox.clone());
        }
        for timeframe in everything {
            state.everything.entry(timeframe).or_default().insert(self.id, self.mailbox.clone());
        }
    }

    fn forget(id: u64, watching: &mut Vec<Topic>, state: &mut State) {
        state.everything.retain(|_, sessions| {
            sessions.remove(&id);
            !sessions.is_empty()
        });
        for topic in watching.drain(..) {
            let (symbol, timeframe) = topic;
            let Some(of_symbol) = state.topics.get_mut(&symbol) else { continue };
            if let Some(watched) = of_symbol.get_mut(&timeframe) {
                watched.subscribers.remove(&id);
                if watched.subscribers.is_empty() {
                    of_symbol.remove(&timeframe);
                }
            }
            if of_symbol.is_empty() {
                state.topics.remove(&symbol);
            }
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut state = self.hub.lock();
        Self::forget(self.id, &mut self.watching, &mut state);
        state.sessions.remove(&self.id);
    }
}
