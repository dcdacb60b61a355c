//! RFC 6455, section 4.2: what is a handshake and what is not; and whose pages may begin one.

use crate::raw::{ACCEPT, KEY, Raw, Reply, Site, header, request};
use market::wire::ServerMessage;
use server::feed::SocketConfig;

async fn site() -> Site {
    Site::start(SocketConfig {
        allowed_origins: vec!["https://partner.example".parse().unwrap()],
        ..SocketConfig::default()
    })
    .await
}

fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_form_of_a_handshake_is_accepted() {
    let site = site().await;
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("as in the RFC", &[]),
        ("Connection is a list", &[("Connection", "keep-alive, Upgrade")]),
        ("Connection has two lines", &[("Connection", "keep-alive"), ("Connection", "upgrade")]),
        ("Connection in another case", &[("Connection", "UPGRADE")]),
        ("Upgrade in another case", &[("Upgrade", "WebSocket")]),
        ("Upgrade is a list", &[("Upgrade", "h2c, websocket")]),
        ("header names in another case", &[("Upgrade", ""), ("uPGRADE", "websocket")]),
        ("an extension is offered", &[("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]),
        ("an unknown sub-protocol is offered", &[("Sec-WebSocket-Protocol", "soap, wamp")]),
        ("a page of this server", &[("Origin", "http://stocks.example")]),
        ("a page of this server behind TLS", &[("Origin", "https://stocks.example"), ("X-Forwarded-Proto", "https")]),
        ("a page that is allowed", &[("Origin", "https://partner.example")]),
    ];
    for (name, changes) in cases {
        let (_, head) = Raw::ask(site.address, request(changes).as_bytes()).await;
        assert_eq!(status(&head), 101, "{name}: {head}");
        assert_eq!(header(&head, "sec-websocket-accept"), Some(ACCEPT), "{name}");
        assert_eq!(header(&head, "upgrade"), Some("websocket"), "{name}");
        assert!(header(&head, "connection").unwrap().eq_ignore_ascii_case("upgrade"), "{name}");
        assert_eq!(header(&head, "sec-websocket-extensions"), None, "{name}: no extension is agreed");
        assert_eq!(header(&head, "sec-websocket-protocol"), None, "{name}: none was agreed");
    }
    let offer = [("Sec-WebSocket-Protocol", "soap,stockstream.v1.msgpack")];
    let (_, head) = Raw::ask(site.address, request(&offer).as_bytes()).await;
    assert_eq!(header(&head, "sec-websocket-protocol"), Some("stockstream.v1.msgpack"));
}

#[tokio::test]
async fn what_is_no_handshake_is_refused_with_the_reason() {
    let site = site().await;
    #[expect(clippy::type_complexity, reason = "a table: name, headers, status, code")]
    let cases: &[(&str, &[(&str, &str)], u16, &str)] = &[
        ("no Upgrade", &[("Upgrade", "")], 400, "no_handshake"),
        ("another Upgrade", &[("Upgrade", "h2c")], 400, "no_handshake"),
        ("Upgrade only looks like it", &[("Upgrade", "websockets")], 400, "no_handshake"),
        ("no Connection", &[("Connection", "")], 400, "no_handshake"),
        ("Connection is kept alive", &[("Connection", "keep-alive")], 400, "no_handshake"),
        ("Connection only looks like it", &[("Connection", "upgraded")], 400, "no_handshake"),
        ("no key", &[("Sec-WebSocket-Key", "")], 400, "no_handshake"),
        ("a key that is no Base64", &[("Sec-WebSocket-Key", "!!!")], 400, "no_handshake"),
        ("a key of 15 bytes", &[("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAA")], 400, "no_handshake"),
        ("a key of 18 bytes", &[("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAAAA")], 400, "no_handshake"),
        ("two keys", &[("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Key", KEY)], 400, "no_handshake"),
        ("no version", &[("Sec-WebSocket-Version", "")], 400, "no_handshake"),
        ("an older version", &[("Sec-WebSocket-Version", "8")], 426, "websocket_version"),
        ("a version to come", &[("Sec-WebSocket-Version", "14")], 426, "websocket_version"),
        ("a version that is none", &[("Sec-WebSocket-Version", "thirteen")], 426, "websocket_version"),
        ("a page of another host", &[("Origin", "http://evil.example")], 403, "foreign_origin"),
        ("a page of another port", &[("Origin", "http://stocks.example:81")], 403, "foreign_origin"),
        ("a page of another scheme", &[("Origin", "https://stocks.example")], 403, "foreign_origin"),
        ("a page of an allowed host by another scheme", &[("Origin", "http://partner.example")], 403, "foreign_origin"),
        ("a page without an origin", &[("Origin", "null")], 403, "foreign_origin"),
    ];
    for (name, changes, expected, code) in cases {
        let (raw, head) = Raw::ask(site.address, request(changes).as_bytes()).await;
        assert_eq!(status(&head), *expected, "{name}: {head}");
        assert_eq!(header(&head, "content-type"), Some("application/problem+json"), "{name}");
        let body: serde_json::Value = serde_json::from_str(&raw.body(&head).await).unwrap();
        assert_eq!(body["code"], *code, "{name}");
        assert_eq!(header(&head, "sec-websocket-version").is_some(), *expected == 426, "{name}");
    }
    for (name, from, to, expected) in [
        ("another method", "GET", "POST", 405),
        ("a method without a body", "GET", "HEAD", 400),
        ("HTTP/1.0", "HTTP/1.1", "HTTP/1.0", 400),
    ] {
        let (_, head) = Raw::ask(site.address, request(&[]).replacen(from, to, 1).as_bytes()).await;
        assert_eq!(status(&head), expected, "{name}: {head}");
    }
    assert_eq!(site.door.taken(), 0, "no refusal takes a seat");
}

#[tokio::test]
async fn a_client_is_told_at_once_how_fast_the_pipeline_is() {
    let site = Site::start(SocketConfig::default()).await;
    site.hub.set_rate(9);
    let mut raw = Raw::open(site.address).await;
    let told = loop {
        match raw.reply().await {
            Reply::Message(ServerMessage::Pipe { rows_per_second, .. }) => break rows_per_second,
            Reply::Message(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(told, 9.0);
}
