//! What a page shows before the live stream has said anything: fetched by the server while it renders, carried in the
//! page, and taken over by the browser.

use market::{
    Symbol, Timeframe,
    wire::{ServerMessage, SourceKind, SymbolInfo},
};
use serde::{Deserialize, Serialize};
use std::future::Future;

/// The content of a page's first paint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Initial {
    pub symbols: Vec<SymbolInfo>,
    pub source: Option<SourceKind>,
    pub snaps: Vec<ServerMessage>,
    /// Why something is missing, for people.
    pub trouble: Option<String>,
}

/// What answers the pages' questions.
///
/// # Errors
/// There is none, for people.
#[cfg(feature = "ssr")]
pub(crate) fn backend() -> Result<std::sync::Arc<dyn crate::backend::Backend>, String> {
    leptos::prelude::use_context().ok_or_else(|| "the server has no data source".to_owned())
}

/// Asks the backend. Never fails: a page without data says why.
#[cfg(feature = "ssr")]
pub fn load(symbols: Vec<Symbol>, timeframe: Timeframe, bars: u32) -> impl Future<Output = Initial> + Send {
    use crate::backend::Unavailable;

    let backend = backend();
    async move {
        let backend = match backend {
            Ok(backend) => backend,
            Err(why) => return Initial { trouble: Some(why), ..Initial::default() },
        };
        let mut initial = Initial { source: Some(backend.source()), ..Initial::default() };
        match backend.symbols().await {
            Ok(known) => initial.symbols = known,
            Err(Unavailable(why)) => initial.trouble = Some(why),
        }
        for symbol in symbols {
            match backend.snapshot(symbol, timeframe, bars).await {
                Ok(snap) => initial.snaps.push(snap),
                Err(Unavailable(why)) => initial.trouble = Some(why),
            }
        }
        initial
    }
}

/// In the browser the page was rendered with its content; a page built there starts empty and the stream fills it.
#[cfg(not(feature = "ssr"))]
pub fn load(_symbols: Vec<Symbol>, _timeframe: Timeframe, _bars: u32) -> impl Future<Output = Initial> + Send {
    std::future::ready(Initial::default())
}
