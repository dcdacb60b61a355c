//! Keys of programs: where they count, what they allow, how often, and when they end.

use crate::site::Site;
use axum::http::{HeaderName, Method, StatusCode, header};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::{SinkExt, StreamExt};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use server::{
    access::{ApiKey, Denied, KeyMode, Keys, Scope},
    feed::Publisher,
    http,
    store::{AuditOutcome, Head, NewKey},
};
use sqlx::ConnectOptions;
use std::{
    io,
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::net::TcpListener;
use tokio_tungstenite::{connect_async, tungstenite::Message};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(20);
const TOKEN: &str = "a-token-of-some-length";
const APCA_ID: HeaderName = HeaderName::from_static("apca-api-key-id");
const APCA_SECRET: HeaderName = HeaderName::from_static("apca-api-secret-key");

fn keys(site: &Site) -> &Keys {
    site.state.feed.door.keys()
}

async fn make(site: &Site, scopes: &[Scope], per_second: u32) -> ApiKey {
    let key = ApiKey::random();
    let new = NewKey { key: &key, name: "a test", scopes, requests_per_second: NonZeroU32::new(per_second) };
    site.store().create_api_key(&new).await.unwrap();
    keys(site).read(site.store()).await.unwrap();
    key
}

fn bearer(key: &ApiKey) -> String {
    format!("Bearer {}", key.whole().expose_secret())
}

async fn status(site: &Site, path: &str, headers: &[(HeaderName, &str)]) -> StatusCode {
    site.ask(Method::GET, path, headers).await.status
}

#[tokio::test]
async fn where_keys_are_required_every_question_needs_one_that_may_read() {
    let site = Site::start().await.with_keys(KeyMode::Required, None);
    let (reader, listener) = (make(&site, &[Scope::Read], 0).await, make(&site, &[Scope::Stream], 0).await);
    let secret = reader.secret().expose_secret();
    for path in ["/api/v1/symbols", "/stock", "/api/v1/nothing"] {
        let refused = site.get(path).await;
        assert_eq!(refused.header(header::WWW_AUTHENTICATE), "Bearer realm=\"stockstream\"", "{path}");
        refused.is_problem(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let page = site.get("/").await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(page.header(header::WWW_AUTHENTICATE).starts_with("Basic realm=\"stockstream\""));
    for open in ["/livez", "/metrics", "/api/openapi.json"] {
        assert_eq!(status(&site, open, &[]).await, StatusCode::OK, "{open}");
    }

    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{secret}", reader.id)));
    let right = bearer(&reader);
    let places: [&[(HeaderName, &str)]; 3] = [
        &[(header::AUTHORIZATION, &right)],
        &[(header::AUTHORIZATION, &basic)],
        &[(APCA_ID, reader.id.as_str()), (APCA_SECRET, secret)],
    ];
    for headers in places {
        let answer = site.ask(Method::GET, "/api/v1/symbols", headers).await;
        assert_eq!(answer.status, StatusCode::OK, "{headers:?}");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    }
    let in_query = format!("/udf/config?apikey={}", reader.whole().expose_secret());
    assert_eq!(status(&site, &in_query, &[]).await, StatusCode::OK);
    assert_eq!(status(&site, "/", &[(header::AUTHORIZATION, &basic)]).await, StatusCode::OK);

    let other = bearer(&listener);
    let refused = site.ask(Method::GET, "/api/v1/symbols", &[(header::AUTHORIZATION, &other)]).await;
    assert!(refused.header(header::WWW_AUTHENTICATE).contains("insufficient_scope"));
    refused.is_problem(StatusCode::FORBIDDEN, "insufficient_scope");
    let mixed = format!("Bearer {}.{}", reader.id, listener.secret().expose_secret());
    let wrong = site.ask(Method::GET, "/api/v1/symbols", &[(header::AUTHORIZATION, &mixed)]).await;
    assert!(wrong.header(header::WWW_AUTHENTICATE).contains("invalid_token"));
    assert!(!wrong.text().contains(listener.secret().expose_secret()));
    wrong.is_problem(StatusCode::UNAUTHORIZED, "unauthorized");
}

#[tokio::test]
async fn where_keys_are_optional_only_a_wrong_one_is_refused_and_where_they_are_off_none_is() {
    let site = Site::start().await.with_keys(KeyMode::Optional, Some(TOKEN));
    let unread = [(APCA_ID, "SKABCDEFGHIJKLMNOP23"), (APCA_SECRET, "secret")];
    site.ask(Method::GET, "/api/v1/symbols", &unread).await.is_problem(StatusCode::SERVICE_UNAVAILABLE, "unavailable");
    keys(&site).read(site.store()).await.unwrap();
    assert_eq!(status(&site, "/udf/config", &[]).await, StatusCode::OK);
    let junk = [(APCA_ID, "key"), (APCA_SECRET, "secret")];
    for headers in [&junk, &unread] {
        assert_eq!(status(&site, "/udf/config", headers).await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(status(&site, "/udf/config?apikey=junk", &[]).await, StatusCode::UNAUTHORIZED);
    let token = format!("Bearer {TOKEN}");
    assert_eq!(status(&site, "/udf/config", &[(header::AUTHORIZATION, &token)]).await, StatusCode::OK);

    let site = Site::start().await;
    site.fill("AMZN", 3).await;
    assert_eq!(status(&site, "/v2/stocks/AMZN/bars?timeframe=1Day", &junk).await, StatusCode::OK);
    assert_eq!(status(&site, "/api/v1/latest?apikey=junk", &[]).await, StatusCode::OK, "no unknown parameter either");
}

#[tokio::test]
async fn each_key_has_a_rate_of_its_own_and_is_told_what_is_left() {
    let site = Site::start().await.with_keys(KeyMode::Optional, None);
    let (slow, other) = (make(&site, &[Scope::Read], 1).await, make(&site, &[Scope::Read], 7).await);
    let (slow, other) = (bearer(&slow), bearer(&other));
    let ask = |key: String| {
        let site = &site;
        async move { site.ask(Method::GET, "/api/v1/symbols", &[(header::AUTHORIZATION, &key)]).await }
    };
    let first = ask(slow.clone()).await;
    assert_eq!(first.header(HeaderName::from_static("ratelimit-policy")), "\"key\";q=10;w=10");
    assert!(first.header(HeaderName::from_static("ratelimit")).starts_with("\"key\";r="));
    // All at once: a slow machine would earn the next ones while it answers.
    let answers = futures::future::join_all((0..30).map(|_| ask(slow.clone()))).await;
    let refused = answers.into_iter().find(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).unwrap();
    assert!(refused.header(header::RETRY_AFTER).parse::<u32>().unwrap() >= 1);
    assert!(refused.header(HeaderName::from_static("ratelimit")).starts_with("\"key\";r=0;t="));
    refused.is_problem(StatusCode::TOO_MANY_REQUESTS, "too_many_requests");
    let free = ask(other).await;
    assert_eq!(free.status, StatusCode::OK);
    assert_eq!(free.header(HeaderName::from_static("ratelimit-policy")), "\"key\";q=70;w=10");
}

#[tokio::test]
async fn a_server_hears_of_a_new_key_and_of_a_revoked_one_from_postgres() {
    let site = Site::start().await.with_keys(KeyMode::Required, None);
    let (stop, store) = (CancellationToken::new(), site.store().clone());
    let keeper = tokio::spawn(keys(&site).clone().keep(store.clone(), stop.clone()));
    let until = |key: ApiKey, expected: Result<(), Denied>| {
        let keys = keys(&site).clone();
        async move {
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            tokio::time::timeout(PATIENCE, async {
                while keys.find(&key).map(drop) != expected {
                    tick.tick().await;
                }
            })
            .await
            .unwrap_or_else(|_| panic!("it never became {expected:?}"));
        }
    };
    // Once this says no, it listens: what comes after is told and not found by looking.
    let nobody = ApiKey::random();
    until(nobody.clone(), Err(Denied::Unknown)).await;
    let key = ApiKey::random();
    let new = NewKey { key: &key, name: "a test", scopes: &[Scope::Read], requests_per_second: None };
    store.create_api_key(&new).await.unwrap();
    until(key.clone(), Ok(())).await;
    let revoked = store.revoke_api_key(&key.id).await.unwrap().unwrap();
    until(key.clone(), Err(Denied::Unknown)).await;
    let again = store.revoke_api_key(&key.id).await.unwrap().unwrap();
    assert_eq!(again, revoked, "the first time counts");
    assert_eq!(store.revoke_api_key(&nobody.id).await.unwrap(), None);
    assert_eq!(store.list_api_keys(false).await.unwrap(), []);
    assert_eq!(store.list_api_keys(true).await.unwrap(), [revoked]);
    let audit = store.list_audit(None, 10).await.unwrap();
    let actions: Vec<_> = audit.iter().map(|row| (row.action.as_str(), row.subject.as_str())).collect();
    assert_eq!(actions, [("key.revoke", key.id.as_str()), ("key.create", key.id.as_str())]);
    stop.cancel();
    tokio::time::timeout(PATIENCE, keeper).await.expect("it ends when it is told to").unwrap();
}

#[tokio::test]
async fn the_database_has_no_secret_and_readers_do_not_see_the_digests() {
    let site = Site::start().await.with_keys(KeyMode::Required, None);
    let key = make(&site, &[Scope::Read], 0).await;
    let rows: String = sqlx::query_scalar(
        "select (select jsonb_agg(k) from api_key k)::text || (select jsonb_agg(a) from audit a)::text",
    )
    .fetch_one(site.store().pool())
    .await
    .unwrap();
    assert!(rows.contains(key.id.as_str()) && !rows.contains(key.secret().expose_secret()), "{rows}");
    let seen = sqlx::query("select * from api_key").fetch_all(site.store().readers()).await;
    assert!(seen.unwrap_err().to_string().contains("permission denied"));
}

#[tokio::test]
async fn a_key_that_may_control_gives_orders_under_its_own_name() {
    let site = Site::start().await.with_keys(KeyMode::Optional, None);
    let reader = make(&site, &[Scope::Read], 0).await;
    let pause = |header: Option<String>| {
        let site = &site;
        async move {
            let headers: Vec<_> = header.iter().map(|value| (header::AUTHORIZATION, value.as_str())).collect();
            site.send(Method::POST, "/api/v1/pipeline/pause", &headers, "").await
        }
    };
    pause(Some(bearer(&reader))).await.is_problem(StatusCode::FORBIDDEN, "control_off");
    let operator = make(&site, &[Scope::Read, Scope::Control], 0).await;
    pause(Some(bearer(&reader))).await.is_problem(StatusCode::FORBIDDEN, "insufficient_scope");
    pause(None).await.is_problem(StatusCode::UNAUTHORIZED, "unauthorized");
    pause(Some(bearer(&operator))).await.ok::<Value>();
    let (rows, own) = (bearer(&reader), bearer(&operator));
    assert_eq!(status(&site, "/api/v1/audit", &[(header::AUTHORIZATION, &rows)]).await, StatusCode::FORBIDDEN);
    let audit: Value = site.ask(Method::GET, "/api/v1/audit", &[(header::AUTHORIZATION, &own)]).await.ok();
    let newest = &audit[0];
    assert_eq!(
        (&newest["actor"], &newest["outcome"]),
        (&json!(format!("key {}", operator.id)), &json!(AuditOutcome::Done)),
        "{audit}"
    );
}

#[tokio::test]
async fn sockets_take_keys_that_may_stream_and_are_closed_when_they_are_revoked() {
    let site = Site::start().await.with_keys(KeyMode::Required, None);
    Publisher::new(site.state.feed.hub.clone()).begin(Head { epoch: uuid::Uuid::nil(), seq: 7 });
    let (reader, listener) = (make(&site, &[Scope::Read], 0).await, make(&site, &[Scope::Stream], 0).await);
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = port.local_addr().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(http::serve(port, site.answers(), http::Limits::default(), stop.clone()));

    let whole = |key: &ApiKey| key.whole().expose_secret().to_owned();
    for (query, code) in [(String::new(), 401), (format!("?apikey={}", whole(&reader)), 403)] {
        match connect_async(format!("ws://{address}/api/v1/stream{query}")).await.unwrap_err() {
            tokio_tungstenite::tungstenite::Error::Http(response) => assert_eq!(response.status().as_u16(), code),
            other => panic!("{other}"),
        }
    }
    let native = format!("ws://{address}/api/v1/stream?apikey={}", whole(&listener));
    let (mut native, _) = connect_async(native).await.unwrap();
    let (mut alpaca, _) = connect_async(format!("ws://{address}/v2/iex")).await.unwrap();
    let mut say = Vec::new();
    for key in [&reader, &listener] {
        say.push(json!({"action": "auth", "key": key.id.as_str(), "secret": key.secret().expose_secret()}));
    }
    for order in say {
        alpaca.send(Message::text(order.to_string())).await.unwrap();
    }
    let mut heard = Vec::new();
    while heard.len() < 3 {
        let frame = tokio::time::timeout(PATIENCE, alpaca.next()).await.unwrap().unwrap().unwrap();
        if let Message::Text(text) = frame {
            heard.push(serde_json::from_str::<Value>(&text).unwrap()[0].clone());
        }
    }
    assert_eq!(heard[0], json!({"T": "success", "msg": "connected"}));
    assert_eq!(heard[1], json!({"T": "error", "code": 402, "msg": "auth failed"}), "it may only read");
    assert_eq!(heard[2], json!({"T": "success", "msg": "authenticated"}));

    site.store().revoke_api_key(&listener.id).await.unwrap();
    keys(&site).read(site.store()).await.unwrap();
    for socket in [&mut native, &mut alpaca] {
        let end = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Message::Close(Some(close)) = socket.next().await.unwrap().unwrap() {
                    return close;
                }
            }
        });
        assert_eq!(u16::from(end.await.expect("it is closed").code), market::wire::CLOSE_UNKNOWN);
    }
    stop.cancel();
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_log_and_no_answer_has_the_key_in_it() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let site = Site::start().await.with_keys(KeyMode::Required, None);
    let key = make(&site, &[Scope::Read], 0).await;
    let guard = tracing::subscriber::set_default(subscriber);
    let (id, secret) = (key.id.as_str(), key.secret().expose_secret());
    let wrong = "canary-canary-canary";
    for secret in [secret, wrong] {
        let bearer = format!("Bearer {id}.{secret}");
        for (path, headers) in [
            (format!("/api/v1/bars?apikey={id}.{secret}&symbol=NOPE&limit=x"), vec![]),
            (format!("/api/nothing?api%6bey={id}.{secret}"), vec![]),
            (format!("/udf/history?symbol=NOPE&apikey={id}.{secret}"), vec![]),
            ("/api/v1/bars?x=1".to_owned(), vec![(header::AUTHORIZATION, bearer.as_str())]),
            ("/v2/stocks/bars".to_owned(), vec![(APCA_ID, id), (APCA_SECRET, secret)]),
        ] {
            let answer = site.ask(Method::GET, &path, &headers).await;
            assert!(answer.status.is_client_error(), "{path}");
            assert!(!answer.text().contains(secret), "{path}: {}", answer.text());
        }
    }
    drop(guard);
    let log = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(log.contains("/api/v1/bars"), "requests are logged: {log}");
    assert!(!log.contains(secret) && !log.contains(wrong), "{log}");
}

#[tokio::test]
async fn the_command_makes_lists_and_revokes_keys() {
    let site = Site::start().await.with_keys(KeyMode::Required, None);
    let url = site.store().pool().connect_options().to_url_lossy().to_string();
    let run = |arguments: &'static [&'static str], last: Option<String>| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_stockstream"));
        command.arg("key").args(arguments).args(last).env_clear().env("DATABASE_URL", &url);
        async move {
            let done = command.output().await.unwrap();
            assert!(done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
            (done.status.code(), String::from_utf8(done.stdout).unwrap())
        }
    };
    let (code, made) =
        run(&["create", "--name", "a notebook", "--scope", "read", "--rate-limit", "3", "--json"], None).await;
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!((code, &made["scopes"], &made["requests_per_second"]), (Some(0), &json!(["read"]), &json!(3)));
    let (id, whole) = (made["key_id"].as_str().unwrap(), made["key"].as_str().unwrap());
    keys(&site).read(site.store()).await.unwrap();
    let bearer = format!("Bearer {whole}");
    assert_eq!(status(&site, "/udf/config", &[(header::AUTHORIZATION, &bearer)]).await, StatusCode::OK);
    let (_, list) = run(&["ls"], None).await;
    assert!(list.contains(id) && list.contains("a notebook") && list.contains("3/s"), "{list}");
    assert!(!list.contains(made["secret"].as_str().unwrap()));
    let (code, said) = run(&["revoke"], Some(id.to_owned())).await;
    assert!(code == Some(0) && said.contains("is revoked since"), "{said}");
    assert_eq!(run(&["ls"], None).await.1, "There are no keys in force.\n");
    assert_eq!(run(&["revoke"], Some("SKABCDEFGHIJKLMNOP23".to_owned())).await.0, Some(1));
    keys(&site).read(site.store()).await.unwrap();
    assert_eq!(status(&site, "/udf/config", &[(header::AUTHORIZATION, &bearer)]).await, StatusCode::UNAUTHORIZED);
}
