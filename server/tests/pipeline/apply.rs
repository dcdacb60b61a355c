//! One transaction per batch: what the bulk statements leave behind equals what one change after the other would.

use crate::stack::{Database, TOPIC};
use cdc::{KeyState, Op, Outcome, Position, Snapshot, SourceIdent, Version, judge};
use chrono::{DateTime, TimeDelta, Utc};
use market::{Bar, Symbol};
use quality::RuleSet;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;
use server::store::{ApplyError, Batch, Item, PartitionKey, Store, Upsert, Writer};
use sqlx::Row;
use std::{collections::BTreeMap, sync::Arc};

fn instant(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_705_415_400 + seconds, 0).expect("in range")
}

fn position(hi: i64) -> Position {
    Position { ident: SourceIdent::Binlog { server_id: 1001, base: 7 }, hi, lo: 0 }
}

fn upsert(offset: i64, record_id: i64, version: i64, event_time: i64, close: Decimal, minute: i64) -> Item {
    Item::Upsert(Upsert {
        offset,
        record_id,
        op: Op::Create,
        symbol: ["AMZN", "AAPL"][(record_id % 2) as usize].parse().expect("a symbol"),
        bar: Bar { time: instant(minute * 60), open: close, high: close, low: close, close, volume: record_id },
        position: position(version),
        event_time: instant(event_time),
        source_at: None,
        snapshot: Snapshot::No,
        rules: RuleSet::default(),
        tags: Vec::new(),
    })
}

fn batch(first_offset: i64, items: Vec<Item>) -> Batch {
    Batch { next_offset: first_offset + items.len() as i64, last_hash: 1, received_at: instant(0), items }
}

async fn writer(store: &Store) -> Writer {
    let key = PartitionKey { topic: TOPIC.to_owned(), partition: 0 };
    Writer::open(store.clone(), key, Arc::new(|_| false)).await.expect("the partition opens")
}

/// The rule, one change after the other, in memory.
#[derive(Default)]
struct Oracle {
    keys: BTreeMap<i64, (KeyState, Option<(Decimal, i64)>)>,
    counts: BTreeMap<&'static str, i64>,
}

impl Oracle {
    fn apply(&mut self, item: &Item) {
        let (record_id, delete, version, event_time, row, offset) = match item {
            Item::Upsert(u) => (u.record_id, false, Some(u.position.hi), u.event_time, Some(u.bar.close), u.offset),
            Item::Delete { offset, record_id, position, event_time, .. } => {
                (*record_id, true, position.map(|p| p.hi), *event_time, None, *offset)
            }
            other => panic!("{other:?}"),
        };
        let version = version.map(|hi| Version { epoch: 1, hi, lo: 0 });
        let known = self.keys.get(&record_id);
        let (outcome, state) = judge(known.map(|(state, _)| state), delete, version, event_time);
        let standing = match outcome {
            Outcome::Applied => row.map(|close| (close, offset)),
            Outcome::Deleted => None,
            Outcome::Late | Outcome::Duplicate => known.and_then(|(_, row)| *row),
        };
        if let Some(state) = state {
            self.keys.insert(record_id, (state, standing));
        }
        let name = match outcome {
            Outcome::Applied => "applied",
            Outcome::Deleted => "deleted",
            Outcome::Late => "late",
            Outcome::Duplicate => "duplicate",
        };
        *self.counts.entry(name).or_default() += 1;
    }
}

#[tokio::test]
async fn bulk_statements_leave_what_one_change_after_the_other_would() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let mut writer = writer(&store).await;
    let mut random = ChaCha8Rng::seed_from_u64(20_240_116);
    let mut oracle = Oracle::default();
    let mut offset = 0;
    for _ in 0..120 {
        let size = random.random_range(1..60);
        let items: Vec<Item> = (0..size)
            .map(|index| {
                let record_id = random.random_range(1..80);
                let version = random.random_range(1..400);
                let event_time = random.random_range(0..60);
                let offset = offset + index;
                if random.random_bool(0.2) {
                    let position = random.random_bool(0.8).then(|| position(version));
                    Item::Delete { offset, record_id, position, event_time: instant(event_time), source_at: None }
                } else {
                    let close = Decimal::new(random.random_range(1..1_000_000_000), random.random_range(0..9));
                    upsert(offset, record_id, version, event_time, close, random.random_range(0..390))
                }
            })
            .collect();
        items.iter().for_each(|item| oracle.apply(item));
        let batch = batch(offset, items);
        offset = batch.next_offset;
        writer.apply(&batch).await.expect("the batch is applied");
    }

    let rows = sqlx::query("select record_id, close, \"offset\", version_hi, event_time from stock order by record_id")
        .fetch_all(store.pool())
        .await
        .expect("rows");
    let standing: Vec<_> = rows
        .iter()
        .map(|row| {
            let at: DateTime<Utc> = row.get("event_time");
            let close: Decimal = row.get("close");
            (row.get::<i64, _>("record_id"), close, row.get::<i64, _>("offset"), row.get::<i64, _>("version_hi"), at)
        })
        .collect();
    let expected: Vec<_> = oracle
        .keys
        .iter()
        .filter_map(|(id, (state, row))| {
            row.map(|(close, offset)| (*id, close, offset, state.version.hi, state.event_time))
        })
        .collect();
    assert_eq!(standing, expected);

    let graves: Vec<(i64, i64)> = sqlx::query("select record_id, version_hi from tombstone order by record_id")
        .fetch_all(store.pool())
        .await
        .expect("tombstones")
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    let expected: Vec<(i64, i64)> = oracle
        .keys
        .iter()
        .filter(|(_, (state, _))| state.deleted)
        .map(|(id, (state, _))| (*id, state.version.hi))
        .collect();
    assert_eq!(graves, expected);

    let row = sqlx::query("select consumed, applied, deleted, late, duplicate from kafka_offset")
        .fetch_one(store.pool())
        .await
        .expect("the offset row");
    assert_eq!(row.get::<i64, _>("consumed"), offset);
    for (name, count) in &oracle.counts {
        assert_eq!(row.get::<i64, _>(*name), *count, "{name}");
    }
    assert!(oracle.counts.len() == 4, "the history has every outcome: {:?}", oracle.counts);
}

#[tokio::test]
async fn prices_of_any_scale_and_sign_survive_the_binary_copy() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let mut writer = writer(&store).await;
    let texts = [
        "0",
        "0.0001",
        "1",
        "9999",
        "10000",
        "10001",
        "0.00009999",
        "123456789.87654321",
        "79228162514264337593543950335",
        "0.0000000000000000000000000001",
        "7922816251426433759354395033.5",
        "100000000",
        "12.30",
        "93.4600",
    ];
    let items = texts
        .iter()
        .zip(0..)
        .map(|(text, index)| upsert(index, index + 1, index + 1, 0, text.parse().expect("a decimal"), index))
        .collect();
    writer.apply(&batch(0, items)).await.expect("the batch is applied");
    let stored: Vec<String> = sqlx::query_scalar("select close::text from stock order by record_id")
        .fetch_all(store.pool())
        .await
        .expect("rows");
    assert_eq!(stored, texts);
}

#[tokio::test]
async fn a_writer_that_lost_its_partition_changes_nothing() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let mut zombie = writer(&store).await;
    zombie.apply(&batch(0, vec![upsert(0, 1, 1, 0, Decimal::ONE, 0)])).await.expect("it is the writer");
    let mut successor = writer(&store).await;
    let late = batch(1, vec![upsert(1, 2, 2, 0, Decimal::ONE, 1)]);
    zombie.apply(&late).await.expect_err("its session was ended");
    let refused = zombie.apply(&late).await;
    assert!(matches!(refused, Err(ApplyError::Fenced(_))), "{refused:?}");
    assert_eq!(successor.state().next_offset, 1);
    successor.apply(&batch(1, vec![upsert(1, 2, 2, 0, Decimal::TWO, 1)])).await.expect("it is the writer now");
    let closes: Vec<Decimal> =
        sqlx::query_scalar("select close from stock order by record_id").fetch_all(store.pool()).await.expect("rows");
    assert_eq!(closes, [Decimal::ONE, Decimal::TWO]);
}

#[tokio::test]
async fn the_newest_record_of_a_minute_is_the_bar() {
    let database = Database::start().await;
    let store = database.migrated().await;
    let mut writer = writer(&store).await;
    // Two polls of the same minute, as pollers do it: two keys, one candle.
    let items = vec![
        upsert(0, 2, 1, 10, Decimal::ONE, 5),
        upsert(1, 4, 2, 20, Decimal::TWO, 5),
        upsert(2, 6, 3, 15, Decimal::TEN, 5),
    ];
    writer.apply(&batch(0, items)).await.expect("the batch is applied");
    let amzn: Symbol = "AMZN".parse().expect("a symbol");
    let from = instant(0);
    let bars = store.bars_in(&amzn, from, from + TimeDelta::hours(1)).await.expect("bars");
    assert_eq!(bars.iter().map(|bar| bar.close).collect::<Vec<_>>(), [Decimal::TWO]);
}
