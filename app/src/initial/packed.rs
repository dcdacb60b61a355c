//! Bars as a page carries them: column by column, each value as the difference from the one before it. Row by row, as the
//! API writes them, they would be most of the page.

use chrono::DateTime;
use market::Bar;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Bars, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Columns", into = "Columns")]
pub struct Packed(pub Vec<Bar>);

#[derive(Default, Serialize, Deserialize)]
struct Columns {
    /// Decimals of the prices, which are whole numbers here.
    places: u32,
    /// Seconds since the bar before.
    time: Vec<i64>,
    /// What the price moved by since the close before.
    open: Vec<i64>,
    /// Since the open.
    close: Vec<i64>,
    /// Above the higher of the two, and below the lower.
    high: Vec<i64>,
    low: Vec<i64>,
    volume: Vec<i64>,
}

/// `None`: prices that no such number can hold.
fn pack(bars: &[Bar]) -> Option<Columns> {
    let prices = bars.iter().flat_map(|bar| [bar.open, bar.high, bar.low, bar.close]);
    let places = prices.map(|price| price.normalize().scale()).max().unwrap_or(0);
    let whole = |mut price: Decimal| {
        price.rescale(places);
        i64::try_from(price.mantissa()).ok().filter(|_| price.scale() == places)
    };
    let mut columns = Columns { places, ..Columns::default() };
    let (mut before, mut last) = (0, 0);
    for bar in bars {
        let (open, close, time) = (whole(bar.open)?, whole(bar.close)?, bar.time.timestamp());
        columns.time.push(time - before);
        columns.open.push(open.wrapping_sub(last));
        columns.close.push(close.wrapping_sub(open));
        columns.high.push(whole(bar.high)?.wrapping_sub(open.max(close)));
        columns.low.push(open.min(close).wrapping_sub(whole(bar.low)?));
        columns.volume.push(bar.volume);
        (before, last) = (time, close);
    }
    Some(columns)
}

impl From<Packed> for Columns {
    /// Nothing of what cannot be packed: the stream will bring it.
    fn from(Packed(bars): Packed) -> Self {
        pack(&bars).unwrap_or_default()
    }
}

impl From<Columns> for Packed {
    fn from(columns: Columns) -> Self {
        let price = |whole| Some(Decimal::try_new(whole, columns.places).ok()?.normalize());
        let (mut time, mut close) = (0_i64, 0_i64);
        let bar = |row: usize| {
            time = time.wrapping_add(columns.time[row]);
            let open = close.wrapping_add(*columns.open.get(row)?);
            close = open.wrapping_add(*columns.close.get(row)?);
            Some(Bar {
                time: DateTime::from_timestamp(time, 0)?,
                open: price(open)?,
                high: price(open.max(close).wrapping_add(*columns.high.get(row)?))?,
                low: price(open.min(close).wrapping_sub(*columns.low.get(row)?))?,
                close: price(close)?,
                volume: *columns.volume.get(row)?,
            })
        };
        Self((0..columns.time.len()).map_while(bar).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(time: &str, [open, high, low, close]: [&str; 4], volume: i64) -> Bar {
        let price = |text: &str| text.parse().unwrap();
        let (open, high, low, close) = (price(open), price(high), price(low), price(close));
        Bar { time: time.parse().unwrap(), open, high, low, close, volume }
    }

    #[test]
    fn bars_are_unpacked_as_they_were() {
        let bars = vec![
            bar("2024-01-16T14:31:00Z", ["153.42", "153.5", "153.27", "153.36"], 18_250),
            bar("2024-01-16T14:32:00Z", ["153.4", "154", "153.4", "153.9975"], 7),
            // What the rules would have refused.
            bar("2024-01-12T20:59:00Z", ["1", "-3", "5", "2"], -1),
        ];
        let text = serde_json::to_string(&Packed(bars.clone())).unwrap();
        assert!(text.starts_with(r#"{"places":4,"time":[1705415460,60,"#), "{text}");
        let Packed(read) = serde_json::from_str(&text).unwrap();
        assert_eq!(read, bars);
        assert_eq!(read[0].high.scale(), 1, "as it is read elsewhere");
        assert_eq!(serde_json::to_string(&Packed(read)).unwrap(), text);
    }

    #[test]
    fn what_cannot_be_packed_is_left_to_the_stream_and_what_is_broken_is_left_out() {
        let huge = bar("2024-01-16T14:31:00Z", ["79228162514264337593543950335"; 4], 1);
        let text = serde_json::to_string(&Packed(vec![huge])).unwrap();
        assert_eq!(serde_json::from_str::<Packed>(&text).unwrap(), Packed::default());
        let short = r#"{"places":2,"time":[60,60],"open":[1],"close":[1],"high":[1],"low":[1],"volume":[1]}"#;
        assert_eq!(serde_json::from_str::<Packed>(short).unwrap().0.len(), 1);
    }
}
