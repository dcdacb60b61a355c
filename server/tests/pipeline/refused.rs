//! Records that Postgres refuses: the one at fault goes to quarantine, raw, and the others are applied.

use crate::{
    records::{Record, Row as Stock, insert},
    stack::{Database, Server, Source, broker},
};
use server::pipeline::PartitionState;
use sqlx::Row;

/// A database whose owner has rules of their own about rows.
async fn with_rule(database: &Database, rule: &'static str) {
    let store = database.migrated().await;
    sqlx::raw_sql(rule).execute(store.pool()).await.expect("the rule is legal");
}

const NO_VOLUME_SEVEN: &str = "alter table stock add constraint no_sevens check (volume <> 7)";
const RAISES: &str = "
    create function grumble() returns trigger language plpgsql as $$
    begin
        if new.volume = 7 then raise exception 'no sevens' using errcode = 'XX777'; end if;
        return new;
    end $$;
    create trigger grumble before insert or update on stock for each row execute function grumble()";

fn bar(id: i64, volume: i64) -> Record {
    insert(&Stock { volume, ..Stock::new(id, "AMZN", id, 15_000) }, id)
}

async fn the_one_at_fault_is_quarantined(rule: &'static str, said: &str) {
    let database = Database::start().await;
    with_rule(&database, rule).await;
    let broker = broker();
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let records: Vec<Record> = (1..=200).map(|id| bar(id, if id == 77 { 7 } else { 100 })).collect();
    let at_fault = records[76].clone();
    // Held back, so that they arrive as few batches.
    server.controls().pause("the test");
    server.until_state(PartitionState::PausedByOperator).await;
    Source::new(&broker.bootstrap()).send(records).await;
    server.controls().resume();
    server.until_consumed(200).await;

    let offsets = sqlx::query("select applied, quarantined, consumed from kafka_offset")
        .fetch_one(server.store.pool())
        .await
        .expect("the offset row");
    assert_eq!([0, 1, 2].map(|column| offsets.get::<i64, _>(column)), [199, 1, 200]);
    let row = sqlx::query("select * from quarantine").fetch_one(server.store.pool()).await.expect("one record");
    assert_eq!(row.get::<i64, _>("offset"), 76);
    assert_eq!(
        (row.get::<String, _>("stage"), row.get::<Vec<String>, _>("codes")),
        ("store".into(), vec!["store_error".to_owned()])
    );
    assert!(row.get::<String, _>("reason").contains(said), "{}", row.get::<String, _>("reason"));
    assert_eq!(row.get::<Vec<u8>, _>("key"), at_fault.0.expect("a key").into_bytes(), "the raw bytes are kept");
    assert_eq!(row.get::<Vec<u8>, _>("value"), at_fault.1.expect("a value").into_bytes());
    server.stop().await;
}

#[tokio::test]
async fn a_row_that_breaks_a_constraint_goes_to_quarantine_and_the_rest_is_applied() {
    the_one_at_fault_is_quarantined(NO_VOLUME_SEVEN, "no_sevens").await;
}

#[tokio::test]
async fn an_error_nobody_has_seen_before_is_narrowed_down_to_its_record() {
    the_one_at_fault_is_quarantined(RAISES, "no sevens").await;
}

#[tokio::test]
async fn a_database_that_refuses_everything_trips_the_flood_guard() {
    let database = Database::start().await;
    with_rule(&database, NO_VOLUME_SEVEN).await;
    let broker = broker();
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    Source::new(&broker.bootstrap()).send((1..=150).map(|id| bar(id, 7))).await;
    let reason = server.until_state(PartitionState::PausedByFloodGuard).await.expect("a reason");
    assert!(reason.starts_with("100 records in a row were refused"), "{reason}");
    let kept: i64 = sqlx::query_scalar("select count(*) from quarantine where stage = 'store'")
        .fetch_one(server.store.pool())
        .await
        .expect("a count");
    assert_eq!(kept, 100);
    server.stop().await;
}
