//! What a record means for the store: a change to apply, nothing, or a refusal with its reasons.
//!
//! Knows neither Kafka's client nor where the bytes come from: the consumer asks it of what it polls, a redrive of what
//! lay in quarantine, `verify` of a whole topic.

use super::judge::{Judge, Judged};
use crate::store::{Item, RefusedReason, Upsert};
use base64::{Engine, engine::general_purpose::STANDARD};
use cdc::{Decoded, Decoder, Op, RawRecord};
use chrono::{DateTime, TimeDelta, Utc};
use quality::Limits;
use serde_json::{Value, json};

/// The limits for a record that is looked at at this instant: a bar may start two minutes ahead of our clock.
pub fn limits_at(now: DateTime<Utc>) -> Limits {
    const FUTURE_TOLERANCE: TimeDelta = TimeDelta::minutes(2);
    Limits { now, future_tolerance: FUTURE_TOLERANCE }
}

/// Decodes a record and judges its row. `decoder` has seen the records before it.
///
/// # Errors
/// Why the record belongs into quarantine.
pub fn understand(decoder: &mut Decoder, record: &RawRecord<'_>, judge: &mut Judge) -> Result<Item, RefusedReason> {
    interpret(decoder.decode(record).map_err(RefusedReason::Decode)?, record, judge)
}

/// What a decoded record means: the second half of [`understand`].
///
/// # Errors
/// Why the record belongs into quarantine.
pub(super) fn interpret(decoded: Decoded, record: &RawRecord<'_>, judge: &mut Judge) -> Result<Item, RefusedReason> {
    let arrival = record.timestamp_ms.and_then(DateTime::from_timestamp_millis).unwrap_or(judge.limits.now);
    let offset = record.offset;
    let change = match decoded {
        Decoded::Change(change) => change,
        Decoded::Control(_) => return Ok(Item::Control),
        Decoded::Truncate { position, source } => {
            let event_time = source.committed_at.unwrap_or(arrival);
            return Ok(Item::Truncate { offset, position, event_time, source_at: source.committed_at });
        }
    };
    let (event_time, source_at) = (change.event_time(arrival), change.source.committed_at);
    let (Some(row), Some(position)) = (&change.after, change.position) else {
        let (record_id, position) = (change.record_id, change.position);
        return Ok(Item::Delete { offset, record_id, position, event_time, source_at });
    };
    if change.op == Op::Delete {
        let (record_id, position) = (change.record_id, Some(position));
        return Ok(Item::Delete { offset, record_id, position, event_time, source_at });
    }
    let Judged { rules, tags } = judge.judge(row, offset)?;
    // The completeness and symbol rules are critical: a row that passed them is a bar.
    let (symbol, bar) = row.bar().ok_or_else(|| RefusedReason::Rules { violations: Vec::new(), unmet: Vec::new() })?;
    Ok(Item::Upsert(Upsert {
        offset,
        record_id: change.record_id,
        op: change.op,
        symbol,
        bar,
        position,
        event_time,
        source_at,
        snapshot: change.source.snapshot,
        rules,
        tags,
    }))
}

/// Headers as the quarantine keeps them: a JSON array of `[name, value]`. A value is its text, or `{"base64": …}` when it
/// is not UTF-8, or null.
pub fn encode_headers<'h>(headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>) -> Vec<u8> {
    let value = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    };
    let pairs: Vec<Value> = headers.map(|(name, bytes)| json!([name, bytes.map(value)])).collect();
    Value::from(pairs).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_lose_nothing() {
        let headers: [(&str, Option<&[u8]>); 3] = [("id", Some(b"7")), ("raw", Some(&[0xff, 0])), ("none", None)];
        let kept: Value = serde_json::from_slice(&encode_headers(headers.into_iter())).unwrap();
        assert_eq!(kept, json!([["id", "7"], ["raw", { "base64": "/wA=" }], ["none", null]]));
        assert_eq!(encode_headers(std::iter::empty()), b"[]");
    }
}
