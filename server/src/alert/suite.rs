//! What expectation suites have to tell: the runs that come in, and the notices that go out.
//!
//! [`SuiteIncidents`] decides, [`SuiteAlerts`] is the door for those who run suites. Both know nothing of where runs come
//! from, and nothing of what a notice looks like at its target.

mod machine;
mod watch;

pub use machine::{SuiteIncidents, SuiteState};
pub use watch::SuiteAlerts;

use chrono::{DateTime, Utc};
use quality::suite::ValidationResult;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// Which runs of a checkpoint somebody wants to hear of.
///
/// Silence of a whole checkpoint is told in any case: nobody who waits for one kind of news wants to wait for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotifyOn {
    /// What `failure` and what `success` say.
    All,
    /// That a suite fails, that it still does, and that it is right again.
    #[default]
    Failure,
    /// Runs of which every expectation is met, at most one per suite and cooldown.
    Success,
}

impl NotifyOn {
    fn failures(self) -> bool {
        matches!(self, Self::All | Self::Failure)
    }

    fn successes(self) -> bool {
        matches!(self, Self::All | Self::Success)
    }
}

/// One run of one suite, as whoever ran it reports it.
#[derive(Clone, Debug)]
pub struct RunReport {
    pub checkpoint: String,
    /// Who is called when it fails: a Slack member (`U…`) or user group (`S…`) by its id, or any name.
    pub owner: Option<String>,
    pub notify_on: NotifyOn,
    /// Runs are numbered in their order.
    pub run_id: i64,
    /// The table that was validated, or the stream.
    pub asset: String,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    pub result: Arc<ValidationResult>,
}

impl RunReport {
    pub fn suite(&self) -> &str {
        &self.result.suite_name
    }
}

/// How soon and how often people are told. Each key has a default; 0 seconds turns its part off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SuitePolicy {
    /// Failed runs in a row that only make a suite PENDING; the next one makes it FIRING.
    pub pending_runs: u32,
    /// A suite that fails again is not told of before so many seconds have passed since the last notice of it, so that one
    /// that comes and goes makes one pair of notices in that time.
    pub cooldown_seconds: u32,
    /// A suite that still fails is told of again after so many seconds, with its next run.
    pub repeat_seconds: u32,
    /// What comes within so many seconds of the first news goes into one message.
    pub group_seconds: u32,
    /// A checkpoint that has not reported for so many seconds makes an alert of its own, where it names no time itself.
    pub nodata_seconds: u32,
}

impl Default for SuitePolicy {
    fn default() -> Self {
        Self { pending_runs: 0, cooldown_seconds: 300, repeat_seconds: 4 * 3_600, group_seconds: 10, nodata_seconds: 0 }
    }
}

/// What happened to a suite, or to a checkpoint; the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The suite fails.
    Firing,
    /// The checkpoint has not reported for its time.
    Nodata,
    /// The suite still fails.
    Repeated,
    /// The suite is met again.
    Resolved,
    /// The checkpoint reports again.
    Reporting,
    /// A run of which every expectation is met.
    Passed,
}

impl Event {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Nodata => "nodata",
            Self::Repeated => "repeated",
            Self::Resolved => "resolved",
            Self::Reporting => "reporting",
            Self::Passed => "passed",
        }
    }

    /// For people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Firing => "Failing",
            Self::Nodata => "No data",
            Self::Repeated => "Still failing",
            Self::Resolved => "Resolved",
            Self::Reporting => "Reporting again",
            Self::Passed => "Passed",
        }
    }

    /// Whether somebody should do something now.
    pub const fn is_bad(self) -> bool {
        matches!(self, Self::Firing | Self::Nodata | Self::Repeated)
    }
}

/// One thing that a notice tells.
#[derive(Clone, Debug)]
pub struct Item {
    pub event: Event,
    pub checkpoint: String,
    pub owner: Option<String>,
    /// When the first failed run of the incident began; for a silent checkpoint, when it last reported, or was first
    /// expected to; for a run that passed, when it began.
    pub first_seen: DateTime<Utc>,
    /// Failed runs of the incident so far.
    pub failed_runs: u32,
    /// The run it speaks of; a silent checkpoint has none.
    pub run: Option<RunReport>,
}

/// What goes out as one message: one item, or a digest of several, the most urgent first.
#[derive(Clone, Debug)]
pub struct Notice {
    pub at: DateTime<Utc>,
    pub items: Vec<Item>,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.event.title())?;
        let Some(run) = &self.run else {
            return write!(
                f,
                "checkpoint {} {} {}",
                self.checkpoint,
                if self.event == Event::Nodata { "has not reported since" } else { "was silent since" },
                self.first_seen.format("%Y-%m-%d %H:%M:%S UTC")
            );
        };
        let (met, all) = run.result.met();
        write!(
            f,
            "{} on {} ({}): {met} of {all} expectations met, run {}",
            run.suite(),
            run.asset,
            self.checkpoint,
            run.run_id
        )
    }
}

impl fmt::Display for Notice {
    /// One line; a digest says what it holds first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [item] = self.items.as_slice() {
            return item.fmt(f);
        }
        write!(f, "{}: ", self.summary())?;
        for (index, item) in self.items.iter().enumerate() {
            write!(f, "{}{item}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl Notice {
    /// `3 failing, 1 resolved`.
    pub fn summary(&self) -> String {
        let parts = self.items.chunk_by(|a, b| a.event == b.event);
        parts
            .map(|part| format!("{} {}", part.len(), part[0].event.title().to_lowercase()))
            .collect::<Vec<_>>()
            .join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_a_default_for_every_key_and_takes_no_other() {
        let policy: SuitePolicy = serde_json::from_str(r#"{"cooldown_seconds": 60}"#).unwrap();
        assert_eq!(policy, SuitePolicy { cooldown_seconds: 60, ..SuitePolicy::default() });
        let mistake = serde_json::from_str::<SuitePolicy>(r#"{"cooldown": 60}"#).unwrap_err().to_string();
        assert!(mistake.contains("`cooldown`") && mistake.contains("cooldown_seconds"), "{mistake}");
    }

    #[test]
    fn notify_on_is_spelled_as_great_expectations_spells_it() {
        let all: Vec<NotifyOn> = serde_json::from_str(r#"["all", "failure", "success"]"#).unwrap();
        assert_eq!(all, [NotifyOn::All, NotifyOn::Failure, NotifyOn::Success]);
    }
}
