//! Whoever is refused is told so in the words of what they asked, and a page of another origin can read it.

use crate::site::{Answer, Site};
use axum::http::{HeaderName, Method, StatusCode, header};
use futures::{SinkExt, StreamExt};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use server::{
    access::{ApiKey, KeyMode, Keys, Scope},
    feed::{Door, Publisher, SocketConfig},
    http,
    store::{Head, NewKey},
};
use std::num::NonZeroU32;
use tokio::net::TcpListener;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};
use tokio_util::sync::CancellationToken;

const PAGE: &str = "https://charts.example";
/// One path of each dialect.
const PATHS: [&str; 3] = ["/api/v1/symbols", "/v2/stocks/snapshots?symbols=AMZN", "/udf/config"];

/// A server that asks for keys, and whose answers pages of [`PAGE`] may read.
async fn start() -> Site {
    let mut site = Site::start().await.with_keys(KeyMode::Required, None);
    let sockets = SocketConfig { allowed_origins: vec![PAGE.parse().unwrap()], ..SocketConfig::default() };
    site.state.feed.door = Door::checking(sockets, Keys::new(KeyMode::Required));
    site.served_as_it_is()
}

async fn make(site: &Site, scopes: &[Scope], per_second: u32) -> ApiKey {
    let key = ApiKey::random();
    let new = NewKey { key: &key, name: "a test", scopes, requests_per_second: NonZeroU32::new(per_second) };
    site.store().create_api_key(&new).await.unwrap();
    site.state.feed.door.keys().read(site.store()).await.unwrap();
    key
}

fn with_key(path: &str, key: &ApiKey) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    format!("{path}{mark}apikey={}", key.whole().expose_secret())
}

/// Checks that this refusal is what clients of the path understand; gives what it says.
fn reason(answer: &Answer, path: &str, status: StatusCode, code: &str) -> String {
    let said = if path.starts_with("/v2/") {
        let body: Value = answer.json();
        assert_eq!((answer.status, answer.header(header::CONTENT_TYPE)), (status, "application/json"), "{path}");
        let code = u32::from(status.as_u16()) * 100_000 + 10_000;
        assert_eq!(body, json!({"code": code, "message": body["message"]}), "{path}");
        body["message"].clone()
    } else if path.starts_with("/udf/") {
        let body: Value = answer.json();
        assert_eq!((answer.status, answer.header(header::CONTENT_TYPE)), (status, "application/json"), "{path}");
        assert_eq!(body, json!({"s": "error", "errmsg": body["errmsg"]}), "{path}");
        body["errmsg"].clone()
    } else {
        answer.problem(status, code)["detail"].clone()
    };
    said.as_str().unwrap().to_owned()
}

/// Checks that a page of [`PAGE`] can read the answer and these of its headers.
fn is_readable(answer: &Answer, told: &[HeaderName]) {
    assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), PAGE);
    let exposed = answer.header(header::ACCESS_CONTROL_EXPOSE_HEADERS).to_lowercase();
    for name in told {
        assert!(exposed.split(',').any(|one| one.trim() == name.as_str()), "{name} is not in {exposed}");
        assert_ne!(answer.header(name.clone()), "", "{name}");
    }
}

#[tokio::test]
async fn who_has_no_key_or_a_wrong_one_or_one_too_few_is_told_so_in_the_dialect_of_the_path() {
    let site = start().await;
    let listener = make(&site, &[Scope::Stream], 0).await;
    for path in PATHS {
        let page = [(header::ORIGIN, PAGE)];
        let refused = site.ask(Method::GET, path, &page).await;
        assert!(reason(&refused, path, StatusCode::UNAUTHORIZED, "unauthorized").contains("Send a key"), "{path}");
        is_readable(&refused, &[header::WWW_AUTHENTICATE]);
        let wrong = site.ask(Method::GET, &with_key(path, &ApiKey::random()), &page).await;
        assert!(reason(&wrong, path, StatusCode::UNAUTHORIZED, "unauthorized").contains("no key of this server"));
        assert!(wrong.header(header::WWW_AUTHENTICATE).contains("invalid_token"));
        let scope = site.ask(Method::GET, &with_key(path, &listener), &page).await;
        assert!(reason(&scope, path, StatusCode::FORBIDDEN, "insufficient_scope").contains("scope read"), "{path}");
        is_readable(&scope, &[header::WWW_AUTHENTICATE]);
        // The head is as long as the body of the same question.
        let head = site.ask(Method::HEAD, path, &page).await;
        assert!(head.bytes.is_empty());
        assert_eq!(head.header(header::CONTENT_LENGTH), refused.bytes.len().to_string(), "{path}");
    }
    let elsewhere = site.ask(Method::GET, PATHS[0], &[(header::ORIGIN, "https://evil.example")]).await;
    assert_eq!(elsewhere.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "");
}

#[tokio::test]
async fn who_asks_too_fast_is_told_when_to_go_on_in_the_dialect_of_the_path() {
    let site = start().await;
    for path in PATHS {
        let slow = make(&site, &[Scope::Read], 1).await;
        let mut refused = None;
        // Ten may come at once, and one more for each second that this takes.
        for _ in 0..1000 {
            let answer = site.ask(Method::GET, &with_key(path, &slow), &[(header::ORIGIN, PAGE)]).await;
            if answer.status == StatusCode::TOO_MANY_REQUESTS {
                refused = Some(answer);
                break;
            }
        }
        let refused = refused.unwrap();
        let said = reason(&refused, path, StatusCode::TOO_MANY_REQUESTS, "too_many_requests");
        assert!(said.contains("More than 1 requests per second"), "{said}");
        assert!(refused.header(header::RETRY_AFTER).parse::<u32>().unwrap() >= 1);
        let [left, policy] = ["ratelimit", "ratelimit-policy"].map(HeaderName::from_static);
        is_readable(&refused, &[header::RETRY_AFTER, left, policy]);
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_in_the_dialect_of_the_path_too() {
    let site = Site::start().await;
    for (path, method, status, code) in [
        ("/udf/nothing", Method::GET, StatusCode::NOT_FOUND, "not_found"),
        ("/api/v1/nothing", Method::GET, StatusCode::NOT_FOUND, "not_found"),
        ("/v2/stocks/AMZN/trades", Method::GET, StatusCode::NOT_FOUND, "not_found"),
        ("/udf/history", Method::POST, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        ("/v2/stocks/bars", Method::DELETE, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        ("/v2/iex", Method::GET, StatusCode::BAD_REQUEST, "no_handshake"),
    ] {
        reason(&site.ask(method, path, &[]).await, path, status, code);
    }
}

#[tokio::test]
async fn what_a_browser_asks_beforehand_needs_no_key_and_is_not_counted() {
    let site = start().await;
    let wanted = HeaderName::from_static("access-control-request-headers");
    let method = HeaderName::from_static("access-control-request-method");
    let headers = [(header::ORIGIN, PAGE), (method, "GET"), (wanted, "authorization,apca-api-key-id")];
    let slow = make(&site, &[Scope::Read], 1).await;
    for path in PATHS {
        assert_eq!(site.ask(Method::OPTIONS, path, &headers).await.status, StatusCode::OK);
        // More than its key may ask for at once, by far.
        for _ in 0..100 {
            let answer = site.ask(Method::OPTIONS, &with_key(path, &slow), &headers).await;
            assert_eq!((answer.status, answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN)), (StatusCode::OK, PAGE));
            assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_HEADERS), "authorization,apca-api-key-id");
        }
    }
}

#[tokio::test]
async fn a_page_that_can_send_no_headers_opens_both_sockets_by_its_address() {
    let site = start().await;
    Publisher::new(site.state.feed.hub.clone()).begin(Head { epoch: uuid::Uuid::nil(), seq: 7 });
    let listener = make(&site, &[Scope::Stream], 0).await;
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(http::serve(port, site.answers(), http::Limits::default(), stop.clone()));
    let from_page = |path: &str| {
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        request.headers_mut().insert(header::ORIGIN, PAGE.parse().unwrap());
        request
    };
    match connect_async(from_page("/api/v1/stream")).await.unwrap_err() {
        tokio_tungstenite::tungstenite::Error::Http(response) => assert_eq!(response.status().as_u16(), 401),
        other => panic!("{other}"),
    }
    let (mut native, _) = connect_async(from_page(&with_key("/api/v1/stream", &listener))).await.unwrap();
    let hello: Value = serde_json::from_str(native.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
    assert_eq!(hello["type"], "hello", "{hello}");

    let (mut alpaca, _) = connect_async(from_page(&with_key("/v2/iex", &listener))).await.unwrap();
    alpaca.send(Message::text(json!({"action": "subscribe", "bars": ["AMZN"]}).to_string())).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 3 {
        if let Message::Text(text) = alpaca.next().await.unwrap().unwrap() {
            heard.extend(serde_json::from_str::<Vec<Value>>(&text).unwrap());
        }
    }
    assert_eq!(heard[0], json!({"T": "success", "msg": "connected"}));
    assert_eq!(heard[1], json!({"T": "success", "msg": "authenticated"}), "it has said who it is");
    assert_eq!((&heard[2]["T"], &heard[2]["bars"]), (&json!("subscription"), &json!(["AMZN"])));
    stop.cancel();
}
