//! From the broker into Postgres, through everything that can go wrong on the way.

use crate::{
    records::{Row as Stock, delete, insert, tombstone, truncate, update},
    stack::{Database, Server, Source, broker, until},
};
use sqlx::Row;

const FIXTURE: &str = include_str!("../../../fixtures/debezium/mariadb_a_envelope_schemas_on.stock.jsonl");

async fn count(server: &Server, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(server.store.pool()).await.expect("a count")
}

#[tokio::test]
async fn captured_debezium_records_become_rows_tombstones_and_quarantine() {
    let database = Database::start().await;
    let broker = broker();
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let records: Vec<_> = FIXTURE
        .lines()
        .map(|line| cdc::captured::parse_line(line).expect("a captured record"))
        .map(|record| (record.key, record.value))
        .collect();
    let total = records.len() as i64;
    Source::new(&broker.bootstrap()).send(records).await;
    server.until_consumed(total).await;

    let row = sqlx::query("select * from kafka_offset").fetch_one(server.store.pool()).await.expect("the offset row");
    let get = |name: &str| row.get::<i64, _>(name);
    assert_eq!(get("consumed"), total);
    assert_eq!(
        get("applied") + get("late") + get("duplicate") + get("deleted") + get("control") + get("quarantined"),
        total
    );
    assert_eq!(count(&server, "select count(*) from quarantine").await, get("quarantined"));
    let first_codes: Vec<String> = sqlx::query_scalar("select codes[1] from quarantine order by \"offset\"")
        .fetch_all(server.store.pool())
        .await
        .expect("codes");
    assert_eq!(first_codes, ["complete", "envelope"], "a row without a symbol, and one whose close is above its high");
    // An update of close to 154.01 in the middle of the capture is what stands.
    let close: String = sqlx::query_scalar("select close::text from bar where record_id = 3")
        .fetch_one(server.store.pool())
        .await
        .expect("row 3");
    assert_eq!(close, "154.0100");
    let resurrected = "select count(*) from stock join tombstone using (topic_id, record_id)";
    assert_eq!(count(&server, resurrected).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn broken_records_are_kept_with_their_reasons_and_the_stream_goes_on() {
    let database = Database::start().await;
    let broker = broker();
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let source = Source::new(&broker.bootstrap());
    let good = |id| insert(&Stock::new(id, "AMZN", id, 15_342), id);
    let (key, value) = insert(&Stock::new(9, "AMZN", 9, 15_342), 9);
    let with = |from: &str, to: &str| (key.clone(), value.as_ref().map(|text| text.replace(from, to)));
    let oversized = format!("{{\"pad\":\"{}\"}}", "x".repeat((1 << 20) + 1));
    source
        .send([
            good(1),
            (key.clone(), Some("{not json".into())),
            with("\"close\":153.42", "\"close\":\"cheap\""),
            with("\"close\":153.42", "\"close\":-1"),
            with("\"high\":153.52", "\"high\":1"),
            with("\"symbol\":\"AMZN\"", "\"symbol\":\"a\\u0000b\""),
            (key.clone(), Some(oversized.clone())),
            good(2),
        ])
        .await;
    server.until_consumed(8).await;
    let rows = sqlx::query("select \"offset\", stage, codes, value from quarantine order by \"offset\"")
        .fetch_all(server.store.pool())
        .await
        .expect("quarantine");
    let seen: Vec<(i64, String, Vec<String>)> =
        rows.iter().map(|row| (row.get("offset"), row.get("stage"), row.get("codes"))).collect();
    let stage = |name: &str| name.to_owned();
    let codes = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        seen,
        [
            (1, stage("decode"), codes(&["not_json"])),
            (2, stage("decode"), codes(&["wrong_type"])),
            (3, stage("rules"), codes(&["envelope", "positive_price"])),
            (4, stage("rules"), codes(&["envelope"])),
            (5, stage("rules"), codes(&["symbol_pattern"])),
            (6, stage("decode"), codes(&["too_large"])),
        ]
    );
    let kept: Vec<u8> = rows[5].get("value");
    assert_eq!(kept, oversized.as_bytes(), "the raw bytes are kept");
    assert_eq!(count(&server, "select count(*) from stock").await, 2);
    server.stop().await;
}

#[tokio::test]
async fn corrections_deletes_key_changes_and_truncation_arrive() {
    let database = Database::start().await;
    let broker = broker();
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let source = Source::new(&broker.bootstrap());
    let row = |id, minute| Stock::new(id, "AAPL", minute, 18_500);
    let corrected = Stock { close: 18_600, event_time: row(1, 0).event_time + 30, ..row(1, 0) };
    let stale = Stock { close: 11_111, event_time: row(1, 0).event_time - 30, ..row(1, 0) };
    source
        .send([
            insert(&row(1, 0), 100),
            insert(&row(2, 1), 110),
            insert(&row(3, 2), 120),
            update(&corrected, 130),
            update(&stale, 140), // late: older by event time
            update(&stale, 130), // duplicate: this position was seen
            delete(2, 150),
            tombstone(2),            // its companion
            insert(&row(2, 1), 110), // a replay must not resurrect it
            delete(3, 160),
            tombstone(3),
            insert(&row(30, 2), 170), // the key of row 3 was changed
        ])
        .await;
    server.until_consumed(12).await;
    let standing: Vec<(i64, String)> = sqlx::query("select record_id, close::text from stock order by record_id")
        .fetch_all(server.store.pool())
        .await
        .expect("rows")
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    assert_eq!(standing, [(1, "186.0000".to_owned()), (30, "185.0000".to_owned())]);
    let row = sqlx::query("select * from kafka_offset").fetch_one(server.store.pool()).await.expect("the offset row");
    let counted: Vec<i64> = ["applied", "late", "duplicate", "deleted", "control", "quarantined"]
        .iter()
        .map(|name| row.get(*name))
        .collect();
    assert_eq!(counted, [5, 1, 2, 2, 2, 0]);

    source.send([truncate(200), insert(&Stock::new(1, "AAPL", 0, 18_700), 210)]).await;
    server.until_consumed(14).await;
    let standing: Vec<i64> =
        sqlx::query_scalar("select record_id from stock").fetch_all(server.store.pool()).await.expect("rows");
    assert_eq!(standing, [1]);
    let close: String =
        sqlx::query_scalar("select close::text from stock").fetch_one(server.store.pool()).await.expect("row 1");
    assert_eq!(close, "187.0000");
    server.stop().await;
}

#[tokio::test]
async fn a_restarted_server_continues_where_it_stopped() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    source.send((1..=50).map(|id| insert(&Stock::new(id, "AMZN", id, 15_000 + id), id))).await;
    server.until_consumed(50).await;
    server.stop().await;
    source.send((51..=80).map(|id| insert(&Stock::new(id, "AMZN", id, 15_000 + id), id))).await;
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    server.until_consumed(80).await;
    assert_eq!(count(&server, "select consumed from kafka_offset").await, 80);
    assert_eq!(count(&server, "select count(*) from stock").await, 80);
    assert_eq!(count(&server, "select incarnation::bigint from kafka_offset").await, 1);
    server.stop().await;
}

#[tokio::test]
async fn a_re_created_topic_is_read_from_its_beginning_without_doubling_rows() {
    let database = Database::start().await;
    let history: Vec<_> = (1..=20).map(|id| insert(&Stock::new(id, "AMZN", id, 15_000 + id), id)).collect();
    {
        let broker = broker();
        Source::new(&broker.bootstrap()).send(history.clone()).await;
        let server = Server::start(database.store(), &broker.bootstrap()).await;
        server.until_consumed(20).await;
        server.stop().await;
    }
    // The new topic holds more records than were consumed of the old one: only the hash of the last one can tell.
    let broker = broker();
    let longer = (0..5).map(|id| insert(&Stock::new(100 + id, "AAPL", id, 18_000), 1_000 + id)).chain(history);
    Source::new(&broker.bootstrap()).send(longer).await;
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    server.until_consumed(25).await;
    assert_eq!(count(&server, "select incarnation::bigint from kafka_offset").await, 2);
    assert_eq!(count(&server, "select count(*) from stock").await, 25);
    assert_eq!(count(&server, "select duplicate from kafka_offset").await, 20);
    server.stop().await;
}

#[tokio::test]
async fn while_postgres_is_away_the_server_says_so_and_nothing_is_lost() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    source.send([insert(&Stock::new(1, "AMZN", 1, 15_000), 1)]).await;
    server.until_consumed(1).await;
    server.until_ready_is(200).await;

    let Database { postgres, directory } = database;
    let url = postgres.url();
    postgres.stop().await.expect("Postgres stops");
    source.send((2..=100).map(|id| insert(&Stock::new(id, "AMZN", id, 15_000), id))).await;
    server.until_ready_is(503).await;
    assert_eq!(server.get("/").await.0, 200, "pages still answer");

    let postgres = Database::open(directory.path()).await;
    // The private server's address may change with its socket; this one is asked to keep it.
    use secrecy::ExposeSecret;
    if postgres.url().expose_secret() == url.expose_secret() {
        server.until_ready_is(200).await;
        server.until_consumed(100).await;
        assert_eq!(count(&server, "select count(*) from stock").await, 100);
        server.stop().await;
    } else {
        server.stop().await;
        let database = Database { postgres, directory };
        let server = Server::start(database.store(), &broker.bootstrap()).await;
        server.until_consumed(100).await;
        assert_eq!(count(&server, "select count(*) from stock").await, 100);
        server.stop().await;
    }
}

#[tokio::test]
async fn without_a_broker_the_server_answers_and_says_what_is_missing() {
    let database = Database::start().await;
    database.migrated().await;
    let server = Server::launch(database.store(), "127.0.0.1:1").await;
    let body = until("the reason is said", || async {
        let (status, body) = server.get("/readyz").await;
        (status == 503 && body.contains("Kafka")).then_some(body)
    })
    .await;
    assert!(body.contains("trying again"), "{body}");
    assert_eq!(server.get("/livez").await.0, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_tombstone_that_a_restart_parts_from_its_delete_deletes_nothing_more() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let row = |close| Stock::new(1, "AMZN", 0, close);
    // The key is deleted and comes back; then the connector repeats its delete, whose tombstone is yet to come.
    source.send([insert(&row(15_000), 1), delete(1, 2), tombstone(1), insert(&row(15_100), 3), delete(1, 2)]).await;
    server.until_consumed(5).await;
    server.stop().await;

    source.send([tombstone(1)]).await;
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    server.until_consumed(6).await;
    assert_eq!(count(&server, "select count(*) from stock").await, 1, "the row stands");
    assert_eq!(count(&server, "select control from kafka_offset").await, 2, "both tombstones were companions");
    server.stop().await;
}

#[tokio::test]
async fn a_tombstone_whose_delete_was_compacted_away_deletes_the_row() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let rows = [1, 2].map(|id| insert(&Stock::new(id, "AMZN", id, 15_000), id));
    source.send(rows.into_iter().chain([tombstone(1), tombstone(7)])).await;
    server.until_consumed(4).await;
    let counted: (i64, i64, i64) = sqlx::query_as(
        "select (select record_id from stock), sum(deleted)::bigint, sum(duplicate)::bigint from kafka_offset",
    )
    .fetch_one(server.store.pool())
    .await
    .expect("one row is left");
    assert_eq!(counted, (2, 1, 1));
    server.stop().await;
}
