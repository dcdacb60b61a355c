//! What waits for one client. Bounded: when it is full, symbols are remembered instead of frames.

use super::frame::Frame;
use market::{Symbol, wire::ServerMessage};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// Frames that may wait for one client.
const CAPACITY: usize = 256;

/// What a session takes out.
#[derive(Debug, Default)]
pub struct Delivery {
    pub frames: VecDeque<Arc<Frame>>,
    /// Symbols whose frames did not fit, or changed too much: send a snapshot of each.
    pub snapshots: BTreeSet<Symbol>,
    /// The history is gone: tell the client why, and send a snapshot of everything.
    pub resync: Option<&'static str>,
}

/// One client's mailbox.
#[derive(Debug, Default)]
pub struct Mailbox {
    waiting: Mutex<Delivery>,
    notify: Notify,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Delivery> {
        // No code panics while it holds the lock, and every state is valid.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Never waits. A full mailbox is emptied into the set of symbols to take a snapshot of.
    pub fn push(&self, frame: Arc<Frame>) {
        let mut waiting = self.lock();
        if let ServerMessage::Delta { symbol, .. } = frame.message() {
            if waiting.snapshots.contains(symbol) {
                return;
            }
            if waiting.frames.len() >= CAPACITY {
                metrics::counter!("stockstream_feed_conflated_total").increment(1);
                waiting.snapshots.insert(symbol.clone());
                let frames = std::mem::take(&mut waiting.frames);
                for queued in frames {
                    match queued.message() {
                        ServerMessage::Delta { symbol, .. } => {
                            waiting.snapshots.insert(symbol.clone());
                        }
                        _ => waiting.frames.push_back(queued),
                    }
                }
                drop(waiting);
                self.notify.notify_one();
                return;
            }
        } else if waiting.frames.len() >= CAPACITY {
            return; // status frames: the next one says the same, newer
        }
        waiting.frames.push_back(frame);
        drop(waiting);
        self.notify.notify_one();
    }

    pub fn push_snapshot(&self, symbol: Symbol) {
        self.lock().snapshots.insert(symbol);
        self.notify.notify_one();
    }

    pub fn push_resync(&self, reason: &'static str) {
        let mut waiting = self.lock();
        waiting.frames.clear();
        waiting.snapshots.clear();
        waiting.resync = Some(reason);
        drop(waiting);
        self.notify.notify_one();
    }

    /// Forgets what waits about symbols: the session now watches others, or the same from another start.
    pub fn forget_symbols(&self) {
        let mut waiting = self.lock();
        waiting.snapshots.clear();
        waiting.frames.retain(|frame| !matches!(frame.message(), ServerMessage::Delta { .. }));
    }

    /// Everything that waits, now.
    pub fn try_take(&self) -> Option<Delivery> {
        let delivery = std::mem::take(&mut *self.lock());
        let is_something = !delivery.frames.is_empty() || !delivery.snapshots.is_empty() || delivery.resync.is_some();
        is_something.then_some(delivery)
    }

    /// Everything that waits; comes back when there is something.
    pub async fn take(&self) -> Delivery {
        loop {
            if let Some(delivery) = self.try_take() {
                return delivery;
            }
            self.notify.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use market::Timeframe;

    fn delta(symbol: &str, seq: i64) -> Arc<Frame> {
        Arc::new(Frame::new(ServerMessage::Delta {
            symbol: symbol.parse().unwrap(),
            timeframe: Timeframe::MINUTE_1,
            prev: seq - 1,
            seq,
            records: Vec::new(),
        }))
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_costs_one_entry_per_symbol() {
        let mailbox = Mailbox::default();
        for seq in 0..100_000 {
            mailbox.push(delta(if seq % 2 == 0 { "AMZN" } else { "AAPL" }, seq));
        }
        let delivery = mailbox.take().await;
        assert!(delivery.frames.len() <= CAPACITY);
        let symbols: Vec<_> = delivery.snapshots.iter().map(Symbol::as_str).collect();
        assert_eq!(symbols, ["AAPL", "AMZN"]);
    }

    #[tokio::test]
    async fn a_new_subscription_forgets_the_frames_of_the_old_but_not_that_history_is_gone() {
        let mailbox = Mailbox::default();
        mailbox.push_resync("the stream was restarted");
        mailbox.push(delta("AMZN", 1));
        mailbox.push(Arc::new(Frame::new(ServerMessage::Dq { quarantined: 1, tagged: 0 })));
        mailbox.push_snapshot("AAPL".parse().unwrap());
        mailbox.forget_symbols();
        let delivery = mailbox.take().await;
        assert!(delivery.resync.is_some() && delivery.snapshots.is_empty());
        assert!(matches!(delivery.frames[0].message(), ServerMessage::Dq { .. }) && delivery.frames.len() == 1);
        assert!(mailbox.try_take().is_none());
    }

    #[tokio::test]
    async fn frames_come_out_in_order() {
        let mailbox = Mailbox::default();
        for seq in 1..=3 {
            mailbox.push(delta("AMZN", seq));
        }
        let seqs: Vec<i64> = mailbox
            .take()
            .await
            .frames
            .iter()
            .map(|frame| match frame.message() {
                ServerMessage::Delta { seq, .. } => *seq,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(seqs, [1, 2, 3]);
    }
}
