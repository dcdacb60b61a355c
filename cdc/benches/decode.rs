//! Records decoded per CPU-second: the decoder, the decoder without its memory of schemas, and a plain
//! `serde_json::Value` of the same records. Interleaved, because machines are noisy; the median of the rounds is printed.
//!
//! `cargo bench -p cdc`, or `cargo bench -p cdc -- PATH` for the paths whose name starts so.

use cdc::{
    Decoded, Decoder,
    captured::{CapturedRecord, parse_line},
};
use serde_json::Value;
use std::{
    fs,
    hint::black_box,
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

/// Decodes so many records, taking them round and round.
type Way = fn(&[CapturedRecord], usize);

const ROUNDS: usize = 7;
const RECORDS: usize = 20_000;

fn main() -> io::Result<()> {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let mut out = io::stdout().lock();
    for (name, file) in [
        ("envelope with schema, MariaDB", "mariadb_a_envelope_schemas_on.stock.jsonl"),
        ("envelope with schema, Postgres", "postgres_a_envelope_schemas_on.stock.jsonl"),
        ("envelope without schema", "mariadb_b_envelope_schemas_off.stock.jsonl"),
        ("flattened without schema", "mariadb_c_unwrap_rewrite_schemas_off.stock.jsonl"),
    ] {
        let records = inserts(file);
        let bytes: usize = records.iter().map(|record| record.value.as_ref().map_or(0, String::len)).sum();
        writeln!(out, "{name}, {} bytes each", bytes / records.len())?;
        let paths: [(&str, Way); 3] =
            [("decoder", with_memory), ("new decoder each", without_memory), ("serde_json::Value", as_value)];
        let mut rates = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            for ((_, path), rates) in paths.iter().zip(&mut rates).filter(|((name, _), _)| name.starts_with(&wanted)) {
                let before = cpu_time();
                path(&records, RECORDS);
                rates.push(RECORDS as f64 / (cpu_time() - before).as_secs_f64());
            }
        }
        for ((name, _), rates) in paths.iter().zip(&mut rates).filter(|(_, rates)| !rates.is_empty()) {
            rates.sort_by(f64::total_cmp);
            writeln!(out, "  {name:28} {:>8.0} k records per CPU-second", rates[ROUNDS / 2] / 1000.0)?;
        }
    }
    Ok(())
}

/// The streamed inserts of a fixture.
fn inserts(file: &str) -> Vec<CapturedRecord> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/debezium").join(file);
    let text = fs::read_to_string(path).expect("the fixtures are part of the repository");
    text.lines().skip(8).take(20).map(|line| parse_line(line).expect("a captured record")).collect()
}

fn with_memory(records: &[CapturedRecord], count: usize) {
    let mut decoder = Decoder::new(1);
    for record in records.iter().cycle().take(count) {
        let decoded = decoder.decode(&record.raw());
        assert!(matches!(black_box(decoded), Ok(Decoded::Change(_))));
    }
}

fn without_memory(records: &[CapturedRecord], count: usize) {
    for record in records.iter().cycle().take(count) {
        let decoded = Decoder::new(1).decode(&record.raw());
        assert!(matches!(black_box(decoded), Ok(Decoded::Change(_))));
    }
}

/// Only the parsing: taking the row out of the value would come on top.
fn as_value(records: &[CapturedRecord], count: usize) {
    for record in records.iter().cycle().take(count) {
        let raw = record.raw();
        for text in [raw.key, raw.value].into_iter().flatten() {
            assert!(black_box(serde_json::from_slice::<Value>(text)).is_ok());
        }
    }
}

/// What this thread has spent on the CPU; wall time where the system does not tell.
fn cpu_time() -> Duration {
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_cpu = schedstat.and_then(|text| text.split_whitespace().next()?.parse().ok());
    on_cpu.map_or_else(wall_time, Duration::from_nanos)
}

fn wall_time() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
