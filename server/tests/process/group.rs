//! Instances that share a consumer group.

use crate::program::{Program, Services, until};
use sqlx::PgConnection;

fn member(services: &Services) -> Program {
    let mut command = services.serve();
    command.args(["--assignment", "group", "--kafka-property", "session.timeout.ms=6000"]);
    Program::start(command)
}

/// Instances that consume, by the locks that they hold on the partitions.
async fn writers(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar(
        "select count(distinct pid) from pg_locks where locktype = 'advisory' and objsubid = 2 and granted",
    )
    .fetch_one(connection)
    .await
    .unwrap()
}

async fn consumed(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("select coalesce(sum(consumed), 0)::bigint from kafka_offset")
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_others_take_over_from_a_member_that_is_killed_and_nothing_is_read_twice() {
    let services = Services::with_partitions(2).await;
    let mut connection = services.connect().await;
    let mut first = member(&services);
    first.until_ready().await;
    let second = member(&services);
    second.until_ready().await;
    for partition in 0..2 {
        services.produce_to(partition, 0..200).await;
    }
    // As much as the first batch is in; the rest is on its way when the member dies.
    until("both consume", async || (writers(&mut connection).await == 2).then_some(())).await;
    first.kill();
    for partition in 0..2 {
        services.produce_to(partition, 200..220).await;
    }
    until("everything is consumed", async || (consumed(&mut connection).await == 440).then_some(())).await;
    let (rows, applied, duplicate): (i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from stock), sum(applied)::bigint, sum(duplicate)::bigint from kafka_offset",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!((rows, applied, duplicate), (440, 440, 0));
    second.terminate();
}
