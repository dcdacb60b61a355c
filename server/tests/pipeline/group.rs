//! Several instances: who consumes what, and what their sockets see.

use crate::{
    records::{Record, Row, insert},
    stack::{Database, Server, Source, broker_with, until},
    stream::Client,
};
use market::{Timeframe, wire};
use server::pipeline::{Assignment, Status};

fn bars(from: i64, to: i64) -> impl Iterator<Item = Record> {
    (from..to).map(|id| insert(&Row::new(id, "AMZN", id, 15_000), id + 1))
}

async fn member(database: &Database, bootstrap: &str) -> Server {
    Server::launch_as(database.store(), bootstrap, Assignment::Group).await
}

fn partitions(status: &Status) -> Vec<i32> {
    status.partitions.iter().map(|partition| partition.partition).collect()
}

async fn column(server: &Server, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(server.store.pool()).await.expect("a number")
}

async fn until_applied(server: &Server, records: i64) {
    until(&format!("{records} records are applied"), || async {
        let sum = column(server, "select coalesce(sum(applied), 0)::bigint from kafka_offset").await;
        (sum == records).then_some(())
    })
    .await;
}

#[tokio::test]
async fn two_instances_share_the_partitions_and_the_one_that_stays_takes_over() {
    let database = Database::start().await;
    let broker = broker_with(2);
    let source = Source::new(&broker.bootstrap());
    let first = member(&database, &broker.bootstrap()).await;
    first.until_status("the first has both", |status| partitions(status) == [0, 1]).await;
    first.until_ready_is(200).await;
    source.send_to(0, bars(0, 10)).await;
    source.send_to(1, bars(100, 110)).await;
    until_applied(&first, 20).await;

    let second = member(&database, &broker.bootstrap()).await;
    let given = second.until_status("the second has one", |status| partitions(status).len() == 1).await;
    let kept = first.until_status("the first has one", |status| partitions(status).len() == 1).await;
    assert_ne!(partitions(&given), partitions(&kept));
    source.send_to(0, bars(10, 20)).await;
    source.send_to(1, bars(110, 120)).await;
    until_applied(&first, 40).await;
    first.until_ready_is(200).await;
    second.until_ready_is(200).await;

    second.stop().await;
    first.until_status("the first has both again", |status| partitions(status) == [0, 1]).await;
    source.send_to(0, bars(20, 30)).await;
    source.send_to(1, bars(120, 130)).await;
    until_applied(&first, 60).await;
    assert_eq!(column(&first, "select sum(consumed)::bigint from kafka_offset").await, 60, "nothing was read twice");
    assert_eq!(column(&first, "select sum(duplicate)::bigint from kafka_offset").await, 0);
    assert_eq!(column(&first, "select count(*) from stock").await, 60);
    first.stop().await;
}

#[tokio::test]
async fn a_member_without_a_partition_stands_by_and_is_ready() {
    let database = Database::start().await;
    let broker = broker_with(1);
    let first = member(&database, &broker.bootstrap()).await;
    first.until_status("it has the partition", |status| partitions(status) == [0]).await;
    let second = member(&database, &broker.bootstrap()).await;
    second
        .until_status("it stands by", |status| status.message.as_ref().is_some_and(|m| m.contains("stands by")))
        .await;
    second.until_ready_is(200).await;
    first.stop().await;
    second.until_status("it takes over", |status| partitions(status) == [0]).await;
    second.stop().await;
}

#[tokio::test]
async fn a_socket_sees_the_commits_of_every_instance_once_and_in_order() {
    let database = Database::start().await;
    let broker = broker_with(2);
    let source = Source::new(&broker.bootstrap());
    let first = member(&database, &broker.bootstrap()).await;
    let second = member(&database, &broker.bootstrap()).await;
    for server in [&first, &second] {
        server.until_status("each has one", |status| partitions(status).len() == 1).await;
        server.until_ready_is(200).await;
    }
    let mut clients = Vec::new();
    for server in [&first, &second] {
        let mut client = Client::connect(server).await;
        client.hello().await;
        client.subscribe(&["AMZN"], Timeframe::MINUTE_1).await;
        clients.push((client.snap().await.1, client));
    }
    let target = 60;
    for n in 0..target {
        source.send_to((n % 2) as i32, bars(n, n + 1)).await;
    }
    for (seq, client) in &mut clients {
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < target as usize {
            let (_, prev, next, records) = client.delta().await;
            assert_eq!(prev, *seq, "no gap, and nothing twice");
            assert!(next > prev, "no step back");
            *seq = next;
            seen.extend(records.iter().map(|record| match record {
                wire::Record::Bar { bar, .. } | wire::Record::Rev { bar, .. } => bar.time,
                wire::Record::Del { .. } => panic!("nothing was deleted"),
            }));
        }
    }
    second.stop().await;
    first.stop().await;
}
