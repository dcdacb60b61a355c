//! What the rules of the built-in pack found at bars.

use crate::{Severity, Symbol};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What one rule of the built-in pack found at one bar, or at one minute that should have a bar. There is one finding
/// for each rule, symbol and minute; it is told again when it changes, and for the last time when it is resolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Code of the rule: `gap`, `scale_error`, … `GET /api/v1/rules` has them all.
    pub rule: String,
    pub severity: Severity,
    /// `null` for what is no symbol's: the source has another number of rows than the table.
    pub symbol: Option<Symbol>,
    /// Start of the minute it is about.
    pub time: DateTime<Utc>,
    /// What was found, and what was expected instead: short, for a table.
    pub observed: Option<String>,
    pub expected: Option<String>,
    /// What was found, as a sentence for people.
    pub text: String,
    pub first_seen: DateTime<Utc>,
    /// How many times a change of the data made the rule say so.
    pub count: i64,
    /// Since when it does not hold any more; `null` while it does.
    pub resolved_at: Option<DateTime<Utc>>,
}

/// `GET /api/v1/findings`, newest minute first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingsPage {
    pub findings: Vec<Finding>,
    /// Pass it as `cursor` for the next page; `null` on the last.
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_as_documented() {
        let at: DateTime<Utc> = "2024-01-16T14:32:00Z".parse().unwrap();
        let finding = Finding {
            rule: "gap".into(),
            severity: Severity::Warning,
            symbol: Some("AMZN".parse().unwrap()),
            time: at,
            observed: Some("no bar for 2 minutes".into()),
            expected: None,
            text: "AMZN has no bar.".into(),
            first_seen: at,
            count: 1,
            resolved_at: None,
        };
        let text = serde_json::to_string(&finding).unwrap();
        assert_eq!(
            text,
            r#"{"rule":"gap","severity":"warning","symbol":"AMZN","time":"2024-01-16T14:32:00Z","observed":"no bar for 2 minutes","expected":null,"text":"AMZN has no bar.","first_seen":"2024-01-16T14:32:00Z","count":1,"resolved_at":null}"#
        );
        assert_eq!(serde_json::from_str::<Finding>(&text).unwrap(), finding);
    }
}
