//! Whom a run concerns and whether they have heard: a state machine per checkpoint and suite. Pure: the clock is an
//! argument.
//!
//! ```text
//!         fails               fails more than pending_runs times          is met
//! OK ───────────────▶ PENDING ───────────────────────────────▶ FIRING ───────────▶ RESOLVED
//! ▲                      │                                                          │    │
//! ├──────────────────────┘ is met                                                   │    └▶ PENDING: fails
//! └─────────────────────────────────────────────────────────────────────────────────┘ is met
//! ```
//!
//! States follow the runs at once; notices follow the states as the policy has it.

use super::{Event, Item, Notice, NotifyOn, RunReport, SuitePolicy};
use chrono::{DateTime, TimeDelta, Utc};
use std::{collections::BTreeMap, time::Duration};

/// Where a suite is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuiteState {
    Ok,
    /// It fails, and not often enough to tell.
    Pending,
    /// It fails.
    Firing,
    /// Its last run is the first that is met again.
    Resolved,
}

/// The incidents of all suites.
#[derive(Debug)]
pub struct SuiteIncidents {
    policy: SuitePolicy,
    checkpoints: BTreeMap<String, Checkpoint>,
    /// By checkpoint and suite.
    suites: BTreeMap<(String, String), Suite>,
    /// What is to tell when the group is complete, and since when there is something.
    group: Vec<Item>,
    group_since: Option<DateTime<Utc>>,
}

#[derive(Debug)]
struct Checkpoint {
    owner: Option<String>,
    nodata_after: Option<TimeDelta>,
    reported_at: DateTime<Utc>,
    /// Its silence has been told.
    told: bool,
    noticed_at: Option<DateTime<Utc>>,
}

#[derive(Debug)]
struct Suite {
    state: SuiteState,
    last_run: i64,
    first_seen: DateTime<Utc>,
    failed_runs: u32,
    /// The incident has been told.
    told: bool,
    noticed_at: Option<DateTime<Utc>>,
    passed_at: Option<DateTime<Utc>>,
    /// The last failed run.
    failed: Option<RunReport>,
}

fn seconds(seconds: u32) -> TimeDelta {
    TimeDelta::seconds(i64::from(seconds))
}

/// Whether so much time has passed since `then`, if there ever was one.
fn has_passed(span: TimeDelta, then: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    then.is_none_or(|then| now.signed_duration_since(then) >= span)
}

impl SuiteIncidents {
    pub fn new(policy: SuitePolicy) -> Self {
        Self { policy, checkpoints: BTreeMap::new(), suites: BTreeMap::new(), group: Vec::new(), group_since: None }
    }

    /// Expects this checkpoint to report from `now` on. `nodata_after`: how long it may be silent, where the policy's
    /// `nodata_seconds` is not right; zero is for ever. Without this call a checkpoint is expected from its first report on.
    pub fn expect(
        &mut self,
        checkpoint: &str,
        owner: Option<&str>,
        nodata_after: Option<Duration>,
        now: DateTime<Utc>,
    ) {
        let default = seconds(self.policy.nodata_seconds);
        let known = self.checkpoints.entry(checkpoint.to_owned()).or_insert(Checkpoint::new(now));
        known.owner = owner.map(str::to_owned);
        // A time that is too long to be one is never over.
        let after = nodata_after.map_or(Some(default), |after| TimeDelta::from_std(after).ok());
        known.nodata_after = after.filter(|after| !after.is_zero());
    }

    /// Knows again what was told before this process began: that the suite failed since `first_seen`, last in `run_id`. Then
    /// a run that is met resolves it, and one that is not is nothing new.
    pub fn recall(
        &mut self,
        checkpoint: &str,
        suite: &str,
        run_id: i64,
        first_seen: DateTime<Utc>,
        now: DateTime<Utc>,
    ) {
        let recalled = Suite {
            state: SuiteState::Firing,
            last_run: run_id,
            failed_runs: 1,
            told: true,
            noticed_at: Some(now),
            ..Suite::new(first_seen)
        };
        self.suites.insert((checkpoint.to_owned(), suite.to_owned()), recalled);
    }

    /// Where a suite is; `None` for one that was never seen.
    pub fn state(&self, checkpoint: &str, suite: &str) -> Option<SuiteState> {
        self.suites.get(&(checkpoint.to_owned(), suite.to_owned())).map(|suite| suite.state)
    }

    /// Takes a run, and gives what there is to tell now. A run that is older than the suite's last one says nothing about
    /// its state any more.
    pub fn observe(&mut self, report: RunReport, now: DateTime<Utc>) -> Option<Notice> {
        self.hear(&report.checkpoint, report.owner.as_deref(), now);
        let key = (report.checkpoint.clone(), report.suite().to_owned());
        let suite = self.suites.entry(key).or_insert_with(|| Suite::new(report.started_at));
        if report.run_id >= suite.last_run {
            suite.last_run = report.run_id;
            let item = if report.result.success() {
                suite.met(report, &self.policy, now)
            } else {
                suite.not_met(report, &self.policy, now)
            };
            self.add(item, now);
        }
        self.due(now)
    }

    /// Knows that the checkpoint is alive, of which somebody else has the report: another instance of this program.
    pub fn heard(&mut self, checkpoint: &str, owner: Option<&str>, now: DateTime<Utc>) -> Option<Notice> {
        self.hear(checkpoint, owner, now);
        self.due(now)
    }

    /// Lets time pass, and gives what there is to tell now.
    pub fn tick(&mut self, now: DateTime<Utc>) -> Option<Notice> {
        let policy = self.policy;
        let silences = self.checkpoints.iter_mut().filter_map(|(name, known)| known.silence(name, &policy, now));
        let held = self.suites.values_mut().filter_map(|suite| suite.held(&policy, now));
        for item in silences.chain(held).collect::<Vec<_>>() {
            self.add(Some(item), now);
        }
        self.due(now)
    }

    /// What waits for its group, at the end of the program.
    pub fn flush(&mut self, now: DateTime<Utc>) -> Option<Notice> {
        self.group_since = None;
        let mut items = std::mem::take(&mut self.group);
        items.sort_by_key(|item| item.event);
        (!items.is_empty()).then_some(Notice { at: now, items })
    }

    fn hear(&mut self, checkpoint: &str, owner: Option<&str>, now: DateTime<Utc>) {
        if !self.checkpoints.contains_key(checkpoint) {
            self.expect(checkpoint, owner, None, now);
        }
        let Some(known) = self.checkpoints.get_mut(checkpoint) else { return };
        known.owner = owner.map(str::to_owned);
        let item = known.told.then(|| known.item(checkpoint, Event::Reporting));
        if known.told {
            known.noticed_at = Some(now);
        }
        (known.reported_at, known.told) = (now, false);
        self.add(item, now);
    }

    /// Puts news into the group; of two that say the same of the same suite, the newer one counts.
    fn add(&mut self, item: Option<Item>, now: DateTime<Utc>) {
        let Some(item) = item else { return };
        self.group_since.get_or_insert(now);
        let suite = |item: &Item| item.run.as_ref().map(|run| run.suite().to_owned());
        let same = |old: &&mut Item| {
            old.event == item.event && old.checkpoint == item.checkpoint && suite(old) == suite(&item)
        };
        match self.group.iter_mut().find(same) {
            Some(old) => *old = item,
            None => self.group.push(item),
        }
    }

    fn due(&mut self, now: DateTime<Utc>) -> Option<Notice> {
        let complete =
            self.group_since.is_some() && has_passed(seconds(self.policy.group_seconds), self.group_since, now);
        if complete { self.flush(now) } else { None }
    }
}

impl Checkpoint {
    fn new(now: DateTime<Utc>) -> Self {
        Self { owner: None, nodata_after: None, reported_at: now, told: false, noticed_at: None }
    }

    fn silence(&mut self, name: &str, policy: &SuitePolicy, now: DateTime<Utc>) -> Option<Item> {
        if !has_passed(self.nodata_after?, Some(self.reported_at), now) {
            return None;
        }
        let pause = if self.told { policy.repeat_seconds } else { policy.cooldown_seconds };
        if (self.told && pause == 0) || !has_passed(seconds(pause), self.noticed_at, now) {
            return None;
        }
        self.told = true;
        self.noticed_at = Some(now);
        Some(self.item(name, Event::Nodata))
    }

    fn item(&self, name: &str, event: Event) -> Item {
        Item {
            event,
            checkpoint: name.to_owned(),
            owner: self.owner.clone(),
            first_seen: self.reported_at,
            failed_runs: 0,
            run: None,
        }
    }
}

impl Suite {
    fn new(first_seen: DateTime<Utc>) -> Self {
        Self {
            state: SuiteState::Ok,
            last_run: i64::MIN,
            first_seen,
            failed_runs: 0,
            told: false,
            noticed_at: None,
            passed_at: None,
            failed: None,
        }
    }

    fn met(&mut self, report: RunReport, policy: &SuitePolicy, now: DateTime<Utc>) -> Option<Item> {
        let was_told = std::mem::take(&mut self.told);
        self.state = if self.state == SuiteState::Firing { SuiteState::Resolved } else { SuiteState::Ok };
        self.failed = None;
        if was_told && report.notify_on.failures() {
            self.noticed_at = Some(now);
            self.passed_at = Some(now);
            return Some(self.item(Event::Resolved, report));
        }
        if report.notify_on.successes() && has_passed(seconds(policy.cooldown_seconds), self.passed_at, now) {
            self.passed_at = Some(now);
            (self.first_seen, self.failed_runs) = (report.started_at, 0);
            return Some(self.item(Event::Passed, report));
        }
        None
    }

    fn not_met(&mut self, report: RunReport, policy: &SuitePolicy, now: DateTime<Utc>) -> Option<Item> {
        if matches!(self.state, SuiteState::Ok | SuiteState::Resolved) {
            (self.state, self.first_seen, self.failed_runs) = (SuiteState::Pending, report.started_at, 0);
        }
        self.failed_runs = self.failed_runs.saturating_add(1);
        if self.failed_runs > policy.pending_runs {
            self.state = SuiteState::Firing;
        }
        let notify_on = report.notify_on;
        self.failed = Some(report.clone());
        if !self.told {
            return self.held(policy, now);
        }
        let repeat = seconds(policy.repeat_seconds);
        if notify_on == NotifyOn::Success || repeat.is_zero() || !has_passed(repeat, self.noticed_at, now) {
            return None;
        }
        self.noticed_at = Some(now);
        Some(self.item(Event::Repeated, report))
    }

    /// An incident that has not been told, when the cooldown is over.
    fn held(&mut self, policy: &SuitePolicy, now: DateTime<Utc>) -> Option<Item> {
        let may_speak = self.state == SuiteState::Firing
            && !self.told
            && has_passed(seconds(policy.cooldown_seconds), self.noticed_at, now);
        let report = self.failed.clone().filter(|report| may_speak && report.notify_on.failures())?;
        self.told = true;
        self.noticed_at = Some(now);
        Some(self.item(Event::Firing, report))
    }

    fn item(&self, event: Event, report: RunReport) -> Item {
        Item {
            event,
            checkpoint: report.checkpoint.clone(),
            owner: report.owner.clone(),
            first_seen: self.first_seen,
            failed_runs: self.failed_runs,
            run: Some(report),
        }
    }
}

#[cfg(test)]
mod tests;
