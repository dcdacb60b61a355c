//! Telling people that something is wrong, and that it is right again.
//!
//! [`Incidents`] decides from the pipeline's status what there is to tell, [`SuiteAlerts`] from the runs of expectation
//! suites, [`FindingIncidents`] from what the rules over several bars find; [`Alerts`] carries all as [`News`] to every
//! [`Target`] that it concerns without making anybody wait. This module never touches the stream: it reads a status, is
//! handed runs, and writes to bounded queues.

mod delivery;
mod finding;
mod incident;
mod post;
mod public_url;
mod route;
mod sample;
mod slack;
mod suite;
mod target;
mod webhook;

pub use delivery::{ATTEMPT, Alerts, Patience};
pub use finding::FindingIncidents;
pub use incident::{Incidents, watch};
pub use post::UnusableWebhook;
pub use public_url::PublicUrl;
pub use route::{Route, Scope, Subject};
pub use sample::sample;
pub use slack::Slack;
pub use suite::{Event, Item, Notice, NotifyOn, RunReport, SuiteAlerts, SuiteIncidents, SuitePolicy, SuiteState};
pub use target::{Log, Setback, Target};
pub use webhook::Webhook;

use chrono::{DateTime, Utc};
use std::{fmt, sync::Arc};

/// What targets are told. Cheap to clone.
#[derive(Clone, Debug)]
pub enum News {
    /// Of the pipeline, or of what the rules over several bars found.
    Pipeline(Arc<Alert>),
    /// Of expectation suites.
    Suites(Arc<Notice>),
}

impl From<Alert> for News {
    fn from(alert: Alert) -> Self {
        Self::Pipeline(Arc::new(alert))
    }
}

impl From<Notice> for News {
    fn from(notice: Notice) -> Self {
        Self::Suites(Arc::new(notice))
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pipeline(alert) => alert.fmt(f),
            Self::Suites(notice) => notice.fmt(f),
        }
    }
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlertKind {
    /// The flood guard stopped a partition: so many of its records were refused that it is no matter of single records.
    PartitionPaused,
    /// The pipeline has not run for longer than is normal.
    PipelineDown,
    /// Records had expired in Kafka before they were read. This does not end: they are gone.
    RetentionGap,
    /// The rules over several bars found something critical.
    CriticalFindings,
}

impl AlertKind {
    /// For logs, metrics and programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PartitionPaused => "partition_paused",
            Self::PipelineDown => "pipeline_down",
            Self::RetentionGap => "retention_gap",
            Self::CriticalFindings => "critical_findings",
        }
    }
}

/// Whether an incident begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Opened,
    Resolved,
}

/// One turn of one incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub kind: AlertKind,
    pub turn: Turn,
    /// What it is about: `topic[0]`, `pipeline` or `findings`.
    pub subject: String,
    /// What happened, and what to do about it.
    pub message: String,
    /// When this turn was noticed.
    pub at: DateTime<Utc>,
    /// When the incident began.
    pub since: DateTime<Utc>,
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let turn = match self.turn {
            Turn::Opened => "Alert",
            Turn::Resolved => "Resolved",
        };
        write!(f, "{turn}: {}: {}", self.subject, self.message)
    }
}
