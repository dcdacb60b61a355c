//! Pages of bars as JSON, written by hand: a page has thousands of numbers, and serde's way through floating point cost as
//! much as the query. The bytes are those that serde writes.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use market::Bar;
use rust_decimal::Decimal;

/// Bytes of a bar, about.
const BAR_BYTES: usize = 112;
/// The longest number that is the shortest name of its double: below it, a price is written as it stands.
const PLAIN: u128 = 1_000_000_000_000_000;

/// The JSON form of [`BarsPage`](market::wire::BarsPage).
pub fn bars_page(bars: &[Bar], next_cursor: Option<&str>) -> Vec<u8> {
    let mut page = Page { out: Vec::with_capacity(BAR_BYTES * (bars.len() + 1)), day: None };
    page.text(r#"{"bars":["#);
    for (n, bar) in bars.iter().enumerate() {
        page.text(if n == 0 { r#"{"time":""# } else { r#",{"time":""# });
        page.time(bar.time);
        page.text(r#"","open":"#);
        page.price(bar.open);
        page.text(r#","high":"#);
        page.price(bar.high);
        page.text(r#","low":"#);
        page.price(bar.low);
        page.text(r#","close":"#);
        page.price(bar.close);
        page.text(r#","volume":"#);
        page.number(bar.volume.unsigned_abs(), 0, bar.volume < 0);
        page.text("}");
    }
    page.text(r#"],"next_cursor":"#);
    page.value(&next_cursor);
    page.text("}");
    page.out
}

struct Page {
    out: Vec<u8>,
    /// The day of the bar before, and where in `out` it is written.
    day: Option<(NaiveDate, usize)>,
}

impl Page {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// As serde has it.
    fn value(&mut self, value: &impl serde::Serialize) {
        serde_json::to_writer(&mut self.out, value).expect("strings and numbers always have a JSON form");
    }

    fn two(&mut self, number: u32) {
        self.out.extend([b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
    }

    /// RFC 3339 in UTC, with as much of a second as there is.
    fn time(&mut self, time: DateTime<Utc>) {
        let (day, clock) = (time.date_naive(), time.time());
        if clock.nanosecond() != 0 || !(0..=9999).contains(&day.year()) {
            let text = time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
            return self.text(&text);
        }
        let begin = self.out.len();
        match self.day {
            Some((before, at)) if before == day => self.out.extend_from_within(at..at + "2024-01-16T".len()),
            _ => {
                let year = day.year().unsigned_abs();
                self.two(year / 100);
                self.two(year % 100);
                self.text("-");
                self.two(day.month());
                self.text("-");
                self.two(day.day());
                self.text("T");
                self.day = Some((day, begin));
            }
        }
        self.two(clock.hour());
        self.text(":");
        self.two(clock.minute());
        self.text(":");
        self.two(clock.second());
        self.text("Z");
    }

    /// A number, without zeros at its end but with one place behind the point, as floating point is written.
    fn price(&mut self, price: Decimal) {
        let (digits, mut scale) = (price.mantissa().unsigned_abs(), price.scale());
        // What is far below one would be written with an exponent.
        let is_plain =
            digits < PLAIN && (scale <= 4 || digits >= 10u128.pow(scale)) && !(digits == 0 && price.is_sign_negative());
        let (true, Ok(mut digits)) = (is_plain, u64::try_from(digits)) else {
            return self.value(&rust_decimal::prelude::ToPrimitive::to_f64(&price));
        };
        while scale > 0 && digits.is_multiple_of(10) {
            (digits, scale) = (digits / 10, scale - 1);
        }
        if scale == 0 {
            (digits, scale) = (digits * 10, 1);
        }
        self.number(digits, scale, price.is_sign_negative());
    }

    /// Digits, the last `scale` of them behind the point.
    fn number(&mut self, mut digits: u64, scale: u32, is_negative: bool) {
        let mut text = [0; 24];
        let (mut first, mut written) = (text.len(), 0);
        while written <= scale || digits > 0 {
            if written == scale && scale > 0 {
                first -= 1;
                text[first] = b'.';
            }
            first -= 1;
            text[first] = b'0' + (digits % 10) as u8;
            (digits, written) = (digits / 10, written + 1);
        }
        if is_negative {
            first -= 1;
            text[first] = b'-';
        }
        self.out.extend_from_slice(&text[first..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use market::wire::BarsPage;
    use proptest::prelude::*;

    fn same(bars: Vec<Bar>, next_cursor: Option<&str>) {
        let ours = String::from_utf8(bars_page(&bars, next_cursor)).unwrap();
        let page = BarsPage { bars, next_cursor: next_cursor.map(str::to_owned) };
        assert_eq!(ours, serde_json::to_string(&page).unwrap());
    }

    fn bar(time: &str, prices: [&str; 4], volume: i64) -> Bar {
        let [open, high, low, close] = prices.map(|price| price.parse().unwrap());
        Bar { time: time.parse().unwrap(), open, high, low, close, volume }
    }

    #[test]
    fn pages_are_as_serde_writes_them() {
        same(Vec::new(), None);
        same(vec![bar("2024-01-16T14:31:00Z", ["1", "0", "0.10", "-37.63"], 0)], Some("MSBBTVpO\"\\"));
        same(
            vec![
                bar("2024-01-16T14:31:00Z", ["246.40", "0.0001", "0.00001", "0.000000001"], -1),
                bar(
                    "2024-01-16T14:32:00Z",
                    ["999999999999999", "1000000000000000", "123456789.123456", "0.00010"],
                    i64::MAX,
                ),
                bar("2024-01-17T00:00:59Z", ["-0.0", "100.00", "12345678901234567.8", "0.3"], i64::MIN),
                bar(
                    "2024-01-17T00:00:59.123Z",
                    ["9.99", "10.01", "79228162514264337593543950335", "0.0000000000000000000000000001"],
                    7,
                ),
                Bar {
                    time: DateTime::from_timestamp(253_402_400_000, 0).unwrap(),
                    ..bar("2024-01-17T00:00:00Z", ["1.5"; 4], 7)
                },
            ],
            None,
        );
    }

    proptest! {
        #[test]
        fn so_are_prices_of_every_size(digits in -2_000_000_000_000_000i64..2_000_000_000_000_000, scale in 0u32..=28) {
            let price = Decimal::new(digits, scale);
            let time = DateTime::UNIX_EPOCH;
            let ours = bars_page(&[Bar { time, open: price, high: price, low: price, close: price, volume: 0 }], None);
            let ours = String::from_utf8(ours).unwrap();
            // Exactly: rust_decimal's own way to a double is off by one unit in the last place now and then.
            let exact: f64 = price.to_string().parse().unwrap();
            let plain = digits.unsigned_abs() < 1_000_000_000_000_000 && (scale <= 4 || exact.abs() >= 1.0);
            if plain && digits != 0 {
                prop_assert_eq!(ours.split(&[':', ','][..]).nth(6), Some(&*serde_json::to_string(&exact).unwrap()), "{}", ours);
            }
            let read: serde_json::Value = serde_json::from_str(&ours).unwrap();
            let read = read["bars"][0]["open"].as_f64().unwrap();
            prop_assert!((read - exact).abs() <= exact.abs() * 1e-15, "{} {}", read, exact);
        }

        #[test]
        fn and_times(seconds in -62_000_000_000i64..253_000_000_000, nanoseconds in prop_oneof![Just(0u32), 0u32..1_000_000_000]) {
            let price = Decimal::ONE;
            let time = DateTime::from_timestamp(seconds, nanoseconds).unwrap();
            let bar = |time| Bar { time, open: price, high: price, low: price, close: price, volume: 0 };
            same(vec![bar(time), bar(time), bar(time + chrono::TimeDelta::hours(7))], None);
        }
    }
}
