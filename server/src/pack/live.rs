//! Findings to sockets: every instance tells its own, whichever found them.

use crate::{feed::Hub, store::Store};
use market::{
    Symbol,
    wire::{Finding, ServerMessage},
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often new findings are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// Findings that are told at once. Of a storm the first say enough: the list has them all.
const MOST: i64 = 500;

/// Tells of findings that are new, changed or resolved, until `shutdown`: those of a symbol to who watches it, those of none
/// to everybody.
pub async fn tell(store: Store, hub: Hub, shutdown: CancellationToken) {
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    while shutdown.run_until_cancelled(look.tick()).await.is_some() {
        let Some(after) = told.filter(|_| hub.sessions() > 0) else {
            told = store.findings_revision().await.ok();
            continue;
        };
        // When Postgres does not answer, the next look tells.
        let Ok(news) = store.findings_since(after, MOST).await else { continue };
        let Some((newest, _)) = news.last() else { continue };
        told = Some(*newest);
        let mut by_symbol: BTreeMap<Option<Symbol>, Vec<Finding>> = BTreeMap::new();
        for (_, finding) in news {
            by_symbol.entry(finding.symbol.clone()).or_default().push(finding);
        }
        for (symbol, findings) in by_symbol {
            hub.tell(symbol.as_ref(), ServerMessage::Findings { findings });
        }
    }
}
