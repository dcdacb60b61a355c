//! What the server-rendered pages need from the server; `server` implements it and puts it into context as
//! `Arc<dyn Backend>`.

use crate::{
    freshness::History,
    pipeline::Pipeline,
    quality::{BarFindings, FindingsAsked, Overview, RunReport, Shown, SuiteReport},
    quarantine::{RecordAddress, RefusedList, RefusedRecord},
};
use chrono::{DateTime, Utc};
use market::{
    Bar, Symbol, Timeframe,
    watchlist::Watchlist,
    wire::{ServerMessage, SourceKind, SymbolInfo},
};
use std::{future::Future, pin::Pin, sync::Arc};

/// A boxed future, so that the trait can be an object.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send + 'a>>;

/// The data cannot be had now; the text is for people ("the database does not answer; trying again").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

/// Called when there is nothing at a page's address, so that the server can say so by its status.
#[derive(Clone)]
pub struct Absent(pub Arc<dyn Fn() + Send + Sync>);

/// Called with the reason when the quality pages' data cannot be had, by whoever would rather have no page than one that
/// says so.
#[derive(Clone)]
pub struct Failed(pub Arc<dyn Fn(&str) + Send + Sync>);

pub trait Backend: Send + Sync {
    /// All symbols, by name.
    fn symbols(&self) -> Answer<'_, Vec<SymbolInfo>>;

    /// The newest `bars` bars as a [`ServerMessage::Snap`], exactly as the live stream would send it.
    fn snapshot(&self, symbol: Symbol, timeframe: Timeframe, bars: u32) -> Answer<'_, ServerMessage>;

    /// Bars of a time, oldest first: of more than `most` the newest.
    fn bars(
        &self,
        symbol: Symbol,
        timeframe: Timeframe,
        from: Option<DateTime<Utc>>,
        to: DateTime<Utc>,
        most: u32,
    ) -> Answer<'_, Vec<Bar>>;

    /// Where the rows come from.
    fn source(&self) -> SourceKind;

    /// The newest figures of all symbols, as the API tells them.
    fn watchlist(&self) -> Answer<'_, Watchlist>;

    /// The pipeline, as the API tells it.
    fn pipeline(&self) -> Answer<'_, Pipeline>;

    /// The history of freshness, as the API tells it.
    fn freshness(&self) -> Answer<'_, History>;

    /// A page of refused records, by the same query string as the API's.
    fn quarantine(&self, query: String) -> Answer<'_, RefusedList>;

    /// One refused record; `None` when it is not in quarantine.
    fn refused(&self, address: RecordAddress) -> Answer<'_, Option<RefusedRecord>>;

    /// Suites and runs; `cursor`: where the page before ended. `None`: the cursor is none.
    fn quality(&self, shown: Shown, cursor: Option<String>) -> Answer<'_, Option<Overview>>;

    /// What the rules over several bars found and what still holds; `None`: there is no such rule or severity.
    fn bar_findings(&self, asked: FindingsAsked) -> Answer<'_, Option<BarFindings>>;

    /// A run of a suite; `None`: there is no such run.
    fn quality_run(&self, run_id: i64) -> Answer<'_, Option<RunReport>>;

    /// A suite with its newest run; `None`: no suite of this name was ever run.
    fn quality_suite(&self, name: String) -> Answer<'_, Option<SuiteReport>>;
}
