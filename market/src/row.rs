//! One row of the source table, as decoded and before any rule has judged it.

use crate::{Bar, Symbol};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use std::sync::Arc;

/// A source row: the columns of `stock`, each of which may be missing or null. What is wrong with it is for the
/// `quality` crate to say; what could not even be read as its type never becomes a `StockRow`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StockRow {
    /// The source's primary key.
    pub record_id: i64,
    /// Start of the minute.
    pub time: Option<DateTime<Utc>>,
    /// Prices: from a FLOAT column rounded to 4 places, from a DECIMAL column exact.
    pub open: Option<Decimal>,
    pub high: Option<Decimal>,
    pub low: Option<Decimal>,
    pub close: Option<Decimal>,
    /// Shares, rounded half away from zero; `volume_fractional` says whether rounding changed it.
    pub volume: Option<i64>,
    pub volume_fractional: bool,
    /// Not yet known to be a [`Symbol`].
    pub symbol: Option<Arc<str>>,
    /// The row's own event time column; `None` when absent, null or the suspicious epoch 0.
    pub event_time: Option<DateTime<Utc>>,
}

impl StockRow {
    /// The row as a candle, when nothing is missing and the symbol is one.
    pub fn bar(&self) -> Option<(Symbol, Bar)> {
        let bar = Bar {
            time: self.time?,
            open: self.open?,
            high: self.high?,
            low: self.low?,
            close: self.close?,
            volume: self.volume?,
        };
        Some((self.symbol.as_deref()?.parse().ok()?, bar))
    }
}
