//! What is swept and pruned, and what must stay.

use crate::{
    changes::{apply, apply_item, change, count, instant, open, prices, read, rows},
    stack::Database,
};
use cdc::Snapshot;
use chrono::Utc;
use server::store::{ChangesSince, Item, Policy, Pruned, Refused, RefusedReason, Store};
use std::time::Duration;

fn sweeping(store: Store, sweep_limit_percent: u8) -> Store {
    let policy = Policy { sweep_limit_percent, ..*store.policy() };
    store.with_policy(policy)
}

/// A snapshot of these keys at a position.
fn snapshot(keys: &[i64], position: i64) -> Vec<crate::changes::Change> {
    let last = keys.len() - 1;
    let place = |index| match index {
        _ if index == last => Snapshot::Last,
        0 => Snapshot::First,
        _ => Snapshot::Middle,
    };
    keys.iter().enumerate().map(|(index, key)| read(*key, position, place(index))).collect()
}

#[tokio::test]
async fn rows_that_a_snapshot_does_not_mention_are_swept_in_its_last_transaction() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let mut writer = open(&store, 0).await;
    let keys: Vec<i64> = (1..=10).collect();
    assert!(!apply(&mut writer, snapshot(&keys, 5)).await.reset, "the first snapshot sweeps nothing");
    apply(&mut writer, [change(11, 10), change(12, 11)]).await;

    // 3 and 7 were deleted while nobody listened. The process dies in the middle of the snapshot: marks are in the rows.
    let mentioned: Vec<i64> = (1..=12).filter(|key| ![3, 7].contains(key)).collect();
    let again = snapshot(&mentioned, 20);
    assert!(!apply(&mut writer, again[..6].iter().copied()).await.reset);
    let mut writer = open(&store, 0).await;
    let before = store.head().await.expect("the head").seq;
    // What is streamed after the snapshot may come in the same batch.
    let committed = apply(&mut writer, again[6..].iter().copied().chain([change(20, 30)])).await;
    assert!(committed.reset, "the live feed is told");
    let left: Vec<i64> = rows(&store).await.iter().map(|(key, _)| *key).collect();
    assert_eq!(left, [1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 20]);
    let gone = count(&store, "select count(*) from change_log, unnest(outcomes) outcome where outcome = 'd'").await;
    assert_eq!(gone, 2);
    let symbols = ["AMZN".parse().expect("a symbol")];
    let ChangesSince::Known { candles, .. } = store.changes_since(before, Some(&symbols), 100).await.expect("changes")
    else {
        panic!("the log reaches back that far")
    };
    assert!(candles.iter().any(|candle| candle.time == instant(3 * 60)));
    let [done, ..] = &store.snapshot_sweeps(10).await.expect("sweeps")[..] else { panic!("it is recorded") };
    assert!(done.swept && (done.present, done.unmentioned) == (13, 2), "{done:?}");

    // What was swept stays out, whatever is replayed, until it is newer.
    assert_eq!(apply(&mut writer, [change(3, 15)]).await.counts.duplicate, 1);
    assert_eq!(apply(&mut writer, [change(3, 31)]).await.counts.applied, 1);
}

#[tokio::test]
async fn a_sweep_of_more_than_a_fifth_needs_the_operators_word() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let mut writer = open(&store, 0).await;
    apply(&mut writer, (1..=10).map(|key| change(key, key))).await;
    assert!(!apply(&mut writer, snapshot(&[1, 2, 3], 20)).await.reset);
    assert_eq!(rows(&store).await.len(), 10, "seven of ten are too many");
    let [kept, ..] = &store.snapshot_sweeps(10).await.expect("sweeps")[..] else { panic!("it is recorded") };
    assert!(!kept.swept && (kept.present, kept.unmentioned, kept.limit_percent) == (10, 7, 20), "{kept:?}");
    apply(&mut writer, [change(11, 30)]).await;
    assert_eq!(rows(&store).await.len(), 11, "nor later");

    let store = sweeping(store, 100);
    let mut writer = open(&store, 0).await;
    assert!(apply(&mut writer, [change(12, 31)]).await.reset, "started again with the switch");
    assert_eq!(rows(&store).await.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [1, 2, 3, 11, 12]);
    assert!(store.snapshot_sweeps(10).await.expect("sweeps")[0].swept);
}

#[tokio::test]
async fn each_partition_sweeps_its_own_rows_once_it_has_passed_the_snapshot() {
    let database = Database::start().await;
    let store = sweeping(database.migrated().await, 50);
    let (mut first, mut second) = (open(&store, 0).await, open(&store, 1).await);
    apply(&mut first, [change(1, 1), change(3, 2), change(5, 3)]).await;
    apply(&mut second, [change(2, 4), change(4, 5), change(6, 6)]).await;
    // Of each partition one key is gone. The last record is in the first partition, and comes before the second's.
    apply(&mut first, [read(1, 20, Snapshot::First), read(3, 20, Snapshot::Last)]).await;
    assert_eq!(rows(&store).await.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [1, 2, 3, 4, 6]);
    apply(&mut second, [read(2, 20, Snapshot::Middle), read(4, 20, Snapshot::Middle)]).await;
    assert_eq!(rows(&store).await.len(), 5, "more of it may come");
    let mut second = open(&store, 1).await;
    apply(&mut second, [change(2, 21)]).await;
    assert_eq!(rows(&store).await.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [1, 2, 3, 4]);
    // Key 5 had moved to the second partition, whose part mentions it: it comes back with it.
    assert_eq!(apply(&mut second, [read(5, 20, Snapshot::Middle)]).await.counts.applied, 1);
}

#[tokio::test]
async fn an_unfinished_and_an_incremental_snapshot_sweep_nothing() {
    let database = Database::start().await;
    let store = sweeping(database.migrated().await, 100);
    let mut writer = open(&store, 0).await;
    apply(&mut writer, (1..=5).map(|key| change(key, key))).await;
    apply(&mut writer, [read(1, 20, Snapshot::First), read(2, 20, Snapshot::Middle), change(1, 21)]).await;
    apply(&mut writer, [read(1, 22, Snapshot::Incremental), change(1, 23)]).await;
    assert_eq!(rows(&store).await.len(), 5);
    // Begun anew and finished.
    apply(&mut writer, snapshot(&[1, 2], 30)).await;
    assert_eq!(rows(&store).await.len(), 2);
}

fn refused(offset: i64, record_id: i64) -> Item {
    Item::Refused(Box::new(Refused {
        offset,
        timestamp_ms: None,
        key: Some(format!("{{\"record_id\":{record_id}}}").into_bytes()),
        value: Some(b"{}".to_vec()),
        headers: b"[]".to_vec(),
        reason: RefusedReason::Rules { violations: Vec::new(), unmet: Vec::new() },
    }))
}

#[tokio::test]
async fn a_row_whose_reading_lies_in_quarantine_is_not_swept() {
    let database = Database::start().await;
    let store = sweeping(database.migrated().await, 100);
    let mut writer = open(&store, 0).await;
    apply(&mut writer, (1..=4).map(|key| change(key, key))).await;
    apply_item(&mut writer, |offset| refused(offset, 3)).await;
    apply(&mut writer, snapshot(&[1, 2], 20)).await;
    assert_eq!(rows(&store).await, prices(&[(1, 20), (2, 20), (3, 3)]));
}

#[tokio::test]
async fn tombstones_are_purged_when_nothing_can_need_them() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let store = store.clone().with_policy(Policy { tombstones: Duration::from_secs(3_600), ..*store.policy() });
    let mut writer = open(&store, 0).await;
    apply(&mut writer, [change(1, 1), change(2, 2)]).await;
    apply_item(&mut writer, |offset| change(1, 3).delete(offset)).await;
    apply_item(&mut writer, |offset| refused(offset, 2)).await;
    apply_item(&mut writer, |offset| change(2, 4).delete(offset)).await;
    assert_eq!(store.prune(Utc::now()).await.expect("Postgres answers"), Pruned::default(), "they are young");
    let later = Utc::now() + Duration::from_secs(7_200);
    assert_eq!(store.prune(later).await.expect("Postgres answers").tombstones, 1);
    let kept = count(&store, "select record_id from tombstone").await;
    assert_eq!(kept, 2, "an older record of its partition may still be sent on from quarantine");
    // The table is emptied: the truncation remembers for all of them.
    apply_item(&mut writer, |offset| crate::changes::truncate(offset, 50)).await;
    assert_eq!(store.prune(later).await.expect("Postgres answers").tombstones, 1);
    assert_eq!(apply(&mut writer, [change(2, 2)]).await.counts.duplicate, 1);
}

#[tokio::test]
async fn the_change_log_is_bounded_and_older_clients_are_told_to_start_over() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let mut writer = open(&store, 0).await;
    for position in 1..=10 {
        apply(&mut writer, [change(position, position)]).await;
    }
    apply_item(&mut writer, |offset| refused(offset, 99)).await;
    assert_eq!(store.prune(Utc::now()).await.expect("Postgres answers"), Pruned::default());
    let bounded = store.clone().with_policy(Policy { change_log_changes: 4, ..*store.policy() });
    assert_eq!(bounded.prune(Utc::now()).await.expect("Postgres answers").batches, 6);
    let symbols = ["AMZN".parse().expect("a symbol")];
    for (since, known) in [(5, false), (6, true), (10, true)] {
        let changes = store.changes_since(since, Some(&symbols), 100).await.expect("Postgres answers");
        assert_eq!(matches!(changes, ChangesSince::Known { .. }), known, "since {since}: {changes:?}");
    }
    let later = Utc::now() + store.policy().change_log * 2;
    assert_eq!(store.prune(later).await.expect("Postgres answers").batches, 4);
    assert_eq!(count(&store, "select count(*) from quarantine").await, 1, "which is never pruned");
}
