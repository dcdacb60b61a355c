//! Partitions that are held: by an operator, and by the flood guard.

use crate::{
    records::{Record, Row, insert},
    stack::{Database, Server, Source, TOPIC, broker, broker_with},
};
use market::wire::PipeState;
use server::{
    pipeline::{Assignment, PartitionState, Status},
    store::PartitionKey,
};
use tokio::net::TcpListener;

fn key(partition: i32) -> PartitionKey {
    PartitionKey { topic: TOPIC.to_owned(), partition }
}

fn bars(from: i64, to: i64) -> impl Iterator<Item = Record> {
    (from..to).map(|id| insert(&Row::new(id, "AMZN", id, 15_000), id + 1))
}

fn broken(count: usize) -> impl Iterator<Item = Record> {
    std::iter::repeat_n((Some("{}".to_owned()), Some("{not json".to_owned())), count)
}

async fn column(server: &Server, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(server.store.pool()).await.expect("a number")
}

/// Waits until the broker has told of a lag.
async fn until_lag_is(server: &Server, lag: i64) -> Status {
    server.until_status(&format!("lag {lag}"), |status| status.lag == Some(lag)).await
}

#[tokio::test]
async fn a_paused_pipeline_reads_nothing_and_goes_on_where_it_was() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    source.send(bars(0, 10)).await;
    server.until_consumed(10).await;

    assert!(server.controls().pause("ann"));
    assert_eq!(
        server.until_state(PartitionState::PausedByOperator).await.as_deref(),
        Some("paused by ann; resume to go on")
    );
    server.until_ready_is(503).await;
    source.send(bars(10, 30)).await;
    let status = until_lag_is(&server, 20).await;
    assert_eq!(status.state, PipeState::Paused);
    assert_eq!(column(&server, "select consumed from kafka_offset").await, 10);

    assert!(server.controls().resume());
    server.until_consumed(30).await;
    server.until_ready_is(200).await;
    until_lag_is(&server, 0).await;
    assert_eq!(column(&server, "select applied from kafka_offset").await, 30);
    assert_eq!(column(&server, "select duplicate from kafka_offset").await, 0);
    server.stop().await;
}

#[tokio::test]
async fn a_drained_pipeline_has_committed_what_it_read_and_stays_stopped() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    source.send(bars(0, 10)).await;
    server.until_consumed(10).await;
    assert!(server.controls().drain("ann"));
    server.until_state(PartitionState::Drained).await;
    assert_eq!(server.status().state, PipeState::Stopped);
    assert_eq!(server.status().partitions[0].next_offset, 10);
    source.send(bars(10, 20)).await;
    until_lag_is(&server, 10).await;
    assert_eq!(column(&server, "select next_offset from kafka_offset").await, 10);
    server.controls().resume();
    server.until_consumed(20).await;
    server.stop().await;
}

#[tokio::test]
async fn an_operator_holds_one_partition_and_the_other_goes_on() {
    let database = Database::start().await;
    let broker = broker_with(2);
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    server.until_status("both run", |status| status.partitions.len() == 2).await;
    assert!(server.controls().pause_partition(&key(0), "ann"));
    server.until_state(PartitionState::PausedByOperator).await;
    source.send_to(0, bars(0, 5)).await;
    source.send_to(1, bars(100, 105)).await;
    let status = server
        .until_status("partition 1 went on", |status| {
            status.partitions.iter().map(|partition| partition.next_offset).eq([0, 5])
        })
        .await;
    assert_eq!(status.state, PipeState::Running);
    assert!(status.message.is_some_and(|message| message.contains("paused by ann")));
    assert!(server.controls().resume_partition(&key(0)));
    server.until_status("both went on", |status| status.consumed == 10).await;
    server.stop().await;
}

#[tokio::test]
async fn a_flood_of_refusals_pauses_its_partition_and_the_other_goes_on() {
    let database = Database::start().await;
    let broker = broker_with(2);
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    source.send_to(0, bars(0, 7).chain(broken(150)).chain(bars(7, 10))).await;
    let reason = server.until_state(PartitionState::PausedByFloodGuard).await.expect("a reason");
    assert!(reason.starts_with("100 records in a row were refused: see the quarantine"), "{reason}");
    assert_eq!(column(&server, "select count(*) from quarantine").await, 100, "nothing beyond what was decided");
    assert_eq!(column(&server, "select next_offset from kafka_offset where partition = 0").await, 107);
    source.send_to(1, bars(100, 120)).await;
    server
        .until_status("the other went on", |status| {
            status.partitions.iter().map(|partition| partition.next_offset).eq([107, 20])
        })
        .await;
    server.until_ready_is(503).await;

    // The window starts anew: the remaining fifty pass, and so does what comes after them.
    server.controls().resume_partition(&key(0));
    server.until_status("it went on", |status| status.partitions[0].next_offset == 160).await;
    server.until_ready_is(200).await;
    assert_eq!(column(&server, "select count(*) from quarantine").await, 150, "each refused record once");
    assert_eq!(column(&server, "select count(*) from stock").await, 30);
    server.stop().await;
}

#[tokio::test]
async fn more_than_a_fifth_refused_pauses_the_partition_too() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    source.send((0..300).flat_map(|n| bars(n, n + 1).chain(broken(1)))).await;
    let reason = server.until_state(PartitionState::PausedByFloodGuard).await.expect("a reason");
    assert!(reason.starts_with("201 of the last 1000 records were refused"), "{reason}");
    assert_eq!(column(&server, "select quarantined from kafka_offset").await, 201);
    assert_eq!(column(&server, "select applied from kafka_offset").await, 201);
    server.stop().await;
}

#[tokio::test]
async fn partitions_that_come_later_are_consumed_and_the_others_do_not_notice() {
    const LATER: &str = "t.stream_db.later";
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let topics = [TOPIC, LATER];
    let web = Server::web();
    let listener = TcpListener::bind(web.listen).await.expect("a free port");
    let consumer = Server::consumer(&broker.bootstrap(), Assignment::Static, &topics);
    let server = Server::launch_consuming(listener, web, database.store(), consumer);
    source.send(bars(0, 5)).await;
    let status = server.until_status("the topic that exists is consumed", |status| status.consumed == 5).await;
    assert_eq!(status.partitions.len(), 1);
    server
        .until_status("the other one is missing", |status| {
            status.message.as_deref() == Some("topic t.stream_db.later does not exist yet; waiting for it")
        })
        .await;
    let fence = column(&server, "select fence from kafka_offset").await;

    broker.create_topic(LATER, 2).expect("the topic is made");
    server.until_status("its partitions are known", |status| status.partitions.len() == 3).await;
    source.send_on(LATER, 1, bars(10, 15)).await;
    source.send(bars(5, 10)).await;
    server.until_status("everything is consumed", |status| status.consumed == 15).await;
    server.until_ready_is(200).await;
    let now =
        column(&server, "select fence from kafka_offset join topic using (topic_id) where name = 't.stream_db.stock'");
    assert_eq!(now.await, fence, "nobody took the first partition over again");
    server.stop().await;
}
