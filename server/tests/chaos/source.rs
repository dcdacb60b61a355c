//! A source database that never rests: what it writes into Kafka, and what each record means.
//!
//! The meaning is kept beside the bytes because the oracle must not learn it from the decoder it judges.

use chrono::{DateTime, TimeDelta, Utc};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use server::embedded::envelope::{BinlogPosition, Connector, Provenance, RowChange, SourceRow};
use std::{collections::BTreeMap, sync::Arc};

pub const TOPIC: &str = "dbserver1.stream_db.stock";
pub const PARTITIONS: i32 = 3;
pub const SYMBOLS: [&str; 6] = ["AMZN", "AAPL", "MSFT", "NVDA", "TSLA", "SPY"];
/// Minutes of a session: how many candles each symbol can have in regular hours.
const MINUTES: i64 = 390;
/// 2024-01-16 09:30 in New York.
const OPEN: i64 = 1_705_415_400;
/// The server id that the connector's envelopes carry.
const FIRST_SERVER: u32 = 1001;
/// Bit of the rule that tags rows outside of every session, as the table keeps it.
const OUTSIDE_SESSION: i32 = 1 << 6;
/// Events that may be emitted again.
const REMEMBERED: usize = 3_000;

/// Where in the source's log a change stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub server: u32,
    pub file: u32,
    pub pos: u64,
    pub row: u32,
}

/// The bar that a row holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candle {
    pub symbol: String,
    pub time: DateTime<Utc>,
    /// Open, high, low, close.
    pub prices: [Decimal; 4],
    pub volume: i64,
}

/// What a record says.
#[derive(Clone, Debug)]
pub enum Meaning {
    Upsert {
        record_id: i64,
        op: char,
        candle: Candle,
        event_time: DateTime<Utc>,
        place: Place,
        rules: i32,
    },
    Delete {
        record_id: i64,
        place: Place,
    },
    /// The tombstone after its delete.
    Companion,
    /// Must be refused.
    Bad,
}

/// A record for Kafka.
#[derive(Clone, Debug)]
pub struct Record {
    pub partition: i32,
    pub key: String,
    pub value: Option<String>,
    pub meaning: Arc<Meaning>,
}

pub struct Source {
    random: ChaCha8Rng,
    connector: Connector,
    rows: BTreeMap<i32, SourceRow>,
    deleted: Vec<i32>,
    next_id: i32,
    at: BinlogPosition,
    server: u32,
    clock: DateTime<Utc>,
    /// What may be emitted again: a record, or a delete with its tombstone.
    remembered: Vec<Vec<Record>>,
}

/// A number of dollars that is exact in cents.
fn dollars(cents: i64) -> f32 {
    cents as f32 / 100.0
}

impl Source {
    pub fn new(seed: u64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            connector: Connector::new("chaos"),
            rows: BTreeMap::new(),
            deleted: Vec::new(),
            next_id: 1,
            at: BinlogPosition::START,
            server: FIRST_SERVER,
            clock: DateTime::from_timestamp(OPEN, 0).unwrap_or_default(),
            remembered: Vec::new(),
        }
    }

    pub fn headers(&self) -> [(&'static str, &str); 4] {
        self.connector.headers()
    }

    /// The source fails over to another server, whose log begins again: positions are smaller, changes are newer.
    pub fn fail_over(&mut self) {
        self.server += 1;
        self.at = BinlogPosition::START;
    }

    /// Some records, in the order in which they are to be written.
    pub fn next(&mut self, records: usize) -> Vec<Record> {
        let mut batch = Vec::with_capacity(records + 1);
        while batch.len() < records {
            match self.random.random_range(0..100) {
                0..45 => self.insert(&mut batch),
                45..68 => self.correct(&mut batch),
                68..74 => self.correct_late(&mut batch),
                74..82 => self.delete(&mut batch),
                82..87 => self.reuse_key(&mut batch),
                87..90 => self.bad(&mut batch),
                _ => self.replay(&mut batch),
            }
        }
        batch
    }

    /// A newest change of a symbol's last minute, one that must be seen.
    pub fn fresh(&mut self, symbol: &str) -> Record {
        self.tick();
        self.clock += TimeDelta::days(1);
        let mut row = self.row(self.next_id);
        row.symbol = Some(symbol.into());
        row.time = DateTime::from_timestamp(OPEN + (MINUTES - 1) * 60, 0).unwrap_or_default();
        self.next_id += 1;
        let mut batch = Vec::new();
        self.write(&mut batch, RowChange::Insert(&row), 0);
        batch.remove(0)
    }

    fn row(&mut self, record_id: i32) -> SourceRow {
        let symbol = *SYMBOLS.choose(&mut self.random).unwrap_or(&SYMBOLS[0]);
        let close = self.random.random_range(10_000..50_000_i64);
        let open = close + self.random.random_range(-50..=50);
        let outside = self.random.random_bool(0.01);
        let minute = if outside { -600 } else { 0 } + self.random.random_range(0..MINUTES);
        SourceRow {
            record_id,
            time: DateTime::from_timestamp(OPEN + minute * 60, 0).unwrap_or_default(),
            open: dollars(open),
            high: dollars(open.max(close) + self.random.random_range(0..30)),
            low: dollars(open.min(close) - self.random.random_range(0..30)),
            close: dollars(close),
            volume: self.random.random_range(1..100_000_i32) as f32,
            symbol: Some(symbol.into()),
            event_time: self.clock,
        }
    }

    /// Time passes, by whole seconds and not always: equal event times are the rule in a busy table.
    fn tick(&mut self) {
        self.clock += TimeDelta::seconds(self.random.random_range(0..2));
        self.at = self.at.advance(self.random.random_range(200..900));
    }

    /// The record of a change, at the current place in the log.
    fn write(&mut self, batch: &mut Vec<Record>, change: RowChange<'_>, row: u32) {
        let provenance = Provenance { at: self.at, row, committed_at: self.clock, processed_at: Utc::now() };
        let place = Place { server: self.server, file: self.at.file, pos: self.at.pos, row };
        let (op, standing) = match &change {
            RowChange::Insert(after) => ('c', Some(*after)),
            RowChange::Update { after, .. } => ('u', Some(*after)),
            RowChange::Delete(_) => ('d', None),
        };
        let record_id = match &change {
            RowChange::Insert(row) | RowChange::Update { after: row, .. } | RowChange::Delete(row) => row.record_id,
        };
        let meaning = match standing {
            Some(row) => Meaning::Upsert {
                record_id: record_id.into(),
                op,
                candle: candle(row),
                event_time: row.event_time,
                place,
                rules: if row.time.timestamp() < OPEN { OUTSIDE_SESSION } else { 0 },
            },
            None => Meaning::Delete { record_id: record_id.into(), place },
        };
        let value = self.connector.value(&change, &provenance);
        let value =
            value.replace(&format!("\"server_id\":{FIRST_SERVER},"), &format!("\"server_id\":{},", self.server));
        self.emit(batch, record_id, Some(value), meaning);
    }

    fn emit(&mut self, batch: &mut Vec<Record>, record_id: i32, value: Option<String>, meaning: Meaning) {
        let record = |value, meaning| Record {
            partition: record_id % PARTITIONS,
            key: self.connector.key(record_id),
            value,
            meaning: Arc::new(meaning),
        };
        let companion = matches!(meaning, Meaning::Delete { .. }).then(|| record(None, Meaning::Companion));
        let event: Vec<Record> = std::iter::once(record(value, meaning)).chain(companion).collect();
        batch.extend(event.iter().cloned());
        if self.remembered.len() < REMEMBERED {
            self.remembered.push(event);
        } else {
            let place = self.random.random_range(0..REMEMBERED);
            self.remembered[place] = event;
        }
    }

    /// A statement that inserts some rows: one place in the log, numbered rows.
    fn insert(&mut self, batch: &mut Vec<Record>) {
        self.tick();
        for number in 0..self.random.random_range(1..4) {
            let row = self.row(self.next_id);
            self.next_id += 1;
            self.write(batch, RowChange::Insert(&row), number);
            self.rows.insert(row.record_id, row);
        }
    }

    fn any_row(&mut self) -> Option<SourceRow> {
        let from = self.random.random_range(0..self.next_id);
        self.rows.range(from..).next().map(|(_, row)| row.clone())
    }

    /// A correction; sometimes it moves the bar to another minute or symbol.
    fn correct(&mut self, batch: &mut Vec<Record>) {
        self.tick();
        let Some(before) = self.any_row() else { return };
        let mut after = self.row(before.record_id);
        if self.random.random_bool(0.8) {
            after.symbol.clone_from(&before.symbol);
            after.time = before.time;
        }
        self.write(batch, RowChange::Update { before: &before, after: &after }, 0);
        self.rows.insert(after.record_id, after);
    }

    /// A change whose event time lies before that of what stands.
    fn correct_late(&mut self, batch: &mut Vec<Record>) {
        self.tick();
        let Some(before) = self.any_row() else { return };
        let mut after = self.row(before.record_id);
        after.event_time = before.event_time - TimeDelta::seconds(self.random.random_range(1..600));
        self.write(batch, RowChange::Update { before: &before, after: &after }, 0);
    }

    fn delete(&mut self, batch: &mut Vec<Record>) {
        self.tick();
        let Some(row) = self.any_row() else { return };
        self.rows.remove(&row.record_id);
        self.deleted.push(row.record_id);
        self.write(batch, RowChange::Delete(&row), 0);
    }

    /// A key that was deleted comes back.
    fn reuse_key(&mut self, batch: &mut Vec<Record>) {
        self.tick();
        let Some(record_id) = self.deleted.pop() else { return };
        let row = self.row(record_id);
        self.write(batch, RowChange::Insert(&row), 0);
        self.rows.insert(record_id, row);
    }

    /// A row that breaks a rule, or bytes that are no row.
    fn bad(&mut self, batch: &mut Vec<Record>) {
        self.tick();
        let record_id = self.random.random_range(1..=self.next_id);
        let mut row = self.row(record_id);
        let garbage = match self.random.random_range(0..5) {
            0 => Some("{\"not\": json"),
            1 => Some("\u{0}\u{1}\u{2}"),
            2 => {
                row.high = row.low - 1.0;
                None
            }
            3 => {
                row.close = -row.close;
                None
            }
            _ => {
                row.symbol = None;
                None
            }
        };
        let provenance = Provenance { at: self.at, row: 0, committed_at: self.clock, processed_at: Utc::now() };
        let value = garbage.map_or_else(|| self.connector.value(&RowChange::Insert(&row), &provenance), str::to_owned);
        self.emit(batch, record_id, Some(value), Meaning::Bad);
    }

    /// What a connector emits again after a crash: older records, at new offsets.
    fn replay(&mut self, batch: &mut Vec<Record>) {
        for _ in 0..self.random.random_range(1..6) {
            let Some(event) = self.remembered.choose(&mut self.random) else { return };
            batch.extend(event.iter().cloned());
        }
    }
}

fn candle(row: &SourceRow) -> Candle {
    let cents = |price: f32| Decimal::new((price * 100.0).round() as i64, 2);
    Candle {
        symbol: row.symbol.as_deref().unwrap_or_default().to_owned(),
        time: row.time,
        prices: [row.open, row.high, row.low, row.close].map(cents),
        volume: row.volume as i64,
    }
}
