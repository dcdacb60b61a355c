//! Finnhub's stream of trades (`wss://ws.finnhub.io?token=…`). It has no bars.

use super::{Event, Trade, decimal, instant, shown, ticker};
use market::Symbol;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Said {
    Trade {
        #[serde(default)]
        data: Vec<serde_json::Value>,
    },
    Error {
        #[serde(default)]
        msg: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Sale {
    s: String,
    p: f64,
    v: f64,
    /// Milliseconds since 1970.
    t: i64,
}

/// What to send for the trades of these symbols: one message each.
pub(in crate::source) fn subscriptions(symbols: &[Symbol]) -> Vec<String> {
    symbols
        .iter()
        .map(|symbol| serde_json::json!({"type": "subscribe", "symbol": symbol.as_str()}).to_string())
        .collect()
}

/// Reads a message.
pub(in crate::source) fn understand(text: &str) -> Vec<Event> {
    match serde_json::from_str(text) {
        Ok(Said::Trade { data }) => data.into_iter().map(|sale| trade(sale).unwrap_or_else(Event::Unusable)).collect(),
        Ok(Said::Error { msg }) => {
            let is_final = msg.contains("API key") || msg.contains("Invalid") || msg.contains("Subscribing");
            vec![Event::Denied { reason: shown(&msg), is_final }]
        }
        Ok(Said::Other) => vec![Event::Other],
        Err(error) => vec![Event::Unusable(error.to_string())],
    }
}

fn trade(sale: serde_json::Value) -> Result<Event, String> {
    let Sale { s, p, v, t } = serde_json::from_value(sale).map_err(|error| error.to_string())?;
    Ok(Event::Trade(Trade { symbol: ticker(&s)?, at: instant(t)?, price: decimal(p)?, size: decimal(v)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_holds_several_trades() {
        let events = understand(
            r#"{"data":[{"c":["1","12"],"p":153.42,"s":"AMZN","t":1705415460123,"v":100},
                {"c":null,"p":7296.89,"s":"BINANCE:BTCUSDT","t":1575526691134,"v":0.011467}],"type":"trade"}"#,
        );
        let Event::Trade(trade) = &events[0] else { panic!("{events:?}") };
        assert_eq!((trade.symbol.as_str(), trade.price.to_string().as_str()), ("AMZN", "153.42"));
        assert_eq!(trade.at.to_rfc3339(), "2024-01-16T14:31:00.123+00:00");
        assert!(matches!(&events[1], Event::Unusable(reason) if reason.contains("BINANCE:BTCUSDT")));
        assert_eq!(understand(r#"{"type":"ping"}"#), [Event::Other]);
        assert!(matches!(
            &understand(r#"{"type":"error","msg":"Invalid API key"}"#)[..],
            [Event::Denied { is_final: true, .. }]
        ));
        assert_eq!(subscriptions(&["AMZN".parse().unwrap()]), [r#"{"symbol":"AMZN","type":"subscribe"}"#]);
    }
}
