//! What surprised us in real Debezium streams, one test each.

use cdc::{
    Change, Control, DecodeError, Decoded, Decoder, Op, RawRecord, Snapshot, SourceIdent, is_coarser_copy, judge,
};
use chrono::{DateTime, Utc};
use market::StockRow;
use rust_decimal::{Decimal, dec};
use serde_json::{Value, json};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

fn decode_with(
    decoder: &mut Decoder,
    offset: i64,
    key: Option<&str>,
    value: Option<&str>,
) -> Result<Decoded, DecodeError> {
    decoder.decode(&RawRecord {
        topic: "stock",
        partition: 0,
        offset,
        timestamp_ms: None,
        key: key.map(str::as_bytes),
        value: value.map(str::as_bytes),
    })
}

fn decode(key: Option<&str>, value: &Value) -> Result<Decoded, DecodeError> {
    decode_with(&mut Decoder::new(1), 7, key, Some(&value.to_string()))
}

fn change(decoded: Result<Decoded, DecodeError>) -> Change {
    match decoded {
        Ok(Decoded::Change(change)) => change,
        other => panic!("not a change: {other:?}"),
    }
}

/// A bare envelope of MariaDB.
fn envelope(op: &str, before: Value, after: Value) -> Value {
    json!({
        "before": before,
        "after": after,
        "source": { "connector": "mariadb", "name": "s", "ts_ms": 1_795_355_242_000_i64, "snapshot": "false", "db": "d",
            "server_id": 1001, "file": "binlog.000012", "pos": 345, "row": 2 },
        "op": op,
        "ts_ms": 1_795_355_242_302_i64,
    })
}

const KEY: Option<&str> = Some(r#"{"record_id":1}"#);

/// The row after an insert that has one more column.
fn with_column(name: &str, value: Value) -> Result<StockRow, DecodeError> {
    let mut row = json!({ "record_id": 1 });
    row[name] = value;
    decode(KEY, &envelope("c", Value::Null, row)).map(|decoded| change(Ok(decoded)).after.expect("a row"))
}

/// The same with the schema of that column.
fn with_schema(name: &str, mut field: Value, value: Value) -> Result<StockRow, DecodeError> {
    field["field"] = name.into();
    let id = json!({ "type": "int64", "optional": false, "field": "record_id" });
    let row = |name| json!({ "type": "struct", "field": name, "fields": [id, field] });
    let schema = json!({ "type": "struct", "fields": [row("before"), row("after"),
        { "type": "struct", "fields": [], "field": "source" }, { "type": "string", "field": "op" }] });
    let mut after = json!({ "record_id": 1 });
    after[name] = value;
    let framed = json!({ "schema": schema, "payload": envelope("c", Value::Null, after) });
    decode(KEY, &framed).map(|decoded| change(Ok(decoded)).after.expect("a row"))
}

fn decimal(scale: &str) -> Value {
    json!({ "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": { "scale": scale } })
}

/// Found by the model: of 1534.075, a binary number below the midpoint, the snapshot shows 1534.07.
#[test]
fn a_snapshot_float_at_a_midpoint_may_be_rounded_either_way() {
    let row = |close| StockRow { record_id: 1, close: Some(close), ..StockRow::default() };
    for read in [dec!(1534.07), dec!(1534.08)] {
        assert!(is_coarser_copy(&row(read), &row(dec!(1534.075))), "{read}");
    }
    for read in [dec!(1534.06), dec!(1534.09)] {
        assert!(!is_coarser_copy(&row(read), &row(dec!(1534.075))), "{read}");
    }
}

#[test]
fn a_rounded_snapshot_float_is_known_as_a_coarser_copy() {
    let streamed = with_column("volume", json!(1_234_567.0)).expect("a row");
    let read = with_column("volume", json!(1_234_570.0)).expect("a row");
    assert!(is_coarser_copy(&read, &streamed));
    assert!(is_coarser_copy(&streamed, &streamed));
    assert!(!is_coarser_copy(&streamed, &read), "the streamed value is the better one");
    let other = StockRow { volume: Some(1_234_580), ..read.clone() };
    assert!(!is_coarser_copy(&other, &streamed));
    assert!(!is_coarser_copy(&StockRow { close: Some(dec!(1)), ..read }, &streamed));
}

#[test]
fn null_that_became_the_columns_default_is_no_event_time() {
    for value in [json!(0), Value::Null, json!("1970-01-01T00:00:00Z")] {
        assert_eq!(with_column("event_time", value).expect("a row").event_time, None);
    }
    assert_eq!(with_column("time", json!(0)).expect("a row").time, Some(DateTime::UNIX_EPOCH), "the rules refuse it");
}

#[test]
fn float_text_of_every_version_gives_the_same_price() {
    for text in ["135.18", "135.17999267578125", "1.3518E2"] {
        let value = format!(r#"{{"op":"c","after":{{"record_id":1,"open":{text}}}}}"#);
        let row = change(decode_with(&mut Decoder::new(1), 0, KEY, Some(&value))).after.expect("a row");
        assert_eq!(row.open, Some(dec!(135.1800)), "{text}");
    }
    assert_eq!(with_column("volume", json!(1.2345678E7)).expect("a row").volume, Some(12_345_678));
}

#[test]
fn of_a_deleted_row_only_the_key_is_believed() {
    let made_up = json!({ "record_id": 1, "time": 0, "open": 0.0, "symbol": "__debezium_unavailable_value" });
    let value = envelope("d", made_up, Value::Null).to_string();
    let mut decoder = Decoder::new(1).keep_before();
    let deleted = change(decode_with(&mut decoder, 0, KEY, Some(&value)));
    assert_eq!((deleted.op, deleted.record_id), (Op::Delete, 1));
    assert_eq!((deleted.after, deleted.before, deleted.extra), (None, None, None));
}

#[test]
fn every_time_precision_gives_the_same_instant() {
    let expected = Some(at("2024-01-15T09:30:00.123Z"));
    let named = |kind: &str, name: &str| json!({ "type": kind, "name": name });
    for (field, value) in [
        (named("int64", "io.debezium.time.Timestamp"), json!(1_705_311_000_123_i64)),
        (named("int64", "io.debezium.time.MicroTimestamp"), json!(1_705_311_000_123_000_i64)),
        (named("int64", "io.debezium.time.NanoTimestamp"), json!(1_705_311_000_123_000_000_i64)),
        (named("int64", "org.apache.kafka.connect.data.Timestamp"), json!(1_705_311_000_123_i64)),
        (named("string", "io.debezium.time.ZonedTimestamp"), json!("2024-01-15T09:30:00.123Z")),
        (named("string", "io.debezium.time.ZonedTimestamp"), json!("2024-01-15T11:30:00.123+02:00")),
        (named("string", "io.debezium.time.IsoTimestamp"), json!("2024-01-15T09:30:00.123Z")),
    ] {
        assert_eq!(with_schema("time", field.clone(), value.clone()).expect("a row").time, expected, "{field}");
        assert_eq!(with_column("time", value).expect("a row").time, expected, "bare {field}");
    }
    let midnight = Some(at("2024-01-15T00:00:00Z"));
    for (field, value) in [
        (named("int32", "io.debezium.time.Date"), json!(19_737)),
        (named("int32", "org.apache.kafka.connect.data.Date"), json!(19_737)),
        (named("string", "io.debezium.time.IsoDate"), json!("2024-01-15Z")),
    ] {
        assert_eq!(with_schema("time", field, value).expect("a row").time, midnight);
    }
    assert_eq!(with_column("time", json!("infinity")).expect_err("no instant").code(), "wrong_type");
    let sentinel =
        with_schema("time", named("int64", "io.debezium.time.MicroTimestamp"), json!(-9_223_372_036_832_400_000_i64));
    assert_eq!(sentinel.expect_err("Postgres' -infinity").code(), "out_of_range");
}

#[test]
fn a_precise_decimal_is_exact_with_its_schema_and_refused_without() {
    assert_eq!(with_schema("open", decimal("4"), json!("FKB4")).expect("a row").open, Some(dec!(135.1800)));
    assert_eq!(with_schema("volume", decimal("0"), json!("AQ==")).expect("a row").volume, Some(1));
    let refused = DecodeError::DecimalScaleUnknown { column: "open".to_owned() };
    assert_eq!(with_column("open", json!("FKB4")), Err(refused.clone()));
    assert_eq!(with_schema("open", json!({ "type": "bytes" }), json!("FKB4")), Err(refused));
    assert_eq!(with_schema("open", decimal("4"), json!("?")).expect_err("no base64").code(), "wrong_type");
    let huge = json!("f////////////////////////w==");
    assert_eq!(with_schema("open", decimal("4"), huge).expect_err("too large").code(), "out_of_range");
}

#[test]
fn decimals_as_text_and_with_their_own_scale_are_exact() {
    assert_eq!(with_column("open", json!("135.180001")).expect("a row").open, Some(dec!(135.180001)));
    let variable = json!({ "scale": 3, "value": "AQ==" });
    assert_eq!(with_column("open", variable.clone()).expect("a row").open, Some(dec!(0.001)));
    let schema = json!({ "type": "struct", "name": "io.debezium.data.VariableScaleDecimal" });
    assert_eq!(with_schema("open", schema, variable).expect("a row").open, Some(dec!(0.001)));
    assert_eq!(
        with_schema("open", json!({ "type": "double" }), json!(0.00005)).expect("a row").open,
        Some(dec!(0.0001))
    );
}

#[test]
fn numbers_that_are_none_are_refused_by_name() {
    for text in ["NaN", "Infinity", "-Infinity", "NAN"] {
        assert_eq!(with_column("close", json!(text)).expect_err("no number").code(), "wrong_type", "{text}");
    }
    let value = r#"{"op":"c","after":{"record_id":1,"close":1e400}}"#;
    let error = decode_with(&mut Decoder::new(1), 0, KEY, Some(value)).expect_err("no number");
    assert_eq!(error, DecodeError::OutOfRange { column: "close".to_owned(), value: "1e400".to_owned() });
}

#[test]
fn an_unsigned_bigint_key_is_read_by_its_schema() {
    let mut field = decimal("0");
    field["field"] = "record_id".into();
    let key = json!({ "schema": { "type": "struct", "fields": [field] }, "payload": { "record_id": "AQ==" } });
    let value = json!({ "op": "d", "before": null, "after": null });
    assert_eq!(change(decode(Some(&key.to_string()), &value)).record_id, 1);
    let bare = decode(Some(r#"{"record_id":"AQ=="}"#), &value).expect_err("no scale");
    assert_eq!(bare.code(), "decimal_scale_unknown");
}

#[test]
fn an_untouched_toast_column_is_no_value() {
    for value in ["__debezium_unavailable_value", "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ=="] {
        let error = with_column("symbol", json!(value)).expect_err("not sent");
        assert_eq!(error, DecodeError::UnavailableValue { column: "symbol".to_owned() });
    }
}

#[test]
fn the_tombstone_after_an_envelope_delete_is_no_second_delete() {
    let mut decoder = Decoder::new(1);
    let delete = envelope("d", Value::Null, Value::Null).to_string();
    assert_eq!(change(decode_with(&mut decoder, 0, KEY, Some(&delete))).op, Op::Delete);
    let companion = Ok(Decoded::Control(Control::Tombstone));
    assert_eq!(decode_with(&mut decoder, 1, KEY, None), companion);
    decode_with(&mut decoder, 2, KEY, Some(&delete)).expect("a delete");
    assert_eq!(decode_with(&mut decoder, 3, KEY, Some("null")), companion, "also after a converter");
    assert_eq!(decode_with(&mut decoder, 4, None, None), companion, "it names no row");
    let alone = change(decode_with(&mut decoder, 5, Some(r#"{"record_id":2}"#), None));
    assert_eq!((alone.op, alone.record_id, alone.position), (Op::Delete, 2, None), "compaction took the delete");
}

#[test]
fn a_tombstone_of_a_flattened_stream_deletes_unless_it_follows_a_delete() {
    let mut decoder = Decoder::new(1);
    let fresh = change(decode_with(&mut decoder, 0, KEY, None));
    assert_eq!(
        (fresh.op, fresh.record_id, fresh.position),
        (Op::Delete, 1, None),
        "nothing is known of the stream yet"
    );
    decode_with(&mut decoder, 1, KEY, Some(r#"{"record_id":1,"__deleted":"true"}"#)).expect("a delete");
    assert_eq!(decode_with(&mut decoder, 2, KEY, None), Ok(Decoded::Control(Control::Tombstone)));
    let second = change(decode_with(&mut decoder, 3, KEY, None));
    let position = second.position.expect("this stream is ordered by its offsets");
    assert_eq!((position.ident, position.hi), (SourceIdent::Kafka { incarnation: 1 }, 3));
    decode_with(&mut decoder, 4, KEY, Some(r#"{"record_id":1,"__source_lsn":5}"#)).expect("an upsert");
    assert_eq!(change(decode_with(&mut decoder, 5, KEY, None)).position, None, "an offset is no place in this log");
    assert_eq!(decode_with(&mut decoder, 6, None, None), Err(DecodeError::NoKey));
}

#[test]
fn flattened_deletes_are_known_in_each_of_their_forms() {
    for fields in [json!({ "__deleted": "true" }), json!({ "__deleted": true }), json!({ "__op": "d" })] {
        let mut row = fields;
        row["record_id"] = 1.into();
        row["open"] = "__debezium_unavailable_value".into();
        let deleted = change(decode(KEY, &row));
        assert_eq!((deleted.op, deleted.after), (Op::Delete, None));
    }
    let standing = change(decode(KEY, &json!({ "record_id": 1, "__deleted": "false", "__op": "r" })));
    assert_eq!(standing.op, Op::Read);
    assert!(standing.extra.is_none(), "what tells of the change is no column of the row");
}

#[test]
fn a_truncate_has_no_key_and_empties_the_table() {
    let Ok(Decoded::Truncate { position, .. }) = decode(None, &envelope("t", Value::Null, Value::Null)) else {
        panic!("not a truncate");
    };
    assert_eq!((position.hi, position.lo), (12 << 40 | 345, 2));
}

#[test]
fn a_snapshot_says_where_it_stands_in_words() {
    for (text, expected) in [
        ("false", Snapshot::No),
        ("first", Snapshot::First),
        ("true", Snapshot::Middle),
        ("first_in_data_collection", Snapshot::First),
        ("last_in_data_collection", Snapshot::Last),
        ("last", Snapshot::Last),
        ("incremental", Snapshot::Incremental),
    ] {
        let mut value = envelope("r", Value::Null, json!({ "record_id": 1 }));
        value["source"]["snapshot"] = text.into();
        assert_eq!(change(decode(KEY, &value)).source.snapshot, expected, "{text}");
    }
}

#[test]
fn binlog_positions_order_by_file_number_not_by_name() {
    let position = |file: &str, pos: i64| {
        let mut value = envelope("u", Value::Null, json!({ "record_id": 1 }));
        value["source"]["file"] = file.into();
        value["source"]["pos"] = pos.into();
        change(decode(KEY, &value)).position.expect("a position")
    };
    let (old, new) = (position("binlog.999999", 1 << 39), position("binlog.1000000", 4));
    assert_eq!(old.ident, new.ident);
    assert!(old.version(1) < new.version(1));
    assert_ne!(position("mysql-bin.000001", 4).ident, old.ident, "another base name is another log");
}

#[test]
fn postgres_positions_order_by_lsn_and_then_by_the_transactions_order() {
    let position = |lsn: i64, order: Value| {
        let value = json!({ "before": null, "after": { "record_id": 1 }, "op": "u",
            "source": { "connector": "postgresql", "name": "s", "db": "d", "lsn": lsn, "sequence": "[null,\"1\"]" },
            "transaction": order });
        change(decode(KEY, &value)).position.expect("a position")
    };
    let orders = |order: i64| json!({ "id": "1199:28438288", "total_order": order, "data_collection_order": 1 });
    let (first, second) = (position(100, orders(1)), position(100, orders(2)));
    assert_eq!((first.hi, first.lo, second.lo), (100, 1, 2));
    assert!(first.version(1) < second.version(1) && second.version(1) < position(101, Value::Null).version(1));
}

#[test]
fn an_envelope_without_its_place_in_the_log_is_not_given_another() {
    let mut value = envelope("u", Value::Null, json!({ "record_id": 1 }));
    for broken in [Value::Null, json!("binlog"), json!("binlog.x"), json!("binlog.99999999"), json!(7)] {
        value["source"]["file"] = broken;
        assert_eq!(decode(KEY, &value).expect_err("no position").code(), "bad_position");
    }
    value["source"] = json!({ "connector": "sqlserver" });
    let position = change(decode(KEY, &value)).position.expect("a position");
    assert_eq!((position.ident, position.hi), (SourceIdent::Kafka { incarnation: 1 }, 7));
}

#[test]
fn key_and_row_must_agree_and_either_is_enough() {
    let row = json!({ "record_id": 2, "open": 1 });
    let value = envelope("c", Value::Null, row);
    assert_eq!(decode(KEY, &value), Err(DecodeError::KeyMismatch { key: 1, row: 2 }));
    assert_eq!(change(decode(None, &value)).record_id, 2);
    let without = envelope("c", Value::Null, json!({ "open": 1 }));
    let row = change(decode(KEY, &without)).after.expect("a row");
    assert_eq!(row.record_id, 1);
    assert_eq!(decode(Some(r#"{"id":1}"#), &without), Err(DecodeError::NoKey));
    let deleted = envelope("d", json!({ "record_id": 2 }), Value::Null);
    assert_eq!(decode(KEY, &deleted), Err(DecodeError::KeyMismatch { key: 1, row: 2 }));
    assert_eq!(change(decode(None, &deleted)).record_id, 2);
}

#[test]
fn what_is_no_row_event_is_refused_by_name() {
    for (value, code) in [
        (r#"{"before":null,"after":{"record_id":1},"op":"x"}"#, "unknown_op"),
        (r#"{"before":null,"after":null,"op":"c"}"#, "missing_row"),
        (r#"{"before":null,"after":{"record_id":1}}"#, "unknown_shape"),
        (r#"{"before":null,"after":[1],"op":"c"}"#, "unknown_shape"),
        (r#"{"op":"c","op":"d","after":{"record_id":1}}"#, "unknown_shape"),
        (r#"{"op":"c","after":{"record_id":1,"open":1,"open":2}}"#, "unknown_shape"),
        (r#"{"record_id":1,"exchange":"A","exchange":"B"}"#, "unknown_shape"),
        (r#"{"anything":1}"#, "unknown_shape"),
        (r#"{"record_id":1,"open":true}"#, "wrong_type"),
        (r#"{"record_id":1,"symbol":5}"#, "wrong_type"),
        (r#"{"record_id":1,"symbol":"\ud800"}"#, "wrong_type"),
        (r#"{"record_id":1,"volume":1e19}"#, "out_of_range"),
        (r#"{"record_id":1.5}"#, "wrong_type"),
        (r#"{"record_id":1,"__op":"x"}"#, "unknown_op"),
        (r#"{"record_id":1"#, "not_json"),
        (r#"{"record_id":1} 2"#, "not_json"),
        ("AMZN", "not_json"),
        ("5", "unknown_shape"),
        ("", "not_json"),
    ] {
        let error = decode_with(&mut Decoder::new(1), 0, KEY, Some(value)).expect_err(value);
        assert_eq!(error.code(), code, "{value}: {error}");
    }
    let error = decode_with(&mut Decoder::new(1), 0, Some("{"), Some("{}")).expect_err("a broken key");
    assert_eq!(error.code(), "not_json");
}

#[test]
fn a_frame_is_known_in_either_order_and_without_a_schema() {
    let row = r#"{"record_id":1,"time":1000000}"#;
    let schema =
        r#"{"type":"struct","fields":[{"type":"int64","name":"io.debezium.time.MicroTimestamp","field":"time"}]}"#;
    let mut decoder = Decoder::new(1);
    for _ in 0..2 {
        for framed in [
            format!(r#"{{"schema":{schema},"payload":{row}}}"#),
            format!(r#"{{"payload":{row},"schema":{schema}}}"#),
            format!(r#" {{ "schema" : {schema} , "payload" : {row} }} "#),
        ] {
            let row = change(decode_with(&mut decoder, 0, KEY, Some(&framed))).after.expect("a row");
            assert_eq!(row.time, Some(at("1970-01-01T00:00:01Z")), "{framed}");
        }
    }
    let schemaless = format!(r#"{{"schema":null,"payload":{row}}}"#);
    let row = change(decode_with(&mut decoder, 0, KEY, Some(&schemaless))).after.expect("a row");
    assert_eq!(row.time, Some(at("1970-01-01T00:16:40Z")), "milliseconds by magnitude");
    let trailing = format!(r#"{{"schema":{schema},"payload":{{"record_id":1}},"more":{{}}}}"#);
    let known = decode_with(&mut decoder, 0, KEY, Some(&trailing));
    assert_eq!(known, decode_with(&mut Decoder::new(1), 0, KEY, Some(&trailing)), "a known head changes no verdict");
}

#[test]
fn unknown_columns_are_kept_readable() {
    let schema = json!({ "type": "struct", "fields": [
        { "type": "int64", "field": "record_id" },
        { "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": { "scale": "2" }, "field": "fee" },
        { "type": "int32", "name": "io.debezium.time.Date", "field": "day" },
        { "type": "string", "field": "exchange" },
    ] });
    let row = json!({ "record_id": 1, "fee": "BNI=", "day": 19_737, "exchange": "XNAS", "nul": "a\u{0}b" });
    let extra = change(decode(KEY, &json!({ "schema": schema, "payload": row }))).extra.expect("columns kept aside");
    let expected = json!({ "fee": "12.34", "day": "2024-01-15", "exchange": "XNAS", "nul": "a\u{0}b" });
    assert_eq!(Value::Object(*extra), expected);
}

#[test]
fn the_event_time_of_a_row_without_one_is_its_commit() {
    let fallback = at("2030-01-01T00:00:00Z");
    let own = change(decode(
        KEY,
        &envelope("c", Value::Null, json!({ "record_id": 1, "event_time": 1_000_000_000_000_i64 })),
    ));
    assert_eq!(own.event_time(fallback), at("2001-09-09T01:46:40Z"));
    let committed = change(decode(KEY, &envelope("c", Value::Null, json!({ "record_id": 1, "event_time": 0 }))));
    assert_eq!(committed.event_time(fallback), at("2026-11-22T13:47:22Z"));
    let neither = change(decode(KEY, &json!({ "record_id": 1 })));
    assert_eq!(neither.event_time(fallback), fallback);
}

#[test]
fn a_key_change_is_a_delete_of_the_old_and_an_insert_of_the_new_key() {
    let mut decoder = Decoder::new(1);
    let delete = envelope("d", Value::Null, Value::Null).to_string();
    let insert = envelope("c", Value::Null, json!({ "record_id": 2, "open": 1.5 })).to_string();
    let deleted = change(decode_with(&mut decoder, 0, KEY, Some(&delete)));
    assert_eq!(decode_with(&mut decoder, 1, KEY, None), Ok(Decoded::Control(Control::Tombstone)));
    let inserted = change(decode_with(&mut decoder, 2, Some(r#"{"record_id":2}"#), Some(&insert)));
    assert_eq!(deleted.position, inserted.position, "both are one row event of the source");
    let version = |change: &Change| change.position.map(|position| position.version(1));
    let now = at("2026-11-22T00:00:00Z");
    for change in [&deleted, &inserted] {
        let (outcome, state) = judge(None, change.op == Op::Delete, version(change), now);
        assert_eq!(state.map(|state| state.deleted), Some(change.op == Op::Delete), "{outcome:?}");
    }
    assert_eq!(inserted.after.and_then(|row| row.open), Some(Decimal::new(15, 1)));
}

#[test]
fn a_captured_record_at_a_negative_offset_is_none() {
    for line in [r#"{"offset": -9223372036854775808, "value": "{}"}"#, r#"{"partition": -1}"#] {
        let error = cdc::captured::parse_line(line).expect_err("there is no such place").to_string();
        assert!(error.contains("0 or more"), "{error}");
    }
    assert!(cdc::captured::parse_line(r#"{"offset": 0}"#).is_ok());
}
