//! Refused records as the pages show them: the question a URL asks, the answer, and what a redrive reports. The values
//! come from the server while it renders; in the browser they are taken over from the page.

use crate::{payload::Payload, query::Theme};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, future::Future};

/// Path of the list; a record's page is below it.
pub const PATH: &str = "/quarantine";

/// Who refuses records, in the order in which a record meets them.
pub const STAGES: [(&str, &str); 4] =
    [("decode", "the decoder"), ("rules", "a rule"), ("store", "the database"), ("redrive", "a redrive")];

/// What became of them.
pub const STATES: [(&str, &str); 5] = [
    ("open", "Open"),
    ("refused_again", "Refused again"),
    ("redriven", "Redriven"),
    ("dismissed", "Dismissed"),
    ("all", "All"),
];

/// The state that is shown when a URL does not say.
const OPEN: &str = "open";

/// Which refused records a URL asks for. What is empty is any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    pub state: String,
    pub stage: String,
    pub code: String,
    pub topic: String,
    pub cursor: String,
    pub theme: Theme,
}

impl Question {
    pub fn read(value: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| value(name).unwrap_or_default().trim().to_owned();
        let state = Some(text("state")).filter(|state| !state.is_empty()).unwrap_or_else(|| OPEN.to_owned());
        let theme = Theme::parse(value("theme").as_deref());
        Self { state, stage: text("stage"), code: text("code"), topic: text("topic"), cursor: text("cursor"), theme }
    }

    /// The question as a query string, without the theme: the same one as the API's.
    pub fn query(&self) -> String {
        let state = if self.state == OPEN { "" } else { &self.state };
        let pairs = [
            ("state", state),
            ("stage", &self.stage),
            ("code", &self.code),
            ("topic", &self.topic),
            ("cursor", &self.cursor),
        ];
        let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        given.map(|(name, value)| format!("{name}={}", escaped(value))).collect::<Vec<_>>().join("&")
    }

    /// The link that asks this question.
    pub fn link(&self) -> String {
        let theme = self.theme.name().map(|theme| format!("theme={theme}"));
        let parts: Vec<String> =
            [Some(self.query()).filter(|query| !query.is_empty()), theme].into_iter().flatten().collect();
        if parts.is_empty() { PATH.to_owned() } else { format!("{PATH}?{}", parts.join("&")) }
    }

    pub fn with_theme(self, theme: Theme) -> Self {
        Self { theme, ..self }
    }

    pub fn with_cursor(self, cursor: String) -> Self {
        Self { cursor, ..self }
    }

    /// Every record of this state.
    pub fn of_state(state: &str, theme: Theme) -> Self {
        Self { state: state.to_owned(), theme, ..Self::default() }
    }

    /// Whether something narrows the open records down.
    pub fn is_narrow(&self) -> bool {
        self.state != OPEN || !(self.stage.is_empty() && self.code.is_empty() && self.topic.is_empty())
    }

    /// Whether a redrive can be told to take exactly these: it takes open ones, by topic and code.
    pub fn is_redrivable(&self) -> bool {
        self.state == OPEN && self.stage.is_empty()
    }
}

/// A value in a query string.
pub(crate) fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// A refused record in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRow {
    pub topic: String,
    pub partition: i32,
    /// Which life of the topic the offset belongs to.
    pub incarnation: i32,
    pub offset: i64,
    pub received_at: DateTime<Utc>,
    pub stage: String,
    pub codes: Vec<String>,
    pub reason: String,
    pub state: String,
    /// Of a redriven one.
    pub outcome: Option<String>,
}

impl RefusedRow {
    /// As orders and people name it.
    pub fn name(&self) -> String {
        format!("{}[{}]@{}", self.topic, self.partition, self.offset)
    }

    /// Path and query of its page.
    pub fn link(&self, theme: Theme) -> String {
        let Self { topic, partition, offset, incarnation, .. } = self;
        let theme = theme.name().map(|theme| format!("&theme={theme}")).unwrap_or_default();
        format!("{PATH}/{}/{partition}/{offset}?incarnation={incarnation}{theme}", escaped(topic))
    }

    /// Whether somebody still has to decide.
    pub fn is_open(&self) -> bool {
        matches!(self.state.as_str(), "open" | "refused_again")
    }
}

/// A page of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedList {
    pub rows: Vec<RefusedRow>,
    /// Of the next page.
    pub next_cursor: Option<String>,
    /// Open records of all topics, counted up to [`COUNTED`](Self::COUNTED).
    pub open: i64,
    /// Topics that were ever consumed.
    pub topics: Vec<String>,
    /// Reasons that there can be.
    pub codes: Vec<String>,
    /// Whether this server takes orders at all.
    pub control: bool,
}

impl RefusedList {
    /// Open records beyond this many are not counted.
    pub const COUNTED: i64 = 1_000;
}

/// One reason, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub code: String,
    /// What must hold.
    pub rule: String,
    /// What was found instead.
    pub found: Vec<String>,
    pub advice: String,
}

/// A refused record with everything that arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRecord {
    pub row: RefusedRow,
    /// The record's own timestamp.
    pub timestamp: Option<DateTime<Utc>>,
    pub rule_version: i32,
    pub reasons: Vec<Reason>,
    /// Today's decoder and rules would let it through.
    pub acceptable: bool,
    pub headers: Vec<(String, String)>,
    pub key: Option<Payload>,
    /// `None` for a tombstone.
    pub value: Option<Payload>,
    /// Redrives that were refused.
    pub attempts: i32,
    pub decided_at: Option<DateTime<Utc>>,
    pub decided_by: Option<String>,
    pub note: Option<String>,
    pub control: bool,
}

/// Names a record as its page's address does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordAddress {
    pub topic: String,
    pub partition: String,
    pub offset: String,
    pub incarnation: Option<String>,
}

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

/// Asks the backend for a page of the list.
#[cfg(feature = "ssr")]
pub fn load_list(question: &Question) -> impl Future<Output = Result<RefusedList, String>> + Send + use<> {
    let (backend, query) = (crate::initial::backend(), question.query());
    async move { backend?.quarantine(query).await.map_err(|why| why.0) }
}

/// Asks the backend for a record; `Ok(None)`: it is not in quarantine.
#[cfg(feature = "ssr")]
pub fn load_record(address: RecordAddress) -> impl Future<Output = Result<Option<RefusedRecord>, String>> + Send {
    let backend = crate::initial::backend();
    let absent = leptos::prelude::use_context::<crate::backend::Absent>();
    async move {
        let found = backend?.refused(address).await.map_err(|why| why.0)?;
        if let (None, Some(absent)) = (&found, absent) {
            (absent.0)();
        }
        Ok(found)
    }
}

/// In the browser the page was rendered with its content.
#[cfg(not(feature = "ssr"))]
pub fn load_list(_question: &Question) -> impl Future<Output = Result<RefusedList, String>> + Send + use<> {
    std::future::ready(Err(RELOAD.to_owned()))
}

/// In the browser the page was rendered with its content.
#[cfg(not(feature = "ssr"))]
pub fn load_record(_address: RecordAddress) -> impl Future<Output = Result<Option<RefusedRecord>, String>> + Send {
    std::future::ready(Err(RELOAD.to_owned()))
}

#[cfg(not(feature = "ssr"))]
const RELOAD: &str = "This page is rendered by the server; load it again.";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &'static str) -> Question {
        let find = move |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        };
        Question::read(find)
    }

    #[test]
    fn a_link_asks_the_question_it_was_made_from() {
        for query in ["", "state=all", "stage=rules&code=envelope", "state=redriven&topic=a.b.c&theme=dark"] {
            let link = read(query).link();
            assert_eq!(link, if query.is_empty() { PATH.to_owned() } else { format!("{PATH}?{query}") });
        }
        let hostile = Question { code: "a&b=<c> é".to_owned(), ..read("") };
        assert_eq!(hostile.query(), "code=a%26b%3D%3Cc%3E%20%C3%A9");
    }

    #[test]
    fn only_what_a_redrive_understands_is_redrivable_as_a_whole() {
        assert!(read("").is_redrivable() && !read("").is_narrow());
        assert!(read("code=envelope&topic=t").is_redrivable());
        assert!(!read("state=dismissed").is_redrivable());
        assert!(!read("stage=rules").is_redrivable());
    }

    #[test]
    fn an_order_is_the_same_on_the_command_line() {
        let order = Order::of_question(&read("code=envelope&topic=a.b"));
        assert_eq!(order.command(), "stockstream quarantine redrive --code envelope --topic a.b --dry-run");
        assert_eq!(Order::of_question(&read("")).command(), "stockstream quarantine redrive --all --dry-run");
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
