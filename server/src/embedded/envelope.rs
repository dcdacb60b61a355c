//! Change events as Debezium 3.5 writes them for a MariaDB table `stock`: full envelopes with their schema, byte for byte.
//!
//! What a change is and when it happens is not decided here.

use chrono::{DateTime, Utc};
use std::fmt::Write;
use std::sync::Arc;

/// Logical name of the connector, which begins the topic's name.
const SERVER: &str = "dbserver1";
const DATABASE: &str = "stream_db";
const TABLE: &str = "stock";
/// `server_id` of the MariaDB server.
const SERVER_ID: u32 = 1001;
/// The server begins the next binlog file when one has reached this size, in bytes (`max_binlog_size`).
const MAX_BINLOG_SIZE: u64 = 64 << 20;
/// Position of the first transaction in a new file: after the file's header events.
const BINLOG_START: u64 = 256;

/// A row of the source table. Prices and volume are FLOAT columns there.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceRow {
    pub record_id: i32,
    pub time: DateTime<Utc>,
    pub open: f32,
    pub high: f32,
    pub low: f32,
    pub close: f32,
    pub volume: f32,
    pub symbol: Option<Arc<str>>,
    pub event_time: DateTime<Utc>,
}

/// A place in the server's binary log. Positions only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BinlogPosition {
    /// Number of the file: 1 is `binlog.000001`.
    pub file: u32,
    pub pos: u64,
    /// Sequence number of the transaction.
    pub gtid: u64,
}

/// One changed row.
#[derive(Clone, Debug)]
pub enum RowChange<'r> {
    Insert(&'r SourceRow),
    Update { before: &'r SourceRow, after: &'r SourceRow },
    Delete(&'r SourceRow),
}

/// Where and when a row was changed.
#[derive(Clone, Copy, Debug)]
pub struct Provenance {
    pub at: BinlogPosition,
    /// Number of the row in its statement.
    pub row: u32,
    /// When the statement began; the log knows it in whole seconds.
    pub committed_at: DateTime<Utc>,
    /// When the connector read it.
    pub processed_at: DateTime<Utc>,
}

impl BinlogPosition {
    /// The start of a server's first file.
    pub const START: Self = Self { file: 1, pos: BINLOG_START, gtid: 0 };

    /// The next transaction, which is `bytes` long.
    #[must_use]
    pub fn advance(self, bytes: u64) -> Self {
        let gtid = self.gtid + 1;
        if self.pos >= MAX_BINLOG_SIZE {
            Self { file: self.file.saturating_add(1), pos: BINLOG_START + bytes, gtid }
        } else {
            Self { file: self.file, pos: self.pos + bytes, gtid }
        }
    }
}

/// Debezium's connector with its JSON converters.
#[derive(Clone, Debug)]
pub struct Connector {
    key_start: String,
    value_start: String,
    run_id: String,
}

impl Connector {
    /// A connector of the given run, which its headers carry.
    pub fn new(run_id: impl Into<String>) -> Self {
        Self { key_start: key_start(), value_start: value_start(), run_id: run_id.into() }
    }

    /// The record headers of every row event.
    pub fn headers(&self) -> [(&'static str, &str); 4] {
        [
            ("__debezium.context.connectorLogicalName", SERVER),
            ("__debezium.context.taskId", "0"),
            ("__debezium.context.connectorName", "mariadb"),
            ("__debezium.context.runId", &self.run_id),
        ]
    }

    /// The record key.
    pub fn key(&self, record_id: i32) -> String {
        format!("{}{{\"record_id\":{record_id}}}}}", self.key_start)
    }

    /// The record value. A delete is followed by a tombstone: a record with the same key and no value.
    pub fn value(&self, change: &RowChange<'_>, provenance: &Provenance) -> String {
        let (op, before, after) = match change {
            RowChange::Insert(after) => ("c", None, Some(*after)),
            RowChange::Update { before, after } => ("u", Some(*before), Some(*after)),
            RowChange::Delete(before) => ("d", Some(*before), None),
        };
        let mut value = String::with_capacity(self.value_start.len() + 900);
        value.push_str(&self.value_start);
        value.push_str("{\"before\":");
        push_row(&mut value, before);
        value.push_str(",\"after\":");
        push_row(&mut value, after);
        let Provenance { at, row, committed_at, processed_at } = provenance;
        let seconds = committed_at.timestamp();
        let (ms, us) = (processed_at.timestamp_millis(), processed_at.timestamp_micros());
        let nanos =
            i128::from(processed_at.timestamp()) * 1_000_000_000 + i128::from(processed_at.timestamp_subsec_nanos());
        write!(
            value,
            ",\"source\":{{\"version\":\"3.5.0.Final\",\"connector\":\"mariadb\",\"name\":\"{SERVER}\",\"ts_ms\":{seconds}000,\
             \"snapshot\":\"false\",\"db\":\"{DATABASE}\",\"sequence\":null,\"ts_us\":{seconds}000000,\
             \"ts_ns\":{seconds}000000000,\"table\":\"{TABLE}\",\"server_id\":{SERVER_ID},\"gtid\":\"0-{SERVER_ID}-{gtid}\",\
             \"file\":\"binlog.{file:06}\",\"pos\":{pos},\"row\":{row},\"thread\":null,\"query\":null}},\
             \"transaction\":null,\"op\":\"{op}\",\"ts_ms\":{ms},\"ts_us\":{us},\"ts_ns\":{nanos}}}}}",
            gtid = at.gtid,
            file = at.file,
            pos = at.pos,
        )
        .expect("writing to a string cannot fail");
        value
    }
}

fn push_row(value: &mut String, row: Option<&SourceRow>) {
    let Some(row) = row else { return value.push_str("null") };
    // Text is escaped as JSON wants it; a ticker needs none, a bad symbol may.
    let symbol =
        row.symbol.as_deref().map_or_else(|| "null".to_owned(), |symbol| serde_json::Value::from(symbol).to_string());
    write!(
        value,
        "{{\"record_id\":{},\"time\":{},\"open\":{},\"high\":{},\"low\":{},\"close\":{},\"volume\":{},\"symbol\":{symbol},\
         \"event_time\":{}}}",
        row.record_id,
        row.time.timestamp_millis(),
        java_float(row.open),
        java_float(row.high),
        java_float(row.low),
        java_float(row.close),
        java_float(row.volume),
        row.event_time.timestamp_millis(),
    )
    .expect("writing to a string cannot fail");
}

/// A number as Java's `Float.toString` writes it: the shortest digits, at least one after the point, with an exponent
/// from 10^7 up and below 10^-3.
fn java_float(number: f32) -> String {
    let size = number.abs();
    if number == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{number:?}");
    }
    let text = format!("{number:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

fn field(kind: &str, optional: bool, attributes: &str, name: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"optional\":{optional},{attributes}\"field\":\"{name}\"}}")
}

fn key_start() -> String {
    let id = field("int32", false, "", "record_id");
    format!(
        "{{\"schema\":{{\"type\":\"struct\",\"fields\":[{id}],\"optional\":false,\
         \"name\":\"{SERVER}.{DATABASE}.{TABLE}.Key\"}},\"payload\":"
    )
}

fn value_start() -> String {
    const TIMESTAMP: &str = "\"name\":\"io.debezium.time.Timestamp\",\"version\":1,";
    const SNAPSHOT: &str = "\"name\":\"io.debezium.data.Enum\",\"version\":1,\"parameters\":{\"allowed\":\"true,first,\
                            first_in_data_collection,last_in_data_collection,last,false,incremental\"},\
                            \"default\":\"false\",";
    let join = |fields: &[String]| fields.join(",");
    let columns = join(&[
        field("int32", false, "", "record_id"),
        field("int64", false, TIMESTAMP, "time"),
        field("float", false, "", "open"),
        field("float", false, "", "high"),
        field("float", false, "", "low"),
        field("float", false, "", "close"),
        field("float", false, "", "volume"),
        field("string", true, "", "symbol"),
        field("int64", true, &format!("{TIMESTAMP}\"default\":0,"), "event_time"),
    ]);
    let row = |name: &str| {
        format!(
            "{{\"type\":\"struct\",\"fields\":[{columns}],\"optional\":true,\
             \"name\":\"{SERVER}.{DATABASE}.{TABLE}.Value\",\"field\":\"{name}\"}}"
        )
    };
    let source = join(&[
        field("string", false, "", "version"),
        field("string", false, "", "connector"),
        field("string", false, "", "name"),
        field("int64", false, "", "ts_ms"),
        field("string", true, SNAPSHOT, "snapshot"),
        field("string", false, "", "db"),
        field("string", true, "", "sequence"),
        field("int64", true, "", "ts_us"),
        field("int64", true, "", "ts_ns"),
        field("string", true, "", "table"),
        field("int64", false, "", "server_id"),
        field("string", true, "", "gtid"),
        field("string", false, "", "file"),
        field("int64", false, "", "pos"),
        field("int32", false, "", "row"),
        field("int64", true, "", "thread"),
        field("string", true, "", "query"),
    ]);
    let transaction = join(&[
        field("string", false, "", "id"),
        field("int64", false, "", "total_order"),
        field("int64", false, "", "data_collection_order"),
    ]);
    let envelope = join(&[
        row("before"),
        row("after"),
        format!(
            "{{\"type\":\"struct\",\"fields\":[{source}],\"optional\":false,\
             \"name\":\"io.debezium.connector.mariadb.Source\",\"version\":1,\"field\":\"source\"}}"
        ),
        format!(
            "{{\"type\":\"struct\",\"fields\":[{transaction}],\"optional\":true,\"name\":\"event.block\",\"version\":1,\
             \"field\":\"transaction\"}}"
        ),
        field("string", false, "", "op"),
        field("int64", true, "", "ts_ms"),
        field("int64", true, "", "ts_us"),
        field("int64", true, "", "ts_ns"),
    ]);
    format!(
        "{{\"schema\":{{\"type\":\"struct\",\"fields\":[{envelope}],\"optional\":false,\
         \"name\":\"{SERVER}.{DATABASE}.{TABLE}.Envelope\",\"version\":2}},\"payload\":"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const CAPTURED: &str = include_str!("../../../fixtures/debezium/mariadb_a_envelope_schemas_on.stock.jsonl");

    fn row(value: &Value) -> Option<SourceRow> {
        let number = |name: &str| value[name].as_f64().unwrap() as f32;
        let instant = |name: &str| DateTime::from_timestamp_millis(value[name].as_i64().unwrap()).unwrap();
        value.is_object().then(|| SourceRow {
            record_id: value["record_id"].as_i64().unwrap() as i32,
            time: instant("time"),
            open: number("open"),
            high: number("high"),
            low: number("low"),
            close: number("close"),
            volume: number("volume"),
            symbol: value["symbol"].as_str().map(Into::into),
            event_time: instant("event_time"),
        })
    }

    #[test]
    fn captured_records_are_rebuilt_from_their_values_byte_for_byte() {
        let mut rebuilt = 0;
        for line in CAPTURED.lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            let Some(value) = record["value"].as_str() else { continue };
            let payload = &serde_json::from_str::<Value>(value).unwrap()["payload"];
            let source = &payload["source"];
            // Not written here: snapshots, and what follows an ALTER TABLE.
            if source["snapshot"] != "false" || payload["after"].get("exchange").is_some() {
                continue;
            }
            let headers: Vec<(String, String)> = serde_json::from_value(record["headers"].clone()).unwrap();
            let headers: Vec<_> = headers.into_iter().filter(|(name, _)| name.contains(".context.")).collect();
            let connector = Connector::new(headers[3].1.as_str());
            assert!(connector.headers().iter().zip(&headers).all(|(a, b)| (a.0, a.1) == (b.0.as_str(), b.1.as_str())));

            let (before, after) = (row(&payload["before"]), row(&payload["after"]));
            let change = match (&before, &after) {
                (None, Some(after)) => RowChange::Insert(after),
                (Some(before), Some(after)) => RowChange::Update { before, after },
                (Some(before), None) => RowChange::Delete(before),
                (None, None) => panic!("a change of nothing"),
            };
            let provenance = Provenance {
                at: BinlogPosition {
                    file: source["file"].as_str().unwrap().rsplit('.').next().unwrap().parse().unwrap(),
                    pos: source["pos"].as_u64().unwrap(),
                    gtid: source["gtid"].as_str().unwrap().rsplit('-').next().unwrap().parse().unwrap(),
                },
                row: source["row"].as_u64().unwrap() as u32,
                committed_at: DateTime::from_timestamp_millis(source["ts_ms"].as_i64().unwrap()).unwrap(),
                processed_at: DateTime::from_timestamp_nanos(payload["ts_ns"].as_i64().unwrap()),
            };
            assert_eq!(connector.value(&change, &provenance), value);
            let id = after.as_ref().or(before.as_ref()).unwrap().record_id;
            assert_eq!(connector.key(id), record["key"].as_str().unwrap());
            rebuilt += 1;
        }
        assert_eq!(rebuilt, 32);
    }

    #[test]
    fn numbers_are_written_as_java_does() {
        for (number, text) in [
            (0.0, "0.0"),
            (135.18, "135.18"),
            (18250.0, "18250.0"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (12_345_678.0, "1.2345678E7"),
            (-1.5, "-1.5"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
        ] {
            assert_eq!(java_float(number), text);
        }
    }

    #[test]
    fn the_log_goes_on_in_the_next_file_when_one_is_full() {
        let full = BinlogPosition { file: 9, pos: MAX_BINLOG_SIZE, gtid: 5 };
        assert_eq!(full.advance(400), BinlogPosition { file: 10, pos: 656, gtid: 6 });
        assert!(full < full.advance(400));
        let first = BinlogPosition::START.advance(400);
        assert_eq!(first, BinlogPosition { file: 1, pos: 656, gtid: 1 });
    }
}
