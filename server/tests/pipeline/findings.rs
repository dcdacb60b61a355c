//! What the rules over several bars find of what came through the pipeline.

use crate::{
    records::{Row, delete, insert, tombstone, update},
    stack::{Database, Server, Source, broker, broker_with, until},
    stream::Client,
};
use chrono::{DateTime, TimeDelta, Utc};
use market::wire::{Finding, FindingsPage, SourceMode};
use quality::pack::{Pack, PackRule};
use server::{pack::Watcher, pipeline::Assignment, store::Store};
use sqlx::Row as _;
use std::sync::Arc;

/// Minutes of AMZN with little movement.
fn bars(minutes: std::ops::Range<i64>) -> impl Iterator<Item = Row> {
    minutes.map(|minute| Row::new(minute + 1, "AMZN", minute, 15_340 + minute % 7))
}

async fn listed(server: &Server, query: &str) -> Vec<Finding> {
    let (status, body) = server.get(&format!("/api/v1/findings?{query}")).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<FindingsPage>(&body).expect("a page of findings").findings
}

fn codes(findings: &[Finding]) -> Vec<(&str, String)> {
    let mut codes: Vec<_> =
        findings.iter().map(|found| (found.rule.as_str(), found.time.format("%H:%M").to_string())).collect();
    codes.sort();
    codes
}

/// Waits until what is found and holds is this, and gives it back.
async fn until_found(server: &Server, expected: &[(&str, &str)]) -> Vec<Finding> {
    until(&format!("{expected:?} is found"), || async {
        let found = listed(server, "").await;
        let codes: Vec<_> = codes(&found);
        let is_so = codes.iter().map(|(rule, time)| (*rule, time.as_str())).eq(expected.iter().copied());
        is_so.then_some(found)
    })
    .await
}

/// Waits until every change is judged.
async fn until_judged(store: &Store) {
    until("every change is judged", || async {
        let sql = "select count(*) from pack_watch join stream_head using (seq) where seq > 0";
        let judged: i64 = sqlx::query_scalar(sql).fetch_one(store.pool()).await.expect("a count");
        (judged == 1).then_some(())
    })
    .await;
}

/// All findings, as they are kept.
async fn table(store: &Store) -> Vec<String> {
    let rows = sqlx::query("select finding::text from finding order by symbol_id, time, rule");
    rows.fetch_all(store.pool()).await.expect("rows").iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn committed_rows_are_found_at_their_minute_and_a_correction_resolves_what_no_longer_holds() {
    let database = Database::start().await;
    let broker = broker();
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let source = Source::new(&broker.bootstrap());
    let mut client = Client::connect(&server).await;
    client.hello().await;
    client.subscribe(&["AMZN"], "5m".parse().expect("a timeframe")).await;
    client.snap().await;
    // Minutes 4 and 5 are missing, and the point of minute 8 is misplaced.
    let rows: Vec<Row> = bars(0..12).filter(|row| !(4..6).contains(&row.minute)).collect();
    let wrong = |row: &Row| Row { close: if row.minute == 8 { row.close * 10 } else { row.close }, ..row.clone() };
    source.send(rows.iter().map(|row| insert(&wrong(row), row.minute + 1))).await;
    let found = until_found(&server, &[("gap", "14:34"), ("scale_error", "14:38")]).await;
    assert_eq!(
        found[0].text,
        "AMZN's open of 2024-01-16T14:38:00Z is 1534.05, about 10 times the 153.42 of the bars before: a misplaced decimal point?"
    );
    assert_eq!(found[1].observed.as_deref(), Some("2 minutes missing"));
    let told = client.findings().await;
    assert!(told.iter().all(|found| found.symbol == Some("AMZN".parse().expect("a ticker"))), "{told:?}");

    let right = rows.iter().find(|row| row.minute == 8).expect("it is there");
    source.send([update(&Row { event_time: right.event_time + 60, ..right.clone() }, 100)]).await;
    until_found(&server, &[("gap", "14:34")]).await;
    // The missing minutes come late: that is found, and the gap is closed.
    source.send(bars(4..6).map(|row| insert(&row, 200 + row.minute))).await;
    until_found(&server, &[("out_of_order", "14:34")]).await;
    until("it is told that the gap is resolved", || async {
        let told = listed(&server, "resolved=true&rule=gap").await;
        told.first().is_some_and(|gap| gap.resolved_at.is_some()).then_some(())
    })
    .await;
    loop {
        let told = client.findings().await;
        if told.iter().any(|found| found.rule == "gap" && found.resolved_at.is_some()) {
            break;
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_second_row_of_a_minute_is_found_until_it_is_deleted() {
    let database = Database::start().await;
    let broker = broker();
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let source = Source::new(&broker.bootstrap());
    source.send(bars(0..5).map(|row| insert(&row, row.minute + 1))).await;
    let second = Row { record_id: 50, ..bars(2..3).next().expect("one") };
    source.send([insert(&second, 50)]).await;
    // It came after later minutes, too.
    until_found(&server, &[("duplicate_identical", "14:32"), ("out_of_order", "14:32")]).await;
    source.send([update(&Row { close: second.close + 1, ..second.clone() }, 51)]).await;
    until_found(&server, &[("duplicate_different", "14:32"), ("out_of_order", "14:32")]).await;
    source.send([delete(50, 52), tombstone(50)]).await;
    until_found(&server, &[("out_of_order", "14:32")]).await;
    assert_eq!(listed(&server, "resolved=true").await.len(), 3);
    server.stop().await;
}

#[tokio::test]
async fn a_restart_changes_nothing_and_goes_on_where_it_was() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    source.send(bars(0..10).filter(|row| row.minute != 3).map(|row| insert(&row, row.minute + 1))).await;
    until_found(&server, &[("gap", "14:33")]).await;
    until_judged(&server.store).await;
    let before = table(&server.store).await;
    server.stop().await;

    let server = Server::start(database.store(), &broker.bootstrap()).await;
    // A bar after the restart is judged by those before it.
    source.send([insert(&Row::new(90, "AMZN", 12, 15_345), 90)]).await;
    until_found(&server, &[("gap", "14:33"), ("gap", "14:40")]).await;
    assert_eq!(table(&server.store).await[0], before[0]);
    server.stop().await;
}

#[tokio::test]
async fn two_instances_come_to_one_set_of_findings_and_one_goes_on_alone() {
    let database = Database::start().await;
    let broker = broker_with(2);
    let source = Source::new(&broker.bootstrap());
    let first = Server::launch_as(database.store(), &broker.bootstrap(), Assignment::Group).await;
    let second = Server::launch_as(database.store(), &broker.bootstrap(), Assignment::Group).await;
    first.until_ready_is(200).await;
    second.until_ready_is(200).await;
    for row in bars(0..30).filter(|row| row.minute % 10 != 5) {
        source.send_to((row.record_id % 2) as i32, [insert(&row, row.minute + 1)]).await;
    }
    let gaps = [("gap", "14:35"), ("gap", "14:45"), ("gap", "14:55")];
    let in_order = |found: Vec<Finding>| found.into_iter().filter(|found| found.rule == "gap").collect::<Vec<_>>();
    until("three gaps", || async {
        let found = in_order(listed(&first, "rule=gap").await);
        codes(&found).iter().map(|(rule, time)| (*rule, time.as_str())).eq(gaps).then_some(())
    })
    .await;
    until_judged(&first.store).await;
    let of_first = listed(&first, "resolved=true").await;
    assert_eq!(of_first, listed(&second, "resolved=true").await);
    let holders: i64 = sqlx::query_scalar("select count(holder) from pack_watch")
        .fetch_one(first.store.pool())
        .await
        .expect("a count");
    assert_eq!(holders, 1);
    // Whichever it was: the other one takes over.
    first.stop().await;
    source.send([insert(&Row::new(90, "AMZN", 32, 15_345), 90)]).await;
    until("the gap after it", || async {
        let found = listed(&second, "rule=gap").await;
        (found.len() == 4).then_some(())
    })
    .await;
    second.stop().await;
}

/// A store with some bars, and no server that judges them.
async fn filled(rows: impl IntoIterator<Item = Row>) -> (Database, Store) {
    let database = Database::start().await;
    let broker = broker();
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let records: Vec<_> = rows.into_iter().map(|row| insert(&row, row.record_id)).collect();
    let total = records.len() as i64;
    Source::new(&broker.bootstrap()).send(records).await;
    server.until_consumed(total).await;
    until_judged(&server.store).await;
    server.stop().await;
    let store = database.store();
    (database, store)
}

fn watcher(store: &Store, mode: SourceMode) -> Watcher {
    Watcher::new(store.clone(), Arc::new(Pack::default()), mode, 2_000)
}

async fn open(store: &Store) -> Vec<(String, String)> {
    let found = store.findings(&server::store::FindingFilter::default(), 100).await.expect("findings");
    found.into_iter().map(|(_, found)| (found.rule, found.time.format("%H:%M").to_string())).collect()
}

#[tokio::test]
async fn a_log_that_was_pruned_unseen_is_made_up_for_by_the_newest_bars() {
    let (_database, store) = filled(bars(0..10).filter(|row| row.minute != 3)).await;
    for sql in ["delete from finding", "update pack_watch set seq = 0", "delete from change_log"] {
        sqlx::query(sql).execute(store.pool()).await.expect("done");
    }
    let done = watcher(&store, SourceMode::Live).step(Utc::now()).await.expect("a step").expect("this instance's");
    assert_eq!(done.waiting, 0);
    assert_eq!(open(&store).await, [("gap".to_owned(), "14:33".to_owned())]);
}

#[tokio::test]
async fn silence_and_lateness_are_found_of_live_sources_and_never_of_replays() {
    let (_database, store) = filled(bars(0..10)).await;
    let received = "update stock set received_at = time + interval '61 s', committed_at = event_time + interval '9 s'";
    sqlx::query(received).execute(store.pool()).await.expect("done");
    let at = |text: &str| -> DateTime<Utc> { text.parse().expect("an instant") };
    let asked = |mode, now| {
        let watcher = watcher(&store, mode);
        let store = &store;
        async move {
            watcher.step(now).await.expect("a step").expect("this instance's");
            store.leave_pack(watcher.instance()).await.expect("left");
            open(store).await
        }
    };
    let late = ("freshness".to_owned(), "14:39".to_owned());
    assert_eq!(asked(SourceMode::Replay, at("2024-01-16T15:00:00Z")).await, []);
    assert_eq!(asked(SourceMode::Live, at("2024-01-16T14:41:00Z")).await, std::slice::from_ref(&late));
    let silent = ("silence".to_owned(), "14:40".to_owned());
    assert_eq!(asked(SourceMode::Live, at("2024-01-16T15:00:00Z")).await, [silent.clone(), late.clone()]);
    let seen: DateTime<Utc> = sqlx::query_scalar("select first_seen from finding where rule = 'silence'")
        .fetch_one(store.pool())
        .await
        .expect("it is there");
    assert_eq!(seen, at("2024-01-16T15:00:00Z"));
    assert_eq!(asked(SourceMode::Live, at("2024-01-16T16:00:00Z")).await, [silent, late.clone()], "the same one");
    assert_eq!(asked(SourceMode::Live, at("2024-01-16T21:00:00Z")).await, [late], "the exchange is closed");
    assert_eq!(asked(SourceMode::Replay, at("2024-01-16T22:00:00Z")).await, [], "what is no question is no finding");
}

#[tokio::test]
async fn rows_that_nobody_committed_are_found_by_counting() {
    let (_database, store) = filled(bars(0..10)).await;
    let watcher = watcher(&store, SourceMode::Live);
    let now = Utc::now();
    watcher.compare_rows(now).await.expect("counted");
    assert_eq!(open(&store).await, []);
    sqlx::query("delete from stock where record_id = 7").execute(store.pool()).await.expect("deleted");
    watcher.compare_rows(now + TimeDelta::minutes(10)).await.expect("counted");
    let found = store.findings(&server::store::FindingFilter::default(), 10).await.expect("findings");
    let (_, found) = &found[0];
    assert_eq!((found.rule.as_str(), &found.symbol), (PackRule::RowCount.code(), &None));
    assert_eq!((found.observed.as_deref(), found.expected.as_deref()), (Some("9 rows"), Some("10 rows")));
    watcher.compare_rows(now + TimeDelta::minutes(20)).await.expect("counted");
    assert_eq!(open(&store).await.len(), 1, "one finding, however often it is counted");
}
