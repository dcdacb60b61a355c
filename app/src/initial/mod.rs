//! What a page shows before the live stream has said anything: fetched by the server while it renders, carried in the
//! page, and taken over by the browser.

mod packed;

pub use packed::Packed;

use chrono::{DateTime, Utc};
use market::{
    Symbol, Timeframe,
    wire::{SourceKind, SymbolInfo},
};
use serde::{Deserialize, Serialize};
use std::future::Future;

/// The content of a page's first paint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Initial {
    pub symbols: Vec<SymbolInfo>,
    pub source: Option<SourceKind>,
    pub snaps: Vec<Snap>,
    /// Bars of the past that was asked for.
    pub past: Vec<(Symbol, Packed)>,
    /// Why something is missing, for people.
    pub trouble: Option<String>,
}

/// A symbol as the live stream would tell it first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snap {
    pub symbol: Symbol,
    pub timeframe: Timeframe,
    pub seq: i64,
    pub bars: Packed,
}

/// What answers the pages' questions.
///
/// # Errors
/// There is none, for people.
#[cfg(feature = "ssr")]
pub(crate) fn backend() -> Result<std::sync::Arc<dyn crate::backend::Backend>, String> {
    leptos::prelude::use_context().ok_or_else(|| "the server has no data source".to_owned())
}

/// Bars of the past that a page shows first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Past {
    pub timeframe: Timeframe,
    pub from: Option<DateTime<Utc>>,
    pub to: DateTime<Utc>,
}

/// Asks the backend for the newest bars. Never fails: a page without data says why.
pub fn load(symbols: Vec<Symbol>, timeframe: Timeframe, bars: u32) -> impl Future<Output = Initial> + Send {
    load_with_past(symbols, timeframe, bars, None)
}

/// The same with bars of the past.
#[cfg(feature = "ssr")]
pub fn load_with_past(
    symbols: Vec<Symbol>,
    timeframe: Timeframe,
    bars: u32,
    past: Option<Past>,
) -> impl Future<Output = Initial> + Send {
    use crate::backend::Unavailable;
    use market::wire::ServerMessage;

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
            if let Some(Past { timeframe, from, to }) = past {
                match backend.bars(symbol.clone(), timeframe, from, to, crate::live::MOST as u32).await {
                    Ok(bars) => initial.past.push((symbol.clone(), Packed(bars))),
                    Err(Unavailable(why)) => initial.trouble = Some(why),
                }
            }
            match backend.snapshot(symbol, timeframe, bars).await {
                Ok(ServerMessage::Snap { symbol, timeframe, seq, bars, .. }) => {
                    initial.snaps.push(Snap { symbol, timeframe, seq, bars: Packed(bars) });
                }
                Ok(_) => {}
                Err(Unavailable(why)) => initial.trouble = Some(why),
            }
        }
        initial
    }
}

/// In the browser the page was rendered with its content; a page built there starts empty and the stream fills it.
#[cfg(not(feature = "ssr"))]
pub fn load_with_past(
    _symbols: Vec<Symbol>,
    _timeframe: Timeframe,
    _bars: u32,
    _past: Option<Past>,
) -> impl Future<Output = Initial> + Send {
    std::future::ready(Initial { trouble: crate::offline::trouble(), ..Initial::default() })
}
