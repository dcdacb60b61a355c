//! Says for people why a record is in quarantine: which rule, which value, and what to do about it.

use super::{RecordSuites, understand_alone};
use crate::store::{Item, QuarantinedBytes, RefusedReason};
use cdc::RawRecord;
use quality::{Rule, suite::Gate};
use serde::Serialize;
use utoipa::ToSchema;

/// One reason of a refusal, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Explanation {
    /// As in the record's `codes`.
    pub code: String,
    /// What must hold, in one sentence.
    pub rule: String,
    /// What was found instead, with the values; at least one.
    pub found: Vec<String>,
    /// What to do about it.
    pub advice: String,
}

/// A refused record as it looks today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// One for each of the record's codes, in their order.
    pub reasons: Vec<Explanation>,
    /// Today's decoder, rules and suites would let it through.
    pub acceptable: bool,
}

/// Explains a refusal. The values come from the record itself, read again and judged by these suites; where today's rules
/// say nothing of a code, from the reason that was kept.
pub fn explain(refused: &QuarantinedBytes, suites: &RecordSuites) -> Explained {
    let record = &refused.record;
    let raw = RawRecord {
        topic: &record.topic,
        partition: record.partition,
        offset: record.offset,
        timestamp_ms: record.timestamp.map(|at| at.timestamp_millis()),
        key: refused.key.as_deref(),
        value: refused.value.as_deref(),
    };
    let today = understand_alone(&raw, record.incarnation, suites);
    let found = |code: &str| {
        let mut messages = match &today {
            Err(RefusedReason::Rules { violations, unmet }) if record.stage == "rules" || record.stage == "suite" => {
                let broken = violations.iter().filter(|violation| violation.rule.code() == code);
                let unmet = unmet.iter().filter(|unmet| *unmet.code == *code);
                let broken = broken.map(|violation| violation.message.clone());
                broken.chain(unmet.map(|unmet| unmet.message.clone())).collect()
            }
            _ => Vec::new(),
        };
        if messages.is_empty() {
            messages.push(record.reason.clone());
        }
        messages
    };
    let reason = |code: &String| {
        let expected: Vec<String> = suites.gates(code).map(Gate::sentence).collect();
        let (rule, advice) = if expected.is_empty() {
            let (rule, advice) = meaning(code);
            (rule.to_owned(), advice)
        } else {
            (expected.join(" "), MEND_ROW_OR_SUITE)
        };
        Explanation { code: code.clone(), rule, found: found(code), advice: advice.to_owned() }
    };
    // Without a version a redrive refuses it, whatever the rules say.
    let acceptable = match &today {
        Ok(Item::Control) => true,
        Ok(item) => item.position().is_some(),
        Err(_) => false,
    };
    Explained { reasons: record.codes.iter().map(reason).collect(), acceptable }
}

const MEND_ROW: &str =
    "Correct the row in the source; its next change comes through by itself. Or redrive a corrected copy of the value.";
const MEND_ROW_OR_SUITE: &str = "Correct the row in the source; its next change comes through by itself. Or redrive a \
    corrected copy of the value. If it is the expectation that is wrong, correct the suite, start again, and redrive.";
const MEND_CONNECTOR: &str = "Correct the connector's configuration or converter; then snapshot the table again.";
const FOREIGN: &str =
    "Find out who writes to the topic beside the connector, and stop it; then dismiss the record with a note.";

/// Every code that a record can be kept with, in the order in which it meets them.
pub fn codes() -> impl Iterator<Item = &'static str> {
    DECODE.into_iter().chain(Rule::ALL.map(Rule::code)).chain(LATER)
}

const DECODE: [&str; 13] = [
    "too_large",
    "not_utf8",
    "not_json",
    "unknown_shape",
    "unknown_op",
    "missing_row",
    "no_key",
    "key_mismatch",
    "wrong_type",
    "out_of_range",
    "decimal_scale_unknown",
    "unavailable_value",
    "bad_position",
];
const LATER: [&str; 3] = ["store_error", "no_version", "unknown_source"];

/// What must hold, and what to do when it does not.
fn meaning(code: &str) -> (&'static str, &'static str) {
    if let Some(rule) = Rule::from_code(code) {
        let advice = match rule {
            Rule::NotInFuture => {
                "Check the clock and the time zone of the source; redrive the record when its minute has come."
            }
            _ => MEND_ROW,
        };
        return (rule.description(), advice);
    }
    if code.starts_with("suite:") {
        return (
            "It meets an expectation of a suite that judges this stream no more.",
            "Redrive it: today's suites decide. Or start again with the suite that it was refused by.",
        );
    }
    match code {
        "too_large" => ("Key and value have at most 1 MiB each.", FOREIGN),
        "not_utf8" => ("Key and value are text in UTF-8.", FOREIGN),
        "not_json" => ("Key and value are JSON.", FOREIGN),
        "unknown_shape" => ("The value is a Debezium envelope or a flattened row.", MEND_CONNECTOR),
        "unknown_op" => ("The operation is one of c, u, r, d and t.", MEND_CONNECTOR),
        "missing_row" => ("An insert, an update and a snapshot read carry the row after the change.", MEND_CONNECTOR),
        "no_key" => ("The record's key, or its row, has record_id.", MEND_CONNECTOR),
        "key_mismatch" => ("The record's key and its row name the same record_id.", MEND_CONNECTOR),
        "wrong_type" => ("Every column has the type that the table gives it.", MEND_ROW),
        "out_of_range" => ("Every value fits its column.", MEND_ROW),
        "decimal_scale_unknown" => (
            "A decimal sent as bytes comes with its scale.",
            "Set decimal.handling.mode=string at the connector, or let it send schemas; then snapshot the table again.",
        ),
        "unavailable_value" => (
            "The source sends every column of the row.",
            "Set REPLICA IDENTITY FULL on the source table; the row's next change then comes whole.",
        ),
        "bad_position" => ("The record says where in the source's log it stands.", MEND_CONNECTOR),
        "store_error" => ("The database takes the row.", MEND_ROW),
        "no_version" => (
            "A delete names its place in the source's log.",
            "Delete the row again at the source if it should be gone; then dismiss this record with a note.",
        ),
        "unknown_source" => (
            "A record of its source was applied before, so that its place in the order is known.",
            "Redrive it again after a record of this source was applied.",
        ),
        _ => ("It passes a rule that this version does not know by name.", "Read the reason, and the release notes."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{QuarantinedRecord, Resolution, ResolutionState};
    use serde_json::Value;

    fn refused(stage: &str, codes: &[&str], value: &str) -> QuarantinedBytes {
        let record = QuarantinedRecord {
            topic: "t.d.stock".to_owned(),
            partition: 0,
            incarnation: 1,
            offset: 17,
            received_at: "2024-01-16T14:31:00Z".parse().unwrap(),
            timestamp: None,
            stage: stage.to_owned(),
            codes: codes.iter().map(|&code| code.to_owned()).collect(),
            reason: "as it was kept".to_owned(),
            rule_version: 1,
            suites_digest: None,
            key_bytes: None,
            value_bytes: None,
            resolution: Resolution {
                state: ResolutionState::Open,
                outcome: None,
                attempts: 0,
                at: None,
                by: None,
                note: None,
                audit_id: None,
            },
        };
        QuarantinedBytes { record, key: None, value: Some(value.into()), headers: Value::Null }
    }

    #[test]
    fn a_broken_rule_is_explained_with_the_values_that_break_it() {
        let value = r#"{"op":"c","after":{"record_id":1,"date":"2024-01-16 09:31:00","open":"153.60","high":"153.50",
            "low":"153.10","close":"153.20","volume":100,"symbol":"AMZN"},
            "source":{"connector":"mysql","name":"db","db":"d","ts_ms":1705415460000,"server_id":1,"file":"b.000001","pos":7,"row":0}}"#;
        let explained = explain(&refused("rules", &["envelope"], value), &RecordSuites::default());
        assert!(!explained.acceptable);
        let [reason] = explained.reasons.as_slice() else { panic!("{explained:?}") };
        assert_eq!(reason.rule, Rule::Envelope.description());
        assert!(reason.found[0].contains("153.6") && reason.found[0].contains("153.5"), "{:?}", reason.found);
    }

    #[test]
    fn a_reason_that_no_longer_holds_is_told_as_it_was_kept() {
        let refused = refused("decode", &["not_json", "of_tomorrow"], r#"{"ts_ms":1705415400000}"#);
        let explained = explain(&refused, &RecordSuites::default());
        assert!(explained.acceptable, "it is a heartbeat");
        assert_eq!(explained.reasons[0].found, ["as it was kept"]);
        assert!(explained.reasons[1].rule.ends_with('.'));
    }

    #[test]
    fn every_code_that_can_be_kept_has_an_explanation_of_its_own() {
        let unknown = meaning("no such code").0;
        for code in codes() {
            assert_ne!(meaning(code).0, unknown, "{code}");
        }
    }
}
