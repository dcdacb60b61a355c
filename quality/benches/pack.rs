//! Bars per second through `pack::judge`, window by window as a server that catches up asks: a session of one symbol with
//! the bars before it. `cargo bench -p quality --bench pack`.
#![allow(clippy::print_stdout, reason = "a benchmark reports on standard output")]

use chrono::{DateTime, TimeDelta, Utc};
use market::Symbol;
use quality::pack::{Pack, PackRow, judge};
use rust_decimal::Decimal;
use std::{hint::black_box, time::Instant};

const ROUNDS: u32 = 7;
const MINUTES: i64 = 390;
const PASSES: u32 = 50;

fn session() -> Vec<PackRow> {
    let open: DateTime<Utc> = "2024-01-16T14:30:00Z".parse().expect("the instant is well-formed");
    (0..MINUTES)
        .map(|minute| {
            let time = open + TimeDelta::minutes(minute);
            let close = 15_336 + (minute * 7919) % 23;
            PackRow {
                time,
                open: Decimal::new(close - 3, 2),
                high: Decimal::new(close + 8, 2),
                low: Decimal::new(close - 9, 2),
                close: Decimal::new(close, 2),
                volume: 10_000 + (minute * 104_729) % 9_000,
                event_time: time,
                received_at: time,
            }
        })
        .collect()
}

fn main() {
    let (rows, pack) = (session(), Pack::default());
    let symbol: Symbol = "AMZN".parse().expect("a ticker");
    let after = rows.get(pack.context()).map(|row| row.time);
    let mut rates: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..PASSES {
                assert!(judge(&symbol, black_box(&rows), after, &pack).is_empty());
            }
            f64::from(PASSES) * (rows.len() - pack.context()) as f64 / started.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    println!(
        "judge, bars without a finding: {:.0} k bars/s (median of {ROUNDS}; {:.0} to {:.0})",
        rates[rates.len() / 2] / 1e3,
        rates[0] / 1e3,
        rates[rates.len() - 1] / 1e3
    );
}
