//! Broken input: a typed error or a meaning, never a panic; and the fast way never differs from the careful one.

use cdc::{
    DecodeError, Decoder, RawRecord,
    captured::{CapturedRecord, parse_line},
};
use proptest::prelude::*;
use std::{fs, path::Path, sync::LazyLock};

static CAPTURED: LazyLock<Vec<CapturedRecord>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/debezium");
    let mut records = Vec::new();
    for entry in fs::read_dir(folder).expect("the fixtures are part of the repository") {
        let path = entry.expect("a readable folder").path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let text = fs::read_to_string(path).expect("a readable fixture");
            records.extend(text.lines().map(|line| parse_line(line).expect("a captured record")));
        }
    }
    records
});

fn raw<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> RawRecord<'a> {
    RawRecord { topic: "t", partition: 0, offset: 1, timestamp_ms: None, key, value }
}

/// Decodes in every way there is, with a decoder that has already seen `first`.
fn decode_all_ways(first: &CapturedRecord, record: &RawRecord<'_>) -> Result<(), TestCaseError> {
    let mut fast = Decoder::new(1).keep_before();
    let mut careful = Decoder::new(1).keep_before().careful();
    for decoder in [&mut fast, &mut careful] {
        let _ = decoder.decode(&first.raw());
    }
    prop_assert_eq!(fast.decode(record), careful.decode(record));
    let _ = fast.any_row(record);
    Ok(())
}

/// Ways to break a text.
#[derive(Clone, Debug)]
enum Damage {
    FlipBit(prop::sample::Index, u8),
    Truncate(prop::sample::Index),
    Remove(prop::sample::Index, usize),
    Insert(prop::sample::Index, String),
    /// Replaces the n-th JSON value after a colon.
    Swap(prop::sample::Index, String),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    let nasty = prop::sample::select(vec![
        "null",
        "true",
        "0",
        "-1",
        "1e400",
        "1e-400",
        "-9223372036854775809",
        "1E+99999999999",
        "\"\"",
        "\"NaN\"",
        "\"-Infinity\"",
        "\"FKB4\"",
        "\"\\ud800\"",
        "\"__debezium_unavailable_value\"",
        "{}",
        "[]",
        "[[[[[[[[[[[[1]]]]]]]]]]]]",
        "{\"scale\":99,\"value\":\"AQ==\"}",
        "{\"scale\":-2147483648,\"value\":\"AQ==\"}",
        "\"2024-01-15Z\"",
        "\"c\"",
        "\"d\"",
        "\"t\"",
        "3.4E38",
        "01",
        "\u{0}",
        "{\"record_id\":1}",
    ])
    .prop_map(str::to_owned);
    prop_oneof![
        (at(), 0_u8..8).prop_map(|(at, bit)| Damage::FlipBit(at, bit)),
        at().prop_map(Damage::Truncate),
        (at(), 1_usize..40).prop_map(|(at, length)| Damage::Remove(at, length)),
        (at(), "[\\[\\]{}:,\"0-9e.\\- \\\\ntr]{1,4}").prop_map(|(at, text)| Damage::Insert(at, text)),
        (at(), nasty.clone()).prop_map(|(at, text)| Damage::Swap(at, text)),
        (at(), nasty).prop_map(|(at, text)| Damage::Swap(at, text)),
    ]
}

fn apply(damage: &Damage, text: &mut Vec<u8>) {
    if text.is_empty() {
        return;
    }
    match damage {
        Damage::FlipBit(at, bit) => {
            let at = at.index(text.len());
            text[at] ^= 1 << bit;
        }
        Damage::Truncate(at) => text.truncate(at.index(text.len())),
        Damage::Remove(at, length) => {
            let start = at.index(text.len());
            text.drain(start..(start + length).min(text.len()));
        }
        Damage::Insert(at, new) => {
            let at = at.index(text.len());
            text.splice(at..at, new.bytes());
        }
        Damage::Swap(at, new) => {
            // Most of a framed text is its schema; the payload is where the meaning is.
            let payload = text.windows(10).position(|window| window == b"\"payload\":").unwrap_or(0);
            let colons: Vec<_> = (payload..text.len()).filter(|place| text[*place] == b':').collect();
            if colons.is_empty() {
                return;
            }
            let start = colons[at.index(colons.len())] + 1;
            let end = (start..text.len()).find(|place| matches!(text[*place], b',' | b'}')).unwrap_or(text.len());
            text.splice(start..end, new.bytes());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_bytes_never_panic(key in prop::option::of(any::<Vec<u8>>()), value in prop::option::of(any::<Vec<u8>>())) {
        decode_all_ways(&CAPTURED[0], &raw(key.as_deref(), value.as_deref()))?;
    }

    #[test]
    fn damaged_records_never_panic_and_the_fast_way_agrees_with_the_careful_one(
        index in any::<prop::sample::Index>(),
        in_key in prop::bool::weighted(0.2),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let captured = index.get(&CAPTURED);
        let mut key = captured.key.clone().map(String::into_bytes);
        let mut value = captured.value.clone().map(String::into_bytes);
        for damage in &damages {
            if let Some(text) = if in_key { &mut key } else { &mut value } {
                apply(damage, text);
            }
        }
        decode_all_ways(captured, &raw(key.as_deref(), value.as_deref()))?;
    }
}

#[test]
fn the_fast_way_agrees_with_the_careful_one_on_every_fixture() {
    let (mut fast, mut careful) = (Decoder::new(1).keep_before(), Decoder::new(1).keep_before().careful());
    for record in &*CAPTURED {
        assert_eq!(fast.decode(&record.raw()), careful.decode(&record.raw()), "{record:?}");
    }
}

#[test]
fn a_record_that_is_too_large_is_refused_before_it_is_read() {
    let large = vec![b'x'; Decoder::MAX_BYTES + 1];
    let expected = DecodeError::TooLarge { bytes: Decoder::MAX_BYTES + 1, limit: Decoder::MAX_BYTES };
    assert_eq!(Decoder::new(1).decode(&raw(None, Some(&large))), Err(expected.clone()));
    assert_eq!(Decoder::new(1).decode(&raw(Some(&large), None)), Err(expected));
}

/// Found by fuzzing: a text where an object belongs was quoted whole.
#[test]
fn a_reason_is_short_however_long_the_record() {
    let long = "x".repeat(100_000);
    for value in [
        format!(r#"{{"op":"c","after":{{"record_id":1}},"source":"{long}"}}"#),
        format!(r#"{{"schema":{{"type":"{long}"}},"payload":{{"record_id":1}}}}"#),
        format!(r#"{{"record_id":1,"open":"{long}"}}"#),
        format!(r#"{{"record_id":1,"{long}":{}1{}}}"#, "[".repeat(200), "]".repeat(200)),
        format!(r#"{{"op":"{long}","after":{{"record_id":1}}}}"#),
        format!(r#""{long}""#),
    ] {
        if let Err(error) = Decoder::new(1).decode(&raw(Some(br#"{"record_id":1}"#), Some(value.as_bytes()))) {
            assert!(error.to_string().len() < 1_000, "{:.200}", error.to_string());
        }
    }
}

/// Found by fuzzing: a version below every real one was accepted.
#[test]
fn a_place_before_the_beginning_of_a_log_is_refused() {
    for source in [
        r#"{"connector":"postgresql","name":"p","db":"d","lsn":-9223372036854775808}"#,
        r#"{"connector":"mariadb","name":"m","db":"d","server_id":1,"file":"b.000001","pos":4,"row":-1}"#,
        r#"{"connector":"mariadb","name":"m","db":"d","server_id":1,"file":"b.000001","pos":-4,"row":0}"#,
    ] {
        let value = format!(r#"{{"op":"d","before":null,"after":null,"source":{source}}}"#);
        let error = Decoder::new(1).decode(&raw(Some(br#"{"record_id":1}"#), Some(value.as_bytes()))).unwrap_err();
        assert_eq!(error.code(), "bad_position", "{source}");
    }
}

#[test]
fn depth_is_no_danger() {
    let half = Decoder::MAX_BYTES / 2 - 100;
    let deep = format!("{}{}", "[".repeat(half), "]".repeat(half));
    let record = format!(r#"{{"record_id":1,"x":{deep}}}"#);
    let key = br#"{"record_id":1}"#;
    let error = Decoder::new(1).decode(&raw(Some(key), Some(record.as_bytes()))).expect_err("too deep to keep");
    assert_eq!(error.code(), "wrong_type");
    assert!(Decoder::new(1).any_row(&raw(Some(key), Some(record.as_bytes()))).is_err());
    assert!(Decoder::new(1).decode(&raw(Some(key), Some(deep.as_bytes()))).is_err());
}
