//! The live protocol on a real socket.

use crate::{
    records::{OPEN, Row, delete, insert, tombstone, update},
    stack::{Database, PATIENCE, Server, Source, broker},
};
use chrono::{DateTime, Utc};
use futures::{SinkExt, StreamExt};
use market::{
    Bar, Stats, Symbol, Timeframe,
    wire::{BarsPage, CLOSE_RESTART, ClientMessage, Finding, MSGPACK_PROTOCOL, Record, ServerMessage},
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

pub struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    msgpack: bool,
}

impl Client {
    pub async fn connect(server: &Server) -> Self {
        let url = format!("ws://{}/api/v1/stream", server.address);
        let (socket, _) = connect_async(url).await.expect("the server upgrades");
        Self { socket, msgpack: false }
    }

    async fn send(&mut self, message: &ClientMessage) {
        let frame = if self.msgpack {
            Message::Binary(rmp_serde::to_vec_named(message).expect("encodes").into())
        } else {
            Message::Text(serde_json::to_string(message).expect("encodes").into())
        };
        self.socket.send(frame).await.expect("the server reads");
    }

    /// The next message, whatever it is.
    async fn heard(&mut self) -> ServerMessage {
        loop {
            let frame = self.socket.next().await.expect("the socket is open").expect("a frame");
            return match frame {
                Message::Text(text) if !self.msgpack => serde_json::from_str(&text).expect("the protocol's JSON"),
                Message::Binary(bytes) if self.msgpack => rmp_serde::from_slice(&bytes).expect("MessagePack"),
                Message::Ping(_) | Message::Pong(_) => continue,
                other => panic!("unexpected frame {other:?}"),
            };
        }
    }

    /// The next message that is not about the pipeline, the time or the rules.
    async fn next(&mut self) -> ServerMessage {
        tokio::time::timeout(PATIENCE, async {
            loop {
                let message = self.heard().await;
                if !matches!(
                    message,
                    ServerMessage::Pipe { .. }
                        | ServerMessage::Beat { .. }
                        | ServerMessage::Dq { .. }
                        | ServerMessage::Findings { .. }
                ) {
                    return message;
                }
            }
        })
        .await
        .expect("a message in time")
    }

    /// What the rules next say, whatever else comes before.
    pub async fn findings(&mut self) -> Vec<Finding> {
        tokio::time::timeout(PATIENCE, async {
            loop {
                if let ServerMessage::Findings { findings } = self.heard().await {
                    return findings;
                }
            }
        })
        .await
        .expect("findings in time")
    }

    pub async fn hello(&mut self) -> (String, i64) {
        match self.next().await {
            ServerMessage::Hello { epoch, seq, .. } => (epoch, seq),
            other => panic!("expected hello, got {other:?}"),
        }
    }

    pub async fn subscribe(&mut self, symbols: &[&str], timeframe: Timeframe) {
        self.send(&sub(symbols, timeframe, None)).await;
    }

    pub async fn snap(&mut self) -> (Symbol, i64, Vec<Bar>, Option<Stats>) {
        match self.next().await {
            ServerMessage::Snap { symbol, seq, bars, stats, .. } => (symbol, seq, bars, stats),
            other => panic!("expected a snapshot, got {other:?}"),
        }
    }

    pub async fn delta(&mut self) -> (Symbol, i64, i64, Vec<Record>) {
        match self.next().await {
            ServerMessage::Delta { symbol, prev, seq, records, .. } => (symbol, prev, seq, records),
            other => panic!("expected a delta, got {other:?}"),
        }
    }
}

fn sub(symbols: &[&str], timeframe: Timeframe, since: Option<(String, i64)>) -> ClientMessage {
    let (epoch, since) = since.unzip();
    ClientMessage::Sub {
        symbols: symbols.iter().map(|symbol| symbol.parse().expect("a symbol")).collect(),
        timeframe,
        epoch,
        since,
        bars: None,
    }
}

fn minute(n: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(OPEN + n * 60, 0).expect("in range")
}

#[tokio::test]
async fn a_client_gets_a_snapshot_and_then_every_change_without_a_gap() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    source.send((0..10).map(|n| insert(&Row::new(n + 1, "AMZN", n, 15_000 + n), n + 1))).await;
    server.until_consumed(10).await;

    let mut client = Client::connect(&server).await;
    client.hello().await;
    client.subscribe(&["AMZN"], Timeframe::MINUTE_1).await;
    let (symbol, mut seq, bars, stats) = client.snap().await;
    assert_eq!((symbol.as_str(), seq, bars.len()), ("AMZN", 10, 10));
    assert_eq!(stats, Stats::of(&bars));

    let corrected = Row { close: 16_000, event_time: OPEN + 9_000, ..Row::new(10, "AMZN", 9, 0) };
    type IsExpected = fn(&Record) -> bool;
    let steps: [(Vec<_>, IsExpected); 3] = [
        (vec![insert(&Row::new(11, "AMZN", 10, 15_100), 11)], |record| matches!(record, Record::Bar { .. })),
        (vec![update(&corrected, 12)], |record| matches!(record, Record::Rev { .. })),
        (vec![delete(5, 13), tombstone(5)], |record| matches!(record, Record::Del { .. })),
    ];
    for (records, is_expected) in steps {
        source.send(records).await;
        let (_, prev, next, records) = client.delta().await;
        assert!(prev <= seq && seq < next, "no gap: {prev} <= {seq} < {next}");
        assert!(records.len() == 1 && is_expected(&records[0]), "{records:?}");
        if let Record::Rev { bar, .. } = &records[0] {
            assert_eq!((bar.time, bar.close), (minute(9), "160".parse().expect("a price")));
        }
        seq = next;
    }
    // Another symbol's change is not sent, and leaves no gap.
    source.send([insert(&Row::new(100, "AAPL", 0, 18_000), 14), insert(&Row::new(12, "AMZN", 11, 15_200), 15)]).await;
    let (symbol, prev, next, _) = client.delta().await;
    assert_eq!(symbol.as_str(), "AMZN");
    assert!(prev <= seq && seq < next);
    server.stop().await;
}

#[tokio::test]
async fn a_returning_client_gets_what_it_missed_or_is_told_to_start_over() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    source.send((0..3).map(|n| insert(&Row::new(n + 1, "AMZN", n, 15_000), n + 1))).await;
    server.until_consumed(3).await;
    let mut client = Client::connect(&server).await;
    let (epoch, _) = client.hello().await;
    client.subscribe(&["AMZN"], Timeframe::MINUTE_1).await;
    let (_, seen, ..) = client.snap().await;
    drop(client);

    let moved = update(&Row::new(2, "AMZN", 7, 15_000), 6);
    source.send([insert(&Row::new(4, "AMZN", 3, 15_300), 4), delete(1, 5), tombstone(1), moved]).await;
    server.until_consumed(7).await;
    let mut client = Client::connect(&server).await;
    client.hello().await;
    client.send(&sub(&["AMZN"], Timeframe::MINUTE_1, Some((epoch, seen)))).await;
    let (_, prev, seq, records) = client.delta().await;
    assert_eq!((prev, seq), (seen, seen + 4), "a row that moves leaves one place and takes another");
    let places: Vec<_> = records
        .iter()
        .map(|record| match record {
            Record::Bar { bar, .. } => (bar.time, "new"),
            Record::Rev { bar, .. } => (bar.time, "changed"),
            Record::Del { time, .. } => (*time, "gone"),
        })
        .collect();
    assert_eq!(places, [(minute(0), "gone"), (minute(1), "gone"), (minute(3), "new"), (minute(7), "changed")]);

    for (epoch, since) in [("another".to_owned(), seen), (client_epoch(&server).await, 1_000_000)] {
        client.send(&sub(&["AMZN"], Timeframe::MINUTE_1, Some((epoch, since)))).await;
        assert!(matches!(client.next().await, ServerMessage::Refetch { .. }));
        assert_eq!(client.snap().await.2.len(), 3);
    }
    server.stop().await;
}

async fn client_epoch(server: &Server) -> String {
    Client::connect(server).await.hello().await.0
}

#[tokio::test]
async fn longer_timeframes_are_live_and_equal_to_rest() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    source.send((0..7).map(|n| insert(&Row::new(n + 1, "AMZN", n, 15_000 + n * 10), n + 1))).await;
    server.until_consumed(7).await;
    let mut client = Client::connect(&server).await;
    client.hello().await;
    client.subscribe(&["AMZN"], Timeframe::MINUTE_5).await;
    let (.., bars, _) = client.snap().await;
    assert_eq!(bars.iter().map(|bar| bar.time).collect::<Vec<_>>(), [minute(0), minute(5)]);

    source.send([insert(&Row::new(8, "AMZN", 7, 19_000), 8)]).await;
    let (.., records) = client.delta().await;
    let [Record::Bar { bar, .. }] = &records[..] else { panic!("{records:?}") };
    let (_, body) = server.get("/api/v1/bars?symbol=AMZN&timeframe=5m").await;
    let page: BarsPage = serde_json::from_str(&body).expect("bars");
    assert_eq!(page.bars.last(), Some(bar));
    assert_eq!(bar.volume, 300);
    server.stop().await;
}

#[tokio::test]
async fn message_pack_carries_the_same_messages() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let mut request = format!("ws://{}/api/v1/stream", server.address).into_client_request().expect("a request");
    request.headers_mut().insert("sec-websocket-protocol", MSGPACK_PROTOCOL.parse().expect("a header"));
    let (socket, response) = connect_async(request).await.expect("the server upgrades");
    assert_eq!(response.headers()["sec-websocket-protocol"], MSGPACK_PROTOCOL);
    let mut client = Client { socket, msgpack: true };
    client.hello().await;
    client.subscribe(&["AMZN"], Timeframe::MINUTE_1).await;
    assert_eq!(client.snap().await.2, []);
    source.send([insert(&Row::new(1, "AMZN", 0, 15_000), 1)]).await;
    let (.., records) = client.delta().await;
    assert!(matches!(&records[..], [Record::Bar { bar, .. }] if bar.time == minute(0)), "{records:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_message_that_is_not_understood_is_answered_and_the_socket_stays() {
    let database = Database::start().await;
    let broker = broker();
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let mut client = Client::connect(&server).await;
    client.hello().await;
    for text in
        ["{", "{\"type\":\"sub\"}", "{\"type\":\"sub\",\"symbols\":[\"amzn!\"]}", "{\"type\":\"sub\",\"symbols\":[]}"]
    {
        client.socket.send(Message::Text(text.into())).await.expect("the server reads");
        assert!(matches!(client.next().await, ServerMessage::Error { .. }), "{text}");
    }
    client.subscribe(&["AMZN"], Timeframe::MINUTE_1).await;
    assert_eq!(client.snap().await.0.as_str(), "AMZN");
    server.stop().await;
}

#[tokio::test]
async fn shutdown_says_restart_to_every_socket() {
    let database = Database::start().await;
    let broker = broker();
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let mut client = Client::connect(&server).await;
    client.hello().await;
    let stopping = tokio::spawn(server.stop());
    let code = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(Ok(Message::Close(Some(close)))) = client.socket.next().await {
                return u16::from(close.code);
            }
        }
    })
    .await
    .expect("a close frame in time");
    assert_eq!(code, CLOSE_RESTART);
    tokio::time::timeout(PATIENCE, stopping).await.expect("it stops").expect("without a panic");
}

#[tokio::test]
async fn who_polls_is_told_every_change_once_and_when_history_is_gone() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    source.send((0..3).map(|n| insert(&Row::new(n + 1, "AMZN", n, 15_000 + n), n + 1))).await;
    server.until_consumed(3).await;
    let changes = |query: String| {
        let server = &server;
        async move {
            let (status, body) = server.get(&format!("/api/v1/changes?symbols=AMZN{query}")).await;
            (status, serde_json::from_str::<Value>(&body).expect("JSON"))
        }
    };
    let (status, start) = changes(String::new()).await;
    assert_eq!((status, &start["changes"]), (200, &json!([])), "where the stream stands");
    let since = |answer: &Value| format!("&epoch={}&since={}", start["epoch"].as_str().expect("text"), answer["seq"]);
    let (_, none) = changes(since(&start)).await;
    assert_eq!(none, start);

    let corrected = Row { close: 16_000, event_time: OPEN + 9_000, ..Row::new(2, "AMZN", 1, 0) };
    source.send([update(&corrected, 4), insert(&Row::new(4, "AMZN", 3, 15_100), 5), delete(1, 6), tombstone(1)]).await;
    server.until_consumed(7).await;
    let (_, some) = changes(since(&start)).await;
    let told: Vec<_> = some["changes"].as_array().expect("a list").iter().map(|c| (&c["kind"], &c["close"])).collect();
    assert_eq!(told, [(&json!("del"), &Value::Null), (&json!("rev"), &json!(160.0)), (&json!("bar"), &json!(151.0))]);
    let (_, days) = changes(since(&start) + "&timeframe=1d").await;
    assert_eq!((days["changes"].as_array().map(Vec::len), &days["changes"][0]["kind"]), (Some(1), &json!("rev")));
    let (_, nothing_more) = changes(since(&some)).await;
    assert_eq!(nothing_more["changes"], json!([]));

    let other_epoch = format!("&epoch=00000000-0000-0000-0000-000000000000&since={}", some["seq"]);
    for gone in [other_epoch, format!("&epoch={}&since=999999", start["epoch"].as_str().expect("text"))] {
        let (status, problem) = changes(gone).await;
        assert_eq!((status, &problem["code"]), (410, &json!("gone")));
    }
    server.stop().await;
}
