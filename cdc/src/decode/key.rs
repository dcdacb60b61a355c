//! The primary key: where it is found, and that key and row agree on it.

use super::{cursor::Cursor, json_error, row::NAMES, scalar::Cell, schema::Columns};
use crate::DecodeError;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Keyed<'a> {
    #[serde(borrow)]
    record_id: Option<&'a RawValue>,
}

/// The key column of an object in its JSON text; `None` when it has none, or is no object. `part` names the text in errors;
/// `careful` leaves the reading to `serde_json`.
pub(super) fn record_id(
    part: &'static str,
    text: &str,
    columns: &Columns,
    careful: bool,
) -> Result<Option<i64>, DecodeError> {
    let integer = |text| Cell { column: NAMES[0], text, logical: columns.stock(0) }.integer();
    if !careful {
        let mut found = None;
        let mut cursor = Cursor::new(text);
        let read = cursor.object(|cursor, name| {
            let value = cursor.value()?;
            (name != NAMES[0] || found.replace(value).is_none()).then_some(())
        });
        if read.is_some() && cursor.at_end() {
            return found.map_or(Ok(None), integer);
        }
    }
    let keyed = if text.trim_ascii_start().starts_with('{') {
        serde_json::from_str::<Keyed<'_>>(text)
    } else {
        serde_json::from_str::<IgnoredAny>(text).map(|_| Keyed { record_id: None })
    };
    let keyed = keyed.map_err(|error| json_error(part, &error))?;
    keyed.record_id.map_or(Ok(None), |raw| integer(raw.get()))
}

/// The one `record_id` that key and row agree on.
pub(super) fn reconcile(key: Option<i64>, row: Option<i64>) -> Result<i64, DecodeError> {
    match (key, row) {
        (Some(key), Some(row)) if key != row => Err(DecodeError::KeyMismatch { key, row }),
        _ => key.or(row).ok_or(DecodeError::NoKey),
    }
}
