//! The two-stage rule against an oracle written from its words, over random histories with replays.

use cdc::{KeyState, Outcome, Version, judge};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

/// A change as the source committed it. Its place in the history is its version.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Committed {
    delete: bool,
    event_time: i64,
    /// What the row holds, so that two upserts of the same time can be told apart.
    content: u32,
}

/// What a store holds for one key.
#[derive(Clone, Debug, Default, PartialEq)]
struct Held {
    state: Option<KeyState>,
    content: Option<u32>,
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
}

fn version(place: usize) -> Version {
    Version { epoch: 1 + place as i32 / 7, hi: place as i64 * 10 % 70, lo: 0 }
}

impl Held {
    fn take(&mut self, place: usize, change: Committed) -> Outcome {
        let (outcome, state) = judge(self.state.as_ref(), change.delete, Some(version(place)), at(change.event_time));
        self.state = state;
        match outcome {
            Outcome::Applied => self.content = Some(change.content),
            Outcome::Deleted => self.content = None,
            Outcome::Late | Outcome::Duplicate => {}
        }
        outcome
    }
}

/// The rule in its own words, without a running state: of the history so far, only what comes after the last delete
/// counts, and of that the newest event time; of equal times the later version.
fn oracle(history: &[Committed]) -> Option<u32> {
    let since = history.iter().rposition(|change| change.delete).map_or(0, |last| last + 1);
    let alive = &history[since..];
    let newest = alive.iter().map(|change| change.event_time).max()?;
    alive.iter().rfind(|change| change.event_time == newest).map(|change| change.content)
}

fn history() -> impl Strategy<Value = Vec<Committed>> {
    let change = (prop::bool::weighted(0.2), 0_i64..6, any::<u32>());
    let change = change.prop_map(|(delete, event_time, content)| Committed { delete, event_time, content });
    prop::collection::vec(change, 1..20)
}

/// A history, and where its delivery jumps back to: `(after how many, how far back)`.
fn replayed() -> impl Strategy<Value = (Vec<Committed>, Vec<(usize, usize)>)> {
    history().prop_flat_map(|history| {
        let length = history.len();
        (Just(history), prop::collection::vec((1..=length, 0..length), 0..5))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_rule_agrees_with_the_oracle_after_every_change(history in history()) {
        let mut held = Held::default();
        for (place, change) in history.iter().enumerate() {
            held.take(place, *change);
            prop_assert_eq!(held.content, oracle(&history[..=place]));
            prop_assert_eq!(held.state.map(|state| state.deleted), Some(held.content.is_none()));
        }
    }

    #[test]
    fn a_replay_of_any_older_part_changes_nothing((history, jumps) in replayed()) {
        let mut once = Held::default();
        for (place, change) in history.iter().enumerate() {
            once.take(place, *change);
        }
        let mut replayed = Held::default();
        let mut next = 0;
        let mut jumps = jumps.into_iter();
        let mut jump = jumps.next();
        while next < history.len() {
            let before = replayed.clone();
            let outcome = replayed.take(next, history[next]);
            if before.state.is_some_and(|state| version(next) <= state.version) {
                prop_assert_eq!(outcome, Outcome::Duplicate);
                prop_assert_eq!(&replayed, &before, "a duplicate has no effect");
            }
            next += 1;
            if let Some((after, back)) = jump && next == after {
                next = back.min(next);
                jump = jumps.next();
            }
        }
        prop_assert_eq!(replayed, once);
    }

    #[test]
    fn a_version_never_goes_down_and_a_late_change_leaves_the_row(
        history in history(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..40),
    ) {
        let mut held = Held::default();
        for index in order {
            let place = index.index(history.len());
            let before = held.clone();
            let outcome = held.take(place, history[place]);
            if let (Some(before), Some(after)) = (before.state, held.state) {
                prop_assert!(after.version >= before.version);
                if outcome == Outcome::Late {
                    prop_assert!(after.version > before.version);
                    prop_assert_eq!((after.event_time, after.deleted), (before.event_time, before.deleted));
                }
                if before.deleted && !after.deleted {
                    prop_assert!(after.version > before.version, "only a newer version brings a row back");
                }
            }
            if matches!(outcome, Outcome::Late | Outcome::Duplicate) {
                prop_assert_eq!(held.content, before.content);
            }
        }
    }
}

fn standing(second: i64) -> KeyState {
    KeyState { version: version(3), event_time: at(second), deleted: false }
}

#[test]
fn an_older_update_does_not_overwrite_a_newer_row() {
    let state = standing(5);
    let (outcome, after) = judge(Some(&state), false, Some(version(4)), at(4));
    assert_eq!(outcome, Outcome::Late);
    assert_eq!(after, Some(KeyState { version: version(4), ..state }), "its version still advances");
}

#[test]
fn of_equal_event_times_the_later_version_wins() {
    let (outcome, _) = judge(Some(&standing(5)), false, Some(version(4)), at(5));
    assert_eq!(outcome, Outcome::Applied);
    let (outcome, _) = judge(Some(&standing(5)), false, Some(version(3)), at(9));
    assert_eq!(outcome, Outcome::Duplicate, "the same version is the same change");
}

#[test]
fn a_delete_counts_whatever_its_time_and_a_newer_version_brings_the_row_back() {
    let (outcome, deleted) = judge(Some(&standing(5)), true, Some(version(4)), at(1));
    assert_eq!(outcome, Outcome::Deleted);
    let deleted = deleted.expect("a state");
    assert_eq!(judge(Some(&deleted), false, Some(version(4)), at(9)).0, Outcome::Duplicate);
    let (outcome, back) = judge(Some(&deleted), false, Some(version(5)), at(0));
    assert_eq!(outcome, Outcome::Applied, "after a delete no event time is too old");
    assert_eq!(back, Some(KeyState { version: version(5), event_time: at(0), deleted: false }));
}

#[test]
fn a_tombstone_without_a_version_deletes_what_stands_and_keeps_the_version() {
    let (outcome, deleted) = judge(Some(&standing(5)), true, None, at(6));
    assert_eq!(outcome, Outcome::Deleted);
    let deleted = deleted.expect("a state");
    assert_eq!((deleted.version, deleted.deleted), (version(3), true));
    assert_eq!(judge(Some(&deleted), true, None, at(7)), (Outcome::Duplicate, Some(deleted)));
    assert_eq!(judge(None, true, None, at(7)), (Outcome::Duplicate, None), "nothing stands");
}

#[test]
fn a_delete_of_an_unknown_key_is_remembered() {
    let (outcome, state) = judge(None, true, Some(version(2)), at(1));
    assert_eq!(outcome, Outcome::Deleted);
    let state = state.expect("a state");
    assert_eq!(judge(Some(&state), false, Some(version(1)), at(9)).0, Outcome::Duplicate);
}
