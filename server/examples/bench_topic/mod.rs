//! The change events that the benchmarks read: of a stock table, as Debezium's MariaDB connector writes them, full envelopes
//! with their schema, taken from a captured record.
//!
//! 85 % are new bars of 50 symbols, minute after minute of the exchange's sessions. 15 % touch any earlier bar again: of
//! three, one is a correction, one an update, and one is older than the row by event time (every fiftieth of these a plain
//! redelivery of the row's first event). Deterministic: the same number of records makes the same topic.

use market::session_on;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{error::Error, fmt::Write};

const CAPTURE: &str = include_str!("../../../fixtures/debezium/mariadb_a_envelope_schemas_on.stock.jsonl");
const SYMBOLS: usize = 50;

#[derive(Clone, Copy)]
struct Row {
    record_id: usize,
    /// Milliseconds since the epoch, as all times here.
    time: i64,
    /// Prices in cents: close is the base, the others are its neighbours.
    close: i64,
    volume: i64,
    event_time: i64,
    /// Where in the binlog its insert stands.
    pos: usize,
}

pub struct Change {
    op: char,
    before: Option<Row>,
    after: Row,
    /// Where in the binlog it stands.
    pos: usize,
}

/// The source table as its changes go on.
pub struct Table {
    /// Start of every session minute, as many as are needed.
    minutes: Vec<i64>,
    rows: Vec<Row>,
    random: ChaCha8Rng,
}

impl Table {
    pub fn new(records: usize) -> Result<Self, Box<dyn Error>> {
        let first: chrono::NaiveDate = "2024-01-02".parse()?;
        let minutes = first
            .iter_days()
            .filter_map(session_on)
            .flat_map(|session| (session.open.timestamp_millis()..session.close.timestamp_millis()).step_by(60_000))
            .take(records / SYMBOLS + 1)
            .collect();
        Ok(Self { minutes, rows: Vec::with_capacity(records), random: ChaCha8Rng::seed_from_u64(7) })
    }

    pub fn next(&mut self, number: usize, records: usize) -> Change {
        let pos = 1_000 + number * 454;
        // The last record is a new bar, so that its key tells that all have been read.
        let again = !self.rows.is_empty() && number + 1 < records && self.random.random_range(0..100) < 15;
        if !again {
            let record_id = self.rows.len() + 1;
            let time = self.minutes[self.rows.len() / SYMBOLS];
            let symbol = self.rows.len() % SYMBOLS;
            let close = 10_000 + 700 * symbol as i64 + self.random.random_range(-300..300);
            let volume = self.random.random_range(1_000..90_000);
            let row = Row { record_id, time, close, volume, event_time: time + 60_000, pos };
            self.rows.push(row);
            return Change { op: 'c', before: None, after: row, pos };
        }
        let row = self.rows[self.random.random_range(0..self.rows.len())];
        let mut after = Row { close: row.close + self.random.random_range(-9..=9), volume: row.volume + 100, ..row };
        let kind = self.random.random_range(0..150);
        match kind {
            0 => return Change { op: 'c', before: None, after: row, pos: row.pos },
            1..50 => after.event_time = row.time + 30_000,
            // later than any stamp this row has
            50..100 => after.event_time = row.time + 90_000 + 1_000 * number as i64,
            _ => after.event_time = row.time + 120_000 + 1_000 * number as i64,
        }
        Change { op: 'u', before: Some(row), after, pos }
    }
}

/// The texts around what changes from record to record.
pub struct Envelope {
    key: String,
    value: String,
    name: String,
}

impl Envelope {
    pub fn new(topic: &str) -> Result<Self, Box<dyn Error>> {
        let record: serde_json::Value = serde_json::from_str(CAPTURE.lines().next().ok_or("the capture is empty")?)?;
        let name = topic.split('.').next().unwrap_or(topic).to_owned();
        let head = |part: &str| -> Result<String, Box<dyn Error>> {
            let text = record[part].as_str().ok_or("the capture has no texts")?;
            let (schema, _) = text.split_once("\"payload\":").ok_or("the capture has no payload")?;
            Ok(format!("{}\"payload\":", schema.replace("dbserver1.", &format!("{name}."))))
        };
        Ok(Self { key: head("key")?, value: head("value")?, name })
    }

    pub fn write(&self, change: &Change, key: &mut String, value: &mut String) -> std::fmt::Result {
        key.clear();
        write!(key, "{}{{\"record_id\":{}}}}}", self.key, change.after.record_id)?;
        value.clear();
        write!(value, "{}{{\"before\":", self.value)?;
        match &change.before {
            Some(row) => write_row(value, row)?,
            None => value.push_str("null"),
        }
        value.push_str(",\"after\":");
        write_row(value, &change.after)?;
        let ms = change.after.event_time;
        write!(
            value,
            ",\"source\":{{\"version\":\"3.5.0.Final\",\"connector\":\"mariadb\",\"name\":\"{}\",\"ts_ms\":{ms},\
             \"snapshot\":\"false\",\"db\":\"stream_db\",\"sequence\":null,\"ts_us\":{ms}000,\"ts_ns\":{ms}000000,\
             \"table\":\"stock\",\"server_id\":1001,\"gtid\":\"0-1001-{}\",\"file\":\"binlog.000001\",\"pos\":{},\"row\":0,\
             \"thread\":null,\"query\":null}},\"transaction\":null,\"op\":\"{}\",\"ts_ms\":{ms},\"ts_us\":{ms}140,\
             \"ts_ns\":{ms}140902}}}}",
            self.name,
            change.pos / 454,
            change.pos,
            change.op,
        )
    }
}

fn write_row(text: &mut String, row: &Row) -> std::fmt::Result {
    let price = |cents: i64| cents as f64 / 100.0;
    write!(
        text,
        "{{\"record_id\":{},\"time\":{},\"open\":{:?},\"high\":{:?},\"low\":{:?},\"close\":{:?},\"volume\":{}.0,\
         \"symbol\":\"{}\",\"event_time\":{}}}",
        row.record_id,
        row.time,
        price(row.close + 3),
        price(row.close + 11),
        price(row.close - 12),
        price(row.close),
        row.volume,
        symbol((row.record_id - 1) % SYMBOLS),
        row.event_time,
    )
}

/// The n-th symbol: BAA, BAB, … BBX.
fn symbol(n: usize) -> String {
    let letter = |n: usize| char::from(b'A' + (n % 26) as u8);
    format!("B{}{}", letter(n / 26), letter(n))
}
