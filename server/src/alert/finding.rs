//! What there is to tell of findings: critical ones, many in one message.

use super::{Alert, AlertKind, SuitePolicy, Turn};
use chrono::{DateTime, TimeDelta, Utc};
use market::wire::Finding;

/// Findings that one message quotes; the others are counted.
const QUOTED: usize = 5;

/// Critical findings and whether people have heard of them. Pure: the clock is an argument.
#[derive(Debug)]
pub struct FindingIncidents {
    group: TimeDelta,
    cooldown: TimeDelta,
    /// Sentences of the first findings that nobody has heard of, and how many there are.
    quoted: Vec<String>,
    waiting: usize,
    waiting_since: Option<DateTime<Utc>>,
    told_at: Option<DateTime<Utc>>,
    /// Since when people know that something is open.
    open_since: Option<DateTime<Utc>>,
}

impl FindingIncidents {
    /// With the policy's `group_seconds` and `cooldown_seconds`.
    pub fn new(policy: &SuitePolicy) -> Self {
        let seconds = |seconds: u32| TimeDelta::seconds(i64::from(seconds));
        Self {
            group: seconds(policy.group_seconds),
            cooldown: seconds(policy.cooldown_seconds),
            quoted: Vec::new(),
            waiting: 0,
            waiting_since: None,
            told_at: None,
            open_since: None,
        }
    }

    /// Knows again that something critical was open when this instance took over, and was told by the one before.
    pub fn recall(&mut self, now: DateTime<Utc>) {
        self.open_since.get_or_insert(now);
    }

    /// Takes a finding that is new, or holds again.
    pub fn add(&mut self, finding: &Finding, now: DateTime<Utc>) {
        self.waiting_since.get_or_insert(now);
        self.waiting += 1;
        if self.quoted.len() < QUOTED {
            self.quoted.push(finding.text.clone());
        }
    }

    /// Whether it matters how many critical findings are open.
    pub fn wants_count(&self) -> bool {
        self.waiting_since.is_none() && self.open_since.is_some()
    }

    /// What there is to tell now. `open`: critical findings that hold; `None`: not known.
    pub fn tick(&mut self, open: Option<i64>, now: DateTime<Utc>) -> Option<Alert> {
        let Some(waiting_since) = self.waiting_since else {
            let since = self.open_since.filter(|_| open == Some(0))?;
            self.open_since = None;
            return Some(alert(Turn::Resolved, "nothing critical is found any more.".to_owned(), since, now));
        };
        let is_grouped = now - waiting_since >= self.group;
        if !is_grouped || self.told_at.is_some_and(|told_at| now - told_at < self.cooldown) {
            return None;
        }
        let mut message = std::mem::take(&mut self.quoted).join(" ");
        let waiting = std::mem::take(&mut self.waiting);
        if waiting > QUOTED {
            message.push_str(&format!(" And {} more.", waiting - QUOTED));
        }
        message.push_str(" All of them, and what to do: /quality.");
        self.waiting_since = None;
        self.told_at = Some(now);
        let since = *self.open_since.get_or_insert(waiting_since);
        Some(alert(Turn::Opened, message, since, now))
    }
}

fn alert(turn: Turn, message: String, since: DateTime<Utc>, at: DateTime<Utc>) -> Alert {
    Alert { kind: AlertKind::CriticalFindings, turn, subject: "findings".to_owned(), message, at, since }
}

#[cfg(test)]
mod tests {
    use super::*;
    use market::Severity;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    fn finding(number: u32) -> Finding {
        Finding {
            rule: "scale_error".into(),
            severity: Severity::Critical,
            symbol: None,
            time: at(0),
            observed: None,
            expected: None,
            text: format!("Finding {number}."),
            first_seen: at(0),
            count: 1,
            resolved_at: None,
        }
    }

    #[test]
    fn a_storm_is_one_message_and_its_end_another() {
        let mut incidents = FindingIncidents::new(&SuitePolicy::default());
        (1..=200).for_each(|number| incidents.add(&finding(number), at(0)));
        assert_eq!(incidents.tick(None, at(9)), None);
        let told = incidents.tick(None, at(10)).expect("the group is complete");
        assert_eq!((told.turn, told.subject.as_str()), (Turn::Opened, "findings"));
        assert!(told.message.starts_with("Finding 1. Finding 2."), "{}", told.message);
        assert!(told.message.contains("Finding 5. And 195 more."), "{}", told.message);
        assert!(incidents.wants_count());
        assert_eq!(incidents.tick(Some(3), at(11)), None);
        let told = incidents.tick(Some(0), at(12)).expect("all resolved");
        assert_eq!((told.turn, told.since), (Turn::Resolved, at(0)));
        assert_eq!(incidents.tick(Some(0), at(13)), None);
    }

    #[test]
    fn what_follows_within_the_cooldown_waits_for_its_end() {
        let mut incidents = FindingIncidents::new(&SuitePolicy::default());
        incidents.add(&finding(1), at(0));
        assert!(incidents.tick(None, at(10)).is_some());
        incidents.add(&finding(2), at(20));
        assert_eq!(incidents.tick(Some(0), at(309)), None, "what nobody has heard of is not over");
        let told = incidents.tick(None, at(310)).expect("five minutes later");
        assert!(told.message.starts_with("Finding 2. All"), "{}", told.message);
    }

    #[test]
    fn what_was_open_before_a_restart_is_resolved_after_it() {
        let mut incidents = FindingIncidents::new(&SuitePolicy::default());
        assert_eq!(incidents.tick(Some(0), at(0)), None);
        incidents.recall(at(5));
        assert_eq!(incidents.tick(Some(1), at(6)), None);
        assert_eq!(incidents.tick(Some(0), at(7)).map(|told| told.turn), Some(Turn::Resolved));
    }
}
