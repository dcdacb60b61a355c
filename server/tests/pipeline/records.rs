//! Debezium records for the tests: bare envelopes as MariaDB's connector writes them.

use serde_json::{Value, json};

/// A row of the source table. Prices are in cents.
#[derive(Clone, Debug)]
pub struct Row {
    pub record_id: i64,
    pub symbol: &'static str,
    /// Minutes after 2024-01-16 09:30 in New York.
    pub minute: i64,
    pub close: i64,
    pub volume: i64,
    /// Seconds since the epoch.
    pub event_time: i64,
}

/// 2024-01-16 14:30 UTC.
pub const OPEN: i64 = 1_705_415_400;

impl Row {
    pub fn new(record_id: i64, symbol: &'static str, minute: i64, close: i64) -> Self {
        Self { record_id, symbol, minute, close, volume: 100, event_time: OPEN + minute * 60 }
    }

    pub fn json(&self) -> Value {
        let price = |cents: i64| cents as f64 / 100.0;
        json!({
            "record_id": self.record_id,
            "time": (OPEN + self.minute * 60) * 1000,
            "open": price(self.close - 5),
            "high": price(self.close + 10),
            "low": price(self.close - 10),
            "close": price(self.close),
            "volume": self.volume as f64,
            "symbol": self.symbol,
            "event_time": self.event_time * 1000,
        })
    }
}

/// A record's key and value.
pub type Record = (Option<String>, Option<String>);

fn envelope(op: &str, record_id: i64, before: Value, after: Value, pos: i64) -> Record {
    let value = json!({
        "before": before,
        "after": after,
        "source": {
            "version": "3.5.0.Final", "connector": "mariadb", "name": "t", "ts_ms": OPEN * 1000, "snapshot": "false",
            "db": "stream_db", "table": "stock", "server_id": 1001, "gtid": null, "file": "binlog.000001", "pos": pos,
            "row": 0, "thread": null, "query": null
        },
        "transaction": null,
        "op": op,
        "ts_ms": OPEN * 1000,
    });
    (Some(json!({ "record_id": record_id }).to_string()), Some(value.to_string()))
}

pub fn insert(row: &Row, pos: i64) -> Record {
    envelope("c", row.record_id, Value::Null, row.json(), pos)
}

pub fn update(row: &Row, pos: i64) -> Record {
    envelope("u", row.record_id, row.json(), row.json(), pos)
}

pub fn delete(record_id: i64, pos: i64) -> Record {
    envelope("d", record_id, json!({ "record_id": record_id }), Value::Null, pos)
}

pub fn truncate(pos: i64) -> Record {
    (None, envelope("t", 0, Value::Null, Value::Null, pos).1)
}

pub fn tombstone(record_id: i64) -> Record {
    (Some(json!({ "record_id": record_id }).to_string()), None)
}
