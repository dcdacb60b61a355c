//! Alerts as a real webhook would get them.

use crate::program::{PATIENCE, Program, Services, until};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use chrono::Utc;
use serde_json::Value;
use server::{
    alert::{Alert, AlertKind, Alerts, Patience, Turn, Webhook},
    outbound::Policy,
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{net::TcpListener, sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// One request, as it came.
#[derive(Debug)]
struct Received {
    headers: HeaderMap,
    body: Value,
    at: Instant,
}

/// A webhook's double: it records what it gets, and answers as it was told, then with 200.
struct Double {
    address: SocketAddr,
    received: mpsc::UnboundedReceiver<Received>,
}

#[derive(Clone)]
struct Script {
    answers: Arc<Mutex<Vec<Response>>>,
    received: mpsc::UnboundedSender<Received>,
}

async fn receive(State(script): State<Script>, headers: HeaderMap, body: Bytes) -> Response {
    let body = serde_json::from_slice(&body).unwrap_or_default();
    drop(script.received.send(Received { headers, body, at: Instant::now() }));
    let mut answers = script.answers.lock().unwrap();
    if answers.is_empty() { "ok".into_response() } else { answers.remove(0) }
}

impl Double {
    #[expect(clippy::disallowed_methods, reason = "what a double has received is what the test sent: a handful")]
    async fn start(answers: Vec<Response>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, received) = mpsc::unbounded_channel();
        let script = Script { answers: Arc::new(Mutex::new(answers)), received: sender };
        let router = Router::new().route("/services/{*path}", post(receive)).with_state(script);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, received }
    }

    fn url(&self) -> String {
        format!("http://{}/services/T000/B000/secret", self.address)
    }

    async fn next(&mut self) -> Received {
        tokio::time::timeout(PATIENCE, self.received.recv()).await.expect("a request comes").expect("it is open")
    }

    fn is_quiet(&mut self) -> bool {
        self.received.try_recv().is_err()
    }
}

fn alert(message: &str) -> Alert {
    let at = Utc::now();
    Alert {
        kind: AlertKind::PipelineDown,
        turn: Turn::Opened,
        subject: "pipeline".to_owned(),
        message: message.to_owned(),
        at,
        since: at,
    }
}

fn start(url: &str) -> (Alerts, TaskTracker, CancellationToken) {
    let policy = Policy { hosts: Vec::new(), allow_loopback: true };
    let webhook = Webhook::new(url.into(), &policy).unwrap();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let patience =
        Patience { first: Duration::from_millis(5), longest: Duration::from_secs(5), give_up: Duration::from_secs(30) };
    let alerts = Alerts::start(vec![Box::new(webhook)], patience, &tasks, &stop);
    tasks.close();
    (alerts, tasks, stop)
}

#[tokio::test]
async fn a_webhook_gets_text_and_blocks_as_slack_takes_them() {
    let mut double = Double::start(Vec::new()).await;
    let (alerts, ..) = start(&double.url());
    alerts.tell(alert("Postgres does not answer"));
    let received = double.next().await;
    assert_eq!(received.headers[header::CONTENT_TYPE], "application/json");
    assert!(received.headers[header::USER_AGENT].to_str().unwrap().starts_with("stockstream/"));
    assert!(received.headers.get(header::AUTHORIZATION).is_none() && received.headers.get(header::COOKIE).is_none());
    assert_eq!(received.body["text"], "Alert: pipeline: Postgres does not answer");
    let blocks = received.body["blocks"].as_array().unwrap();
    assert_eq!(blocks.iter().map(|block| block["type"].as_str().unwrap()).collect::<Vec<_>>(), ["section", "context"]);
    assert_eq!(blocks[0]["text"]["type"], "mrkdwn");
}

#[tokio::test]
async fn a_webhook_that_fails_is_tried_again_and_in_order() {
    let failures = vec![
        StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        StatusCode::BAD_GATEWAY.into_response(),
        StatusCode::SERVICE_UNAVAILABLE.into_response(),
    ];
    let mut double = Double::start(failures).await;
    let (alerts, ..) = start(&double.url());
    alerts.tell(alert("first"));
    alerts.tell(alert("second"));
    let mut texts = Vec::new();
    for _ in 0..5 {
        texts.push(double.next().await.body["text"].as_str().unwrap().to_owned());
    }
    let (first, second) = ("Alert: pipeline: first", "Alert: pipeline: second");
    assert_eq!(texts, [first, first, first, first, second]);
}

#[tokio::test]
async fn a_webhook_that_asks_for_a_pause_gets_it() {
    let mut busy = StatusCode::TOO_MANY_REQUESTS.into_response();
    busy.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    let mut double = Double::start(vec![busy]).await;
    let (alerts, ..) = start(&double.url());
    alerts.tell(alert("first"));
    let (first, second) = (double.next().await, double.next().await);
    // Its own first pause would have been five milliseconds.
    assert!(second.at - first.at >= Duration::from_secs(2), "{:?}", second.at - first.at);
}

#[tokio::test]
async fn a_webhook_that_is_wrong_or_leads_elsewhere_is_not_tried_again() {
    let mut elsewhere = Double::start(Vec::new()).await;
    let mut redirect = StatusCode::TEMPORARY_REDIRECT.into_response();
    redirect.headers_mut().insert(header::LOCATION, elsewhere.url().parse().unwrap());
    let mut double = Double::start(vec![StatusCode::NOT_FOUND.into_response(), redirect]).await;
    let (alerts, ..) = start(&double.url());
    for text in ["gone", "moved", "fine"] {
        alerts.tell(alert(text));
    }
    for text in ["gone", "moved", "fine"] {
        assert_eq!(double.next().await.body["text"], format!("Alert: pipeline: {text}"));
    }
    assert!(double.is_quiet() && elsewhere.is_quiet());
}

#[tokio::test]
async fn a_webhook_that_never_answers_holds_nobody_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (alerts, tasks, stop) = start(&format!("http://{}/services/x", listener.local_addr().unwrap()));
    // Many more than the queue holds: telling comes back each time all the same.
    for number in 0..10_000 {
        alerts.tell(alert(&number.to_string()));
    }
    let _called = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("it tries").unwrap();
    stop.cancel();
    tokio::time::timeout(PATIENCE, tasks.wait()).await.expect("it ends at once when told to");
}

#[tokio::test]
async fn a_server_tells_when_its_pipeline_is_down() {
    let mut double = Double::start(Vec::new()).await;
    let services = Services::start().await;
    let mut command = services.serve();
    // Nobody listens on this port of the broker yet.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    command
        .env("KAFKA_BROKERS", free.to_string())
        .env("STOCKSTREAM_ALERT_WEBHOOK_URL", double.url())
        .env("STOCKSTREAM_ALLOW_LOOPBACK_TARGETS", "true")
        .env("STOCKSTREAM_ALERT_AFTER", "1");
    let program = Program::start(command);
    let opened = double.next().await;
    let text = opened.body["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("Alert: pipeline: the pipeline has not run for 1 s"), "{text}");
    until("the log says so too", || async { program.said().contains("alert: the pipeline").then_some(()) }).await;
    assert!(!program.said().contains("secret"), "{}", program.said());
}
