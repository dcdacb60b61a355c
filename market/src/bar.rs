//! One candle.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Open, high, low, close and volume of one symbol in the interval that starts at `time`.
///
/// Prices are in the quote currency and exact; on the wire they are JSON numbers. Volume is in shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    /// Start of the interval.
    pub time: DateTime<Utc>,
    #[serde(with = "rust_decimal::serde::float")]
    pub open: Decimal,
    #[serde(with = "rust_decimal::serde::float")]
    pub high: Decimal,
    #[serde(with = "rust_decimal::serde::float")]
    pub low: Decimal,
    #[serde(with = "rust_decimal::serde::float")]
    pub close: Decimal,
    pub volume: i64,
}
