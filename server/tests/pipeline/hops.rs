//! How long records take from hop to hop.

use crate::{
    records::{Row, insert},
    stack::{Database, Server, Source, broker},
};
use server::pipeline::{Hop, HopStatus};

#[tokio::test]
async fn every_record_is_measured_at_every_hop_that_it_passes() {
    let database = Database::start().await;
    let broker = broker();
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let before = server.status().hops.list();
    assert!(before.iter().all(|hop| hop.since_start.is_none()), "nothing has passed: {before:?}");

    let bars = (0..10).map(|id| insert(&Row::new(id, "AMZN", id, 15_000), id + 1));
    Source::new(&broker.bootstrap()).send(bars).await;
    server.until_consumed(10).await;

    let hops = server.status().hops.list();
    let count = |wanted: Hop| {
        let of = |hop: &&HopStatus| hop.hop == wanted;
        hops.iter().find(of).and_then(|hop| hop.since_start).map_or(0, |told| told.count)
    };
    for hop in [Hop::Capture, Hop::Fetch, Hop::Decode, Hop::Check, Hop::Store] {
        assert_eq!(count(hop), 10, "{hop:?}");
    }
    assert_eq!(count(Hop::Publish), 0, "nobody follows the symbol");
    let capture = hops[0].since_start.expect("it was measured");
    assert!(
        capture.p50_us > 24 * 3_600_000_000,
        "the rows were committed years ago by the source's clock: {capture:?}"
    );
    server.stop().await;
}
