//! One writer at a time, whatever the others believe.

use crate::{
    changes::{apply, batch, change, count, open, prices, rows},
    stack::{Database, until},
};
use server::store::ApplyError;
use sqlx::Row;

#[tokio::test]
async fn a_zombie_that_holds_its_lock_is_cut_off_and_steps_down() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let mut zombie = open(&store, 0).await;
    apply(&mut zombie, [change(1, 10)]).await;
    // It is stopped: its session lives and keeps the lock, and nothing of it answers.
    let mut successor = open(&store, 0).await;
    apply(&mut successor, [change(1, 20)]).await;
    // It goes on with what it was about to write.
    let late = batch(&zombie, vec![change(1, 15).upsert(1)]);
    let first = zombie.apply(&late).await;
    assert!(matches!(first, Err(ApplyError::Database(_))), "its session is gone: {first:?}");
    let second = zombie.recover(&late).await;
    assert!(matches!(second, Err(ApplyError::Fenced(_))), "and its fence is old: {second:?}");
    let third = zombie.apply(&late).await;
    assert!(matches!(third, Err(ApplyError::Fenced(_))), "{third:?}");
    apply(&mut successor, [change(2, 21)]).await;
    assert_eq!(rows(&store).await, prices(&[(1, 20), (2, 21)]), "the owner was not disturbed");
}

#[tokio::test]
async fn a_dead_owners_lock_is_free_at_once() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let owner = open(&store, 0).await;
    let locks = "select count(*) from pg_locks where locktype = 'advisory' and granted and objsubid = 2";
    assert_eq!(count(&store, locks).await, 1);
    drop(owner);
    until("the lock is free", || async { (count(&store, locks).await == 0).then_some(()) }).await;
    let terminated = "select count(*) from pg_stat_activity where backend_type = 'client backend'";
    assert!(count(&store, terminated).await >= 1);
    let successor = open(&store, 0).await;
    assert_eq!(successor.state().fence, 2);
}

#[tokio::test]
async fn two_writers_of_different_partitions_do_not_disturb_each_other() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let (mut first, mut second) = (open(&store, 0).await, open(&store, 1).await);
    apply(&mut first, [change(1, 10)]).await;
    apply(&mut second, [change(2, 11)]).await;
    apply(&mut first, [change(3, 12)]).await;
    assert_eq!(rows(&store).await.len(), 3);
}

#[tokio::test]
async fn after_a_commit_of_unknown_outcome_the_offset_is_read_and_the_fence_stays() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let mut writer = open(&store, 0).await;
    let fence = writer.state().fence;
    let written = batch(&writer, vec![change(1, 10).upsert(0)]);
    writer.apply(&written).await.expect("the batch is applied");
    assert!(writer.recover(&written).await.expect("Postgres answers"), "it is in the store");
    let next = batch(&writer, vec![change(2, 11).upsert(1)]);
    assert!(!writer.recover(&next).await.expect("Postgres answers"), "it is not");
    assert_eq!(writer.state().fence, fence);
    writer.apply(&next).await.expect("it is still the writer");
    let _successor = open(&store, 0).await;
    let refused = writer.recover(&next).await;
    assert!(refused.is_err(), "another one has taken over: {refused:?}");
}

#[tokio::test]
async fn a_connection_killed_in_the_middle_costs_nothing() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let mut writer = open(&store, 0).await;
    for position in 1..6 {
        let batch = batch(&writer, vec![change(position, position).upsert(position - 1)]);
        let pids = sqlx::query(
            "select pg_terminate_backend(pid, 5000) from pg_locks
             where locktype = 'advisory' and granted and objsubid = 2",
        )
        .fetch_all(store.pool())
        .await
        .expect("Postgres answers");
        assert!(pids.iter().all(|row| row.get::<bool, _>(0)));
        writer.apply(&batch).await.expect_err("its session is gone");
        if !writer.recover(&batch).await.expect("Postgres answers") {
            writer.apply(&batch).await.expect("it is still the writer");
        }
    }
    assert_eq!(rows(&store).await.len(), 5);
    assert_eq!(count(&store, "select consumed from kafka_offset").await, 5);
}

#[tokio::test]
async fn a_new_incarnation_and_a_gap_are_the_owners_to_begin() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let mut fresh = open(&store, 1).await;
    fresh.skip_to(500).await.expect("it is the writer");
    assert_eq!(store.retention_gaps(10).await.expect("gaps"), [], "nothing was ever read: no gap");

    let mut zombie = open(&store, 0).await;
    apply(&mut zombie, [change(1, 10)]).await;
    let mut owner = open(&store, 0).await;
    for refused in [zombie.begin_incarnation(0).await, zombie.skip_to(9).await] {
        assert!(refused.is_err(), "{refused:?}");
    }
    assert_eq!((owner.state().incarnation, owner.state().next_offset), (1, 1));
    owner.skip_to(40).await.expect("it is the writer");
    assert_eq!((owner.state().incarnation, owner.state().next_offset), (1, 40), "offsets mean what they meant");
    apply(&mut owner, [change(2, 90)]).await;
    let gaps = store.retention_gaps(10).await.expect("gaps");
    let found: Vec<_> =
        gaps.iter().map(|gap| (gap.partition, gap.incarnation, gap.from_offset, gap.to_offset)).collect();
    assert_eq!(found, [(0, 1, 1, 40)]);

    owner.begin_incarnation(0).await.expect("it is the writer");
    assert_eq!((owner.state().incarnation, owner.state().next_offset), (2, 0));
    // Reading again is harmless.
    assert_eq!(apply(&mut owner, [change(1, 10), change(2, 90), change(2, 91)]).await.counts.duplicate, 2);
    assert_eq!(rows(&store).await, prices(&[(1, 10), (2, 91)]));
}
