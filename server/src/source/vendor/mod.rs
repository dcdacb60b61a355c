//! What vendors say, in our words. Knows no I/O and no clock: a message goes in as text, bars and trades come out.
//!
//! A vendor's prices are JSON numbers or strings; both become the decimal that was written. A bar's time is the start of its
//! minute.

pub(super) mod alpaca;
pub(super) mod alpha_vantage;
pub(super) mod finnhub;
pub(super) mod massive;
pub(super) mod original;

use chrono::{DateTime, Utc};
use market::{Bar, Symbol};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::str::FromStr;

/// What an HTTP API answered.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    /// In the order of the answer.
    pub bars: Vec<(Symbol, Bar)>,
    /// What could not be read as a bar, each with its reason.
    pub unreadable: Vec<String>,
}

/// An HTTP API did not answer with bars.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Refusal {
    /// There is nothing more now.
    #[error("end of file")]
    End,
    /// Too many questions; asking later helps.
    #[error("the API asks to be asked less often: {0}")]
    Busy(String),
    /// Asking again does not help.
    #[error("the API refuses the question: {0}")]
    Denied(String),
    /// Not what was expected; may be a passing fault.
    #[error("the answer is none of this API: {0}")]
    Strange(String),
}

/// One thing that a vendor's stream said.
#[derive(Debug, PartialEq)]
pub(super) enum Event {
    /// It is ready to be told who asks.
    Connected,
    /// It knows who asks, and is ready to be told for what.
    Authenticated,
    /// It took the subscription.
    Subscribed,
    Trade(Trade),
    Bar(Symbol, Bar),
    /// It refuses; `is_final`: trying again does not help.
    Denied {
        reason: String,
        is_final: bool,
    },
    /// A trade or a bar that cannot be read, and why.
    Unusable(String),
    /// Something that is not about prices.
    Other,
}

/// Shares that changed hands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trade {
    pub symbol: Symbol,
    pub at: DateTime<Utc>,
    pub price: Decimal,
    /// Shares, perhaps fractions of one.
    pub size: Decimal,
}

/// The decimal that a JSON number was written as: the shortest that gives the same double.
fn decimal(number: f64) -> Result<Decimal, String> {
    Decimal::from_str(&number.to_string()).map_err(|_| format!("{number} is no price"))
}

/// Whole shares: the share that a fraction is the most of.
fn shares(number: f64) -> Result<i64, String> {
    decimal(number)?.round().to_i64().ok_or_else(|| format!("{number} is no number of shares"))
}

fn instant(milliseconds: i64) -> Result<DateTime<Utc>, String> {
    DateTime::from_timestamp_millis(milliseconds).ok_or_else(|| format!("{milliseconds} is no instant"))
}

fn ticker(text: &str) -> Result<Symbol, String> {
    text.parse().map_err(|error: market::InvalidSymbol| error.to_string())
}

/// The beginning of a text, for messages.
fn shown(text: &str) -> String {
    text.trim().chars().take(200).collect()
}

/// Each entry of a JSON array as `T`, or why it is none.
fn entries<T: serde::de::DeserializeOwned>(text: &str) -> Result<Vec<Result<T, String>>, String> {
    let values: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(values.into_iter().map(|value| serde_json::from_value(value).map_err(|error| error.to_string())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_number_becomes_the_decimal_that_was_written() {
        for text in ["153.42", "0.0001", "1000000", "388.985"] {
            assert_eq!(decimal(text.parse().unwrap()).unwrap(), text.parse::<Decimal>().unwrap());
        }
        assert!(decimal(f64::NAN).is_err() && decimal(f64::INFINITY).is_err() && decimal(1e300).is_err());
        assert_eq!(shares(100.0), Ok(100));
        assert_eq!(shares(0.6), Ok(1));
        assert!(shares(1e28).is_err());
    }

    proptest! {
        #[test]
        fn no_message_makes_a_reader_panic(text in "\\PC{0,200}") {
            let symbol: Symbol = "AMZN".parse().unwrap();
            drop(original::understand(&text));
            drop(alpha_vantage::understand_json(&text, &symbol));
            drop(alpha_vantage::understand_csv(&text, &symbol));
            alpaca::understand(&text);
            finnhub::understand(&text);
            massive::understand(&text);
        }

        #[test]
        fn no_numbers_in_a_message_make_a_reader_panic(price: f64, size: f64, time: i64) {
            let number = |number: f64| if number.is_finite() { number.to_string() } else { "null".to_owned() };
            let (price, size) = (number(price), number(size));
            finnhub::understand(&format!(r#"{{"type":"trade","data":[{{"s":"A","p":{price},"v":{size},"t":{time}}}]}}"#));
            massive::understand(&format!(
                r#"[{{"ev":"AM","sym":"A","o":{price},"h":{price},"l":{price},"c":{price},"v":{size},"s":{time}}}]"#
            ));
        }
    }
}
