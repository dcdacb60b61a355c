//! Every place where bytes from outside are first read, fed with broken ones: no panic, no memory out of proportion, and
//! whatever is accepted is usable.
//!
//! The corpus is what real connectors sent (`fixtures/debezium`) and what people make up. A run without `PROOF_SEED` is
//! the same every time. An input that once did harm has a test of its own below.

mod corpus;
mod driver;
mod mutate;

use cdc::{Change, DecodeError, Decoded, Decoder, Op, RawRecord, SourceIdent, captured::parse_line};
use chrono::{DateTime, Datelike, Utc};
use driver::{Input, Memory, fuzz};
use market::{
    StockRow, Symbol, Timeframe,
    wire::{ClientMessage, ServerMessage},
};
use quality::suite::{Check, Evaluation, Observed, Rule, Suite, SuiteError, lint};
use serde::Deserialize;
use server::{
    pipeline::{Judge, RecordSuites, understand},
    source::{SourceUrl, TableName, csv},
    store::{Item, RefusedReason},
};
use std::path::Path;

/// Longest text that says why a record is refused: it goes into logs, tables and pages.
const LONGEST_REASON: usize = 1_000;

fn now() -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse().expect("an instant")
}

fn raw<'a>(input: &'a Input, offset: i64) -> RawRecord<'a> {
    let (key, value) = (input.key.as_deref(), input.value.as_deref());
    RawRecord { topic: "t", partition: 0, offset, timestamp_ms: Some(1_705_415_400_000), key, value }
}

fn judge_decoded(decoded: Result<Decoded, DecodeError>) {
    match decoded {
        Err(error) => {
            assert!(!error.code().is_empty());
            let reason = error.to_string();
            assert!(reason.len() <= LONGEST_REASON, "a reason of {} bytes: {reason:.300}", reason.len());
        }
        Ok(Decoded::Control(_)) => {}
        Ok(Decoded::Truncate { position, .. }) => assert!(position.hi >= 0 && position.lo >= 0, "{position:?}"),
        Ok(Decoded::Change(change)) => judge_change(&change),
    }
}

fn judge_change(change: &Change) {
    if let Some(position) = change.position {
        assert!(position.hi >= 0 && position.lo >= 0, "{position:?}");
    } else {
        assert_eq!(change.op, Op::Delete, "only a tombstone has no place in the order");
    }
    let Some(row) = &change.after else {
        assert_eq!(change.op, Op::Delete);
        return;
    };
    assert_ne!(change.op, Op::Delete);
    assert_eq!(row.record_id, change.record_id);
    let extra = change.extra.iter().flat_map(|extra| extra.keys());
    for name in extra {
        assert!(!["open", "close", "record_id"].contains(&name.as_str()), "{name} is a column of stock");
    }
}

/// What the store is handed can be stored and shown.
fn judge_item(item: &Item) {
    let Item::Upsert(upsert) = item else { return };
    let bar = &upsert.bar;
    assert!(bar.low <= bar.high && bar.volume >= 0, "{bar:?}");
    for instant in [bar.time, upsert.event_time] {
        assert!((1..=9999).contains(&instant.year()), "{instant} fits no calendar");
    }
    let text = serde_json::to_string(bar).expect("a bar is JSON");
    let read: market::Bar = serde_json::from_str(&text).expect("what is written can be read");
    assert_eq!(read.time, bar.time);
}

#[test]
fn debezium_records_are_understood_or_refused() {
    let corpus = corpus::records();
    let memory = Memory { at_least: 64 << 10, per_byte: 64 };
    let feed = |input: &Input| {
        let decoded = Decoder::new(1).keep_before().decode(&raw(input, 7));
        let row = Decoder::new(1).any_row(&raw(input, 7)).is_ok();
        (decoded, row)
    };
    fuzz("decode", 30_000, &corpus, memory, feed, |input, (decoded, _)| {
        let careful = Decoder::new(1).keep_before().careful().decode(&raw(input, 7));
        assert_eq!(decoded, careful, "the fast way differs from the careful one");
        judge_decoded(decoded);
    });
}

/// One decoder for all of them, as a partition has: what it remembers stays bounded, and what it makes of a record passes
/// through the rules into the store's own form.
#[test]
fn a_decoder_that_has_seen_everything_stays_small_and_its_rows_fit_the_store() {
    let corpus = corpus::records();
    let memory = Memory { at_least: 64 << 10, per_byte: 64 };
    let mut decoder = Decoder::new(1);
    let mut judge = Judge::new(RecordSuites::default(), now());
    let mut offset = 0;
    let kept = allocation_counter::measure(|| {
        let feed = |input: &Input| {
            offset += 1;
            understand(&mut decoder, &raw(input, offset), &mut judge)
        };
        fuzz("understand", 20_000, &corpus, memory, feed, |_, understood| match understood {
            Ok(item) => judge_item(&item),
            Err(RefusedReason::Decode(_)) => {}
            Err(RefusedReason::Rules { violations, .. }) => {
                assert!(violations.iter().all(|violation| violation.message.len() <= LONGEST_REASON), "{violations:?}");
            }
            Err(RefusedReason::Store { message }) => panic!("no store was asked: {message}"),
        });
    });
    // Eight schemas twice (they are kept with the head before them), and the symbols.
    assert!(kept.bytes_current < 8 << 20, "{} bytes are kept", kept.bytes_current);
}

#[test]
fn captured_lines_are_read_or_refused() {
    let memory = Memory { at_least: 64 << 10, per_byte: 64 };
    let feed = |input: &Input| {
        let line = String::from_utf8_lossy(input.text());
        parse_line(&line)
    };
    fuzz("captured line", 8_000, &corpus::lines(), memory, feed, |_, line| match line {
        Ok(record) => {
            let written = serde_json::to_string(&record).expect("a record is JSON");
            assert_eq!(parse_line(&written).expect("what is written can be read"), record);
            judge_decoded(Decoder::new(1).decode(&record.raw()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    });
}

#[test]
fn messages_of_the_live_protocol_are_understood_or_refused() {
    let memory = Memory { at_least: 64 << 10, per_byte: 64 };
    let feed = |input: &Input| {
        let text = String::from_utf8_lossy(input.text());
        (serde_json::from_str::<ClientMessage>(&text), serde_json::from_str::<ServerMessage>(&text).is_ok())
    };
    fuzz("live JSON", 40_000, &corpus::live_messages(), memory, feed, |_, (message, _)| {
        if let Ok(message) = message {
            let written = serde_json::to_string(&message).expect("a message is JSON");
            assert_eq!(serde_json::from_str::<ClientMessage>(&written).expect("it reads back"), message);
        }
    });
}

/// How deep a client's message may be.
const DEPTH: u8 = 8;

fn unpack(bytes: &[u8]) -> Result<ClientMessage, rmp_serde::decode::Error> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    reader.set_max_depth(DEPTH.into());
    ClientMessage::deserialize(&mut reader)
}

#[test]
fn packed_messages_of_the_live_protocol_are_understood_or_refused() {
    // For a list whose length is only claimed, serde sets aside up to 1 MiB; for a list in a list again.
    let memory = Memory { at_least: (u64::from(DEPTH) + 1) << 20, per_byte: 64 };
    let feed = |input: &Input| unpack(input.text());
    fuzz("live MessagePack", 40_000, &corpus::packed_messages(), memory, feed, |_, message| {
        if let Ok(message) = message {
            let written = rmp_serde::to_vec_named(&message).expect("a message can be packed");
            assert_eq!(unpack(&written).expect("it reads back"), message);
        }
    });
}

#[test]
fn files_of_bars_are_read_or_refused() {
    let memory = Memory { at_least: 128 << 10, per_byte: 64 };
    let feed = |input: &Input| csv::parse(input.text(), Path::new("bars.csv"));
    fuzz("CSV", 20_000, &corpus::csv_files(), memory, feed, |_, read| match read {
        Ok(read) => {
            assert!(!read.bars.is_empty());
            assert!(read.bars.windows(2).all(|pair| pair[0].time < pair[1].time), "in order, one per time");
            assert!(read.complaints.len() <= read.skipped);
        }
        Err(error) => assert!(error.to_string().starts_with("bars.csv"), "{error}"),
    });
}

#[test]
fn expectation_suites_are_understood_or_refused() {
    // Most of it is the compiled pattern.
    let memory = Memory { at_least: 16 << 20, per_byte: 256 };
    let row = StockRow {
        record_id: 7,
        time: Some(now()),
        close: Some(1.into()),
        symbol: Some("AMZN".into()),
        ..StockRow::default()
    };
    let feed = |input: &Input| {
        let suite = Suite::parse(input.text())?;
        let findings = lint(&suite, &["record_id", "time", "close", "symbol"]).len();
        let mut evaluation = Evaluation::new(&suite);
        evaluation.add(&row, Some(row.record_id));
        let observed = Observed::Rows { here: 1, there: None };
        let tables: Vec<_> = evaluation.tables().map(|(index, check)| (index, check.clone())).collect();
        let results = evaluation.finish(|place| match tables.iter().find(|(index, _)| *index == place) {
            Some((_, Check { rule: Rule::Table(check), .. })) => check.judge(&observed),
            _ => Err("not asked for".into()),
        });
        Ok::<_, SuiteError>((suite, findings, results))
    };
    fuzz("suite JSON", 10_000, &corpus::suites(), memory, feed, |_, read| match read {
        Ok((suite, _, results)) => {
            assert_eq!(results.len(), suite.expectations.len(), "each expectation has its result");
            for (expectation, result) in suite.expectations.iter().zip(&results) {
                assert!(expectation.compile().is_ok() || !result.success, "{} passed in silence", expectation.kind);
            }
            let written = suite.to_json().to_string();
            assert_eq!(Suite::parse(written.as_bytes()).expect("what is written can be read"), suite);
            let migrated = suite.migrate();
            assert_eq!(migrated.clone().migrate(), migrated);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    });
}

#[test]
fn names_from_outside_are_read_or_refused() {
    let memory = Memory { at_least: 64 << 10, per_byte: 64 };
    let feed = |input: &Input| {
        let text = String::from_utf8_lossy(input.text()).into_owned();
        let url = text.parse::<SourceUrl>().is_ok();
        let table = text.parse::<TableName>().is_ok();
        (text.parse::<Symbol>(), text.parse::<Timeframe>(), text.parse::<SourceIdent>(), url || table)
    };
    fuzz("names", 40_000, &corpus::names(), memory, feed, |_, (symbol, timeframe, ident, _)| {
        if let Ok(symbol) = symbol {
            assert_eq!(symbol.to_string().parse(), Ok(symbol));
        }
        if let Ok(timeframe) = timeframe {
            assert_eq!(timeframe.to_string().parse(), Ok(timeframe));
        }
        if let Ok(ident) = ident {
            assert_eq!(ident.to_string().parse(), Ok(ident));
        }
    });
}
