//! Recent bars come from memory, and are never staler than the stream: whoever has heard of a commit on a socket and asks REST
//! then, finds it there. Commits come from the pipeline of this server, and from another process of which only the change log
//! tells.

use crate::{
    records::{OPEN, Row, delete, insert, tombstone, update},
    stack::{Database, PATIENCE, Server, Source, broker},
};
use futures::{SinkExt, StreamExt};
use market::{
    Symbol, Timeframe,
    wire::{ClientMessage, Record as Change, ServerMessage},
};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

const SYMBOL: &str = "AMZN";
const NEWEST: &str = "/api/v1/bars?symbol=AMZN&sort=desc&limit=100";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn subscribe(server: &Server) -> Socket {
    let (mut socket, _) = connect_async(format!("ws://{}/api/v1/stream", server.address)).await.unwrap();
    let symbols: Vec<Symbol> = vec![SYMBOL.parse().unwrap()];
    let sub = ClientMessage::Sub { symbols, timeframe: Timeframe::MINUTE_1, epoch: None, since: None, bars: None };
    socket.send(Message::text(serde_json::to_string(&sub).unwrap())).await.unwrap();
    socket
}

async fn next(socket: &mut Socket) -> ServerMessage {
    loop {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("a message in time");
        if let Message::Text(text) = message.unwrap().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

/// What the socket says next of the minutes that changed: their close, or that they are gone.
async fn changes(socket: &mut Socket) -> Vec<(String, Option<String>)> {
    loop {
        if let ServerMessage::Delta { records, .. } = next(socket).await {
            let told = records.into_iter().map(|record| match record {
                Change::Bar { bar, .. } | Change::Rev { bar, .. } => {
                    (bar.time.to_rfc3339(), Some(bar.close.normalize().to_string()))
                }
                Change::Del { time, .. } => (time.to_rfc3339(), None),
            });
            return told.collect();
        }
    }
}

/// What REST says: close by minute, newest first.
async fn closes(server: &Server, path: &str) -> Vec<(String, String)> {
    let (status, body) = server.get(path).await;
    assert_eq!(status, 200, "{body}");
    let page: Value = serde_json::from_str(&body).unwrap();
    let bars = page.get("bars").unwrap_or(&page).as_array().unwrap().clone();
    bars.iter()
        .map(|bar| {
            let time: chrono::DateTime<chrono::Utc> = bar["time"].as_str().unwrap().parse().unwrap();
            let close: rust_decimal::Decimal = bar["close"].to_string().parse().unwrap();
            (time.to_rfc3339(), close.normalize().to_string())
        })
        .collect()
}

/// Both ways of asking for the newest bars hold what the socket said.
async fn agrees(server: &Server, told: &[(String, Option<String>)]) {
    for path in [NEWEST, "/api/v1/bars?symbol=AMZN&sort=desc&limit=99"] {
        let served = closes(server, path).await;
        for (time, close) in told {
            let found = served.iter().find(|(served, _)| served == time).map(|(_, close)| close.clone());
            assert_eq!(&found, close, "{path}: {time}, of {told:?}");
        }
    }
    let latest = closes(server, "/api/v1/latest?symbols=AMZN").await;
    let newest = closes(server, NEWEST).await;
    assert_eq!(latest.first(), newest.first());
}

#[tokio::test]
async fn an_answer_holds_what_the_socket_has_said_before() {
    let (database, broker) = (Database::start().await, broker());
    let store = database.migrated().await;
    let server = Server::start(store, &broker.bootstrap()).await;
    let source = Source::new(&broker.bootstrap());
    source.send([insert(&Row::new(1, SYMBOL, 0, 10_000), 1)]).await;
    server.until_consumed(1).await;
    let mut socket = subscribe(&server).await;
    while !matches!(next(&mut socket).await, ServerMessage::Snap { .. }) {}

    for n in 1..60_i64 {
        // Ask before the change, so that there is something in memory that it makes stale.
        let before = closes(&server, NEWEST).await;
        // One change at a time, so that REST cannot be ahead of what the socket says next.
        let row = |record_id, close| Row { event_time: OPEN + n, ..Row::new(record_id, SYMBOL, record_id - 1, close) };
        let batch = match n % 4 {
            0 => vec![delete(n, n * 10), tombstone(n)],
            2 => vec![update(&row(n, 20_000 + n), n * 10)],
            _ => vec![insert(&row(n + 1, 10_000 + n), n * 10)],
        };
        source.send(batch).await;
        let told = changes(&mut socket).await;
        agrees(&server, &told).await;
        assert_ne!(before, closes(&server, NEWEST).await, "change {n} is seen");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_answer_holds_what_another_process_has_committed_once_the_socket_has_said_it() {
    let (database, broker) = (Database::start().await, broker());
    let store = database.migrated().await;
    let server = Server::start(store, &broker.bootstrap()).await;
    let source = Source::new(&broker.bootstrap());
    source.send((0..5).map(|n| insert(&Row::new(n + 1, SYMBOL, n, 10_000 + n), n + 1))).await;
    server.until_consumed(5).await;
    // Another process on the same database, which consumes nothing here: its commits are known by the change log only.
    let elsewhere = crate::stack::broker();
    let other = Server::start(database.store(), &elsewhere.bootstrap()).await;
    let mut socket = subscribe(&other).await;
    while !matches!(next(&mut socket).await, ServerMessage::Snap { .. }) {}
    for n in 5..25_i64 {
        closes(&other, NEWEST).await;
        source.send([insert(&Row { event_time: OPEN + n, ..Row::new(n + 1, SYMBOL, n, 10_000 + n) }, n + 1)]).await;
        let told = changes(&mut socket).await;
        agrees(&other, &told).await;
    }
    other.stop().await;
    server.stop().await;
}
