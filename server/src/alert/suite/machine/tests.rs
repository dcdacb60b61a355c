//! Histories of runs, and what is told of them.

use super::*;
use Event::{Firing, Nodata, Passed, Repeated, Reporting, Resolved};
use quality::suite::{Suite as Document, ValidationResult};
use std::sync::Arc;

/// Nothing is grouped and nothing is pending, unless a test asks for it.
const PLAIN: SuitePolicy =
    SuitePolicy { pending_runs: 0, cooldown_seconds: 300, repeat_seconds: 3_600, group_seconds: 0, nodata_seconds: 0 };

struct History {
    incidents: SuiteIncidents,
    notify_on: NotifyOn,
    start: DateTime<Utc>,
    runs: i64,
}

impl History {
    fn new(policy: SuitePolicy) -> Self {
        let start = "2024-01-16T14:30:00Z".parse().unwrap();
        Self { incidents: SuiteIncidents::new(policy), notify_on: NotifyOn::Failure, start, runs: 0 }
    }

    fn at(&self, second: i64) -> DateTime<Utc> {
        self.start + TimeDelta::seconds(second)
    }

    fn report(&self, suite: &str, second: i64, success: bool, run_id: i64) -> RunReport {
        let json = format!(
            r#"{{"name": "{suite}", "expectations": [{{"type": "expect_column_values_to_not_be_null", "kwargs": {{"column": "close"}}}}]}}"#
        );
        let document = Document::parse(json.as_bytes()).unwrap();
        let mut result = document.expectations[0].clone().failed("no".to_owned());
        result.success = success;
        RunReport {
            checkpoint: "daily".to_owned(),
            owner: Some("ann".to_owned()),
            notify_on: self.notify_on,
            run_id,
            asset: "stock".to_owned(),
            started_at: self.at(second),
            finished_at: self.at(second),
            result: Arc::new(ValidationResult {
                suite_name: suite.to_owned(),
                results: vec![result],
                meta: serde_json::Map::new(),
            }),
        }
    }

    fn run_of(&mut self, suite: &str, second: i64, success: bool) -> Vec<Item> {
        self.runs += 1;
        let report = self.report(suite, second, success, self.runs);
        self.incidents.observe(report, self.at(second)).map_or_else(Vec::new, |notice| notice.items)
    }

    fn met(&mut self, second: i64) -> Vec<Event> {
        events(&self.run_of("s", second, true))
    }

    fn not_met(&mut self, second: i64) -> Vec<Event> {
        events(&self.run_of("s", second, false))
    }

    fn tick(&mut self, second: i64) -> Vec<Event> {
        let now = self.at(second);
        self.incidents.tick(now).map_or_else(Vec::new, |notice| events(&notice.items))
    }

    fn state(&self) -> SuiteState {
        self.incidents.state("daily", "s").unwrap()
    }
}

fn events(items: &[Item]) -> Vec<Event> {
    items.iter().map(|item| item.event).collect()
}

#[test]
fn a_suite_goes_from_ok_over_firing_and_resolved_back_to_ok() {
    let mut history = History::new(PLAIN);
    assert_eq!((history.met(0), history.state()), (vec![], SuiteState::Ok));
    assert_eq!((history.not_met(60), history.state()), (vec![Firing], SuiteState::Firing));
    assert_eq!((history.not_met(120), history.state()), (vec![], SuiteState::Firing));
    assert_eq!((history.met(180), history.state()), (vec![Resolved], SuiteState::Resolved));
    assert_eq!((history.met(240), history.state()), (vec![], SuiteState::Ok));
}

#[test]
fn the_next_run_after_the_pending_ones_fires() {
    let mut history = History::new(SuitePolicy { pending_runs: 2, ..PLAIN });
    for second in [0, 60] {
        assert_eq!((history.not_met(second), history.state()), (vec![], SuiteState::Pending));
    }
    assert_eq!((history.not_met(120), history.state()), (vec![Firing], SuiteState::Firing));
}

#[test]
fn a_pending_suite_that_is_met_again_is_told_to_nobody_and_counts_anew() {
    let mut history = History::new(SuitePolicy { pending_runs: 1, ..PLAIN });
    assert_eq!(history.not_met(0), []);
    assert_eq!((history.met(60), history.state()), (vec![], SuiteState::Ok));
    assert_eq!((history.not_met(120), history.state()), (vec![], SuiteState::Pending));
}

#[test]
fn a_notice_says_when_it_was_first_seen_and_how_often() {
    let mut history = History::new(SuitePolicy { pending_runs: 1, ..PLAIN });
    history.met(0);
    history.not_met(60);
    let fired = history.run_of("s", 120, false);
    assert_eq!((fired[0].first_seen, fired[0].failed_runs), (history.at(60), 2));
    assert_eq!(fired[0].run.as_ref().unwrap().run_id, 3);
    history.not_met(180);
    let resolved = history.run_of("s", 240, true);
    assert_eq!((resolved[0].event, resolved[0].first_seen, resolved[0].failed_runs), (Resolved, history.at(60), 3));
    history.not_met(1_000);
    let again = history.run_of("s", 1_060, false);
    assert_eq!((again[0].first_seen, again[0].failed_runs), (history.at(1_000), 2), "an incident of its own");
}

#[test]
fn a_suite_that_comes_and_goes_makes_one_pair_of_notices_in_a_cooldown() {
    let mut history = History::new(PLAIN);
    let mut told = Vec::new();
    for second in (0..900).step_by(10) {
        told.extend(if second % 20 == 0 { history.not_met(second) } else { history.met(second) });
    }
    assert_eq!(told, [Firing, Resolved, Firing, Resolved, Firing, Resolved]);
}

#[test]
fn what_still_fails_when_the_cooldown_ends_is_told_then_without_another_run() {
    let mut history = History::new(PLAIN);
    assert_eq!(history.not_met(0), [Firing]);
    assert_eq!(history.met(10), [Resolved]);
    assert_eq!((history.not_met(20), history.state()), (vec![], SuiteState::Firing));
    assert_eq!(history.tick(309), []);
    assert_eq!(history.tick(310), [Firing]);
    assert_eq!(history.tick(311), []);
}

#[test]
fn an_incident_that_nobody_was_told_of_is_resolved_in_silence() {
    let mut history = History::new(PLAIN);
    assert_eq!(history.not_met(0), [Firing]);
    assert_eq!(history.met(10), [Resolved]);
    assert_eq!(history.not_met(20), []);
    assert_eq!((history.met(30), history.state()), (vec![], SuiteState::Resolved));
    assert_eq!(history.tick(400), []);
}

#[test]
fn a_suite_that_still_fails_is_told_again_by_a_run_after_the_repeat_interval() {
    let mut history = History::new(PLAIN);
    assert_eq!(history.not_met(0), [Firing]);
    assert_eq!(history.not_met(3_599), []);
    assert_eq!(history.tick(3_700), [], "only a run knows that it still fails");
    assert_eq!(history.not_met(3_700), [Repeated]);
    assert_eq!(history.not_met(7_299), []);
    assert_eq!(history.not_met(7_300), [Repeated]);
    let mut once = History::new(SuitePolicy { repeat_seconds: 0, ..PLAIN });
    assert_eq!(once.not_met(0), [Firing]);
    assert_eq!(once.not_met(1_000_000), []);
}

#[test]
fn suites_that_fail_together_make_one_digest_with_the_most_urgent_first() {
    let mut history = History::new(SuitePolicy { group_seconds: 10, ..PLAIN });
    history.notify_on = NotifyOn::All;
    assert_eq!(history.run_of("fine", 0, true).len(), 0);
    assert_eq!(history.run_of("a", 1, false).len(), 0);
    assert_eq!(history.run_of("b", 2, false).len(), 0);
    assert_eq!(history.tick(9), []);
    let notice = history.incidents.tick(history.at(10)).unwrap();
    assert_eq!(events(&notice.items), [Firing, Firing, Passed]);
    assert_eq!(notice.summary(), "2 failing, 1 passed");
    assert_eq!(notice.at, history.at(10));
    assert_eq!(history.tick(100), []);
}

#[test]
fn a_digest_holds_a_suite_once_per_event_and_hides_none_that_recovered() {
    let mut history = History::new(SuitePolicy { group_seconds: 60, cooldown_seconds: 0, ..PLAIN });
    for second in 0..50 {
        assert_eq!(if second % 2 == 0 { history.not_met(second) } else { history.met(second) }, []);
    }
    assert_eq!(history.tick(60), [Firing, Resolved]);
}

#[test]
fn incidents_of_one_suite_in_two_checkpoints_are_two() {
    let mut history = History::new(PLAIN);
    assert_eq!(history.not_met(0), [Firing]);
    let mut other = history.report("s", 1, false, 9);
    other.checkpoint = "hourly".to_owned();
    let notice = history.incidents.observe(other, history.at(1)).unwrap();
    assert_eq!((notice.items[0].event, notice.items[0].checkpoint.as_str()), (Firing, "hourly"));
}

#[test]
fn an_older_run_does_not_overturn_a_newer_one() {
    let mut history = History::new(PLAIN);
    let newer = history.report("s", 60, false, 8);
    assert!(history.incidents.observe(newer, history.at(60)).is_some());
    let older = history.report("s", 0, true, 7);
    assert!(history.incidents.observe(older, history.at(61)).is_none());
    assert_eq!(history.state(), SuiteState::Firing);
}

#[test]
fn who_wants_successes_hears_of_one_per_cooldown_and_of_no_failure() {
    let mut history = History::new(PLAIN);
    history.notify_on = NotifyOn::Success;
    assert_eq!(history.met(0), [Passed]);
    assert_eq!(history.met(299), []);
    assert_eq!(history.met(300), [Passed]);
    assert_eq!(history.not_met(400), []);
    assert_eq!(history.tick(10_000), []);
    assert_eq!(history.not_met(10_000), []);
    assert_eq!(history.met(10_001), [Passed], "nobody heard that it failed, so nobody hears that it is resolved");
}

#[test]
fn who_wants_all_hears_of_a_recovery_once() {
    let mut history = History::new(PLAIN);
    history.notify_on = NotifyOn::All;
    assert_eq!(history.met(0), [Passed]);
    assert_eq!(history.not_met(10), [Firing]);
    assert_eq!(history.met(20), [Resolved]);
    assert_eq!(history.met(30), []);
    assert_eq!(history.met(320), [Passed]);
}

#[test]
fn a_checkpoint_that_never_reports_is_told_of_and_so_is_its_return() {
    let mut history = History::new(PLAIN);
    let start = history.at(0);
    history.incidents.expect("daily", Some("ann"), Some(Duration::from_secs(600)), start);
    assert_eq!(history.tick(599), []);
    let notice = history.incidents.tick(history.at(600)).unwrap();
    assert_eq!((notice.items[0].event, notice.items[0].first_seen), (Nodata, start));
    assert_eq!((notice.items[0].owner.as_deref(), notice.items[0].run.is_none()), (Some("ann"), true));
    assert_eq!(history.tick(4_199), []);
    assert_eq!(history.tick(4_200), [Nodata], "after the repeat interval");
    assert_eq!(history.met(4_300), [Reporting]);
    assert_eq!(history.tick(4_899), []);
    assert_eq!(history.tick(4_900), [Nodata]);
}

#[test]
fn silence_is_told_whatever_runs_somebody_wants_to_hear_of() {
    for notify_on in [NotifyOn::All, NotifyOn::Failure, NotifyOn::Success] {
        let mut history = History::new(SuitePolicy { nodata_seconds: 600, ..PLAIN });
        history.notify_on = notify_on;
        history.met(0);
        assert_eq!(history.tick(600), [Nodata]);
    }
}

#[test]
fn a_checkpoint_that_another_instance_runs_is_not_silent() {
    let mut history = History::new(SuitePolicy { nodata_seconds: 600, ..PLAIN });
    let start = history.at(0);
    history.incidents.expect("daily", None, None, start);
    for second in [500, 1_000, 1_500] {
        assert!(history.incidents.heard("daily", None, history.at(second)).is_none());
        assert_eq!(history.tick(second + 99), []);
    }
    assert_eq!(history.tick(2_100), [Nodata]);
    let notice = history.incidents.heard("daily", None, history.at(2_200)).unwrap();
    assert_eq!(events(&notice.items), [Reporting]);
}

#[test]
fn a_failing_suite_whose_checkpoint_falls_silent_is_still_firing() {
    let mut history = History::new(SuitePolicy { nodata_seconds: 600, ..PLAIN });
    assert_eq!(history.not_met(0), [Firing]);
    assert_eq!(history.tick(600), [Nodata]);
    assert_eq!(history.state(), SuiteState::Firing);
    assert_eq!(history.met(700), [Resolved, Reporting]);
}

#[test]
fn a_checkpoint_without_a_time_may_be_silent_for_ever() {
    let mut history = History::new(PLAIN);
    history.met(0);
    let start = history.at(0);
    history.incidents.expect("weekly", None, Some(Duration::ZERO), start);
    history.incidents.expect("yearly", None, Some(Duration::MAX), start);
    assert_eq!(history.tick(1_000_000_000), []);
}

#[test]
fn what_was_told_before_a_restart_is_not_told_again_and_its_end_is() {
    let mut history = History::new(PLAIN);
    let first_seen = history.at(-500);
    history.incidents.recall("daily", "s", 0, first_seen, history.at(0));
    assert_eq!(history.not_met(1), []);
    let resolved = history.run_of("s", 60, true);
    assert_eq!((resolved[0].event, resolved[0].first_seen, resolved[0].failed_runs), (Resolved, first_seen, 2));
}

#[test]
fn a_clock_that_is_set_back_makes_no_noise() {
    let mut history = History::new(SuitePolicy { nodata_seconds: 600, ..PLAIN });
    assert_eq!(history.not_met(1_000), [Firing]);
    assert_eq!(history.tick(0), []);
    assert_eq!(history.not_met(10), []);
    assert_eq!(history.met(20), [Resolved]);
}
