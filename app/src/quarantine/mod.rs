//! Refused records as the pages show them: the question a URL asks, the answer, and what a redrive reports. The values
//! come from the server while it renders; in the browser they are taken over from the page.

mod load;
mod order;

pub use load::{load_list, load_record};
pub use order::{Attempt, Order, Redriven, Report};

use crate::{payload::Payload, query::Theme};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Path of the list; a record's page is below it.
pub const PATH: &str = "/quarantine";

/// Who refuses records, in the order in which a record meets them.
pub const STAGES: [(&str, &str); 5] = [
    ("decode", "the decoder"),
    ("rules", "a rule"),
    ("suite", "a suite"),
    ("store", "the database"),
    ("redrive", "a redrive"),
];

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
}
