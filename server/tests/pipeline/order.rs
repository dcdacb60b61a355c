//! The ordering rule in the store: coarser copies, sources that follow each other, truncation over several partitions.

use crate::{
    changes::{Change, apply, apply_item, change, count, open, prices, read, rows, truncate},
    stack::Database,
};
use cdc::Snapshot;
use rust_decimal::Decimal;
use sqlx::Row;

const CONSERVED: &str = "select count(*) from kafka_offset
    where consumed = applied + late + duplicate + deleted + control + quarantined and consumed = next_offset";

#[tokio::test]
async fn a_snapshot_read_never_overwrites_the_better_streamed_value() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let mut writer = open(&store, 0).await;
    let streamed = Change { volume: 1_234_567, price: 93, ..change(1, 10) };
    apply(&mut writer, [streamed, Change { volume: 500, ..change(2, 11) }]).await;
    // The row's own event time is the same; a FLOAT has six digits in a snapshot.
    let copy = Change { volume: 1_234_570, at: 10, price: 93, ..read(1, 20, Snapshot::Middle) };
    let changed = Change { volume: 600, price: 12, ..read(2, 20, Snapshot::Middle) };
    let committed = apply(&mut writer, [copy, changed]).await;
    assert_eq!((committed.counts.duplicate, committed.counts.applied), (1, 1));
    assert_eq!(committed.touched.len(), 1, "nobody is told of the copy");

    let row = sqlx::query("select volume, version_hi, op::text, \"offset\" from stock where record_id = 1")
        .fetch_one(store.pool())
        .await
        .expect("the row");
    let found: (i64, i64, String, i64) = (row.get(0), row.get(1), row.get(2), row.get(3));
    assert_eq!(found, (1_234_567, 20, "c".to_owned(), 0), "its values and provenance, the snapshot's version");
    assert_eq!(rows(&store).await[1].1, Decimal::from(12), "a read that differs by more counts");
    // The same within one batch, and after a restart of the writer.
    let mut writer = open(&store, 0).await;
    let pair = [
        Change { volume: 7_654_321, ..change(3, 30) },
        Change { volume: 7_654_320, at: 30, price: 30, ..read(3, 31, Snapshot::Middle) },
    ];
    assert_eq!(apply(&mut writer, pair).await.counts.duplicate, 1);
    let volume = count(&store, "select volume from stock where record_id = 3 and version_hi = 31").await;
    assert_eq!(volume, 7_654_321);
    assert_eq!(count(&store, CONSERVED).await, 1);
}

#[tokio::test]
async fn a_failback_to_a_former_server_loses_nothing_and_replays_are_duplicates() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let mut writer = open(&store, 0).await;
    let at = |record_id, server_id, position, at| Change { server_id, at, price: at, ..change(record_id, position) };
    apply(&mut writer, [at(1, 1001, 900, 10), at(2, 1001, 901, 11)]).await;
    apply(&mut writer, [at(1, 1002, 40, 20), at(2, 1002, 41, 21)]).await;
    // Restarted in between, so that what is remembered is what is stored.
    let mut writer = open(&store, 0).await;
    let back = apply(&mut writer, [at(1, 1001, 950, 30)]).await;
    assert_eq!(back.counts.applied, 1, "the former server is back: a change, no duplicate");
    let mut writer = open(&store, 0).await;
    let replay =
        apply(&mut writer, [at(1, 1001, 900, 10), at(2, 1001, 901, 11), at(1, 1002, 40, 20), at(2, 1002, 41, 21)])
            .await;
    assert_eq!(replay.counts.duplicate, 4);
    // Set up anew: its log begins again under the same name.
    let anew = apply(&mut writer, [at(2, 1001, 4, 40)]).await;
    assert_eq!(anew.counts.applied, 1);
    assert_eq!(rows(&store).await, prices(&[(1, 30), (2, 40)]));
    let epochs = count(&store, "select count(*) from source_epoch").await;
    assert_eq!(epochs, 4);
    assert_eq!(count(&store, CONSERVED).await, 1);
}

#[tokio::test]
async fn partitions_share_the_epochs_of_their_topic() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let (mut first, mut second) = (open(&store, 0).await, open(&store, 1).await);
    let at = |record_id, server_id, position, at| Change { server_id, at, price: at, ..change(record_id, position) };
    apply(&mut first, [at(1, 1001, 900, 10)]).await;
    apply(&mut second, [at(2, 1001, 905, 11)]).await;
    apply(&mut first, [at(1, 1002, 40, 20)]).await;
    apply(&mut second, [at(2, 1002, 39, 19)]).await;
    // Partitions were added: key 1 goes on in the second one.
    assert_eq!(apply(&mut second, [at(1, 1002, 50, 30)]).await.counts.applied, 1);
    assert_eq!(rows(&store).await, prices(&[(1, 30), (2, 19)]));
    assert_eq!(count(&store, "select count(*) from source_epoch").await, 2);
    assert_eq!(count(&store, "select count(*) from stock where version_epoch = 2").await, 2);
}

#[tokio::test]
async fn a_truncation_empties_every_partition_and_older_changes_of_the_others_stay_out() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let (mut first, mut second) = (open(&store, 0).await, open(&store, 1).await);
    apply(&mut first, [change(1, 10), change(2, 11)]).await;
    apply(&mut second, [change(3, 12)]).await;
    let committed = apply_item(&mut first, |offset| truncate(offset, 20)).await;
    assert!(committed.reset && committed.counts.deleted == 1);
    assert_eq!(committed.seq, 6, "three inserts and three deletes are logged");
    assert_eq!(rows(&store).await, []);
    // Its records of before the truncation come now; one is of a key that was never seen.
    let late = apply(&mut second, [change(3, 15), change(5, 16), change(7, 21)]).await;
    assert_eq!((late.counts.duplicate, late.counts.applied), (2, 1));
    // After a restart too.
    let mut second = open(&store, 1).await;
    assert_eq!(apply(&mut second, [change(9, 19), change(3, 22)]).await.counts.duplicate, 1);
    assert_eq!(rows(&store).await, prices(&[(3, 22), (7, 21)]));
    assert_eq!(count(&store, CONSERVED).await, 2);
}

#[tokio::test]
async fn a_key_that_changes_leaves_a_tombstone_and_may_come_back() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let mut writer = open(&store, 0).await;
    apply(&mut writer, [change(1, 10)]).await;
    // update … set record_id = 2: a delete of the old key, an insert of the new one
    apply_item(&mut writer, |offset| change(1, 11).delete(offset)).await;
    apply(&mut writer, [change(2, 11)]).await;
    assert_eq!(rows(&store).await, prices(&[(2, 11)]));
    assert_eq!(apply(&mut writer, [change(1, 10)]).await.counts.duplicate, 1, "replayed: it stays deleted");
    assert_eq!(apply(&mut writer, [change(1, 12)]).await.counts.applied, 1, "inserted again: it is back");
    assert_eq!(rows(&store).await, prices(&[(1, 12), (2, 11)]));
    assert_eq!(count(&store, "select count(*) from tombstone").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_truncation_among_the_batches_of_another_partition_leaves_nothing_older() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let (mut first, mut second) = (open(&store, 0).await, open(&store, 1).await);
    let writes = async {
        for position in 1..=120 {
            apply(&mut second, [change(position, position)]).await;
        }
    };
    let truncations = async {
        for position in [30, 60, 90] {
            apply(&mut first, [change(1_000 + position, position - 1)]).await;
            apply_item(&mut first, |offset| truncate(offset, position)).await;
        }
    };
    tokio::join!(writes, truncations);
    let left: Vec<i64> = rows(&store).await.iter().map(|(key, _)| *key).collect();
    assert_eq!(left, (91..=120).collect::<Vec<_>>(), "whichever came first");
    assert_eq!(count(&store, CONSERVED).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_that_meet_a_failover_at_the_same_time_agree_on_its_epoch() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let (mut first, mut second) = (open(&store, 0).await, open(&store, 1).await);
    for server_id in 1001..1021 {
        let at = i64::from(server_id);
        let next = |key| Change { server_id, at, price: at, ..change(key, 2_000 - at) };
        tokio::join!(apply(&mut first, [next(1)]), apply(&mut second, [next(2)]));
    }
    assert_eq!(rows(&store).await, prices(&[(1, 1020), (2, 1020)]));
    assert_eq!(count(&store, "select count(*) from source_epoch").await, 20);
    assert_eq!(count(&store, "select count(*) from stock where version_epoch = 20").await, 2);
}

#[tokio::test]
async fn an_older_database_keeps_its_epochs_and_refuses_what_it_has_read() {
    let database = Database::start().await;
    let store = database.store();
    let before = "insert into topic (name) values ('t.stream_db.stock');
        insert into symbol (symbol) values ('AMZN');
        insert into kafka_offset (topic_id, partition, next_offset, last_hash, consumed, applied, updated_at)
            values (1, 0, 2, 1, 2, 2, now());
        insert into source_epoch values (1, 0, 'binlog:0:0000000000000007', 1), (1, 0, 'binlog:1001:0000000000000007', 1),
            (1, 0, 'binlog:1002:0000000000000007', 2);
        insert into stock (topic_id, record_id, symbol_id, time, open, high, low, close, volume, event_time, version_epoch,
            version_hi, version_lo, incarnation, partition, \"offset\", op, received_at, committed_at, rules)
            select 1, key, 1, to_timestamp(key), 1, 1, 1, key, 1, to_timestamp(0), key, 10 * key, 0, 1, 0, key - 1, 'c',
                now(), now(), 0
            from generate_series(1, 2) key";
    for migration in
        [include_str!("../../../migrations/0001_init.sql"), before, include_str!("../../../migrations/0002_order.sql")]
    {
        sqlx::raw_sql(migration).execute(store.pool()).await.expect("it runs");
    }
    // The migrations after them are not about this.
    let mut writer = open(&store, 0).await;
    let at = |record_id, server_id, position| Change { server_id, at: 50, price: 50, ..change(record_id, position) };
    assert_eq!(apply(&mut writer, [at(1, 1001, 10), at(2, 1002, 20)]).await.counts.duplicate, 2);
    assert_eq!(apply(&mut writer, [at(1, 1002, 30), at(2, 1001, 30)]).await.counts.applied, 2);
    assert_eq!(count(&store, "select count(*) from source_epoch").await, 3, "the former server is back");
}
