//! The stream as Alpaca's clients speak it.

use crate::{
    raw::{frame, in_time, request},
    records::{OPEN, Row, insert, update},
    slow::{tight_ask, tight_listener},
    stack::{Database, PATIENCE, Server, Source, broker},
};
use futures::{SinkExt, StreamExt};
use market::wire::CLOSE_UNKNOWN;
use serde_json::{Value, json};
use server::pipeline::Assignment;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn connect(server: &Server, feed: &str, headers: &[(&'static str, &'static str)]) -> Self {
        let mut request = format!("ws://{}/v2/{feed}", server.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        Self(connect_async(request).await.expect("the server upgrades").0)
    }

    async fn frame(&mut self) -> Message {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a frame in time");
            match frame.expect("the socket is open").expect("a frame") {
                Message::Ping(_) | Message::Pong(_) => {}
                frame => return frame,
            }
        }
    }

    async fn next(&mut self) -> Value {
        match self.frame().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("no text: {other:?}"),
        }
    }

    /// The next of these many bars, in whatever frames they come.
    async fn bars(&mut self, count: usize) -> Vec<Value> {
        let mut bars: Vec<Value> = Vec::new();
        while bars.len() < count {
            let Value::Array(more) = self.next().await else { panic!("always a list") };
            bars.extend(more);
        }
        assert_eq!(bars.len(), count, "{bars:?}");
        bars
    }

    async fn say(&mut self, text: impl ToString) {
        self.0.send(Message::text(text.to_string())).await.unwrap();
    }

    /// Says something and gets the code of its refusal.
    async fn refused(&mut self, text: impl ToString) -> Value {
        self.say(text).await;
        let answer = self.next().await;
        assert_eq!(answer[0]["T"], "error", "{answer}");
        answer[0]["code"].clone()
    }
}

fn success(msg: &str) -> Value {
    json!([{"T": "success", "msg": msg}])
}

fn subscription(bars: &[&str], updated: &[&str], daily: &[&str]) -> Value {
    json!([{
        "T": "subscription", "trades": [], "quotes": [], "bars": bars, "updatedBars": updated, "dailyBars": daily,
        "statuses": [], "lulds": [], "corrections": [], "cancelErrors": []
    }])
}

#[tokio::test]
async fn new_bars_corrections_and_days_come_on_their_channels() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let mut client = Client::connect(&server, "iex", &[]).await;
    assert_eq!(client.next().await, success("connected"));

    assert_eq!(client.refused(json!({"action": "subscribe", "bars": ["AMZN"]})).await, 401);
    assert_eq!(client.refused(json!({"action": "auth", "key": "", "secret": ""})).await, 402);
    client.say(json!({"action": "auth", "key": "key", "secret": "secret"})).await;
    assert_eq!(client.next().await, success("authenticated"));
    assert_eq!(client.refused(json!({"action": "auth", "key": "key", "secret": "secret"})).await, 403);
    for nonsense in ["", "[]", r#"{"action":"listen"}"#, r#"{"action":"subscribe","bars":["not a symbol"]}"#] {
        assert_eq!(client.refused(nonsense).await, 400, "{nonsense:?}");
    }
    assert_eq!(client.refused(json!({"action": "subscribe", "trades": ["AMZN"], "bars": ["AMZN"]})).await, 410);
    let many: Vec<String> = (0..1_001).map(|n| format!("S{n}")).collect();
    assert_eq!(client.refused(json!({"action": "subscribe", "bars": many})).await, 405);

    client.say(json!({"action": "subscribe", "bars": ["AMZN"], "updatedBars": ["*"]})).await;
    assert_eq!(client.next().await, subscription(&["AMZN"], &["*"], &[]));
    client.say(json!({"action": "subscribe", "dailyBars": ["AMZN"]})).await;
    assert_eq!(client.next().await, subscription(&["AMZN"], &["*"], &["AMZN"]));

    // A new bar of AAPL is nothing to this client, a correction of one is.
    let aapl = Row::new(2, "AAPL", 0, 18_000);
    source.send([insert(&aapl, 1), insert(&Row::new(1, "AMZN", 0, 15_000), 2)]).await;
    let mut bars = client.bars(2).await;
    bars.sort_by_key(|bar| bar["T"].to_string());
    let bar = json!({
        "T": "b", "S": "AMZN", "o": 149.95, "h": 150.1, "l": 149.9, "c": 150.0, "v": 100, "n": null, "vw": null,
        "t": "2024-01-16T14:30:00Z"
    });
    assert_eq!(bars[0], bar);
    assert_eq!((&bars[1]["T"], &bars[1]["t"]), (&json!("d"), &json!("2024-01-16T05:00:00Z")));
    source.send([update(&Row { close: 18_100, event_time: OPEN + 600, ..aapl }, 3)]).await;
    let bars = client.bars(1).await;
    assert_eq!((&bars[0]["T"], &bars[0]["S"], &bars[0]["c"]), (&json!("u"), &json!("AAPL"), &json!(181.0)));

    client.say(json!({"action": "unsubscribe", "bars": ["AMZN"], "updatedBars": ["*"]})).await;
    assert_eq!(client.next().await, subscription(&[], &[], &["AMZN"]));
    source.send([insert(&Row::new(3, "AMZN", 1, 15_010), 4)]).await;
    let bars = client.bars(1).await;
    assert_eq!((&bars[0]["T"], &bars[0]["v"]), (&json!("d"), &json!(200)));
    server.stop().await;
}

#[tokio::test]
async fn credentials_may_come_with_the_request_and_messages_may_be_packed() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let headers =
        [("content-type", "application/msgpack"), ("apca-api-key-id", "key"), ("apca-api-secret-key", "secret")];
    let mut client = Client::connect(&server, "sip", &headers).await;
    for msg in ["connected", "authenticated"] {
        let Message::Binary(bytes) = client.frame().await else { panic!("not packed") };
        assert_eq!(rmp_serde::from_slice::<Value>(&bytes).unwrap(), success(msg));
    }
    let order = rmp_serde::to_vec_named(&json!({"action": "subscribe", "bars": ["*"]})).unwrap();
    client.0.send(Message::binary(order)).await.unwrap();
    let Message::Binary(bytes) = client.frame().await else { panic!("not packed") };
    assert_eq!(rmp_serde::from_slice::<Value>(&bytes).unwrap(), subscription(&["*"], &[], &[]));
    // A symbol that nobody had heard of when the client came.
    source.send([insert(&Row::new(1, "BRK.B", 0, 36_012), 1)]).await;
    let Message::Binary(bytes) = client.frame().await else { panic!("not packed") };
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("BRK.B"), "{text}");
    // The timestamp extension: 12 bytes of type −1.
    assert!(bytes.windows(3).any(|part| part == [0xc7, 12, 0xff]), "{bytes:x?}");
    server.stop().await;
}

#[tokio::test]
async fn who_does_not_say_who_it_is_is_told_404_and_let_go() {
    let database = Database::start().await;
    let broker = broker();
    let server = Server::start(database.store(), &broker.bootstrap()).await;
    let (status, body) = server.get("/v2/otc").await;
    assert_eq!(status, 404, "{body}");
    let mut client = Client::connect(&server, "test", &[]).await;
    assert_eq!(client.next().await, success("connected"));
    assert_eq!(client.next().await, json!([{"T": "error", "code": 404, "msg": "auth timeout"}]));
    match client.frame().await {
        Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), CLOSE_UNKNOWN),
        other => panic!("not closed: {other:?}"),
    }
    server.stop().await;
}

#[tokio::test]
async fn who_never_reads_loses_its_seat() {
    let database = Database::start().await;
    let broker = broker();
    let source = Source::new(&broker.bootstrap());
    let mut web = Server::web();
    web.sockets.max_sockets = 1;
    web.sockets.write_within = Duration::from_millis(300);
    web.sockets.farewell_within = Duration::from_millis(200);
    let server = Server::launch_on(tight_listener(), web, database.store(), &broker.bootstrap(), Assignment::Static);
    server.until_ready_is(200).await;
    let handshake = request(&[("apca-api-key-id", "key"), ("apca-api-secret-key", "secret")]);
    let handshake = handshake.replace("/api/v1/stream", "/v2/iex");
    let (mut dead, head) = tight_ask(server.address, &handshake).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    dead.send(&frame(0x81, br#"{"action":"subscribe","bars":["*"]}"#)).await;

    // Far more than the kernel holds, of symbols that nobody has named.
    let names: Vec<&'static str> = (0..200).map(|n| &*Box::leak(format!("S{n}").into_boxed_str())).collect();
    let rows = (0..4_000).map(|n: i64| Row::new(n + 1, names[n as usize % names.len()], n / 200, 15_000));
    source.send(rows.map(|row| insert(&row, row.record_id))).await;
    let _seat = in_time("the seat of who never reads is free", async {
        loop {
            let (next, head) = tight_ask(server.address, &handshake).await;
            if head.starts_with("HTTP/1.1 101 ") {
                return next;
            }
            next.reset();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    drop(dead);
    server.stop().await;
}
