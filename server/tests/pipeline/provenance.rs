//! Where a candle came from: asked of a server that has consumed it.

use crate::{
    records::{Row, delete, insert, update},
    stack::{Database, Server, Source, TOPIC, broker, until},
};
use market::provenance::{ChangeOutcome, OriginalState, Provenance, RecordPlace, RuleOrigin, RuleVerdict};
use rust_decimal::Decimal;
use server::{
    pipeline::Assignment,
    provenance::{Archive, Found},
};

const OPEN_MINUTE: &str = "/api/v1/bars/AMZN/2024-01-16T14:30:00Z/provenance";

async fn ask(server: &Server, path: &str) -> Provenance {
    let (status, body) = server.get(path).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("a provenance")
}

fn of(provenance: &Provenance, origin: RuleOrigin) -> impl Iterator<Item = &RuleVerdict> {
    provenance.verdicts.iter().filter(move |verdict| verdict.origin == origin)
}

fn outcomes(provenance: &Provenance) -> Vec<(i64, ChangeOutcome)> {
    provenance.events.iter().map(|event| (event.record_id, event.outcome)).collect()
}

#[tokio::test]
async fn a_candle_tells_every_change_that_made_it_and_what_each_changed() {
    let (database, broker) = (Database::start().await, broker());
    let server = Server::start(database.migrated().await, &broker.bootstrap()).await;
    let first = Row::new(1, "AMZN", 0, 15_000);
    let corrected = Row { close: 15_100, event_time: first.event_time + 60, ..first.clone() };
    let stale = Row { close: 14_000, ..first.clone() };
    let twin = Row::new(2, "AMZN", 0, 15_050);
    let refused = Row { volume: -5, event_time: first.event_time + 120, ..first.clone() };
    let source = Source::new(&broker.bootstrap());
    source
        .send([insert(&first, 10), update(&corrected, 20), update(&stale, 30), insert(&twin, 40), update(&refused, 50)])
        .await;
    server.until_consumed(5).await;

    let found = ask(&server, OPEN_MINUTE).await;
    use ChangeOutcome::{Applied, Late, New};
    assert_eq!(outcomes(&found), [(1, New), (1, Applied), (1, Late), (2, New)]);
    assert_eq!(found.note, None, "the log knows the beginning of each row");
    let row = found.row.as_ref().expect("a row");
    assert_eq!((row.record_id, row.bar.close, row.op), (1, Decimal::new(15_100, 2), 'u'));
    assert_eq!(row.place, RecordPlace { topic: TOPIC.to_owned(), partition: 0, incarnation: 1, offset: 1 });
    let duplicates: Vec<i64> = found.duplicates.iter().map(|row| row.record_id).collect();
    assert_eq!(duplicates, [2], "the older event loses");

    let correction = &found.events[1];
    assert_eq!(correction.place, row.place);
    assert_eq!(correction.received_at, Some(row.received_at));
    assert_eq!(correction.original.state, OriginalState::Kept);
    assert_eq!(correction.original.after.as_ref().and_then(|image| image.close), Some(Decimal::new(15_100, 2)));
    assert!(correction.original.before.is_some() && found.events[0].original.before.is_none());
    let (kafka_at, connector_at) = (correction.original.kafka_at, correction.original.connector_at);
    assert!(kafka_at.is_some_and(|at| at <= row.committed_at) && connector_at.is_some(), "{correction:?}");

    let of_row: Vec<_> = of(&found, RuleOrigin::Row).collect();
    assert_eq!(of_row.len(), quality::Rule::ALL.len());
    assert!(of_row.iter().all(|verdict| verdict.passed == Some(true)), "{of_row:?}");
    assert_eq!(of(&found, RuleOrigin::Suite).count(), 0);
    let judged = until("the rules over several bars have looked at it", || async {
        let found = ask(&server, OPEN_MINUTE).await;
        let is_judged = of(&found, RuleOrigin::Bars).all(|verdict| verdict.passed.is_some());
        is_judged.then_some(found)
    })
    .await;
    let of_bars: Vec<_> = of(&judged, RuleOrigin::Bars).collect();
    assert!(of_bars.iter().any(|verdict| verdict.code == "frozen_price"), "{of_bars:?}");
    let broken: Vec<_> = of_bars.iter().filter(|verdict| verdict.passed == Some(false)).collect();
    assert!(matches!(broken[..], [verdict] if verdict.code == "duplicate_different"), "{broken:?}");
    let refusals: Vec<(i64, &str)> =
        found.refused.iter().map(|refused| (refused.place.offset, refused.codes[0].as_str())).collect();
    assert_eq!(refusals, [(4, "volume_not_negative")]);
    server.stop().await;
}

#[tokio::test]
async fn a_candle_that_is_gone_still_tells_its_changes_and_a_tag_says_which_rule() {
    let (database, broker) = (Database::start().await, broker());
    let server = Server::start(database.migrated().await, &broker.bootstrap()).await;
    let gone = Row::new(1, "AMZN", 0, 15_000);
    // Long after the close.
    let odd = Row::new(2, "AMZN", 12 * 60, 15_000);
    let source = Source::new(&broker.bootstrap());
    source.send([insert(&gone, 10), delete(1, 20), insert(&odd, 30)]).await;
    server.until_consumed(3).await;

    let found = ask(&server, OPEN_MINUTE).await;
    assert_eq!(outcomes(&found), [(1, ChangeOutcome::New), (1, ChangeOutcome::Deleted)]);
    assert!(found.row.is_none() && found.verdicts.is_empty());

    let tagged = ask(&server, "/api/v1/bars/AMZN/2024-01-17T02:30:00Z/provenance").await;
    let broken: Vec<&str> = of(&tagged, RuleOrigin::Row)
        .filter(|verdict| verdict.passed == Some(false))
        .map(|verdict| &*verdict.code)
        .collect();
    assert_eq!(broken, ["session_minute"]);
    assert_eq!(tagged.row.map(|row| row.tags), Some(vec!["session_minute".to_owned()]));
    server.stop().await;
}

#[tokio::test]
async fn without_kafka_the_rest_of_the_answer_still_comes() {
    let (database, broker) = (Database::start().await, broker());
    let server = Server::start(database.migrated().await, &broker.bootstrap()).await;
    Source::new(&broker.bootstrap()).send([insert(&Row::new(1, "AMZN", 0, 15_000), 10)]).await;
    server.until_consumed(1).await;
    drop(broker);
    let found = ask(&server, OPEN_MINUTE).await;
    assert_eq!(found.events[0].original.state, OriginalState::Unanswered);
    assert!(found.row.is_some());
    server.stop().await;
}

#[tokio::test]
async fn what_kafka_has_no_more_is_told_from_what_it_does_not_answer() {
    let broker = broker();
    Source::new(&broker.bootstrap()).send([insert(&Row::new(1, "AMZN", 0, 15_000), 10)]).await;
    let archive = Archive::new(Server::consumer(&broker.bootstrap(), Assignment::Static, &[TOPIC]));
    let place = |offset| RecordPlace { topic: TOPIC.to_owned(), partition: 0, incarnation: 1, offset };
    let found = archive.read(vec![place(0), place(900)]).await;
    assert!(matches!(&found[0], Found::Kept(kept) if kept.value.is_some()), "{found:?}");
    assert_eq!(found[1], Found::Expired);
    assert_eq!(Archive::closed().read(vec![place(0)]).await, [Found::Unanswered]);
}
