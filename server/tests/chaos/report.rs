//! What was found: a verdict per promise, and the times to recover.

use serde::Serialize;
use std::{io::Write, time::Duration};

/// From the death's end to the first new commit.
#[derive(Default)]
pub struct Recoveries {
    /// From the start of the server's process after a `kill -9`.
    pub server: Vec<Duration>,
    /// From the instant at which Postgres answers again after a `kill -9`.
    pub postgres: Vec<Duration>,
    /// From the instant at which the broker takes connections again after a `kill -9`.
    pub broker: Vec<Duration>,
}

/// One promise, and how it was broken (not at all, if empty).
pub struct Verdict {
    pub promise: &'static str,
    /// What was looked at.
    pub extent: String,
    pub broken: Vec<String>,
}

/// Times to recover after one kind of death.
#[derive(Debug, Serialize)]
pub struct Measured {
    pub after: &'static str,
    pub times: usize,
    pub p50_ms: u64,
    pub p99_ms: u64,
    pub target_ms: u64,
}

/// Prints a line.
pub fn say(line: &str) {
    // Whoever closed our output does not want to know.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

impl Verdict {
    pub fn print(&self) {
        let mark = if self.broken.is_empty() { "kept  " } else { "BROKEN" };
        say(&format!("chaos: {mark} {} ({})", self.promise, self.extent));
        for line in self.broken.iter().take(10) {
            say(&format!("chaos:          {line}"));
        }
        if self.broken.len() > 10 {
            say(&format!("chaos:          and {} more", self.broken.len() - 10));
        }
    }
}

impl Recoveries {
    /// Nearest-rank percentiles of each kind that happened undisturbed at least once.
    pub fn measured(&self) -> Vec<Measured> {
        let kinds = [
            ("kill -9 of the server", &self.server, 2_000),
            ("kill -9 of Postgres", &self.postgres, 3_000),
            ("kill -9 of the broker", &self.broker, 5_000),
        ];
        kinds
            .into_iter()
            .filter(|(_, times, _)| !times.is_empty())
            .map(|(after, times, target_ms)| measure(after, times, target_ms))
            .collect()
    }
}

fn measure(after: &'static str, times: &[Duration], target_ms: u64) -> Measured {
    let mut sorted: Vec<u64> = times.iter().map(|time| time.as_millis() as u64).collect();
    sorted.sort_unstable();
    let rank = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).clamp(1, sorted.len()) - 1];
    Measured { after, times: sorted.len(), p50_ms: rank(50), p99_ms: rank(99), target_ms }
}

impl Measured {
    pub fn print(&self) {
        let Self { after, times, p50_ms, p99_ms, target_ms } = self;
        say(&format!(
            "chaos: first new commit after {after}: p50 {p50_ms} ms, p99 {p99_ms} ms of {times} (target {target_ms} ms)"
        ));
    }
}
