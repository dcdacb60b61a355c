//! Bars as CSV (RFC 4180), for spreadsheets.

use market::{Bar, Symbol};
use std::borrow::Cow;

/// One line per bar, under a line of names.
pub fn write_bars(symbol: &Symbol, bars: &[Bar]) -> Vec<u8> {
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    let lines = bars.iter().map(|Bar { time, open, high, low, close, volume }| {
        let prices = [open, high, low, close].map(|price| price.normalize().to_string());
        let [open, high, low, close] = prices;
        let time = time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
        [harmless(symbol.as_str()).into_owned(), time, open, high, low, close, volume.to_string()]
    });
    let names = ["symbol", "time", "open", "high", "low", "close", "volume"].map(str::to_owned);
    for line in std::iter::once(names).chain(lines) {
        csv.write_record(line).expect("writing to memory does not fail, and every line has seven cells");
    }
    csv.into_inner().expect("writing to memory does not fail")
}

/// Text that no spreadsheet takes for a formula: what begins like one gets an apostrophe in front, as OWASP advises
/// (<https://owasp.org/www-community/attacks/CSV_Injection>). For text only: a negative number is a number.
fn harmless(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_begins_like_a_formula_is_only_text() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "=cmd|' /C calc'!A0"] {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        for text in ["AMZN", "BRK.B", "A-B", "1=2", "'", ""] {
            assert_eq!(harmless(text), text);
        }
    }

    #[test]
    fn numbers_stay_numbers() {
        let bar = Bar {
            time: "2024-01-16T14:31:00Z".parse().unwrap(),
            open: "-37.63".parse().unwrap(),
            high: "1.2300".parse().unwrap(),
            low: "-40".parse().unwrap(),
            close: "0".parse().unwrap(),
            volume: 7,
        };
        let text = String::from_utf8(write_bars(&"CL".parse().unwrap(), &[bar])).unwrap();
        assert_eq!(text, "symbol,time,open,high,low,close,volume\r\nCL,2024-01-16T14:31:00Z,-37.63,1.23,-40,0,7\r\n");
    }
}
