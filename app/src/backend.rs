//! What the server-rendered pages need from the server; `server` implements it and puts it into context as
//! `Arc<dyn Backend>`.

use market::{
    Symbol, Timeframe,
    wire::{ServerMessage, SourceKind, SymbolInfo},
};
use std::{future::Future, pin::Pin};

/// A boxed future, so that the trait can be an object.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send + 'a>>;

/// The data cannot be had now; the text is for people ("the database does not answer; trying again").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

pub trait Backend: Send + Sync {
    /// All symbols, by name.
    fn symbols(&self) -> Answer<'_, Vec<SymbolInfo>>;

    /// The newest `bars` bars as a [`ServerMessage::Snap`], exactly as the live stream would send it.
    fn snapshot(&self, symbol: Symbol, timeframe: Timeframe, bars: u32) -> Answer<'_, ServerMessage>;

    /// Where the rows come from.
    fn source(&self) -> SourceKind;
}
