//! What the mutations start from: every captured record, and texts made by hand.

use crate::driver::Input;
use cdc::captured::{CapturedRecord, parse_line};
use std::{fs, path::Path};

/// The lines of every capture.
pub fn captured_lines() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/debezium");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the fixtures are part of the repository")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    // The order decides what a seed means.
    paths.sort();
    let texts = paths.iter().map(|path| fs::read_to_string(path).expect("a readable fixture"));
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

pub fn captured() -> Vec<CapturedRecord> {
    captured_lines().iter().map(|line| parse_line(line).expect("a captured record")).collect()
}

/// Keys and values of the captured records.
pub fn records() -> Vec<Input> {
    let record = |record: CapturedRecord| Input {
        key: record.key.map(String::into_bytes),
        value: record.value.map(String::into_bytes),
    };
    captured().into_iter().map(record).collect()
}

fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Vec<Input> {
    texts.into_iter().map(|text| Input { key: None, value: Some(text.as_bytes().to_vec()) }).collect()
}

pub fn lines() -> Vec<Input> {
    let lines = captured_lines();
    texts(lines.iter().map(String::as_str).chain([
        "{}",
        "",
        "null",
        "[]",
        r#"{"headers":[["a",null]],"key":"\u0000"}"#,
    ]))
}

/// Messages of both directions of the live protocol.
pub fn live_messages() -> Vec<Input> {
    texts([
        r#"{"type":"sub","symbols":["AMZN"]}"#,
        r#"{"type":"sub","symbols":["AMZN","BRK.B"],"timeframe":"5m","epoch":"6a1f","since":42,"bars":500}"#,
        r#"{"symbols":[],"type":"sub","since":-1,"bars":4294967295}"#,
        r#"{"type":"sub","symbols":["AMZN"],"timeframe":"1d","unknown":{"deep":[1,2,{"er":null}]}}"#,
        r#"{"type":"beat","seq":1,"server_time":"2024-01-16T14:31:00Z"}"#,
        r#"{"type":"delta","symbol":"AMZN","timeframe":"1m","prev":41,"seq":42,"records":[{"kind":"bar","time":"2024-01-16T14:31:00Z","open":153.42,"high":153.5,"low":153.27,"close":153.36,"volume":18250,"event_time":"2024-01-16T14:32:00.250Z","committed_at":"2024-01-16T14:32:00.250Z"}]}"#,
        r#"{"type":"hello","epoch":"e","seq":0,"server_time":"2024-01-16T14:31:00Z","budget_ms":1000,"source":{"mode":"live","simulated":false}}"#,
    ])
}

/// The same messages in MessagePack.
pub fn packed_messages() -> Vec<Input> {
    let pack = |input: Input| {
        let value: serde_json::Value = serde_json::from_slice(&input.value.unwrap_or_default()).expect("a message");
        Input { key: None, value: Some(rmp_serde::to_vec_named(&value).expect("JSON fits into MessagePack")) }
    };
    let mut packed: Vec<_> = live_messages().into_iter().map(pack).collect();
    // Lengths that are claimed and do not follow: an array, a map, a text, bytes, an extension.
    for head in [[0xdd, 0xff, 0xff, 0xff, 0xff], [0xdf, 0xff, 0xff, 0xff, 0xff], [0xdb, 0x7f, 0xff, 0xff, 0xff]] {
        packed.push(Input { key: None, value: Some(head.to_vec()) });
        let symbols = [b"\x82\xa4type\xa3sub\xa7symbols".as_slice(), &head].concat();
        packed.push(Input { key: None, value: Some(symbols) });
    }
    packed
}

pub fn csv_files() -> Vec<Input> {
    texts([
        "time,open,high,low,close,volume\n2024-01-16 09:31:00,153.42,153.50,153.27,153.36,18250\n2024-01-16 09:32:00,153.36,153.60,153.30,153.55,18987\n",
        "\u{feff}Time,Open,High,Low,Close,Volume\r\n2024-01-16T09:31:00,1,2,0.5,1.5,10\r\n",
        "volume, close, low, high, open, datetime, extra\n10, 1.5, 0.5, 2, 1, 2024-01-16 09:31, x\n",
        "date,1. open,2. high,3. low,4. close,5. volume\n2024-01-16T14:31:00Z,1,2,5e-1,1.5,10.0\n",
        "time,open,high,low,close,volume\n2024-03-10 02:30:00,1,2,0.5,1.5,10\n2024-11-03 01:30:00,1,2,0.5,1.5,10\n",
        "time,open,high,low,close,volume\n\"2024-01-16 09:31:00\",\"1\"\"\",=1+1,-0,1e28,9223372036854775808\n",
        "time,open,high,low,close,volume\n+262143-12-31T23:59:59Z,79228162514264337593543950335,1,1,1,1\n",
        "{\"Note\": \"Thank you\"}\n",
    ])
}

/// Expectation suites of both dialects.
pub fn suites() -> Vec<Input> {
    texts([
        include_str!("../../../fixtures/suites/stock_0x.json"),
        include_str!("../../../fixtures/suites/bars_1x.json"),
        r#"{"name":"t","expectations":[{"type":"expect_column_values_to_match_regex","kwargs":{"column":"symbol","regex":"(\w{99}){99}"}}]}"#,
        r#"{"name":"t","expectations":[{"type":"expect_column_values_to_match_like_pattern","kwargs":{"column":"symbol","like_pattern":"%_\%"}}]}"#,
        r#"{"name":"t","expectations":[{"type":"expect_column_values_to_be_between","kwargs":{"column":"close","min_value":1e308,"mostly":-0.0,"row_condition":"col("a") == 'x' & col('b') >= 1e999 | col("c").isNull()"}}]}"#,
        r#"{"name":"t","expectations":[{"type":"expect_column_quantile_values_to_be_between","kwargs":{"column":"close","quantile_ranges":{"quantiles":[0.5],"value_ranges":[[null,"79228162514264337593543950336"]]}}}]}"#,
        r#"{"name":"t","expectations":[{"type":"expect_column_values_to_match_strftime_format","kwargs":{"column":"symbol","strftime_format":"%Q%"}}]}"#,
    ])
}

/// Names that come from outside.
pub fn names() -> Vec<Input> {
    texts([
        "AMZN",
        "BRK.B",
        "^GSPC",
        "1m",
        "5m",
        "1d",
        "binlog:1001:00000000000000ab",
        "postgres:ffffffffffffffff",
        "kafka:-1",
        "mysql://stock:secret@127.0.0.1:3306/stream_db",
        "postgres://stock@[::1]/x?sslmode=require",
        "stream_db.stock",
        "\u{0}",
    ])
}
