//! Whether a text is a corrected copy of a record's value: the row's columns may differ, and nothing else.
//!
//! So a copy keeps the operation, the row's key and the place in the source's log that the original had, and cannot go
//! before or behind anything that the original could not.

use serde_json::{Map, Value};

/// Why a text is no corrected copy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    #[error(
        "the original is no JSON object, so its place in the source's log is not known and no copy can take it; \
         change the row at its source instead"
    )]
    NoPlace,
    #[error("the copy is not JSON: {0}")]
    NotJson(String),
    #[error("the copy differs from the original in {0}; only columns of the row may differ")]
    Differs(String),
    #[error("the original carries no row, so there is nothing to correct")]
    NoRow,
}

/// Checks that `copy` is `original` with other columns of the row.
///
/// # Errors
/// It is not, or the original has no row or no place.
pub fn check_copy(original: &[u8], copy: &[u8]) -> Result<(), CopyError> {
    let Ok(Value::Object(original)) = serde_json::from_slice(original) else { return Err(CopyError::NoPlace) };
    let copy = match serde_json::from_slice(copy) {
        Ok(Value::Object(copy)) => copy,
        Ok(_) => return Err(CopyError::NotJson("it is no object".to_owned())),
        Err(error) => return Err(CopyError::NotJson(error.to_string())),
    };
    if original.contains_key("schema") && original.contains_key("payload") {
        same_but(&original, &copy, |name| name == "payload")?;
        let (Some(Value::Object(original)), Some(Value::Object(copy))) = (original.get("payload"), copy.get("payload"))
        else {
            return Err(CopyError::NoRow);
        };
        return check_payload(original, copy);
    }
    check_payload(&original, &copy)
}

fn check_payload(original: &Map<String, Value>, copy: &Map<String, Value>) -> Result<(), CopyError> {
    if original.contains_key("op") {
        same_but(original, copy, |name| name == "after")?;
        return match (original.get("after"), copy.get("after")) {
            (Some(Value::Object(original)), Some(Value::Object(copy))) => same_key(original, copy),
            (Some(Value::Object(_)), _) => Err(CopyError::Differs("after, which is no row".to_owned())),
            _ => Err(CopyError::NoRow),
        };
    }
    // A flattened row: what is not the row's has two underscores before its name.
    same_but(original, copy, |name| !name.starts_with("__"))?;
    same_key(original, copy)
}

/// The first member, of those that may not differ, that does.
fn same_but(
    original: &Map<String, Value>,
    copy: &Map<String, Value>,
    may_differ: impl Fn(&str) -> bool,
) -> Result<(), CopyError> {
    let names = original.keys().chain(copy.keys());
    let differs = |name: &&String| !may_differ(name) && original.get(*name) != copy.get(*name);
    names.into_iter().find(differs).map_or(Ok(()), |name| Err(CopyError::Differs(shortened(name))))
}

/// A row that names its key keeps it.
fn same_key(original: &Map<String, Value>, copy: &Map<String, Value>) -> Result<(), CopyError> {
    const KEY: &str = "record_id";
    let differs = original.contains_key(KEY) && original.get(KEY) != copy.get(KEY);
    if differs { Err(CopyError::Differs(KEY.to_owned())) } else { Ok(()) }
}

fn shortened(name: &str) -> String {
    name.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVELOPE: &str = r#"{"schema":{"type":"struct"},"payload":{"before":null,"after":{"record_id":7,"high":1.5,
        "low":2.5},"source":{"file":"binlog.000001","pos":154},"op":"c","ts_ms":1}}"#;

    fn with(from: &str, to: &str) -> Result<(), CopyError> {
        assert!(ENVELOPE.contains(from), "{from}");
        check_copy(ENVELOPE.as_bytes(), ENVELOPE.replace(from, to).as_bytes())
    }

    #[test]
    fn columns_of_the_row_may_differ_and_nothing_else() {
        assert_eq!(with("\"high\":1.5", "\"high\": 2.75"), Ok(()));
        assert_eq!(with("\"high\":1.5,", "\"high\":1.5, \"note\":\"new\","), Ok(()));
        for (from, to, what) in [
            ("\"pos\":154", "\"pos\":155", "source"),
            ("\"op\":\"c\"", "\"op\":\"d\"", "op"),
            ("\"ts_ms\":1", "\"ts_ms\":2", "ts_ms"),
            ("\"before\":null,", "", "before"),
            ("\"struct\"", "\"array\"", "schema"),
            ("\"record_id\":7,", "\"record_id\":8,", "record_id"),
            ("\"record_id\":7,", "", "record_id"),
        ] {
            assert_eq!(with(from, to), Err(CopyError::Differs(what.to_owned())), "{from} -> {to}");
        }
        let flat = r#"{"record_id":7,"high":1.5,"__op":"c","__source_pos":154}"#;
        let copy = |text: String| check_copy(flat.as_bytes(), text.as_bytes());
        assert_eq!(copy(flat.replace("1.5", "2.5")), Ok(()));
        assert_eq!(copy(flat.replace("154", "155")), Err(CopyError::Differs("__source_pos".to_owned())));
        assert_eq!(copy(flat.replace("\"__op\"", "\"__lsn\":9,\"__op\"")), Err(CopyError::Differs("__lsn".to_owned())));
    }

    #[test]
    fn what_has_no_place_or_no_row_cannot_be_corrected() {
        assert_eq!(check_copy(b"{", ENVELOPE.as_bytes()), Err(CopyError::NoPlace));
        assert!(matches!(check_copy(ENVELOPE.as_bytes(), b"{\0"), Err(CopyError::NotJson(_))));
        assert!(matches!(check_copy(ENVELOPE.as_bytes(), b"[]"), Err(CopyError::NotJson(_))));
        let delete = r#"{"op":"d","before":{"record_id":7},"after":null,"source":{}}"#;
        assert_eq!(check_copy(delete.as_bytes(), delete.as_bytes()), Err(CopyError::NoRow));
        assert!(matches!(with("\"after\":{", "\"after\":null,\"x\":{"), Err(CopyError::Differs(_))));
    }
}
