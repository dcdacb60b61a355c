//! What the pipeline's page shows: the answer of `GET /api/v1/pipeline`, and how its numbers are put.
//!
//! The page is rendered from the same answer that it asks for once it is alive, so that both say the same. Knows no
//! socket, no clock and no Kafka.

use crate::format;
use chrono::{DateTime, Utc};
use market::wire::PipeState;
use serde::{Deserialize, Serialize};

/// The page's address, and the API's.
pub const PATH: &str = "/pipeline";
pub const API: &str = "/api/v1/pipeline";

/// The answer. Members that the page does not show are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pipeline {
    pub state: PipeState,
    pub since: DateTime<Utc>,
    pub message: Option<String>,
    /// Records in Kafka that are not committed yet.
    pub lag: Option<i64>,
    pub began_at: DateTime<Utc>,
    /// The server's clock.
    pub now: DateTime<Utc>,
    pub hops: Vec<HopStatus>,
    /// Whether the server takes orders.
    pub control: bool,
    /// Whether the counters could be read.
    pub store_answers: bool,
    pub partitions: Vec<Partition>,
    /// The newest first.
    pub orders: Vec<GivenOrder>,
}

/// A part of a record's way that the server measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hop {
    Capture,
    Fetch,
    Decode,
    Check,
    Store,
    Publish,
    Whole,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    pub count: u64,
    pub p50_us: u64,
    pub p99_us: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HopStatus {
    pub hop: Hop,
    pub per_second: f64,
    pub last_minute: Option<Percentiles>,
    pub since_start: Option<Percentiles>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    pub topic: String,
    pub partition: i32,
    /// `None`: another instance has it, or none.
    pub state: Option<String>,
    pub reason: Option<String>,
    pub since: Option<DateTime<Utc>>,
    pub incarnation: i32,
    pub fence: Option<i64>,
    pub next_offset: i64,
    pub lag: Option<i64>,
    pub counts: Option<Counts>,
}

/// What became of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub consumed: i64,
    pub applied: i64,
    pub late: i64,
    pub duplicate: i64,
    pub deleted: i64,
    pub control: i64,
    pub quarantined: i64,
    pub tagged: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenOrder {
    pub at: DateTime<Utc>,
    pub order: String,
    pub subject: String,
}

/// What an order is about, as the API reads it. Nothing: everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scope {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
}

/// The answer to an order.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Taken {
    pub changed: bool,
    pub pipeline: Pipeline,
}

/// How the page follows the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// It does not: there is no script, or not yet.
    Still,
    Live,
    /// The last question was not answered.
    Lost,
}

impl Pipeline {
    pub fn hop(&self, hop: Hop) -> Option<HopStatus> {
        self.hops.iter().find(|status| status.hop == hop).copied()
    }

    /// What became of the records of all partitions; `None` when the counters could not be read.
    pub fn counts(&self) -> Option<Counts> {
        self.store_answers.then(|| {
            self.partitions.iter().filter_map(|partition| partition.counts).fold(Counts::default(), Counts::and)
        })
    }

    /// Partitions whose records do not add up.
    pub fn broken(&self) -> Vec<String> {
        let broken = self.partitions.iter().filter(|partition| partition.counts.is_some_and(|counts| !counts.holds()));
        broken.map(Partition::name).collect()
    }
}

impl Partition {
    /// `topic[0]`.
    pub fn name(&self) -> String {
        format!("{}[{}]", self.topic, self.partition)
    }

    /// What it does, in words.
    pub fn doing(&self) -> &'static str {
        match self.state.as_deref() {
            None => "another instance's",
            Some("starting") => "starting",
            Some("running") => "running",
            Some("retrying") => "retrying",
            Some("paused_by_operator") => "paused by an operator",
            Some("paused_by_flood_guard") => "paused by the flood guard",
            Some("drained") => "drained",
            Some(_) => "in a state this page does not know",
        }
    }
}

impl Counts {
    /// What the equation's right side is made of, in its order.
    pub fn fates(&self) -> [(&'static str, i64); 6] {
        [
            ("applied", self.applied),
            ("late", self.late),
            ("duplicate", self.duplicate),
            ("deleted", self.deleted),
            ("control", self.control),
            ("quarantined", self.quarantined),
        ]
    }

    /// Whether every record that was consumed has exactly one fate.
    pub fn holds(&self) -> bool {
        self.consumed == self.fates().iter().map(|(_, count)| count).sum::<i64>()
    }

    fn and(self, other: Self) -> Self {
        Self {
            consumed: self.consumed + other.consumed,
            applied: self.applied + other.applied,
            late: self.late + other.late,
            duplicate: self.duplicate + other.duplicate,
            deleted: self.deleted + other.deleted,
            control: self.control + other.control,
            quarantined: self.quarantined + other.quarantined,
            tagged: self.tagged + other.tagged,
        }
    }
}

/// A state in a word.
pub fn state_word(state: PipeState) -> &'static str {
    match state {
        PipeState::Starting => "starting",
        PipeState::Running => "running",
        PipeState::Retrying => "retrying",
        PipeState::Paused => "paused",
        PipeState::Stopped => "stopped",
    }
}

/// An order, as it was given, in words.
pub fn order_words(order: &str) -> &'static str {
    match order {
        "pause" => "paused",
        "resume" => "resumed",
        "start" => "started",
        "drain" => "drained",
        _ => "changed",
    }
}

/// `7 µs`, `1.25 ms`, `12.5 ms`, `1.25 s`, `2 min 5 s`, `3 h 20 min`: three digits at most, rounded.
pub fn duration(micros: u64) -> String {
    let digits = |value: f64| match value {
        ..10.0 => format!("{value:.2}"),
        ..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    match micros {
        0..1_000 => format!("{micros}\u{a0}µs"),
        1_000..1_000_000 => format!("{}\u{a0}ms", digits(micros as f64 / 1e3)),
        1_000_000..60_000_000 => format!("{}\u{a0}s", digits(micros as f64 / 1e6)),
        60_000_000..3_600_000_000 => format!("{}\u{a0}min {}\u{a0}s", micros / 60_000_000, micros / 1_000_000 % 60),
        _ => format!("{}\u{a0}h {}\u{a0}min", micros / 3_600_000_000, micros / 60_000_000 % 60),
    }
}

/// `59.8/s`, or with no decimals from a hundred on.
pub fn rate(per_second: f64) -> String {
    if per_second < 100.0 { format!("{per_second:.1}") } else { format::count(per_second.round() as i64) }
}

/// Where a duration lies between one microsecond and a hundred seconds, on a logarithmic axis from 0 to 100.
pub fn on_axis(micros: u64) -> f64 {
    ((micros.max(1) as f64).log10() * 12.5).clamp(0.0, 100.0)
}

/// Median and the 99th of a hundred of some durations in microseconds.
pub fn percentiles(durations: &[u64]) -> Option<Percentiles> {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let at = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Some(Percentiles { count: sorted.len() as u64, p50_us: at(50)?, p99_us: at(99)? })
}

/// The content of the page: asked for by the server while it renders, carried in the page.
#[cfg(feature = "ssr")]
pub fn load() -> impl Future<Output = Result<Pipeline, String>> + Send {
    let backend = crate::initial::backend();
    async move { backend?.pipeline().await.map_err(|unavailable| unavailable.0) }
}

/// In the browser the page is there with its content.
#[cfg(not(feature = "ssr"))]
pub fn load() -> impl Future<Output = Result<Pipeline, String>> + Send {
    std::future::ready(Err("The server has not been asked yet.".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_three_digits_and_its_unit() {
        let told = [0, 7, 999, 1_000, 1_254, 12_540, 999_000, 1_250_000, 59_000_000, 125_000_000, 12_000_000_000];
        assert_eq!(
            told.map(|micros| duration(micros).replace('\u{a0}', " ")),
            [
                "0 µs",
                "7 µs",
                "999 µs",
                "1.00 ms",
                "1.25 ms",
                "12.5 ms",
                "999 ms",
                "1.25 s",
                "59.0 s",
                "2 min 5 s",
                "3 h 20 min"
            ]
        );
    }

    #[test]
    fn the_axis_has_eight_decades() {
        assert_eq!([0, 1, 10, 10_000, 100_000_000, u64::MAX].map(on_axis), [0.0, 0.0, 12.5, 50.0, 100.0, 100.0]);
    }

    #[test]
    fn records_add_up_or_the_page_says_where_they_do_not() {
        let counts = Counts { consumed: 10, applied: 7, late: 1, quarantined: 2, ..Counts::default() };
        assert!(counts.holds());
        assert!(!Counts { consumed: 11, ..counts }.holds());
        assert_eq!(counts.and(counts).consumed, 20);
        assert!(counts.and(counts).holds());
    }

    #[test]
    fn percentiles_are_of_the_sorted_durations() {
        assert_eq!(percentiles(&[]), None);
        assert_eq!(percentiles(&[5]), Some(Percentiles { count: 1, p50_us: 5, p99_us: 5 }));
        let hundred: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(percentiles(&hundred), Some(Percentiles { count: 100, p50_us: 50, p99_us: 99 }));
    }
}
