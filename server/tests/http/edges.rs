//! What an attacker tries: on the wire, and in process.

use crate::{
    site::{SCRIPT, Site},
    wire::{Reply, Served},
};
use axum::http::{HeaderName, Method, StatusCode, header};
use futures::future::join_all;
use serde_json::Value;
use server::http::Limits;
use std::{num::NonZeroU32, time::Duration};

async fn ask(served: &Served, head: &str) -> Reply {
    served.exchange(format!("{head}\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await
}

#[tokio::test]
async fn malformed_and_oversized_requests_are_refused_and_harm_nobody() {
    let site = Site::start().await;
    let served = Served::start(site.answers(), Limits::default()).await;
    let long = "a".repeat(100_000);
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    for (what, bytes, allowed) in [
        ("no HTTP", "\u{16}\u{3}\u{1}\u{2}\0\r\n\r\n".to_owned(), &[400, 0][..]),
        ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), &[400, 505, 0]),
        ("a NUL in the path", "GET /\0 HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[400]),
        ("a NUL in a header", "GET / HTTP/1.1\r\nhost: x\r\na: \0\r\n\r\n".to_owned(), &[400]),
        ("a space in the path", "GET /a b HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), &[400]),
        ("a bare CR", "GET / HTTP/1.1\r\nhost: x\r\na: b\rc: d\r\n\r\n".to_owned(), &[400]),
        ("a folded header", "GET / HTTP/1.1\r\nhost: x\r\na: b\r\n c\r\n\r\n".to_owned(), &[400]),
        ("a space before the colon", "GET / HTTP/1.1\r\nhost : x\r\n\r\n".to_owned(), &[400]),
        ("a huge path", format!("GET /{long} HTTP/1.1\r\nhost: x\r\n\r\n"), &[414, 431]),
        ("a huge query", format!("GET /api/v1/bars?symbol={long} HTTP/1.1\r\nhost: x\r\n\r\n"), &[414, 431]),
        ("a huge cookie", format!("GET / HTTP/1.1\r\nhost: x\r\ncookie: {long}\r\n\r\n"), &[431]),
        ("200 headers", format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n"), &[431]),
        (
            "two lengths",
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_owned(),
            &[400],
        ),
        ("a negative length", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n".to_owned(), &[400]),
        ("a list as length", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1,1\r\n\r\na".to_owned(), &[400]),
        ("unknown coding", "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n".to_owned(), &[400, 501]),
        ("no such version", "GET / HTTP/9.9\r\nhost: x\r\n\r\n".to_owned(), &[400, 505]),
    ] {
        let reply = served.exchange(bytes.as_bytes()).await;
        assert!(allowed.contains(&reply.status), "{what}: {reply:?}");
        assert!(!reply.text().contains("panicked"), "{what}");
    }
    assert_eq!(served.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_request_cannot_be_smuggled_behind_another() {
    let site = Site::start().await;
    let served = Served::start(site.answers(), Limits::default()).await;
    // Length and coding contradict each other: whichever is believed, what follows is not taken for a second request.
    let both = b"POST /api/v1/bars HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n\
        0\r\n\r\nGET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut wire = served.connect().await;
    wire.send(both).await;
    let all = String::from_utf8_lossy(&wire.until_closed().await).into_owned();
    assert!(!all.contains("alive"), "{all}");
    // An unread body ends its connection.
    let unread =
        b"GET /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nGET /readyz HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut wire = served.connect().await;
    wire.send(unread).await;
    let all = String::from_utf8_lossy(&wire.until_closed().await).into_owned();
    assert_eq!(all.matches("HTTP/1.1 ").count(), 1, "{all}");
}

#[tokio::test]
async fn no_path_leads_out_of_the_site() {
    let site = Site::start().await;
    let served = Served::start(site.answers(), Limits::default()).await;
    for path in [
        "/../../../../etc/passwd",
        "/pkg/../../../../etc/passwd",
        "/pkg/..%2f..%2f..%2fetc/passwd",
        "/pkg/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/pkg/..%5c..%5cetc/passwd",
        "/pkg/%252e%252e/etc/passwd",
        "//etc/passwd",
        "/pkg//etc/passwd",
        "/%2fetc/passwd",
        "/pkg/%00",
        "/pkg/stockstream.js%00.png",
        "/pkg/stockstream.js/x",
        "/pkg/%ff%fe",
        "/pkg/%",
        "/pkg/.",
        "/.env",
        "/.git/config",
        "/C:/Windows/win.ini",
        &format!("/pkg/{}", "n".repeat(256)),
        &"/a".repeat(3_000),
    ] {
        let reply = served.get(path).await;
        assert!([400, 404].contains(&reply.status), "{path:.60}: {reply:?}");
        assert!(!reply.text().contains("root:"), "{path:.60}");
    }
    // Absolute and asterisk forms are of proxies and of OPTIONS.
    for head in ["GET http://elsewhere/etc/passwd HTTP/1.1", "GET * HTTP/1.1", "CONNECT x:443 HTTP/1.1"] {
        let reply = ask(&served, head).await;
        assert!((400..500).contains(&reply.status), "{head}: {reply:?}");
    }
}

#[tokio::test]
async fn odd_methods_and_overrides_change_nothing() {
    let site = Site::start().await;
    let served = Served::start(site.answers(), Limits::default()).await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "GET\tX", "A".repeat(500).as_str()] {
        for path in ["/api/v1/bars?symbol=AMZN", "/livez", "/", "/pkg/stockstream.js", "/api/openapi.json", "/api"] {
            let reply = ask(&served, &format!("{method} {path} HTTP/1.1")).await;
            assert!([400, 404, 405].contains(&reply.status), "{method:.20} {path}: {reply:?}");
            assert_eq!(reply.header("set-cookie"), "", "{method:.20} {path}");
            assert!(!reply.text().contains("x-probe"), "no echo of the request");
        }
    }
    let overridden = ask(&served, "GET /livez HTTP/1.1\r\nx-http-method-override: DELETE\r\nx-probe: 1").await;
    assert_eq!((overridden.status, overridden.text().as_str()), (200, "alive\n"));
}

#[tokio::test]
async fn head_range_and_conditions_are_answered_as_the_standard_says() {
    let site = Site::start().await;
    site.fill("AMZN", 3).await;
    for path in ["/", "/dashboard", "/api/v1/symbols", "/api/v1/bars?symbol=AMZN", "/pkg/stockstream.js", "/livez"] {
        let (get, head) = (site.get(path).await, site.ask(Method::HEAD, path, &[]).await);
        assert_eq!((head.status, head.bytes.len()), (StatusCode::OK, 0), "{path}");
        assert_eq!(head.header(header::CONTENT_TYPE), get.header(header::CONTENT_TYPE), "{path}");
    }
    let file = "/pkg/stockstream.js";
    let whole = site.get(file).await;
    let modified = whole.header(header::LAST_MODIFIED).to_owned();
    let cases: &[(&[(HeaderName, &str)], StatusCode)] = &[
        (&[(header::RANGE, "bytes=0-9")], StatusCode::PARTIAL_CONTENT),
        (&[(header::RANGE, "bytes=0-9"), (header::ACCEPT_ENCODING, "gzip, br")], StatusCode::PARTIAL_CONTENT),
        (&[(header::RANGE, "bytes=-5")], StatusCode::PARTIAL_CONTENT),
        (&[(header::RANGE, "bytes=900000-")], StatusCode::RANGE_NOT_SATISFIABLE),
        (&[(header::IF_MODIFIED_SINCE, &modified)], StatusCode::NOT_MODIFIED),
        (&[(header::IF_MODIFIED_SINCE, "yesterday")], StatusCode::OK),
        (&[(header::IF_UNMODIFIED_SINCE, "Mon, 01 Jan 1990 00:00:00 GMT")], StatusCode::PRECONDITION_FAILED),
        (&[(header::IF_NONE_MATCH, "\"no-such-tag\"")], StatusCode::OK),
    ];
    for (headers, status) in cases {
        let answer = site.ask(Method::GET, file, headers).await;
        assert_eq!(answer.status, *status, "{headers:?}");
        if *status == StatusCode::PARTIAL_CONTENT {
            assert_eq!(answer.header(header::CONTENT_ENCODING), "", "{headers:?}: a part of the file as it is");
            assert!(SCRIPT.contains(&answer.text()), "{headers:?}");
        }
    }
    for range in ["bytes=5-1", "bytes=a-b", "lines=1-2", "bytes=0-1,4-5", "bytes=0-0,0-0,0-0,0-0,0-0,0-0", "-"] {
        let answer = site.ask(Method::GET, file, &[(header::RANGE, range)]).await;
        assert!([200, 206, 416].contains(&answer.status.as_u16()), "{range}: {}", answer.status);
        assert!(answer.bytes.len() <= SCRIPT.len(), "{range}");
    }
    // Where ranges mean nothing they are ignored.
    let bars = site.ask(Method::GET, "/api/v1/bars?symbol=AMZN", &[(header::RANGE, "bytes=0-9")]).await;
    bars.ok::<Value>();
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let site = Site::start().await;
    let served = Served::start(site.answers(), Limits::default()).await;
    let head = "POST /api/v1/bars HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n";
    let reply = served.exchange(head.as_bytes()).await;
    assert_eq!((reply.status, reply.header("content-type")), (413, "application/problem+json"), "{reply:?}");
    assert!(reply.text().contains("too_large"));
    // Without a length it is found out while it is read.
    let mut chunked = b"POST /api/v1/pipeline/pause HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..70 {
        chunked.extend_from_slice(b"400\r\n");
        chunked.extend(vec![b' '; 1024]);
        chunked.extend_from_slice(b"\r\n");
    }
    let reply = served.exchange(&chunked).await;
    assert_eq!((reply.status, reply.header("content-type")), (413, "application/problem+json"), "{reply:?}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_refused_in_time() {
    let site = Site::start().await;
    let limits = Limits { body: Duration::from_millis(300), ..Limits::default() };
    let served = Served::start(site.answers(), limits).await;
    let head = "POST /api/v1/pipeline/pause HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    let reply = served.exchange(head.as_bytes()).await;
    assert_eq!((reply.status, reply.header("content-type")), (400, "application/problem+json"), "{reply:?}");
    assert!(reply.text().contains("did not come in time"), "{reply:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up() {
    let site = Site::start().await;
    site.fill("AMZN", 1).await;
    let limits = Limits { answer: Duration::from_millis(300), ..Limits::default() };
    let served = Served::start(site.answers_with(&limits), limits).await;
    let mut writer = site.store().pool().begin().await.unwrap();
    sqlx::query("lock table stock in access exclusive mode").execute(&mut *writer).await.unwrap();
    let reply = served.get("/api/v1/bars?symbol=AMZN").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "5"), "{reply:?}");
    assert!(reply.text().contains("too_slow"), "{reply:?}");
    writer.rollback().await.unwrap();
}

#[tokio::test]
async fn every_route_and_every_refusal_carries_the_whole_set_of_security_headers() {
    let site = Site::start().await;
    site.fill("AMZN", 3).await;
    let document: Value = site.get("/api/openapi.json").await.ok();
    let mut asked: Vec<(Method, String)> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys().filter(|key| !["parameters", "servers"].contains(&key.as_str()))
        {
            let path: String = path
                .split('/')
                .map(|part| if part.starts_with('{') { "0" } else { part })
                .collect::<Vec<_>>()
                .join("/");
            asked.push((method.to_uppercase().parse().unwrap(), path));
        }
    }
    let more = [
        "/",
        "/dashboard",
        "/api/openapi.json",
        "/pkg/stockstream.js",
        "/no-such-page",
        "/api/nothing",
        "/pkg/%00",
        "/api/v1/bars?symbol=AMZN&format=csv",
        "/api/v1/bars?symbol=AMZN",
        "/api/v1/bars?symbol=NOPE",
        "/api/v1/bars?symbol=%00",
    ];
    asked.extend(more.iter().map(|path| (Method::GET, (*path).to_owned())));
    asked.extend(["/", "/livez", "/api/v1/bars"].map(|path| (Method::DELETE, path.to_owned())));
    asked.push((Method::OPTIONS, "/api/v1/bars".to_owned()));
    assert!(asked.len() > 20);
    let mut pages = 0;
    for (method, path) in asked {
        let answer = site.ask(method.clone(), &path, &[]).await;
        let has = |name: &'static str, value: &str| {
            assert_eq!(answer.header(HeaderName::from_static(name)), value, "{method} {path}: {name}");
        };
        has("x-content-type-options", "nosniff");
        has("cross-origin-resource-policy", "same-origin");
        // What browsers heed in documents only.
        if !answer.header(header::CONTENT_TYPE).starts_with("application/") {
            has("referrer-policy", "same-origin");
            has("cross-origin-opener-policy", "same-origin");
            let permissions = answer.header(HeaderName::from_static("permissions-policy"));
            assert!(permissions.contains("camera=()"), "{method} {path}");
        }
        assert!(!answer.header(header::CACHE_CONTROL).is_empty(), "{method} {path}");
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(
            policy.contains("default-src '") && policy.contains("frame-ancestors 'none'"),
            "{method} {path}: {policy}"
        );
        for never in ["'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https:"] {
            assert!(!policy.contains(never), "{method} {path}: {policy}");
        }
        let is_page = answer.header(header::CONTENT_TYPE).starts_with("text/html");
        assert_eq!(policy.contains("'nonce-"), is_page, "{method} {path}: {policy}");
        pages += usize::from(is_page);
    }
    assert!(pages > 2);
}

#[tokio::test]
async fn who_asks_too_fast_is_told_when_to_go_on_and_health_is_never_limited() {
    let limits = Limits { requests_per_second: NonZeroU32::new(1), limit_loopback: true, ..Limits::default() };
    let site = Site::start().await;
    let served = Served::start(site.answers_with(&limits), limits).await;
    let answers = join_all((0..30).map(|_| served.get("/api/openapi.json"))).await;
    let (allowed, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
    assert!(allowed.len() >= 10, "ten seconds' worth at once: {}", allowed.len());
    assert!(!refused.is_empty());
    for answer in &allowed {
        assert_eq!(answer.header("ratelimit-policy"), "\"address\";q=10;w=10");
        assert!(answer.header("ratelimit").starts_with("\"address\";r="), "{answer:?}");
    }
    for answer in &refused {
        assert_eq!(answer.status, 429);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!((1..=10).contains(&answer.header("retry-after").parse().unwrap()), "{answer:?}");
        assert!(answer.header("ratelimit").starts_with("\"address\";r=0;t="), "{answer:?}");
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(body["code"], "too_many_requests");
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        for answer in join_all((0..30).map(|_| served.get(path))).await {
            assert_ne!(answer.status, 429, "{path}");
            assert_eq!(answer.header("ratelimit"), "", "{path}");
        }
    }
    let pages = join_all((0..30).map(|_| served.get("/no-such-page"))).await;
    assert!(pages.iter().any(|answer| answer.status == 429), "pages count too");
}

#[tokio::test]
async fn bars_come_as_csv_page_by_page_for_those_who_prefer_it() {
    let site = Site::start().await;
    let minutes = site.fill("AMZN", 5).await;
    let first = site.get("/api/v1/bars?symbol=AMZN&limit=2&format=csv").await;
    assert_eq!(first.status, StatusCode::OK);
    assert!(first.header(header::CONTENT_TYPE).starts_with("text/csv"));
    assert!(first.header(header::CONTENT_DISPOSITION).starts_with("attachment"));
    let text = first.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines.len()), ("symbol,time,open,high,low,close,volume", 3));
    assert!(lines[1].starts_with("AMZN,2024-03-07T14:30:00Z,"), "{}", lines[1]);

    let link = first.header(header::LINK);
    let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
    let second = site.get(next).await.text();
    let time = minutes[2].time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
    assert!(second.lines().nth(1).unwrap().contains(&time), "{second}");
    let all = site.get("/api/v1/bars?symbol=AMZN&limit=10000&format=csv").await;
    assert_eq!((all.text().lines().count(), all.header(header::LINK)), (minutes.len() + 1, ""));

    let accept = |value| [(header::ACCEPT, value)];
    let preferred = site.ask(Method::GET, "/api/v1/bars?symbol=AMZN&limit=2", &accept("text/csv")).await;
    assert_eq!((preferred.text(), preferred.header(header::VARY)), (text, "accept, accept-encoding"));
    site.ask(Method::GET, "/api/v1/bars?symbol=AMZN&format=json", &accept("text/csv")).await.ok::<Value>();
    site.get("/api/v1/bars?symbol=AMZN&format=xlsx").await.is_problem(StatusCode::BAD_REQUEST, "invalid_parameter");
    // A refusal is a refusal in any format.
    site.get("/api/v1/bars?symbol=NOPE&format=csv").await.is_problem(StatusCode::NOT_FOUND, "unknown_symbol");
}
