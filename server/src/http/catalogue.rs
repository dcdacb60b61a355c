//! The list of symbols, remembered for a moment: counting their bars reads a whole index, and every page asks for it.

use crate::store::{ReadError, Store};
use market::wire::SymbolInfo;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// How long an answer serves.
const SERVES: Duration = Duration::from_secs(5);
/// A count that takes long serves for this many times as long, so that counting never costs Postgres more than a
/// twentieth of one connection.
const SERVES_TIMES_COST: u32 = 20;

/// Cheap to clone. Callers that come while a count is under way wait for it instead of starting another.
#[derive(Clone)]
pub struct Catalogue {
    store: Store,
    known: Arc<Mutex<Option<Known>>>,
}

struct Known {
    symbols: Arc<[SymbolInfo]>,
    until: Instant,
}

impl Catalogue {
    pub fn new(store: Store) -> Self {
        Self { store, known: Arc::default() }
    }

    /// All symbols that have a bar, by name; `last` and `bars` may be some seconds old.
    ///
    /// # Errors
    /// Postgres does not answer. What was known before is not passed off as current.
    pub async fn symbols(&self) -> Result<Arc<[SymbolInfo]>, ReadError> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| Instant::now() < known.until) {
            return Ok(known.symbols.clone());
        }
        let asked = Instant::now();
        let symbols: Arc<[SymbolInfo]> = self.store.symbols().await?.into();
        let until = Instant::now() + SERVES.max(asked.elapsed() * SERVES_TIMES_COST);
        // An empty list is the state of the first seconds: it must not outlive them.
        *known = (!symbols.is_empty()).then(|| Known { symbols: symbols.clone(), until });
        Ok(symbols)
    }
}
