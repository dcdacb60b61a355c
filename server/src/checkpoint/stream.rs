//! Suites that every record of the stream is held to, and windows of it: `[[stream]]` in the file.

use super::file::{Reading, SHORTEST};
use crate::{alert::NotifyOn, pipeline::WindowPolicy};
use quality::suite::{StreamSuite, Suite};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};
use toml::Spanned;

/// A window, where the file does not say.
const WINDOW: WindowPolicy = WindowPolicy { every: Duration::from_secs(60), records: 100_000 };
/// What one may have at most.
const LONGEST: Duration = Duration::from_secs(86_400);
const MOST_RECORDS: u64 = 10_000_000;

/// A suite in the stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamCheck {
    pub name: String,
    pub suite: Suite,
    /// `None`: only single records are judged.
    pub window: Option<WindowPolicy>,
    pub unsupported: Unsupported,
    /// Which windows people are told of.
    pub notify_on: NotifyOn,
    /// Whom alerts name.
    pub owner: Option<String>,
}

impl StreamCheck {
    /// What of it is in force, for people: also, by name, which of its expectations no single record is held to.
    pub fn redacted(&self) -> serde_json::Value {
        let left_out = StreamSuite::new(self.suite.clone());
        serde_json::json!({
            "name": self.name,
            "suite": self.suite.name,
            "window_seconds": self.window.map(|window| window.every.as_secs()),
            "window_records": self.window.map(|window| window.records),
            "not_judged_record_by_record": left_out.left_out().iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    }
}

/// What becomes of the expectations of a suite that a window cannot be held to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unsupported {
    /// Each has a result "not supported", so that the window is not met: what was not checked has not passed.
    #[default]
    Fail,
    /// They are named at start-up and in the run's `meta.left_out`, and are no part of the window's result.
    LeaveOut,
}

/// How much an expectation matters that does not say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Unsaid {
    /// The record is refused, as it is in a table's suite.
    #[default]
    Critical,
    /// The row is stored and tagged.
    Warning,
    /// Counted.
    Info,
}

impl From<Unsaid> for quality::Severity {
    fn from(unsaid: Unsaid) -> Self {
        match unsaid {
            Unsaid::Critical => Self::Critical,
            Unsaid::Warning => Self::Warning,
            Unsaid::Info => Self::Info,
        }
    }
}

/// A suite that every record of the stream is held to, each by itself: an unmet expectation of severity critical refuses
/// the record, of warning tags its row, of info is counted. Windows of the stream are held to the suite as a whole.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamEntry {
    /// Its name, which no other stream and no checkpoint has.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// File of an expectation suite of Great Expectations, of either dialect; relative to this file.
    #[schemars(with = "String")]
    pub suite: Spanned<PathBuf>,
    /// How much an expectation matters that does not say so, as those of the 0.x dialect.
    #[serde(default)]
    severity: Unsaid,
    /// How long a window of the stream is, from its first record on: `10s`, `1m` (the default); `off`: none.
    #[schemars(with = "Option<String>")]
    window: Option<Spanned<String>>,
    /// A window ends earlier with this many records, 1 to 10000000; 100000 where it does not say.
    #[schemars(with = "Option<u64>", range(min = 1, max = 10_000_000))]
    window_records: Option<Spanned<u64>>,
    /// What becomes of expectations that a window cannot be held to, because they need the whole table.
    #[serde(default)]
    unsupported: Unsupported,
    /// Which windows people are told of.
    #[serde(default)]
    notify_on: NotifyOn,
    /// Whom alerts name: a member's or group's ID of Slack, or any text.
    owner: Option<String>,
}

impl StreamEntry {
    /// Reads its suite; `None` when that cannot be.
    pub fn read(self, reading: &mut Reading<'_>) -> Option<StreamCheck> {
        reading.name(&self.name);
        let window = self.window(reading);
        let suite = reading.suite(&self.suite, self.severity.into());
        Some(StreamCheck {
            name: self.name.into_inner(),
            suite: suite?,
            window,
            unsupported: self.unsupported,
            notify_on: self.notify_on,
            owner: self.owner,
        })
    }

    fn window(&self, reading: &mut Reading<'_>) -> Option<WindowPolicy> {
        let mut policy = WINDOW;
        if let Some(records) = &self.window_records {
            policy.records = *records.get_ref();
            if !(1..=MOST_RECORDS).contains(&policy.records) {
                reading.mistake(records, "window_records", format!("expected 1 to {MOST_RECORDS}"));
            }
        }
        let Some(window) = &self.window else { return Some(policy) };
        if window.get_ref() == "off" {
            return None;
        }
        match humantime::parse_duration(window.get_ref()) {
            Ok(every) if (SHORTEST..=LONGEST).contains(&every) => policy.every = every,
            Ok(_) => reading.mistake(window, "window", "at least one second and at most one day".into()),
            Err(error) => {
                reading.mistake(window, "window", format!("{error}; expected for instance 10s, 1m or off"));
            }
        }
        Some(policy)
    }
}
