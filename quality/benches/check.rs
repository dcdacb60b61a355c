//! Rows per second through `check_row`, and through a suite of ten expectations: a session of good bars of ten symbols, in
//! time order. `cargo bench -p quality`.
#![allow(clippy::print_stdout, reason = "a benchmark reports on standard output")]

use chrono::{DateTime, TimeDelta, Utc};
use market::StockRow;
use quality::{
    Limits, Verdict, check_row,
    suite::{Met, StreamSuite, Suite},
};
use rust_decimal::Decimal;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const ROUNDS: u32 = 7;
const MINUTES: i64 = 390;
const PASSES: u32 = 250;
const SUITE: &str = include_str!("../../bench/rules.json");

fn rows() -> Vec<StockRow> {
    let open: DateTime<Utc> = "2024-01-16T14:30:00Z".parse().expect("the instant is well-formed");
    let symbols = ["AMZN", "AAPL", "MSFT", "NVDA", "GOOGL", "META", "TSLA", "JPM", "XOM", "SPY"].map(Arc::<str>::from);
    let price = |tenths_of_mills: i64| Some(Decimal::new(tenths_of_mills, 4));
    (0..MINUTES)
        .flat_map(|minute| symbols.iter().map(move |symbol| (minute, symbol)))
        .enumerate()
        .map(|(id, (minute, symbol))| StockRow {
            record_id: id as i64,
            time: Some(open + TimeDelta::minutes(minute)),
            open: price(1_534_200 + minute),
            high: price(1_535_000 + minute),
            low: price(1_532_700 + minute),
            close: price(1_533_600 + minute),
            volume: Some(18_250),
            volume_fractional: false,
            symbol: Some(symbol.clone()),
            event_time: None,
        })
        .collect()
}

fn main() {
    let rows = rows();
    let limits = Limits {
        now: "2024-01-17T00:00:00Z".parse().expect("the instant is well-formed"),
        future_tolerance: TimeDelta::minutes(5),
    };
    measure("check_row, accepted rows", &rows, |row| assert_eq!(check_row(row, &limits), Verdict::Accepted));
    let suite = Suite::parse(SUITE.as_bytes()).expect("it is a suite");
    let stream = StreamSuite::new(suite);
    measure("a suite of ten, met", &rows, |row| {
        stream.fresh().see(row, |place, met| assert_ne!(met, Met::No, "{place}"));
    });
    let mut window = stream.fresh().clone();
    measure("the same, counted in a window", &rows, |row| {
        window.add_seeing(row, Some(row.record_id), |place, met| assert_ne!(met, Met::No, "{place}"));
    });
}

fn measure(what: &str, rows: &[StockRow], mut look: impl FnMut(&StockRow)) {
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..PASSES {
                for row in rows {
                    look(black_box(row));
                }
            }
            f64::from(PASSES) * rows.len() as f64 / started.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!(
        "{what}: {:.2} M rows/s (median of {ROUNDS}; {:.2} to {:.2})",
        rates[rates.len() / 2] / 1e6,
        rates[0] / 1e6,
        rates[rates.len() - 1] / 1e6
    );
}
