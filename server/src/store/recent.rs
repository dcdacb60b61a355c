//! The newest one-minute bars of symbols, in memory.
//!
//! **In step with commits.** A window is forgotten as soon as a commit has touched its symbol, before anybody is told of that
//! commit: whoever writes in this process says so when COMMIT returns ([`Recent::in_doubt`]), and the publisher says so of
//! other processes before it sends what they committed. So an answer is never staler than what this process has sent on its
//! sockets. Whoever asks next reads the window again, once for all who ask at that time. A reading that began before a
//! commit ends in a slot that nobody looks into any more.
//!
//! **Only while somebody looks.** Commits of other processes are seen by the publisher's look at the head of the stream. When
//! it has not looked for a while, because it does not run or because Postgres is away, nothing is answered from here.
//!
//! **Bounded.** A thousand symbols, [`RecentWindow::BARS`] bars each: about thirty megabytes, encoded answers included.

use super::{BarsQuery, ReadError, Store, read};
use bytes::Bytes;
use lru::LruCache;
use market::{Bar, Symbol, Timeframe, wire::LatestBar};
use std::{
    num::NonZeroUsize,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::OnceCell;

/// Symbols that are kept; the one that nobody asked for longest goes first.
const SYMBOLS: NonZeroUsize = NonZeroUsize::new(1_000).expect("a thousand is not zero");
/// For how long after a look at the head of the stream answers are given from here.
const CURRENT: Duration = Duration::from_secs(2);
/// Symbols of one question that are read one by one when they are not here; more are asked for together.
const FEW: usize = 4;

/// The newest bars of a symbol, as of one reading.
#[derive(Debug)]
pub struct RecentWindow {
    latest: LatestBar,
    /// Newest first; one more than [`RecentWindow::BARS`], which tells whether there are older ones.
    bars: Vec<Bar>,
    encoded: OnceLock<Bytes>,
}

impl RecentWindow {
    /// Bars in a window.
    pub const BARS: usize = 100;

    /// The newest `limit` bars, newest first.
    pub fn newest(&self, limit: usize) -> &[Bar] {
        &self.bars[..limit.min(self.bars.len())]
    }

    /// What `encode` makes of this window, made once.
    pub fn encoded(&self, encode: impl FnOnce(&Self) -> Bytes) -> Bytes {
        self.encoded.get_or_init(|| encode(self)).clone()
    }
}

type Slot = Arc<OnceCell<Option<Arc<RecentWindow>>>>;

/// What is remembered. Cheap to clone; its lock is held only for map operations.
#[derive(Clone, Debug)]
pub(crate) struct Recent(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    slots: Mutex<LruCache<Symbol, Slot>>,
    began: Instant,
    /// Milliseconds after `began` until which answers are given.
    current_until: AtomicU64,
}

impl Default for Recent {
    fn default() -> Self {
        let slots = Mutex::new(LruCache::new(SYMBOLS));
        Self(Arc::new(Inner { slots, began: Instant::now(), current_until: AtomicU64::new(0) }))
    }
}

impl Recent {
    fn slots(&self) -> MutexGuard<'_, LruCache<Symbol, Slot>> {
        // No code panics while it holds the lock, and every state is valid.
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Every commit of other processes until now is known.
    pub(crate) fn confirm(&self) {
        self.0.current_until.store(self.now() + CURRENT.as_millis() as u64, Ordering::Release);
    }

    fn is_current(&self) -> bool {
        self.now() < self.0.current_until.load(Ordering::Acquire)
    }

    /// A commit has touched these symbols.
    pub(crate) fn forget<'s>(&self, symbols: impl IntoIterator<Item = &'s Symbol>) {
        let mut slots = self.slots();
        for symbol in symbols {
            // A batch of history is long, and nobody asks for any of it.
            if slots.is_empty() {
                return;
            }
            slots.pop(symbol);
        }
    }

    /// Something was committed, but of which symbols is not known.
    pub(crate) fn forget_all(&self) {
        self.slots().clear();
    }

    /// Something is about to be committed. Unless it turns out what, everything is forgotten: also when whoever commits is
    /// stopped in the middle of it.
    pub(super) fn in_doubt(&self) -> InDoubt {
        InDoubt { recent: self.clone(), is_settled: false }
    }

    fn slot(&self, symbol: &Symbol) -> Slot {
        self.slots().get_or_insert(symbol.clone(), Slot::default).clone()
    }

    /// What is here of a symbol, without reading.
    fn held(&self, symbol: &Symbol) -> Option<Arc<RecentWindow>> {
        self.slots().get(symbol)?.get()?.clone()
    }

    /// Nobody's window takes the place of somebody's.
    fn let_go(&self, symbol: &Symbol, slot: &Slot) {
        let mut slots = self.slots();
        if slots.peek(symbol).is_some_and(|held| Arc::ptr_eq(held, slot)) {
            slots.pop(symbol);
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.slots().len()
    }
}

/// A commit whose outcome is not known yet.
pub(super) struct InDoubt {
    recent: Recent,
    is_settled: bool,
}

impl InDoubt {
    /// It touched these symbols, and nothing else.
    pub(super) fn touched<'s>(mut self, symbols: impl IntoIterator<Item = &'s Symbol>) {
        self.recent.forget(symbols);
        self.is_settled = true;
    }
}

impl Drop for InDoubt {
    fn drop(&mut self) {
        if !self.is_settled {
            self.recent.forget_all();
        }
    }
}

impl BarsQuery {
    /// Whether a window holds the answer, and the bar after it.
    fn is_recent(&self) -> bool {
        self.timeframe == Timeframe::MINUTE_1
            && self.descending
            && (self.start, self.end, self.after) == (None, None, None)
            && self.limit as usize <= RecentWindow::BARS + 1
    }
}

impl Store {
    /// What is remembered of recent bars.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The newest bars of a symbol, from memory where that is in step; `None`: it has none, or memory is not in step and
    /// Postgres must be asked.
    ///
    /// # Errors
    /// The window has to be read, and Postgres does not answer.
    pub async fn window(&self, symbol: &Symbol) -> Result<Option<Arc<RecentWindow>>, ReadError> {
        if !self.recent.is_current() {
            return Ok(None);
        }
        let slot = self.recent.slot(symbol);
        if let Some(window) = slot.get() {
            return Ok(window.clone());
        }
        let window = slot.get_or_try_init(|| Box::pin(self.read_window(symbol))).await?.clone();
        if window.is_none() {
            self.recent.let_go(symbol, &slot);
        }
        Ok(window)
    }

    async fn read_window(&self, symbol: &Symbol) -> Result<Option<Arc<RecentWindow>>, ReadError> {
        metrics::counter!("stockstream_recent_reads_total").increment(1);
        read::within(async {
            let mut connection = self.readers().acquire().await?;
            let latest = read::newest_minutes(&mut connection, Some(std::slice::from_ref(symbol))).await?.pop();
            let query = BarsQuery::newest(symbol.clone(), Timeframe::MINUTE_1, RecentWindow::BARS as u32 + 1);
            let mut bars = read::read_bars(&mut connection, &query).await?;
            bars.reverse();
            Ok(latest.map(|latest| Arc::new(RecentWindow { latest, bars, encoded: OnceLock::new() })))
        })
        .await
    }

    /// The answer to a question about recent bars; `None`: it is about others.
    pub(super) async fn recent_bars(&self, query: &BarsQuery) -> Result<Option<Vec<Bar>>, ReadError> {
        if !query.is_recent() {
            return Ok(None);
        }
        let window = self.window(&query.symbol).await?;
        Ok(window.map(|window| window.newest(query.limit as usize).to_vec()))
    }

    /// The newest bar of each of `symbols`, by name; `None`: Postgres is quicker, or must be asked.
    pub(super) async fn recent_latest(&self, symbols: &[Symbol]) -> Result<Option<Vec<LatestBar>>, ReadError> {
        if !self.recent.is_current() {
            return Ok(None);
        }
        let missing = symbols.iter().filter(|symbol| self.recent.held(symbol).is_none()).count();
        if missing > FEW {
            return Ok(None);
        }
        let mut latest = Vec::with_capacity(symbols.len());
        for symbol in symbols {
            match self.window(symbol).await? {
                Some(window) => latest.push(window.latest.clone()),
                // Without bars, or not in step any more: one answer for all.
                None => return Ok(None),
            }
        }
        latest.sort_by(|a, b| a.symbol.cmp(&b.symbol));
        latest.dedup_by(|a, b| a.symbol == b.symbol);
        Ok(Some(latest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(n: usize) -> Symbol {
        format!("S{n}").parse().unwrap()
    }

    #[test]
    fn a_commit_empties_the_slot_that_a_reading_from_before_it_will_fill() {
        let recent = Recent::default();
        let (touched, other) = (recent.slot(&symbol(1)), recent.slot(&symbol(2)));
        recent.in_doubt().touched([&symbol(1)]);
        assert!(!Arc::ptr_eq(&touched, &recent.slot(&symbol(1))));
        assert!(Arc::ptr_eq(&other, &recent.slot(&symbol(2))));
        // Stopped in the middle of a commit: nothing is sure.
        drop(recent.in_doubt());
        assert_eq!(recent.len(), 0);
    }

    #[test]
    fn memory_is_bounded_and_a_symbol_without_bars_takes_nobodys_place() {
        let recent = Recent::default();
        for n in 0..3 * SYMBOLS.get() {
            recent.slot(&symbol(n));
        }
        assert_eq!(recent.len(), SYMBOLS.get());
        let slot = recent.slot(&symbol(7));
        recent.let_go(&symbol(7), &Slot::default());
        assert!(Arc::ptr_eq(&slot, &recent.slot(&symbol(7))), "another's slot stays");
        recent.let_go(&symbol(7), &slot);
        assert!(recent.held(&symbol(7)).is_none());
    }

    #[test]
    fn nothing_is_answered_from_memory_while_nobody_looks_at_the_stream() {
        let recent = Recent::default();
        assert!(!recent.is_current());
        recent.confirm();
        assert!(recent.is_current());
    }
}
