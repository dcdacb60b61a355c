//! What the built-in rules and the suites of the stream say of a row: refuse it, tag it, or let it be.

use super::{RecordSuites, understand::limits_at, window::Windows};
use crate::store::{PartitionKey, RefusedReason};
use chrono::{DateTime, Utc};
use market::StockRow;
use quality::{
    Limits, RuleSet, Severity, Verdict, check_row,
    suite::{Gate, Met, Unmet},
};
use std::sync::Arc;

/// What a row that is stored carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The built-in rules that tagged it.
    pub rules: RuleSet,
    /// The codes of the expectations of severity warning that it does not meet, in the order of the suites.
    pub tags: Vec<Arc<str>>,
}

/// Judges rows. Nothing is allocated for one in which nothing is wrong.
pub struct Judge {
    pub limits: Limits,
    suites: RecordSuites,
    /// For a stream; whoever judges a single record counts nothing.
    windows: Option<Windows>,
    /// Of each suite, not yet told: records that met it, and others by the worst expectation that they did not meet.
    counts: Vec<[u64; 4]>,
}

/// As the counter's label says it, in the order of [`Judge::counts`].
const OUTCOMES: [&str; 4] = ["met", "info", "warning", "critical"];

impl Judge {
    /// Judges single records.
    pub fn new(suites: RecordSuites, now: DateTime<Utc>) -> Self {
        Self { limits: limits_at(now), suites, windows: None, counts: Vec::new() }
    }

    /// Judges a stream, and counts.
    pub fn of_stream(suites: RecordSuites, windows: Windows) -> Self {
        let counts = vec![[0; 4]; suites.list().len()];
        Self { limits: limits_at(Utc::now()), suites, windows: Some(windows), counts }
    }

    /// Numbers a partition of the stream, for [`enter`](Self::enter).
    pub fn number(&mut self, key: &PartitionKey, incarnation: i32) -> usize {
        self.windows.as_mut().map_or(0, |windows| windows.number(key, incarnation))
    }

    /// The next rows are of this partition.
    pub fn enter(&mut self, partition: usize) {
        if let Some(windows) = &mut self.windows {
            windows.enter(partition);
        }
    }

    /// Judges a row; `offset` is its record's.
    ///
    /// # Errors
    /// Why the record belongs into quarantine.
    pub fn judge(&mut self, row: &StockRow, offset: i64) -> Result<Judged, RefusedReason> {
        let verdict = check_row(row, &self.limits);
        let unmet = if self.suites.list().is_empty() { Vec::new() } else { self.unmet(row, offset) };
        let is_critical = |gate: &&Gate| gate.severity == Severity::Critical;
        if matches!(verdict, Verdict::Rejected(_)) || unmet.iter().any(is_critical) {
            let unmet: Vec<Unmet> = unmet.into_iter().map(|gate| gate.unmet(row)).collect();
            let violations = match verdict {
                Verdict::Accepted => Vec::new(),
                Verdict::Tagged(violations) | Verdict::Rejected(violations) => violations,
            };
            return Err(RefusedReason::Rules { violations, unmet });
        }
        Ok(Judged { rules: verdict.rules(), tags: unmet.into_iter().map(|gate| gate.code.clone()).collect() })
    }

    /// The expectations that it does not meet, but for those that are only counted.
    fn unmet(&mut self, row: &StockRow, offset: i64) -> Vec<&Gate> {
        let Self { suites, windows, counts, .. } = self;
        let mut unmet = Vec::new();
        if let Some(windows) = windows {
            windows.look_at(offset);
        }
        for (at, stream) in suites.list().iter().enumerate() {
            let mut worst = None;
            let see = |place, met| {
                if met == Met::No
                    && let Some(gate) = stream.gate(place)
                {
                    worst = worst.max(Some(gate.severity));
                    if gate.severity > Severity::Info {
                        unmet.push(gate);
                    }
                }
            };
            match windows.as_mut().and_then(|windows| windows.of(at)) {
                Some(window) => window.add(row, see),
                None => stream.fresh().see(row, see),
            }
            if let Some(counts) = counts.get_mut(at) {
                counts[worst.map_or(0, |severity| 1 + severity as usize)] += 1;
            }
        }
        unmet
    }

    /// Tells the counters, and ends windows whose time is over. Asked now and then.
    pub fn tick(&mut self) {
        for (stream, counts) in self.suites.list().iter().zip(&mut self.counts) {
            for (outcome, count) in OUTCOMES.into_iter().zip(counts) {
                if *count > 0 {
                    let suite = stream.suite.name.clone();
                    metrics::counter!("stockstream_suite_records_total", "suite" => suite, "outcome" => outcome)
                        .increment(std::mem::take(count));
                }
            }
        }
        if let Some(windows) = &mut self.windows {
            windows.tick();
        }
    }
}

impl Drop for Judge {
    /// What was counted is not lost with the stream.
    fn drop(&mut self) {
        self.tick();
    }
}
