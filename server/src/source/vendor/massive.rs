//! Massive's stream of stocks, formerly Polygon.io's (`wss://socket.massive.com/stocks`): `AM` are minutes, `T` trades.

use super::{Event, Trade, decimal, entries, instant, shares, shown, ticker};
use market::{Bar, Symbol};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(tag = "ev")]
enum Said {
    #[serde(rename = "status")]
    Status {
        status: String,
        #[serde(default)]
        message: String,
    },
    /// A minute; `s` is its start in milliseconds since 1970.
    #[serde(rename = "AM")]
    Minute { sym: String, o: f64, h: f64, l: f64, c: f64, v: f64, s: i64 },
    /// A trade; `t` is its instant in milliseconds since 1970.
    #[serde(rename = "T")]
    Trade { sym: String, p: f64, s: f64, t: i64 },
    #[serde(other)]
    Other,
}

/// Says who asks.
pub(in crate::source) fn authentication(key: &str) -> String {
    serde_json::json!({"action": "auth", "params": key}).to_string()
}

/// Asks for minutes, or for trades.
pub(in crate::source) fn subscription(symbols: &[Symbol], trades: bool) -> String {
    let kind = if trades { "T" } else { "AM" };
    let params: Vec<String> = symbols.iter().map(|symbol| format!("{kind}.{symbol}")).collect();
    serde_json::json!({"action": "subscribe", "params": params.join(",")}).to_string()
}

/// Reads a message.
pub(in crate::source) fn understand(text: &str) -> Vec<Event> {
    match entries::<Said>(text) {
        Ok(said) => said.into_iter().map(|said| said.and_then(event).unwrap_or_else(Event::Unusable)).collect(),
        Err(reason) => vec![Event::Unusable(reason)],
    }
}

fn event(said: Said) -> Result<Event, String> {
    Ok(match said {
        Said::Status { status, message } => match status.as_str() {
            "connected" => Event::Connected,
            "auth_success" => Event::Authenticated,
            "success" => Event::Subscribed,
            "auth_failed" | "auth_timeout" | "not_authorized" => {
                Event::Denied { reason: format!("{status}: {}", shown(&message)), is_final: true }
            }
            "error" | "max_connections" | "force_disconnect" => {
                Event::Denied { reason: format!("{status}: {}", shown(&message)), is_final: false }
            }
            _ => Event::Other,
        },
        Said::Minute { sym, o, h, l, c, v, s } => {
            let (open, high, low, close) = (decimal(o)?, decimal(h)?, decimal(l)?, decimal(c)?);
            Event::Bar(ticker(&sym)?, Bar { time: instant(s)?, open, high, low, close, volume: shares(v)? })
        }
        Said::Trade { sym, p, s, t } => {
            Event::Trade(Trade { symbol: ticker(&sym)?, at: instant(t)?, price: decimal(p)?, size: decimal(s)? })
        }
        Said::Other => Event::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_trades_and_status_are_told_apart() {
        let events = understand(
            r#"[{"ev":"status","status":"connected","message":"Connected Successfully"},
                {"ev":"status","status":"auth_success","message":"authenticated"},
                {"ev":"status","status":"success","message":"subscribed to: AM.GTE"},
                {"ev":"AM","sym":"GTE","v":4110,"av":9470157,"op":0.4372,"vw":0.4488,"o":0.4488,"c":0.4486,"h":0.4489,"l":0.4486,"a":0.4352,"z":685,"s":1610144640000,"e":1610144700000},
                {"ev":"T","sym":"MSFT","x":4,"i":"12345","z":3,"p":114.125,"s":100,"c":[0,12],"t":1536036818784,"q":3681328},
                {"ev":"T","sym":"MSFT","s":100},
                {"ev":"Q","sym":"MSFT"}]"#,
        );
        assert_eq!(events[..3], [Event::Connected, Event::Authenticated, Event::Subscribed]);
        let Event::Bar(symbol, bar) = &events[3] else { panic!("{events:?}") };
        assert_eq!((symbol.as_str(), bar.close.to_string().as_str(), bar.volume), ("GTE", "0.4486", 4_110));
        assert_eq!(bar.time.to_rfc3339(), "2021-01-08T22:24:00+00:00");
        assert!(matches!(&events[4], Event::Trade(trade) if trade.price.to_string() == "114.125"));
        assert!(matches!(&events[5], Event::Unusable(reason) if reason.contains("missing field `p`")));
        assert_eq!(events[6], Event::Other);
        let refused = understand(r#"[{"ev":"status","status":"auth_failed","message":"authentication failed"}]"#);
        assert!(matches!(&refused[..], [Event::Denied { is_final: true, .. }]));
    }

    #[test]
    fn questions_have_the_vendors_words() {
        let symbols = ["AMZN".parse().unwrap(), "AAPL".parse().unwrap()];
        assert_eq!(subscription(&symbols, false), r#"{"action":"subscribe","params":"AM.AMZN,AM.AAPL"}"#);
        assert_eq!(subscription(&symbols, true), r#"{"action":"subscribe","params":"T.AMZN,T.AAPL"}"#);
        assert_eq!(authentication("k"), r#"{"action":"auth","params":"k"}"#);
    }
}
