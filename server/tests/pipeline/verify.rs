//! `verify` and `quarantine`, as their users call them: what a server made of a topic, checked by another opinion.

use crate::{
    records::{OPEN, Record, Row, delete, insert, tombstone, truncate, update},
    stack::{Database, Server, Source, TOPIC, broker, broker_with, until},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use secrecy::ExposeSecret;
use serde_json::Value;
use server::store::Store;
use std::process::Output;

/// The binary, with the database and the broker of a test.
pub struct Program {
    database: String,
    brokers: String,
}

impl Program {
    pub fn new(database: &Database, brokers: &str) -> Self {
        Self { database: database.postgres.url().expose_secret().to_owned(), brokers: brokers.to_owned() }
    }

    pub async fn run(&self, arguments: &[&str]) -> Output {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_stockstream"))
            .args(arguments)
            .env_clear()
            .env("DATABASE_URL", &self.database)
            .env("KAFKA_BROKERS", &self.brokers)
            .env("KAFKA_TOPICS", TOPIC)
            .env("STOCKSTREAM_LOG", "warn")
            .output()
            .await
            .expect("the binary runs")
    }

    /// The report, and whether the exit code says the same.
    pub async fn verify(&self) -> Value {
        let output = self.run(&["verify", "--json", "--examples", "100"]).await;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        assert_eq!(output.status.code(), Some(if report["agrees"] == true { 0 } else { 1 }), "{report:#}");
        report
    }

    pub async fn agrees(&self) -> Value {
        let report = self.verify().await;
        assert_eq!(report["agrees"], true, "{report:#}");
        report
    }
}

/// The kinds of which there are differences.
pub fn kinds(report: &Value) -> Vec<&str> {
    let counts = report["differences"]["counts"].as_object().expect("counts");
    counts.iter().filter(|(_, count)| **count != 0).map(|(kind, _)| kind.as_str()).collect()
}

fn broken() -> Record {
    (Some("{\"record_id\":1}".to_owned()), Some("{\"op\":".to_owned()))
}

/// What the rules refuse.
fn unruly(record_id: i64, pos: i64) -> Record {
    let (key, value) = insert(&Row::new(record_id, "AMZN", 1, 15_000), pos);
    (key, value.map(|value| value.replace("\"AMZN\"", "\"not a ticker\"")))
}

/// Inserts, corrections, late ones, replays, deletes, key reuse and refusals over a few keys.
fn history(seed: u64, records: usize) -> Vec<Record> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut sent: Vec<Record> = Vec::with_capacity(records);
    let mut pos = 100;
    while sent.len() < records {
        pos += 10;
        let id = random.random_range(1..60);
        let row = Row {
            event_time: OPEN + random.random_range(0..6_000),
            ..Row::new(id, ["AMZN", "AAPL", "MSFT"][(id % 3) as usize], random.random_range(0..390), 15_000 + pos % 700)
        };
        match random.random_range(0..100) {
            0..45 => sent.push(insert(&row, pos)),
            45..70 => sent.push(update(&row, pos)),
            70..82 => sent.extend([delete(id, pos), tombstone(id)]),
            82..94 if !sent.is_empty() => {
                let again = random.random_range(0..sent.len());
                sent.push(sent[again].clone());
            }
            94..97 => sent.push(broken()),
            _ => sent.push(unruly(id, pos)),
        }
    }
    sent.truncate(records);
    sent
}

pub async fn execute(store: &Store, sql: &str) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(store.pool())
        .await
        .unwrap_or_else(|e| panic!("{sql}: {e}"));
}

#[tokio::test]
async fn verify_agrees_with_a_server_and_names_every_kind_of_damage() {
    let database = Database::start().await;
    let broker = broker();
    let program = Program::new(&database, &broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let history = history(20_241_116, 900);
    let records = history.len() as i64;
    Source::new(&broker.bootstrap()).send(history).await;
    server.until_consumed(records).await;
    let report = program.agrees().await;
    assert_eq!(report["partitions"][0]["complete"], true);
    assert_eq!(report["partitions"][0]["records"], records);
    assert!(report["partitions"][0]["refused"].as_i64() > Some(10), "{report:#}");
    let store = server.store.clone();
    server.stop().await;

    let tables = ["stock", "tombstone", "quarantine", "kafka_offset", "change_log"];
    for table in tables {
        execute(&store, &format!("create schema if not exists saved; create table saved.{table} as table {table}"))
            .await;
    }
    let one = "record_id = (select min(record_id) from stock)";
    for (damage, expected) in [
        (format!("delete from stock where {one}"), vec!["missing"]),
        (format!("update stock set close = close + 0.0001 where {one}"), vec!["different"]),
        (format!("update stock set version_hi = version_hi - 1 where {one}"), vec!["different"]),
        (format!("update stock set event_time = event_time + interval '1 second' where {one}"), vec!["different"]),
        (format!("update stock set \"offset\" = 0 where {one}"), vec!["different"]),
        (
            "insert into stock select topic_id, 4242, symbol_id, time, open, high, low, close, volume, event_time,
                version_epoch, version_hi, version_lo, incarnation, partition, 100000, op, source_at, received_at,
                committed_at, rules from stock limit 1"
                .to_owned(),
            vec!["ghost"],
        ),
        (
            "insert into stock select topic_id, 4242, symbol_id, time, open, high, low, close, volume, event_time,
                version_epoch, version_hi, version_lo, incarnation, partition, \"offset\", op, source_at, received_at,
                committed_at, rules from stock limit 1"
                .to_owned(),
            vec!["duplicate", "ghost"],
        ),
        (
            "insert into stock select t.topic_id, t.record_id, symbol_id, s.time, open, high, low, close, volume,
                s.event_time, s.version_epoch, s.version_hi, s.version_lo, s.incarnation, s.partition, 100000, op,
                source_at, received_at, committed_at, rules from stock s, (select * from tombstone limit 1) t limit 1"
                .to_owned(),
            vec!["duplicate", "ghost"],
        ),
        (
            "insert into stock select t.topic_id, t.record_id, symbol_id, s.time, open, high, low, close, volume,
                s.event_time, s.version_epoch, s.version_hi, s.version_lo, s.incarnation, s.partition, 100000, op,
                source_at, received_at, committed_at, rules from stock s, (select * from tombstone limit 1) t limit 1;
             delete from tombstone using stock where stock.record_id = tombstone.record_id"
                .to_owned(),
            vec!["ghost"],
        ),
        ("update tombstone set version_hi = version_hi - 1".to_owned(), vec!["different"]),
        (
            "insert into change_log select first_seq + 1000000, last_seq + 1000000, topic_id, partition, incarnation,
                committed_at, offsets, record_ids, symbol_ids, times, event_times, ops, outcomes from change_log limit 1"
                .to_owned(),
            vec!["duplicate"],
        ),
        (
            "delete from quarantine where \"offset\" = (select min(\"offset\") from quarantine)".to_owned(),
            vec!["counter", "unquarantined"],
        ),
        ("update kafka_offset set applied = applied - 1, late = late + 1".to_owned(), vec!["counter"]),
        (
            "alter table kafka_offset drop constraint conservation; update kafka_offset set consumed = consumed + 1"
                .to_owned(),
            vec!["counter"],
        ),
    ] {
        execute(&store, &damage).await;
        let report = program.verify().await;
        assert_eq!(kinds(&report), expected, "{damage}: {report:#}");
        let example = &report["differences"]["examples"][0];
        assert!(example["record"].as_str().is_some_and(|record| record.starts_with(TOPIC)), "{example}");
        for table in tables {
            execute(&store, &format!("delete from {table}; insert into {table} select * from saved.{table}")).await;
        }
    }
    program.agrees().await;
    let text = program.run(&["verify"]).await;
    assert!(String::from_utf8_lossy(&text.stdout).contains("Everything agrees."), "{text:?}");
}

#[tokio::test]
async fn a_redrive_beside_a_live_server_reaches_readers_and_verify_still_agrees() {
    let database = Database::start().await;
    let broker = broker();
    let program = Program::new(&database, &broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let source = Source::new(&broker.bootstrap());
    source.send((1..=5).map(|n| insert(&Row::new(n, "AMZN", n, 15_000 + n), n))).await;
    source.send([broken(), insert(&Row::new(6, "AMZN", 6, 15_006), 60)]).await;
    server.until_consumed(7).await;
    // As if an older decoder had refused them: the rows are not there, the records are in quarantine.
    execute(
        &server.store,
        "with row as (delete from stock where record_id in (2, 6) returning *)
         insert into quarantine (topic_id, incarnation, partition, \"offset\", received_at, headers, stage, codes, reason,
            rule_version) select topic_id, incarnation, partition, \"offset\", now(), '[]', 'decode', '{no_key}', 'old', 0 from row;
         update kafka_offset set applied = applied - 2, quarantined = quarantined + 2;
         delete from change_log",
    )
    .await;
    for (row, pos, offset) in [(Row::new(2, "AMZN", 2, 15_002), 2_i64, 1_i64), (Row::new(6, "AMZN", 6, 15_006), 60, 6)]
    {
        let (key, value) = insert(&row, pos);
        sqlx::query(
            "update quarantine set key = convert_to($1, 'UTF8'), value = convert_to($2, 'UTF8') where \"offset\" = $3",
        )
        .bind(key)
        .bind(value)
        .bind(offset)
        .execute(server.store.pool())
        .await
        .expect("it is there");
    }
    let report = program.agrees().await;
    assert_eq!(report["partitions"][0]["acceptable_today"], 2);

    let ls = program.run(&["quarantine", "ls"]).await;
    let text = String::from_utf8_lossy(&ls.stdout).into_owned();
    let id = format!("{TOPIC}[0]@1");
    assert!(text.starts_with("RECORD") && text.contains(&id) && text.lines().count() == 4, "{text}");
    let lines = program.run(&["quarantine", "ls", "--json", "--code", "no_key", "--since", "1h"]).await;
    assert_eq!(String::from_utf8_lossy(&lines.stdout).lines().count(), 2);
    let shown = program.run(&["quarantine", "show", &id]).await;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("\"record_id\": 2") && shown.contains("no_key"), "{shown}");
    let raw = program.run(&["quarantine", "show", &format!("{TOPIC}[0]@5"), "--raw"]).await;
    assert_eq!(raw.stdout, b"{\"op\":");

    let dry = program.run(&["quarantine", "redrive", "--all", "--dry-run"]).await;
    let dry = String::from_utf8_lossy(&dry.stdout).into_owned();
    assert!(dry.contains("2 applied, 1 refused_again") && dry.contains("nothing was changed"), "{dry}");
    let redriven = program.run(&["quarantine", "redrive", "--code", "no_key", "--actor", "somebody", "--json"]).await;
    assert_eq!(redriven.status.code(), Some(0), "{redriven:?}");
    let redriven: Value = serde_json::from_slice(&redriven.stdout).expect("JSON");
    assert_eq!(redriven["counts"]["applied"], 2, "{redriven}");
    until("the redriven bar is served", || async {
        let (_, body) = server.get("/api/v1/latest").await;
        body.contains("150.06").then_some(())
    })
    .await;

    // The server goes on, with what it knows now.
    source.send([update(&Row { event_time: OPEN + 9_000, ..Row::new(6, "AMZN", 6, 16_000) }, 70), delete(2, 80)]).await;
    server.until_consumed(9).await;
    let report = program.agrees().await;
    assert_eq!((&report["rows"], &report["tombstones"]), (&Value::from(5), &Value::from(1)), "{report:#}");

    let again = program.run(&["quarantine", "redrive", &format!("{TOPIC}[0]@5")]).await;
    assert_eq!(again.status.code(), Some(1), "it stays refused: {again:?}");
    let dismissed = program.run(&["quarantine", "dismiss", &format!("{TOPIC}[0]@5"), "--note", "a test"]).await;
    assert_eq!(dismissed.status.code(), Some(0), "{dismissed:?}");
    let nothing = program.run(&["quarantine", "ls"]).await;
    assert_eq!(String::from_utf8_lossy(&nothing.stdout), "Nothing that is open is in quarantine.\n");
    let missing = program.run(&["quarantine", "show", "nope[0]@1"]).await;
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("nope[0]@1 is not in quarantine"), "{missing:?}");
    program.agrees().await;
    server.stop().await;
}

#[tokio::test]
async fn a_corrected_copy_reaches_readers_and_verify_still_agrees() {
    let database = Database::start().await;
    let broker = broker();
    let program = Program::new(&database, &broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let source = Source::new(&broker.bootstrap());
    let negative = Row { close: -100, ..Row::new(2, "AMZN", 2, 15_000) };
    source.send([insert(&Row::new(1, "AMZN", 1, 15_000), 1), insert(&negative, 2)]).await;
    server.until_consumed(2).await;
    let id = format!("{TOPIC}[0]@1");
    let shown = program.run(&["quarantine", "show", &id]).await;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("positive_price: Every price is above zero.") && shown.contains("advice"), "{shown}");

    let directory = tempfile::Builder::new().prefix("stockstream-test-").tempdir().expect("a scratch directory");
    let file = directory.path().join("copy.json");
    std::fs::write(&file, insert(&Row::new(2, "AMZN", 2, 15_222), 2).1.expect("it has one")).expect("written");
    let copy = ["quarantine", "redrive", &id, "--value", file.to_str().expect("a path")];
    let dry = program.run(&[&copy[..], &["--dry-run"]].concat()).await;
    assert!(String::from_utf8_lossy(&dry.stdout).contains("Would be: 1 applied."), "{dry:?}");
    let redriven = program.run(&copy).await;
    assert_eq!(redriven.status.code(), Some(0), "{redriven:?}");
    until("the corrected bar is served", || async {
        let (_, body) = server.get("/api/v1/latest").await;
        body.contains("152.22").then_some(())
    })
    .await;
    program.agrees().await;
    let shown = program.run(&["quarantine", "show", &id]).await;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("redriven, applied") && shown.contains("quarantine.redrive by command"), "{shown}");
    let raw = program.run(&["quarantine", "show", &id, "--raw"]).await;
    assert_eq!(Some(raw.stdout), insert(&negative, 2).1.map(String::into_bytes), "the original stays");
    server.stop().await;
}

#[tokio::test]
async fn a_topic_whose_beginning_is_gone_is_verified_as_far_as_it_goes() {
    let database = Database::start().await;
    let broker = broker();
    let program = Program::new(&database, &broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let source = Source::new(&broker.bootstrap());
    // The in-process broker keeps about 5 MB: of these 9 MB it forgets the first half.
    for n in 1..=60 {
        let (key, value) = insert(&Row::new(n, "AMZN", n, 15_000 + n), n);
        let padding = format!("\"query\":\"{}\"", "x".repeat(150_000));
        source.send([(key, value.map(|value| value.replace("\"query\":null", &padding)))]).await;
        server.until_consumed(n).await;
    }
    // Of a key whose first record is gone: late, so the old row stands.
    source.send([update(&Row { event_time: OPEN - 9_000, ..Row::new(1, "AMZN", 1, 16_000) }, 1_000)]).await;
    source.send([delete(60, 1_010), tombstone(60)]).await;
    server.until_consumed(63).await;
    let report = program.agrees().await;
    assert_eq!(report["partitions"][0]["complete"], false, "{report:#}");
    assert!(report["out_of_reach"].as_i64() > Some(5), "{report:#}");
    let text = program.run(&["verify"]).await;
    assert!(String::from_utf8_lossy(&text.stdout).contains("what came before is not kept"), "{text:?}");

    execute(&server.store, "update stock set close = close + 1 where record_id = 59").await;
    execute(&server.store, "delete from stock where record_id = 58").await;
    let report = program.verify().await;
    assert_eq!(kinds(&report), ["different", "missing"], "{report:#}");
    server.stop().await;
}

#[tokio::test]
async fn a_re_created_topic_is_told_apart_and_verified_when_it_has_been_read() {
    let database = Database::start().await;
    let first = broker();
    let history = history(7, 200);
    let server = Server::start(database.store(), &first.bootstrap()).await;
    Source::new(&first.bootstrap()).send(history.clone()).await;
    server.until_consumed(200).await;
    server.stop().await;
    Program::new(&database, &first.bootstrap()).agrees().await;

    let second = broker();
    let program = Program::new(&database, &second.bootstrap());
    let source = Source::new(&second.bootstrap());
    source.send(history[..150].to_vec()).await;
    source.send((0..100).map(|n| insert(&Row::new(100 + n, "MSFT", n, 20_000), 100_000 + n))).await;
    let refused = program.run(&["verify"]).await;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("re-created"), "{refused:?}");

    let server = Server::start(database.store(), &second.bootstrap()).await;
    until("the new topic is read", || async {
        let read = sqlx::query_scalar::<_, bool>("select incarnation = 2 and next_offset = 250 from kafka_offset");
        read.fetch_one(server.store.pool()).await.expect("Postgres answers").then_some(())
    })
    .await;
    let report = program.agrees().await;
    assert_eq!(report["partitions"][0]["incarnation"], 2);
    server.stop().await;

    drop(second);
    let away = program.run(&["verify", "--kafka-property", "socket.timeout.ms=1000"]).await;
    assert_eq!(away.status.code(), Some(2), "{away:?}");
}

#[tokio::test]
async fn truncation_and_several_partitions_are_folded_too() {
    let database = Database::start().await;
    let broker = broker_with(2);
    let program = Program::new(&database, &broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let source = Source::new(&broker.bootstrap());
    source.send_to(0, (1..=20).map(|n| insert(&Row::new(2 * n, "AMZN", n, 15_000), 2 * n))).await;
    source.send_to(1, (1..=20).map(|n| insert(&Row::new(2 * n + 1, "AAPL", n, 18_000), 2 * n + 1))).await;
    let consumed = |offsets: [i64; 2]| {
        let store = server.store.clone();
        async move {
            until("both partitions are read", || async {
                let next = sqlx::query_scalar::<_, i64>("select next_offset from kafka_offset order by partition");
                (next.fetch_all(store.pool()).await.expect("Postgres answers") == offsets).then_some(())
            })
            .await;
        }
    };
    consumed([20, 20]).await;
    source.send_to(0, [truncate(100)]).await;
    consumed([21, 20]).await;
    source.send_to(1, (1..=3).map(|n| insert(&Row::new(2 * n + 1, "AAPL", n, 18_100), 200 + n))).await;
    consumed([21, 23]).await;
    let report = program.agrees().await;
    assert_eq!(report["rows"], 3, "{report:#}");
    server.stop().await;
}

/// A record of another server, or of none.
fn from_server(server_id: u32, (key, value): Record) -> Record {
    (key, value.map(|value| value.replace("\"server_id\":1001", &format!("\"server_id\":{server_id}"))))
}

/// A row as a snapshot reads it.
fn read(row: &Row, pos: i64, mark: &str) -> Record {
    let (key, value) = from_server(0, insert(row, pos));
    let mark = format!("\"snapshot\":\"{mark}\"");
    (key, value.map(|value| value.replace("\"op\":\"c\"", "\"op\":\"r\"").replace("\"snapshot\":\"false\"", &mark)))
}

#[tokio::test]
async fn snapshots_that_sweep_and_sources_that_follow_each_other_are_folded_too() {
    let database = Database::start().await;
    let broker = broker();
    let program = Program::new(&database, &broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let source = Source::new(&broker.bootstrap());
    let row = |n: i64| Row { volume: 1_234_567, ..Row::new(n, "AMZN", n, 15_000 + n) };
    source.send((1..=10).map(|n| insert(&row(n), 100 + n))).await;
    // Read again: nine of the ten, most of them in six digits only, one with another price.
    source
        .send((1..=9).map(|n| {
            let volume = if n % 2 == 0 { 1_234_570 } else { 1_234_567 };
            let close = if n == 3 { 16_000 } else { 15_000 + n };
            let mark = ["first", "true", "last"][usize::from(n > 1) + usize::from(n == 9)];
            read(&Row { volume, close, ..row(n) }, 500, mark)
        }))
        .await;
    server.until_consumed(19).await;
    let report = program.agrees().await;
    assert_eq!((&report["rows"], &report["tombstones"]), (&Value::from(9), &Value::from(1)), "{report:#}");
    // A failover, a failback, the key that was swept comes back, and an old record once more.
    let newer = |n: i64, seconds: i64| Row { event_time: OPEN + seconds, close: 17_000, ..row(n) };
    source.send([from_server(1002, update(&newer(2, 9_000), 5))]).await;
    source.send([update(&newer(4, 9_100), 900), insert(&newer(10, 9_200), 910), insert(&row(1), 101)]).await;
    server.until_consumed(23).await;
    let report = program.agrees().await;
    assert_eq!(report["rows"], 10, "{report:#}");
    execute(&server.store, "update stock set version_epoch = version_epoch - 1 where record_id = 10").await;
    assert_eq!(kinds(&program.verify().await), ["different"]);
    server.stop().await;
}
