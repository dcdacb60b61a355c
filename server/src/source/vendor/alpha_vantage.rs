//! Alpha Vantage's `TIME_SERIES_INTRADAY`, as JSON and as CSV. It answers 200 to everything: what is wrong is in the body.

use super::{Answer, Refusal, shown};
use crate::source::csv::{self, parse_time};
use market::{Bar, Symbol};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// How the zone of New York is called.
const ZONES: [&str; 2] = ["US/Eastern", "America/New_York"];

#[derive(Deserialize)]
struct Candle {
    #[serde(rename = "1. open")]
    open: String,
    #[serde(rename = "2. high")]
    high: String,
    #[serde(rename = "3. low")]
    low: String,
    #[serde(rename = "4. close")]
    close: String,
    #[serde(rename = "5. volume")]
    volume: String,
}

/// Reads an answer in JSON; bars come oldest first.
pub(in crate::source) fn understand_json(body: &str, symbol: &Symbol) -> Result<Answer, Refusal> {
    let Ok(Value::Object(members)) = serde_json::from_str(body) else { return Err(Refusal::Strange(shown(body))) };
    let text = |name: &str| members.get(name).and_then(Value::as_str).map(shown);
    if let Some(reason) = text("Error Message") {
        return Err(Refusal::Denied(reason));
    }
    if let Some(reason) = text("Note").or_else(|| text("Information")) {
        return Err(Refusal::Busy(reason));
    }
    let series = members.iter().find(|(name, _)| name.starts_with("Time Series")).map(|(_, series)| series);
    let Some(series) = series.and_then(Value::as_object) else { return Err(Refusal::Strange(shown(body))) };
    let about = members.get("Meta Data");
    let zone = about.and_then(|about| about.get("6. Time Zone")).and_then(Value::as_str);
    if let Some(zone) = zone.filter(|zone| !ZONES.contains(zone)) {
        return Err(Refusal::Denied(format!("times are in the zone {zone:?}, expected {}", ZONES[0])));
    }
    let interval = about.and_then(|about| about.get("4. Interval")).and_then(Value::as_str);
    if let Some(interval) = interval.filter(|interval| *interval != "1min") {
        return Err(Refusal::Denied(format!("bars are of {interval:?}, expected 1min")));
    }
    let mut answer = Answer::default();
    let sorted: BTreeMap<&String, &Value> = series.iter().collect();
    for (time, candle) in sorted {
        match bar(time, candle) {
            Ok(bar) => answer.bars.push((symbol.clone(), bar)),
            Err(reason) => answer.unreadable.push(format!("{}: {reason}", shown(time))),
        }
    }
    Ok(answer)
}

fn bar(time: &str, candle: &Value) -> Result<Bar, String> {
    let Candle { open, high, low, close, volume } = Candle::deserialize(candle).map_err(|error| error.to_string())?;
    let number = |text: &str| text.parse::<Decimal>().map_err(|_| format!("{:?} is no number", shown(text)));
    let volume = number(&volume)?;
    Ok(Bar {
        time: parse_time(time)?,
        open: number(&open)?,
        high: number(&high)?,
        low: number(&low)?,
        close: number(&close)?,
        volume: Some(volume)
            .filter(Decimal::is_integer)
            .and_then(|volume| volume.to_i64())
            .ok_or_else(|| format!("volume {volume} is no whole number"))?,
    })
}

/// Reads an answer in CSV; bars come oldest first. Refusals come as JSON all the same.
pub(in crate::source) fn understand_csv(body: &str, symbol: &Symbol) -> Result<Answer, Refusal> {
    if body.trim_start().starts_with('{') {
        // Bars as JSON are right, too, if somebody asked for them.
        return understand_json(body, symbol);
    }
    let read =
        csv::parse(body.as_bytes(), Path::new("the answer")).map_err(|error| Refusal::Strange(error.to_string()))?;
    let bars = read.bars.into_iter().map(|bar| (symbol.clone(), bar)).collect();
    Ok(Answer { bars, unreadable: read.complaints })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{
        "Meta Data": {
            "1. Information": "Intraday (1min) open, high, low, close prices and volume", "2. Symbol": "IBM",
            "3. Last Refreshed": "2024-01-16 19:59:00", "4. Interval": "1min", "5. Output Size": "Compact",
            "6. Time Zone": "US/Eastern"
        },
        "Time Series (1min)": {
            "2024-01-16 09:32:00": {"1. open": "166.2000", "2. high": "166.2000", "3. low": "166.1000", "4. close": "166.1500", "5. volume": "31"},
            "2024-01-16 09:31:00": {"1. open": "166.3000", "2. high": "166.3000", "3. low": "166.2000", "4. close": "166.2000", "5. volume": "12"},
            "2024-01-16 09:30:00": {"1. open": "166.3000", "2. high": "166.3000", "3. low": "166.2000", "4. close": "x", "5. volume": "12"}
        }
    }"#;

    fn ibm() -> Symbol {
        "IBM".parse().unwrap()
    }

    #[test]
    fn json_and_csv_of_the_same_minutes_are_the_same_bars() {
        let json = understand_json(JSON, &ibm()).unwrap();
        assert_eq!(json.unreadable, ["2024-01-16 09:30:00: \"x\" is no number"]);
        let csv = "timestamp,open,high,low,close,volume\r\n2024-01-16 09:32:00,166.2000,166.2000,166.1000,166.1500,31\r\n\
                   2024-01-16 09:31:00,166.3000,166.3000,166.2000,166.2000,12\r\n";
        let csv = understand_csv(csv, &ibm()).unwrap();
        assert_eq!(json.bars, csv.bars);
        assert_eq!(json.bars[0].1.time.to_rfc3339(), "2024-01-16T14:31:00+00:00");
        assert_eq!(json.bars[1].1.close.to_string(), "166.1500");
    }

    #[test]
    fn refusals_that_pass_are_told_from_those_that_do_not() {
        let busy = r#"{"Information": "our standard API rate limit is 25 requests per day"}"#;
        assert!(matches!(understand_json(busy, &ibm()), Err(Refusal::Busy(reason)) if reason.contains("25 requests")));
        assert!(matches!(understand_csv(busy, &ibm()), Err(Refusal::Busy(_))));
        let wrong = r#"{"Error Message": "Invalid API call."}"#;
        assert!(matches!(understand_csv(wrong, &ibm()), Err(Refusal::Denied(reason)) if reason.contains("Invalid")));
        assert!(matches!(understand_json("{}", &ibm()), Err(Refusal::Strange(_))));
        let elsewhere = JSON.replace("US/Eastern", "UTC");
        assert!(matches!(understand_json(&elsewhere, &ibm()), Err(Refusal::Denied(reason)) if reason.contains("UTC")));
        let longer = JSON.replace("\"1min\"", "\"5min\"");
        assert!(matches!(understand_json(&longer, &ibm()), Err(Refusal::Denied(reason)) if reason.contains("5min")));
    }
}
