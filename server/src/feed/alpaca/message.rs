//! What is said on Alpaca's stream, in both encodings.

use chrono::{DateTime, Utc};
use market::{Bar, Symbol};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeSet;

/// From the client.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Order {
    Auth {
        #[serde(default)]
        key: String,
        #[serde(default)]
        secret: String,
    },
    Subscribe(Channels),
    Unsubscribe(Channels),
}

/// Which symbols of which channels; `*` is every symbol.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Channels {
    pub bars: Vec<String>,
    pub updated_bars: Vec<String>,
    pub daily_bars: Vec<String>,
    // Nothing is known of these.
    trades: Vec<String>,
    quotes: Vec<String>,
    statuses: Vec<String>,
    lulds: Vec<String>,
    imbalances: Vec<String>,
    orderbooks: Vec<String>,
    news: Vec<String>,
}

impl Channels {
    /// The channels named that do not exist here.
    pub fn is_about_more_than_bars(&self) -> bool {
        let others =
            [&self.trades, &self.quotes, &self.statuses, &self.lulds, &self.imbalances, &self.orderbooks, &self.news];
        others.iter().any(|symbols| !symbols.is_empty())
    }
}

/// What a client subscribed to of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    pub all: bool,
    pub symbols: BTreeSet<Symbol>,
}

impl Channel {
    /// Adds symbols, or `*`.
    ///
    /// # Errors
    /// The text that is neither.
    pub fn add(&mut self, names: &[String]) -> Result<(), market::InvalidSymbol> {
        for name in names {
            if name == "*" {
                self.all = true;
            } else {
                self.symbols.insert(name.parse()?);
            }
        }
        Ok(())
    }

    /// Takes symbols out, or `*`; those that were not in it are ignored.
    pub fn remove(&mut self, names: &[String]) {
        for name in names {
            if name == "*" {
                self.all = false;
            } else {
                self.symbols.retain(|symbol| symbol.as_str() != name);
            }
        }
    }

    pub fn has(&self, symbol: &Symbol) -> bool {
        self.all || self.symbols.contains(symbol)
    }

    fn names(&self) -> Vec<String> {
        let all = self.all.then(|| "*".to_owned());
        all.into_iter().chain(self.symbols.iter().map(ToString::to_string)).collect()
    }
}

/// To the client; always in a list.
#[derive(Debug, Serialize)]
#[serde(tag = "T")]
pub enum Notice {
    #[serde(rename = "success")]
    Success { msg: &'static str },
    #[serde(rename = "error")]
    Error { code: u16, msg: String },
    #[serde(rename = "subscription", rename_all = "camelCase")]
    Subscription {
        trades: [String; 0],
        quotes: [String; 0],
        bars: Vec<String>,
        updated_bars: Vec<String>,
        daily_bars: Vec<String>,
        statuses: [String; 0],
        lulds: [String; 0],
        corrections: [String; 0],
        cancel_errors: [String; 0],
    },
    /// A bar that is new.
    #[serde(rename = "b")]
    Bar(BarNotice),
    /// A bar that was corrected.
    #[serde(rename = "u")]
    Updated(BarNotice),
    /// The bar of a day, so far.
    #[serde(rename = "d")]
    Daily(BarNotice),
}

impl Notice {
    pub fn subscription(bars: &Channel, updated: &Channel, daily: &Channel) -> Self {
        Self::Subscription {
            trades: [],
            quotes: [],
            bars: bars.names(),
            updated_bars: updated.names(),
            daily_bars: daily.names(),
            statuses: [],
            lulds: [],
            corrections: [],
            cancel_errors: [],
        }
    }
}

/// A bar. Trades are not known: neither their number nor their average price.
#[derive(Debug, Serialize)]
pub struct BarNotice {
    #[serde(rename = "S")]
    symbol: Symbol,
    #[serde(with = "rust_decimal::serde::float")]
    o: Decimal,
    #[serde(with = "rust_decimal::serde::float")]
    h: Decimal,
    #[serde(with = "rust_decimal::serde::float")]
    l: Decimal,
    #[serde(with = "rust_decimal::serde::float")]
    c: Decimal,
    v: i64,
    n: Option<u64>,
    vw: Option<f64>,
    t: Instant,
}

impl BarNotice {
    pub fn new(symbol: Symbol, bar: &Bar) -> Self {
        let &Bar { time, open, high, low, close, volume } = bar;
        Self { symbol, o: open, h: high, l: low, c: close, v: volume, n: None, vw: None, t: Instant(time) }
    }
}

/// RFC 3339 in JSON, the timestamp extension (type −1) in MessagePack.
#[derive(Debug)]
struct Instant(DateTime<Utc>);

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return self.0.serialize(serializer);
        }
        // The form with 12 bytes has every instant: nanoseconds, then seconds since the epoch.
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.0.timestamp_subsec_nanos().to_be_bytes());
        bytes[4..].copy_from_slice(&self.0.timestamp().to_be_bytes());
        serializer.serialize_newtype_struct(rmp_serde::MSGPACK_EXT_STRUCT_NAME, &(-1_i8, Raw(&bytes)))
    }
}

/// Bytes, not a list of numbers.
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice() -> Notice {
        let price = Decimal::new(15_342, 2);
        let time = "2024-01-16T14:31:00Z".parse().unwrap();
        let bar = Bar { time, open: price, high: price, low: price, close: price, volume: 18_250 };
        Notice::Bar(BarNotice::new("AMZN".parse().unwrap(), &bar))
    }

    #[test]
    fn a_bar_reads_as_alpaca_documents_it() {
        assert_eq!(
            serde_json::to_string(&[notice()]).unwrap(),
            r#"[{"T":"b","S":"AMZN","o":153.42,"h":153.42,"l":153.42,"c":153.42,"v":18250,"n":null,"vw":null,"t":"2024-01-16T14:31:00Z"}]"#
        );
        let packed = rmp_serde::to_vec_named(&[notice()]).unwrap();
        // ext 8, 12 bytes, type −1, no nanoseconds, 1705415460 seconds.
        let time = [0xc7, 12, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x65, 0xa6, 0x93, 0x24];
        assert!(packed.windows(time.len()).any(|part| part == time), "{packed:x?}");
    }

    #[test]
    fn orders_are_understood() {
        let order = |text: &str| serde_json::from_str::<Order>(text);
        assert!(
            matches!(order(r#"{"action":"auth","key":"k","secret":"s"}"#), Ok(Order::Auth { key, .. }) if key == "k")
        );
        let Ok(Order::Subscribe(channels)) = order(r#"{"action":"subscribe","bars":["*"],"updatedBars":["AMZN"]}"#)
        else {
            panic!("not understood");
        };
        assert_eq!((channels.bars, channels.updated_bars), (vec!["*".to_owned()], vec!["AMZN".to_owned()]));
        let Ok(Order::Unsubscribe(channels)) = order(r#"{"action":"unsubscribe","trades":["AMZN"]}"#) else {
            panic!("not understood");
        };
        assert!(channels.is_about_more_than_bars());
        for text in ["", "[]", "{}", r#"{"action":"listen"}"#, r#"{"action":"subscribe","bars":"AMZN"}"#] {
            assert!(order(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_channel_has_what_was_added_and_not_taken_out() {
        let mut channel = Channel::default();
        channel.add(&["AMZN".into(), "*".into()]).unwrap();
        assert!(channel.has(&"AAPL".parse().unwrap()));
        channel.remove(&["*".into(), "NOPE".into()]);
        assert_eq!(channel.names(), ["AMZN"]);
        assert!(channel.add(&["amzn".into()]).is_err());
    }
}
