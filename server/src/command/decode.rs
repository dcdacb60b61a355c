//! `stockstream decode`: what is understood of captured records, one JSON line each.

use crate::config::DecodeArgs;
use anyhow::Context;
use cdc::{Change, DecodeError, Decoded, Decoder, EpochBook, captured};
use chrono::{DateTime, TimeDelta, Utc};
use market::StockRow;
use quality::{Limits, Verdict, check_row};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
};

/// How far ahead of its own timestamp a captured record's bar may start.
const FUTURE_TOLERANCE: TimeDelta = TimeDelta::minutes(2);

/// Never stops at a bad line: the reason is the line's result.
pub fn run(args: &DecodeArgs) -> anyhow::Result<()> {
    let input: Box<dyn BufRead> = match args.file.as_deref() {
        None => Box::new(io::stdin().lock()),
        Some(path) if path == Path::new("-") => Box::new(io::stdin().lock()),
        Some(path) => {
            Box::new(BufReader::new(File::open(path).with_context(|| format!("cannot open {}", path.display()))?))
        }
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut partitions = Partitions::default();
    for line in input.split(b'\n') {
        let line = line.context("cannot read the input")?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let parsed = std::str::from_utf8(&line).map_err(|error| error.to_string());
        let parsed = parsed.and_then(|line| captured::parse_line(line).map_err(|error| error.to_string()));
        let result = match parsed {
            Ok(record) => partitions.understand(&record),
            Err(reason) => json!({ "kind": "error", "stage": "line", "code": "bad_line", "reason": reason }),
        };
        match writeln!(out, "{result}") {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    match out.flush() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        flushed => Ok(flushed?),
    }
}

/// What is remembered of each partition while its records pass.
#[derive(Default)]
struct Partitions(HashMap<(String, i32), (Decoder, EpochBook)>);

impl Partitions {
    fn understand(&mut self, record: &captured::CapturedRecord) -> Value {
        let (decoder, epochs) = self
            .0
            .entry((record.topic.clone(), record.partition))
            .or_insert_with(|| (Decoder::new(1).keep_before(), EpochBook::default()));
        let raw = record.raw();
        let arrival = record.timestamp.and_then(DateTime::from_timestamp_millis).unwrap_or(DateTime::UNIX_EPOCH);
        let mut result = match decoder.decode(&raw) {
            Ok(Decoded::Change(change)) => describe(&change, epochs, arrival),
            Ok(Decoded::Truncate { position, source }) => {
                let version = epochs.version_of(position, source.committed_at);
                json!({ "kind": "truncate", "op": "truncate", "version": version, "source": source })
            }
            Ok(Decoded::Control(control)) => json!({ "kind": "control", "control": control }),
            Err(error) => {
                let mut result = refusal(&error);
                // A row of another table is still worth showing.
                if let Ok(any) = decoder.any_row(&raw)
                    && !any.row.is_empty()
                {
                    result["any_row"] = json!(any);
                }
                result
            }
        };
        result["topic"] = json!(record.topic);
        result["partition"] = json!(record.partition);
        result["offset"] = json!(record.offset);
        result
    }
}

fn refusal(error: &DecodeError) -> Value {
    json!({ "kind": "error", "stage": "decode", "code": error.code(), "reason": error.to_string() })
}

fn describe(change: &Change, epochs: &mut EpochBook, arrival: DateTime<Utc>) -> Value {
    let verdict = change.after.as_ref().map(|row| {
        // A captured record is judged as of when it was captured, not as of today.
        check_row(row, &Limits { now: arrival, future_tolerance: FUTURE_TOLERANCE })
    });
    let mut result = json!({
        "kind": "change",
        "op": change.op,
        "key": { "record_id": change.record_id },
        "row": change.after.as_ref().map(row),
        "version": change.position.map(|position| epochs.version_of(position, change.source.committed_at)),
        "position": change.position,
        "event_time": change.event_time(arrival),
        "source": change.source,
        "verdict": verdict.as_ref().map(verdict_name),
        "violations": verdict.as_ref().map(Verdict::violations).unwrap_or_default(),
    });
    if let Some(before) = &change.before {
        result["before"] = row(before);
    }
    if let Some(extra) = &change.extra {
        result["extra"] = Value::Object(extra.as_ref().clone());
    }
    result
}

fn verdict_name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted",
        Verdict::Tagged(_) => "tagged",
        Verdict::Rejected(_) => "rejected",
    }
}

/// Prices as strings, so that they stay exact.
fn row(row: &StockRow) -> Value {
    json!({
        "record_id": row.record_id,
        "time": row.time,
        "open": row.open.map(|price| price.to_string()),
        "high": row.high.map(|price| price.to_string()),
        "low": row.low.map(|price| price.to_string()),
        "close": row.close.map(|price| price.to_string()),
        "volume": row.volume,
        "symbol": row.symbol.as_deref(),
        "event_time": row.event_time,
    })
}
