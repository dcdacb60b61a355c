//! Every captured record of every fixture, as the decoder understands it.

use cdc::{
    Change, DecodeError, Decoded, Decoder, Position,
    captured::{CapturedRecord, parse_line},
};
use market::StockRow;
use serde_json::{Map, Value, json};
use std::{fs, path::Path, path::PathBuf};

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/debezium");
    let entries = fs::read_dir(&folder).expect("the fixtures are part of the repository");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a readable folder").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    files
}

fn records(path: &Path) -> Vec<CapturedRecord> {
    let text = fs::read_to_string(path).expect("a readable fixture");
    text.lines().map(|line| parse_line(line).expect("a captured record")).collect()
}

#[test]
fn every_fixture_decodes_as_it_did() {
    let files = fixtures();
    assert_eq!(files.len(), 30, "each fixture has a snapshot");
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        for path in files {
            let mut decoder = Decoder::new(1).keep_before();
            let lines: Vec<_> = records(&path).iter().map(|record| line(&mut decoder, record)).collect();
            let name = path.file_stem().expect("a file name").to_string_lossy().replace('.', "_");
            insta::assert_snapshot!(name, lines.join("\n"));
        }
    });
}

fn line(decoder: &mut Decoder, record: &CapturedRecord) -> String {
    let decoded = decoder.decode(&record.raw());
    let mut line = match &decoded {
        Ok(Decoded::Change(change)) => change_line(change),
        Ok(Decoded::Truncate { position, source }) => {
            json!({ "truncate": at(*position), "committed": source.committed_at })
        }
        Ok(Decoded::Control(control)) => json!({ "control": control }),
        Err(error) => json!({ "error": error.code(), "reason": error.to_string() }),
    };
    // A table without record_id is not ours, but its columns can be looked at.
    if decoded == Err(DecodeError::NoKey) {
        let row = decoder.any_row(&record.raw()).expect("a row of any table");
        line["any_row"] = json!(row);
    }
    format!("{:>2} {line}", record.offset)
}

fn change_line(change: &Change) -> Value {
    let mut line = Map::new();
    line.insert(format!("{:?}", change.op).to_lowercase(), change.record_id.into());
    line.insert("at".to_owned(), change.position.map_or(Value::Null, |position| at(position).into()));
    if let Some(after) = &change.after {
        line.insert("after".to_owned(), row(after).into());
    }
    if let Some(before) = &change.before {
        line.insert("before".to_owned(), row(before).into());
    }
    if let Some(extra) = &change.extra {
        line.insert("extra".to_owned(), Value::Object(*extra.clone()));
    }
    let source = &change.source;
    line.insert("source".to_owned(), json!([source.committed_at, source.read_at, source.snapshot]));
    Value::Object(line)
}

fn at(position: Position) -> String {
    let Position { ident, hi, lo } = position;
    match ident {
        cdc::SourceIdent::Binlog { .. } => format!("{ident} {}/{}/{lo}", hi >> 40, hi & ((1 << 40) - 1)),
        _ => format!("{ident} {hi}/{lo}"),
    }
}

fn row(row: &StockRow) -> String {
    let price = |price: Option<_>| price.map_or("null".to_owned(), |price: rust_decimal::Decimal| price.to_string());
    let volume = row.volume.map_or("null".to_owned(), |volume| volume.to_string());
    format!(
        "{} {} o {} h {} l {} c {} v {volume}{} event {}",
        row.symbol.as_deref().unwrap_or("null"),
        row.time.map_or("null".to_owned(), |time| time.to_rfc3339()),
        price(row.open),
        price(row.high),
        price(row.low),
        price(row.close),
        if row.volume_fractional { " (rounded)" } else { "" },
        row.event_time.map_or("null".to_owned(), |time| time.to_rfc3339()),
    )
}
