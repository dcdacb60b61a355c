//! The original stock API: one line of a file per question, every value a string, the exchange's wall time.

use super::{Answer, Refusal, shown};
use crate::source::csv::parse_time;
use market::Bar;
use rust_decimal::Decimal;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Bar { time: String, open: Text, high: Text, low: Text, close: Text, volume: Text, symbol: String },
    Error { error: String },
}

/// A number as a string, as that API has it, or as a number, as its copies have it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Number(serde_json::Number),
}

impl Text {
    fn decimal(&self) -> Result<Decimal, String> {
        let text = match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        };
        let number = text.parse().or_else(|_| Decimal::from_scientific(&text));
        number.map_err(|_| format!("{:?} is no number", shown(&text)))
    }
}

/// Reads an answer of `/stock`, `/stock1` or `/line/{n}`.
pub(in crate::source) fn understand(body: &str) -> Result<Answer, Refusal> {
    match serde_json::from_str(body) {
        Ok(Line::Error { error }) if error.eq_ignore_ascii_case("end of file") => Err(Refusal::End),
        Ok(Line::Error { error }) => Err(Refusal::Strange(shown(&error))),
        Ok(line) => Ok(match bar(&line) {
            Ok(bar) => Answer { bars: vec![bar], unreadable: Vec::new() },
            Err(reason) => Answer { bars: Vec::new(), unreadable: vec![reason] },
        }),
        Err(_) => Err(Refusal::Strange(shown(body))),
    }
}

fn bar(line: &Line) -> Result<(market::Symbol, Bar), String> {
    let Line::Bar { time, open, high, low, close, volume, symbol } = line else {
        return Err("an error is no bar".to_owned());
    };
    let volume = volume.decimal()?;
    let bar = Bar {
        time: parse_time(time)?,
        open: open.decimal()?,
        high: high.decimal()?,
        low: low.decimal()?,
        close: close.decimal()?,
        volume: i64::try_from(volume)
            .ok()
            .filter(|whole| Decimal::from(*whole) == volume)
            .ok_or_else(|| format!("volume {volume} is no whole number"))?,
    };
    Ok((super::ticker(symbol)?, bar))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_a_bar_and_the_end_is_told_from_a_fault() {
        let line = r#"{"time":"2024-01-16 09:31:00","open":"153.42","high":"153.50","low":"153.27","close":"153.36","volume":"18250","symbol":"AMZN"}"#;
        let answer = understand(line).unwrap();
        let (symbol, bar) = &answer.bars[0];
        assert_eq!((symbol.as_str(), bar.time.to_rfc3339().as_str()), ("AMZN", "2024-01-16T14:31:00+00:00"));
        assert_eq!((bar.close.to_string().as_str(), bar.volume), ("153.36", 18_250));
        let numbers = line.replace("\"18250\"", "18250.0").replace("\"153.42\"", "153.42");
        assert_eq!(understand(&numbers).unwrap().bars[0].1, *bar);

        assert_eq!(understand(r#"{"error":"end of file"}"#), Err(Refusal::End));
        assert_eq!(understand(r#"{"error":"no such line"}"#), Err(Refusal::Strange("no such line".to_owned())));
        assert!(matches!(understand("<html>502</html>"), Err(Refusal::Strange(_))));
        let wrong = understand(&line.replace("153.36", "x")).unwrap();
        assert_eq!(wrong.unreadable, ["\"x\" is no number"]);
        assert!(understand(&line.replace("AMZN", "amzn")).unwrap().unreadable[0].contains("is not a symbol"));
        assert!(understand(&line.replace("18250", "0.5")).unwrap().unreadable[0].contains("whole"));
    }
}
