//! What an operator orders of refused records, and what the server says came of it.

use super::{Question, RefusedRow};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A redrive as it is ordered: of one record, or of every open one that is all of this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Order {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// A corrected copy of the one record's value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub dry_run: bool,
    pub force: bool,
}

impl Order {
    pub fn of_record(row: &RefusedRow) -> Self {
        Self { record: Some(row.name()), incarnation: Some(row.incarnation), ..Self::default() }
    }

    /// Of what the list shows, as far as a redrive can be told that.
    pub fn of_question(question: &Question) -> Self {
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Self { topic: given(&question.topic), code: given(&question.code), ..Self::default() }
    }

    /// The same on the command line, as a dry run. Names of topics and codes need no quotes.
    pub fn command(&self) -> String {
        let mut line = "stockstream quarantine redrive".to_owned();
        match (&self.record, &self.code) {
            (Some(record), _) => line.push_str(&format!(" '{record}'")),
            (None, Some(code)) => line.push_str(&format!(" --code {code}")),
            (None, None) => line.push_str(" --all"),
        }
        if let Some(topic) = &self.topic {
            line.push_str(&format!(" --topic {topic}"));
        }
        line + " --dry-run"
    }
}

/// A row of the audit trail.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Attempt {
    pub at: DateTime<Utc>,
    pub actor: String,
    pub action: String,
    pub outcome: String,
    pub detail: serde_json::Value,
}

impl Attempt {
    /// Of a redrive with a corrected copy: what was read instead of what.
    pub fn copy_hashes(&self) -> Option<String> {
        let hash = |name| self.detail.get(name).and_then(serde_json::Value::as_str);
        let (copy, original) = (hash("copy_sha256")?, hash("original_sha256")?);
        Some(format!("A corrected copy, SHA-256 {copy}, instead of {original}."))
    }
}

/// What became of one record of a redrive.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Redriven {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub result: String,
    pub reason: Option<String>,
}

impl Redriven {
    pub fn name(&self) -> String {
        format!("{}[{}]@{}", self.topic, self.partition, self.offset)
    }
}

/// What a redrive did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Report {
    pub dry_run: bool,
    pub records: Vec<Redriven>,
    pub counts: BTreeMap<String, u64>,
    pub more: bool,
}

impl Report {
    /// Records that are named with the reason why they stay refused.
    pub const SHOWN: usize = 20;

    /// What happened, or would happen, in a sentence.
    pub fn sentence(&self) -> String {
        if self.records.is_empty() {
            return "There was nothing to redrive.".to_owned();
        }
        let counts: Vec<String> =
            self.counts.iter().map(|(result, count)| format!("{count} {}", result.replace('_', " "))).collect();
        let verb = if self.dry_run { "Nothing was changed. A redrive now would give" } else { "Done" };
        let more = if self.more { " There are more: order it again for them." } else { "" };
        format!("{verb}: {}.{more}", counts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(code: &str, topic: &str) -> Question {
        Question { code: code.to_owned(), topic: topic.to_owned(), ..Question::default() }
    }

    #[test]
    fn an_order_is_the_same_on_the_command_line() {
        let order = Order::of_question(&question("envelope", "a.b"));
        assert_eq!(order.command(), "stockstream quarantine redrive --code envelope --topic a.b --dry-run");
        assert_eq!(Order::of_question(&question("", "")).command(), "stockstream quarantine redrive --all --dry-run");
        let one = Order { record: Some("t[0]@1".to_owned()), ..Order::default() };
        assert_eq!(one.command(), "stockstream quarantine redrive 't[0]@1' --dry-run");
    }

    #[test]
    fn a_report_is_told_in_a_sentence() {
        let report = |dry_run, more| Report {
            dry_run,
            records: vec![Redriven {
                topic: "t".to_owned(),
                partition: 0,
                offset: 1,
                result: "refused_again".to_owned(),
                reason: None,
            }],
            counts: BTreeMap::from([("refused_again".to_owned(), 1)]),
            more,
        };
        assert_eq!(report(true, false).sentence(), "Nothing was changed. A redrive now would give: 1 refused again.");
        assert_eq!(report(false, true).sentence(), "Done: 1 refused again. There are more: order it again for them.");
    }
}
