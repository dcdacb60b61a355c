//! The table `stock` of a source database that does not exist: turns bars into the changes that a real one would have
//! logged, with what real ones contain besides clean inserts.
//!
//! For simulated bars, decided by seed, symbol and minute alone:
//!
//! | about one bar in | what follows it |
//! | --- | --- |
//! | 200 | a late correction: an update of the bar of two to six minutes ago |
//! | 500 | a stale update of the bar, whose `event_time` is older than what stands |
//! | 500 | a spurious second row for the minute, deleted at once (delete and tombstone) |
//! | 1,000 | a bad row: high below low, a negative price, or no symbol |
//! | 5,000 | a record that is cut short and no JSON |
//!
//! Real prices of a user's file are left alone.

use super::envelope::{BinlogPosition, Connector, Provenance, RowChange, SourceRow};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use market::{Bar, Symbol};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{HashMap, VecDeque};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Rows of a symbol that can still be corrected.
const REMEMBERED: usize = 8;

/// A Kafka record to produce; its headers are those of the connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub key: String,
    /// `None` is a tombstone.
    pub value: Option<String>,
}

/// The table, its log, and the connector that reads it.
pub struct SourceTable {
    connector: Connector,
    last_id: i32,
    at: BinlogPosition,
    /// `None`: nothing but clean inserts.
    blemishes: Option<u64>,
    recent: HashMap<Symbol, VecDeque<SourceRow>>,
}

impl SourceTable {
    /// A table whose rows so far end at `last_id`, and its log at `at`. With a seed its bars get blemishes.
    pub fn new(connector: Connector, last_id: i32, at: BinlogPosition, blemishes: Option<u64>) -> Self {
        Self { connector, last_id, at, blemishes, recent: HashMap::new() }
    }

    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Writes the bars of one minute at the instant `now`: one statement for all of them, then what may follow.
    pub fn insert_minute(&mut self, bars: &[(Symbol, Bar)], now: DateTime<Utc>) -> Vec<Outgoing> {
        let rows: Vec<SourceRow> = bars.iter().map(|(symbol, bar)| self.new_row(symbol, bar, now)).collect();
        let mut records = Vec::with_capacity(rows.len() + 2);
        self.at = self.at.advance(400 + 54 * rows.len() as u64);
        for (number, row) in (0..).zip(&rows) {
            records.push(self.record(row.record_id, &RowChange::Insert(row), number, now));
        }
        for ((symbol, bar), row) in bars.iter().zip(rows) {
            let recent = self.recent.entry(symbol.clone()).or_default();
            recent.push_front(row);
            recent.truncate(REMEMBERED);
            if let Some(seed) = self.blemishes {
                self.blemish(seed, symbol, bar, now, &mut records);
            }
        }
        records
    }

    fn blemish(&mut self, seed: u64, symbol: &Symbol, bar: &Bar, now: DateTime<Utc>, records: &mut Vec<Outgoing>) {
        let stream = xxh3_64_with_seed(symbol.as_str().as_bytes(), bar.time.timestamp() as u64);
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ stream);
        if random.random_ratio(1, 200) {
            let age = random.random_range(2..=6);
            records.extend(self.correct(symbol, age, random.random_range(1..=9), now));
        }
        if random.random_ratio(1, 500) {
            records.extend(self.update_with_older_event_time(symbol, now));
        }
        if random.random_ratio(1, 500) {
            let row = self.new_row(symbol, bar, now);
            records.push(self.insert(&row, now));
            self.at = self.at.advance(400);
            records.push(self.record(row.record_id, &RowChange::Delete(&row), 0, now));
            records.push(Outgoing { key: self.connector.key(row.record_id), value: None });
        }
        if random.random_ratio(1, 1000) {
            let mut row = self.new_row(symbol, bar, now);
            match random.random_range(0..3) {
                0 => (row.high, row.low) = (row.low - 0.01, row.high),
                1 => row.low = -row.low,
                _ => row.symbol = None,
            }
            records.push(self.insert(&row, now));
        }
        if random.random_ratio(1, 5000) {
            let row = self.new_row(symbol, bar, now);
            let mut cut = self.insert(&row, now);
            if let Some(value) = &mut cut.value {
                // All of it is ASCII, so that every place is between two characters.
                value.truncate(value.len() - random.random_range(10..400));
            }
            records.push(cut);
        }
    }

    /// A correction of the bar `age` minutes ago: more volume, and a close a little nearer to the high.
    fn correct(&mut self, symbol: &Symbol, age: usize, tenths: u8, now: DateTime<Utc>) -> Option<Outgoing> {
        let before = self.recent.get(symbol)?.get(age)?.clone();
        let mut after = before.clone();
        let share = f32::from(tenths) / 10.0;
        after.close = ((before.close + (before.high - before.close) * share) * 100.0).round() / 100.0;
        after.volume = (before.volume * (1.0 + share / 10.0)).round();
        after.event_time = in_milliseconds(now);
        self.at = self.at.advance(540);
        let record = self.record(before.record_id, &RowChange::Update { before: &before, after: &after }, 0, now);
        *self.recent.get_mut(symbol)?.get_mut(age)? = after;
        Some(record)
    }

    fn update_with_older_event_time(&mut self, symbol: &Symbol, now: DateTime<Utc>) -> Option<Outgoing> {
        let before = self.recent.get_mut(symbol)?.pop_front()?;
        let mut after = before.clone();
        after.close = before.open;
        after.event_time = before.event_time - TimeDelta::minutes(10);
        self.at = self.at.advance(540);
        Some(self.record(before.record_id, &RowChange::Update { before: &before, after: &after }, 0, now))
    }

    fn insert(&mut self, row: &SourceRow, now: DateTime<Utc>) -> Outgoing {
        self.at = self.at.advance(454);
        self.record(row.record_id, &RowChange::Insert(row), 0, now)
    }

    fn record(&self, record_id: i32, change: &RowChange<'_>, row: u32, now: DateTime<Utc>) -> Outgoing {
        let provenance = Provenance { at: self.at, row, committed_at: now, processed_at: now };
        Outgoing { key: self.connector.key(record_id), value: Some(self.connector.value(change, &provenance)) }
    }

    fn new_row(&mut self, symbol: &Symbol, bar: &Bar, now: DateTime<Utc>) -> SourceRow {
        self.last_id = self.last_id.saturating_add(1);
        // FLOAT columns hold what is nearest.
        let float = |price: rust_decimal::Decimal| f32::try_from(price).unwrap_or(f32::MAX);
        SourceRow {
            record_id: self.last_id,
            time: bar.time,
            open: float(bar.open),
            high: float(bar.high),
            low: float(bar.low),
            close: float(bar.close),
            volume: bar.volume as f32,
            symbol: Some(symbol.as_str().into()),
            event_time: in_milliseconds(now),
        }
    }
}

/// What a DATETIME(3) column keeps.
fn in_milliseconds(time: DateTime<Utc>) -> DateTime<Utc> {
    time.duration_trunc(TimeDelta::milliseconds(1)).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::generator::Generator;
    use serde_json::Value;

    fn play(sessions: usize, blemishes: Option<u64>) -> Vec<Outgoing> {
        let mut generator = Generator::new(1);
        let mut table = SourceTable::new(Connector::new("run"), 0, BinlogPosition::START, blemishes);
        let now = "2024-06-03T12:00:00.123456789Z".parse().unwrap();
        let first: chrono::NaiveDate = "2024-03-04".parse().unwrap();
        let mut records = Vec::new();
        for date in first.iter_days().take(sessions) {
            for minute in generator.session(date).chunk_by(|a, b| a.1.time == b.1.time) {
                records.extend(table.insert_minute(minute, now));
            }
        }
        records
    }

    #[test]
    fn without_blemishes_every_bar_is_one_insert() {
        let records = play(1, None);
        assert_eq!(records.len(), 3900);
        for (id, record) in (1..).zip(&records) {
            let value: Value = serde_json::from_str(record.value.as_deref().unwrap()).unwrap();
            assert_eq!(value["payload"]["op"], "c");
            assert_eq!(value["payload"]["after"]["record_id"], id);
            assert_eq!(value["payload"]["after"]["event_time"], 1_717_416_000_123_i64);
        }
    }

    #[test]
    fn blemishes_come_about_as_often_as_documented_and_again_with_the_same_seed() {
        let records = play(5, Some(9));
        assert_eq!(records, play(5, Some(9)));
        assert_ne!(records, play(5, Some(10)));
        let mut count = HashMap::<&str, i32>::new();
        for record in &records {
            let kind = match &record.value {
                None => "tombstone",
                Some(value) => match serde_json::from_str::<Value>(value) {
                    Err(_) => "broken",
                    Ok(value) => {
                        let (before, after) = (&value["payload"]["before"], &value["payload"]["after"]);
                        let older = before["event_time"].as_i64() > after["event_time"].as_i64();
                        let price = |name: &str| after[name].as_f64().unwrap_or_default();
                        match value["payload"]["op"].as_str().unwrap() {
                            "d" => "delete",
                            "u" if older => "stale",
                            "u" => "correction",
                            _ if after["symbol"].is_null() || price("high") < price("low") || price("low") < 0.0 => {
                                "bad"
                            }
                            _ => "insert",
                        }
                    }
                },
            };
            *count.entry(kind).or_default() += 1;
        }
        let bars = 5 * 3900;
        let near = |kind: &str, one_in: i32| {
            let (found, expected) = (count[kind], bars / one_in);
            assert!((expected / 2..=expected * 2).contains(&found), "{kind}: {found}, about {expected} expected");
        };
        near("correction", 200);
        near("stale", 500);
        near("delete", 500);
        near("bad", 1000);
        near("broken", 5000);
        assert_eq!(count["delete"], count["tombstone"]);
        assert_eq!(count["insert"], bars + count["delete"]);
    }

    #[test]
    fn the_place_in_the_log_grows_from_record_to_record() {
        let places: Vec<(String, i64, i64)> = play(1, Some(9))
            .iter()
            .filter_map(|record| serde_json::from_str::<Value>(record.value.as_deref()?).ok())
            .map(|value| {
                let source = &value["payload"]["source"];
                let number = |name: &str| source[name].as_i64().unwrap();
                (source["file"].as_str().unwrap().to_owned(), number("pos"), number("row"))
            })
            .collect();
        assert!(places.len() > 3900);
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
