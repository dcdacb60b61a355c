//! The indicators beside TA-Lib's: `fixtures/indicators/make.py` made the bars and the values, and `scripts/oracle.sh` makes
//! them again.

#![allow(clippy::unwrap_used, reason = "what a test cannot go on without has failed it")]

use chrono::{DateTime, TimeDelta, Utc};
use market::{
    Bar, Timeframe,
    indicator::{HeikinAshi, Study, Values},
};
use proptest::prelude::*;
use rust_decimal::Decimal;

const BARS: &str = include_str!("../../fixtures/indicators/bars.csv");
const EXPECTED: &str = include_str!("../../fixtures/indicators/expected.csv");
/// TA-Lib keeps running sums, which drift by more than our last digit; the file has twelve digits.
const TOLERANCE: f64 = 1e-8;

fn bars() -> Vec<Bar> {
    let price = |text: &str| text.parse().unwrap();
    let bar = |line: &str| {
        let cells: Vec<_> = line.split(',').collect();
        let [time, open, high, low, close, volume] = cells[..] else { panic!("{line}") };
        Bar {
            time: time.parse().unwrap(),
            open: price(open),
            high: price(high),
            low: price(low),
            close: price(close),
            volume: volume.parse().unwrap(),
        }
    };
    BARS.lines().skip(1).map(bar).collect()
}

fn column(name: &str) -> Vec<Option<f64>> {
    let place = EXPECTED.lines().next().unwrap().split(',').position(|column| column == name).unwrap();
    let cell = |line: &str| line.split(',').nth(place).unwrap().parse().ok();
    EXPECTED.lines().skip(1).map(cell).collect()
}

fn compare(name: &str, ours: impl IntoIterator<Item = Option<f64>>, from: usize) {
    let reference = column(name);
    let ours: Vec<_> = ours.into_iter().collect();
    assert_eq!(ours.len(), reference.len(), "{name}");
    for (index, pair) in ours.into_iter().zip(reference).enumerate().skip(from) {
        match pair {
            (None, None) => {}
            (Some(ours), Some(reference)) => {
                let off = (ours - reference).abs();
                assert!(off <= TOLERANCE * reference.abs().max(1.0), "{name} at {index}: {ours}, not {reference}");
            }
            (ours, reference) => panic!("{name} at {index}: {ours:?}, not {reference:?}"),
        }
    }
}

fn run(study: &str) -> Vec<Values> {
    let study: Study = study.parse().unwrap();
    let mut run = study.start(Timeframe::MINUTE_5);
    bars().iter().map(|bar| run.push(bar)).collect()
}

#[test]
fn every_study_says_what_ta_lib_says_and_begins_with_the_same_bar() {
    for (study, columns) in [
        ("sma20", &["sma20"][..]),
        ("ema50", &["ema50"]),
        ("bb20", &["bb_middle", "bb_upper", "bb_lower"]),
        ("rsi14", &["rsi14"]),
        ("macd", &["macd", "signal", "histogram"]),
        ("vwap", &["vwap"]),
    ] {
        let values = run(study);
        for (line, name) in columns.iter().enumerate() {
            compare(name, values.iter().map(|values| values[line]), 0);
        }
    }
}

#[test]
fn ta_libs_own_macd_begins_otherwise_and_is_the_same_soon() {
    let macd: Vec<_> = run("macd").into_iter().map(|values| values[0]).collect();
    compare("talib_macd", macd, 180);
}

#[test]
fn heikin_ashi_candles_follow_their_formula() {
    let mut heikin_ashi = HeikinAshi::default();
    let candles: Vec<_> = bars().iter().map(|bar| heikin_ashi.push(bar)).collect();
    compare("ha_open", candles.iter().map(|candle| Some(candle.open)), 0);
    compare("ha_high", candles.iter().map(|candle| Some(candle.high)), 0);
    compare("ha_low", candles.iter().map(|candle| Some(candle.low)), 0);
    compare("ha_close", candles.iter().map(|candle| Some(candle.close)), 0);
}

#[test]
fn a_flat_market_has_bands_of_no_width_and_no_strength() {
    let bar = bars()[0];
    let last = |study: &str| {
        let mut run = study.parse::<Study>().unwrap().start(Timeframe::MINUTE_1);
        (0..60).map(|_| run.push(&Bar { open: bar.close, high: bar.close, low: bar.close, ..bar })).last().unwrap()
    };
    let [middle, upper, lower] = last("bb20");
    assert_eq!((upper, lower), (middle, middle));
    assert_eq!(last("rsi14"), [None; 3]);
    assert_eq!(last("macd"), [Some(0.0); 3]);
}

fn any_bars() -> impl Strategy<Value = Vec<Bar>> {
    let price = || (1_i64..2_000_000_000, 0_u32..5).prop_map(|(digits, scale)| Decimal::new(digits, scale));
    let bar = (price(), price(), price(), price(), 0_i64..i64::MAX, 0_i64..600);
    prop::collection::vec(bar, 1..120).prop_map(|bars| {
        let mut time: DateTime<Utc> = "2024-01-12T13:00:00Z".parse().unwrap();
        let bar = |(open, high, low, close, volume, minutes): (Decimal, Decimal, Decimal, Decimal, i64, i64)| {
            time += TimeDelta::minutes(minutes);
            Bar { time, open, high, low, close, volume }
        };
        bars.into_iter().map(bar).collect()
    })
}

proptest! {
    #[test]
    fn the_forming_bar_says_what_it_will_say_when_it_closes(bars in any_bars()) {
        for study in ["sma5", "ema5", "vwap", "bb5", "rsi3", "macd"] {
            let mut run = study.parse::<Study>().unwrap().start(Timeframe::MINUTE_1);
            for bar in &bars {
                let (forming, closed) = (run.peek(bar), run.push(bar));
                prop_assert_eq!(forming, closed);
                prop_assert!(closed.into_iter().flatten().all(f64::is_finite), "{} {:?}", study, closed);
            }
        }
    }
}
