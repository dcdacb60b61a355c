//! Alpaca's stream of stocks, version 2 (`wss://stream.data.alpaca.markets/v2/iex`), which this program also serves.

use super::{Event, Trade, decimal, entries, shares, shown, ticker};
use chrono::{DateTime, Utc};
use market::{Bar, Symbol};
use serde::Deserialize;

/// Codes after which asking again the same way is of no use: syntax, not authenticated, auth failed, symbol limit,
/// insufficient subscription, invalid subscribe action.
const FINAL: [u32; 6] = [400, 401, 402, 405, 409, 410];

#[derive(Deserialize)]
#[serde(tag = "T")]
enum Said {
    #[serde(rename = "success")]
    Success {
        #[serde(default)]
        msg: String,
    },
    #[serde(rename = "error")]
    Error {
        code: u32,
        #[serde(default)]
        msg: String,
    },
    #[serde(rename = "subscription")]
    Subscription {},
    /// A minute; `u`: one that late trades have changed.
    #[serde(rename = "b", alias = "u")]
    Minute {
        #[serde(rename = "S")]
        symbol: String,
        o: f64,
        h: f64,
        l: f64,
        c: f64,
        v: f64,
        t: DateTime<Utc>,
    },
    #[serde(rename = "t")]
    Trade {
        #[serde(rename = "S")]
        symbol: String,
        p: f64,
        s: f64,
        t: DateTime<Utc>,
    },
    #[serde(other)]
    Other,
}

/// Says who asks.
pub(in crate::source) fn authentication(key: &str, secret: &str) -> String {
    serde_json::json!({"action": "auth", "key": key, "secret": secret}).to_string()
}

/// Asks for minutes and what is corrected of them, or for trades.
pub(in crate::source) fn subscription(symbols: &[Symbol], trades: bool) -> String {
    let symbols: Vec<&str> = symbols.iter().map(Symbol::as_str).collect();
    let question = if trades {
        serde_json::json!({"action": "subscribe", "trades": symbols})
    } else {
        serde_json::json!({"action": "subscribe", "bars": symbols, "updatedBars": symbols})
    };
    question.to_string()
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
        Said::Success { msg } => match msg.as_str() {
            "connected" => Event::Connected,
            "authenticated" => Event::Authenticated,
            _ => Event::Other,
        },
        Said::Error { code, msg } => {
            Event::Denied { reason: format!("{code} {}", shown(&msg)), is_final: FINAL.contains(&code) }
        }
        Said::Subscription {} => Event::Subscribed,
        Said::Minute { symbol, o, h, l, c, v, t } => {
            let (open, high, low, close) = (decimal(o)?, decimal(h)?, decimal(l)?, decimal(c)?);
            Event::Bar(ticker(&symbol)?, Bar { time: t, open, high, low, close, volume: shares(v)? })
        }
        Said::Trade { symbol, p, s, t } => {
            Event::Trade(Trade { symbol: ticker(&symbol)?, at: t, price: decimal(p)?, size: decimal(s)? })
        }
        Said::Other => Event::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_updated_bars_trades_and_refusals_are_told_apart() {
        let events = understand(
            r#"[{"T":"success","msg":"connected"},{"T":"success","msg":"authenticated"},
                {"T":"subscription","trades":[],"quotes":[],"bars":["SPY"],"updatedBars":[],"dailyBars":[]},
                {"T":"b","S":"SPY","o":388.985,"h":389.13,"l":388.975,"c":389.12,"v":49378,"n":461,"vw":389.062639,"t":"2021-02-22T19:15:00Z"},
                {"T":"u","S":"SPY","o":388.985,"h":389.14,"l":388.975,"c":389.12,"v":49500,"n":462,"vw":389.1,"t":"2021-02-22T19:15:00Z"},
                {"T":"t","i":96921,"S":"AAPL","x":"D","p":126.55,"s":1,"t":"2021-02-22T15:51:44.208123456Z","c":["@","I"],"z":"C"},
                {"T":"d","S":"SPY"},{"T":"b","S":"spy","o":1,"h":1,"l":1,"c":1,"v":1,"t":"2021-02-22T19:15:00Z"}]"#,
        );
        assert_eq!(events[..3], [Event::Connected, Event::Authenticated, Event::Subscribed]);
        let (Event::Bar(_, first), Event::Bar(_, corrected)) = (&events[3], &events[4]) else { panic!("{events:?}") };
        assert_eq!((first.open.to_string().as_str(), first.volume), ("388.985", 49_378));
        assert_eq!((first.time, corrected.volume), (corrected.time, 49_500));
        assert!(matches!(&events[5], Event::Trade(trade) if trade.size == 1.into()));
        assert_eq!(events[6], Event::Other);
        assert!(matches!(&events[7], Event::Unusable(_)));
        for (code, is_final) in [(402, true), (406, false), (407, false), (500, false)] {
            let said = understand(&format!(r#"[{{"T":"error","code":{code},"msg":"x"}}]"#));
            assert_eq!(said, [Event::Denied { reason: format!("{code} x"), is_final }]);
        }
    }
}
