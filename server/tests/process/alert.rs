//! Alerts as a real webhook would get them.

use crate::program::{PATIENCE, Program, Services, stockstream, until};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use chrono::Utc;
use quality::suite::{Suite, ValidationResult};
use serde_json::{Map, Value, json};
use server::{
    alert::{
        Alert, AlertKind, Alerts, NotifyOn, Patience, Route, RunReport, Scope, Slack, SuiteAlerts, SuitePolicy, Target,
        Turn, Webhook,
    },
    outbound::Policy,
};
use std::{
    net::SocketAddr,
    path::Path,
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
    start_all(vec![Box::new(Slack::new(url.into(), &policy, None).unwrap())])
}

fn start_all(targets: Vec<Box<dyn Target>>) -> (Alerts, TaskTracker, CancellationToken) {
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let patience =
        Patience { first: Duration::from_millis(5), longest: Duration::from_secs(5), give_up: Duration::from_secs(30) };
    let alerts = Alerts::start(targets, patience, &tasks, &stop);
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

/// A run whose one expectation of `close` was checked over these prices.
fn run(run_id: i64, suite: &str, prices: &[Option<i64>]) -> RunReport {
    let document = json!({"name": suite, "expectations": [
        {"type": "expect_column_values_to_not_be_null", "severity": "critical", "kwargs": {"column": "close"}},
    ]});
    let document = Suite::parse(document.to_string().as_bytes()).unwrap();
    let missing = prices.iter().filter(|price| price.is_none()).count();
    let mut result = document.expectations[0].clone().failed(String::new());
    (result.exception, result.success) = (None, missing == 0);
    let found = json!({"element_count": prices.len(), "unexpected_count": missing, "unexpected_percent": 50.0});
    result.result = found.as_object().unwrap().clone();
    RunReport {
        checkpoint: "daily".to_owned(),
        owner: Some("U012AB3CD".to_owned()),
        notify_on: NotifyOn::Failure,
        run_id,
        asset: "stock".to_owned(),
        started_at: Utc::now(),
        finished_at: Utc::now(),
        result: Arc::new(ValidationResult { suite_name: document.name, results: vec![result], meta: Map::new() }),
    }
}

const AT_ONCE: SuitePolicy =
    SuitePolicy { pending_runs: 0, cooldown_seconds: 0, repeat_seconds: 0, group_seconds: 0, nodata_seconds: 0 };

#[tokio::test]
async fn a_suite_that_fails_and_recovers_is_told_to_slack_and_to_another_program() {
    let (mut slack, mut program) = (Double::start(Vec::new()).await, Double::start(Vec::new()).await);
    let policy = Policy { hosts: Vec::new(), allow_loopback: true };
    let public: Option<server::alert::PublicUrl> = Some("https://stock.example.com".parse().unwrap());
    let (alerts, ..) = start_all(vec![
        Box::new(Slack::new(slack.url().into(), &policy, public.clone()).unwrap()),
        Box::new(Webhook::new(program.url().into(), &policy, public).unwrap()),
    ]);
    let suites = SuiteAlerts::new(alerts, AT_ONCE);
    suites.report(run(11, "stock_suite", &[Some(1), Some(2)]));
    suites.report(run(12, "stock_suite", &[Some(1), None]));
    suites.report(run(13, "stock_suite", &[Some(1), Some(2)]));

    let fired = slack.next().await.body;
    let text = "Failing: stock_suite on stock (daily): 0 of 1 expectations met, run 12";
    assert_eq!(fired["text"], text);
    let head = fired["blocks"][0]["text"]["text"].as_str().unwrap();
    assert!(head.contains("<https://stock.example.com/quality/runs/12|run 12>"), "{head}");
    assert!(head.contains("<@U012AB3CD>") && head.contains("1 failed run"), "{head}");
    let failed = fired["blocks"][1]["text"]["text"].as_str().unwrap();
    assert_eq!(failed, "*critical* close is never null.\n`1 of 2 unexpected (50.00 %)`");
    let resolved = slack.next().await.body;
    assert!(resolved["text"].as_str().unwrap().starts_with("Resolved: stock_suite on stock"), "{resolved}");
    assert!(!resolved.to_string().contains("<@"), "{resolved}");

    let document = program.next().await.body;
    assert_eq!(
        (&document["version"], &document["type"], &document["text"]),
        (&json!(1), &json!("suites"), &json!(text))
    );
    let item = &document["items"][0];
    assert_eq!(
        (&item["event"], &item["owner"], &item["failed_runs"]),
        (&json!("firing"), &json!("U012AB3CD"), &json!(1))
    );
    assert_eq!(item["run"]["url"], "https://stock.example.com/quality/runs/12");
    assert_eq!((&item["run"]["met"], &item["run"]["evaluated"]), (&json!(0), &json!(1)));
    let failed = &item["run"]["failed"][0];
    assert_eq!((&failed["expects"], &failed["severity"]), (&json!("close is never null."), &json!("critical")));
    assert_eq!(failed["result"]["result"]["unexpected_count"], 1);
    assert_eq!(program.next().await.body["items"][0]["event"], "resolved");
    assert!(slack.is_quiet() && program.is_quiet(), "the run before the failure is told to nobody");
}

#[tokio::test]
async fn the_ticking_task_sends_the_digest_and_notices_silence() {
    let mut double = Double::start(Vec::new()).await;
    let (alerts, tasks, stop) = start(&double.url());
    let suites = SuiteAlerts::new(alerts, SuitePolicy { group_seconds: 1, ..AT_ONCE });
    suites.expect("nightly", None, Some(Duration::from_millis(1)));
    let ticking = tokio::spawn(suites.clone().run(stop.clone()));
    for (run_id, suite) in [(1, "a"), (2, "b")] {
        suites.report(run(run_id, suite, &[None]));
    }
    let text = double.next().await.body["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("2 failing, 1 no data: Failing: a on stock"), "{text}");
    assert!(text.contains("checkpoint nightly has not reported since"), "{text}");
    stop.cancel();
    tokio::time::timeout(PATIENCE, ticking).await.expect("it ends when told to").unwrap();
    tokio::time::timeout(PATIENCE, tasks.wait()).await.expect("so does the delivery");
}

#[tokio::test]
async fn a_storm_of_runs_waits_for_no_target() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (alerts, tasks, stop) = start(&format!("http://{}/services/x", listener.local_addr().unwrap()));
    let suites = SuiteAlerts::new(alerts, AT_ONCE);
    for run_id in 0..2_000 {
        suites.report(run(run_id, "s", if run_id % 2 == 0 { &[None] } else { &[Some(1)] }));
    }
    let _called = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("it tries").unwrap();
    stop.cancel();
    tokio::time::timeout(PATIENCE, tasks.wait()).await.expect("it ends at once when told to");
}

/// `alert test`, as typed: its exit code and what it said.
async fn alert_test(environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = stockstream(&["alert", "test"]);
    command.env("STOCKSTREAM_ALLOW_LOOPBACK_TARGETS", "true").envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), text)
}

#[tokio::test]
async fn alert_test_sends_a_sample_to_every_webhook() {
    let (mut slack, mut program) = (Double::start(Vec::new()).await, Double::start(Vec::new()).await);
    let (code, said) = alert_test(&[
        ("STOCKSTREAM_ALERT_WEBHOOK_URL", &slack.url()),
        ("STOCKSTREAM_ALERT_JSON_URL", &program.url()),
        ("STOCKSTREAM_PUBLIC_URL", "https://stock.example.com/"),
    ])
    .await;
    assert_eq!(code, Some(0), "{said}");
    let sample = slack.next().await.body;
    assert!(sample["text"].as_str().unwrap().contains("This is a test: nothing is wrong"), "{sample}");
    assert!(sample["blocks"][0]["text"]["text"].as_str().unwrap().contains("<https://stock.example.com/quality/"));
    assert!(sample["blocks"][1]["text"]["text"].as_str().unwrap().contains("record 17: `-1.0000`"), "{sample}");
    assert_eq!(program.next().await.body["items"][0]["event"], "firing");
    assert!(slack.is_quiet() && program.is_quiet());
    for line in ["log: delivered", "slack: delivered", "webhook: delivered"] {
        assert!(said.contains(line), "{line} in {said}");
    }
}

/// A file with one checkpoint, and these routes.
fn routes(directory: &Path, routes: &str) -> String {
    std::fs::write(directory.join("s.json"), r#"{"name": "s", "expectations": []}"#).unwrap();
    let file = directory.join("stockstream.toml");
    std::fs::write(&file, format!("[[checkpoint]]\nname = 'a'\nsuite = 's.json'\n{routes}")).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_route_of_the_file_is_tried_too_and_its_url_comes_from_the_variable_that_it_names() {
    let mut desk = Double::start(Vec::new()).await;
    let directory = tempfile::tempdir().unwrap();
    let file = routes(
        directory.path(),
        "[[route]]\nname = 'desk'\nkind = 'json'\nurl_env = 'DESK_URL'\ncheckpoints = ['a']\n",
    );
    let (code, said) = alert_test(&[("STOCKSTREAM_CHECKPOINTS", &file), ("DESK_URL", &desk.url())]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("desk: delivered"), "{said}");
    assert_eq!(desk.next().await.body["items"][0]["event"], "firing");

    let (code, said) = alert_test(&[("STOCKSTREAM_CHECKPOINTS", &file)]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("stockstream.toml:7: url_env: DESK_URL is not set"), "{said}");
}

#[tokio::test]
async fn a_route_hears_of_its_own_checkpoints_only() {
    let (mut all, mut desk) = (Double::start(Vec::new()).await, Double::start(Vec::new()).await);
    let policy = Policy { hosts: Vec::new(), allow_loopback: true };
    let webhook =
        |double: &Double| -> Box<dyn Target> { Box::new(Webhook::new(double.url().into(), &policy, None).unwrap()) };
    let scope = Scope { checkpoints: vec!["b".into()], ..Scope::default() };
    let route = Route { name: "desk".into(), scope, target: webhook(&desk) };
    let (alerts, tasks, stop) = start_all(vec![webhook(&all), Box::new(route)]);
    let of = |checkpoint: &str| RunReport { checkpoint: checkpoint.into(), ..run(1, checkpoint, &[None]) };
    let suites = SuiteAlerts::new(alerts.clone(), SuitePolicy { group_seconds: 0, ..SuitePolicy::default() });
    suites.report(of("a"));
    suites.report(of("b"));
    alerts.tell(alert("the pipeline is down"));
    for expected in ["a", "b"] {
        assert_eq!(all.next().await.body["items"][0]["checkpoint"], expected);
    }
    assert_eq!(all.next().await.body["type"], "pipeline");
    assert_eq!(desk.next().await.body["items"][0]["checkpoint"], "b");
    stop.cancel();
    tasks.wait().await;
    assert!(desk.is_quiet(), "neither the other checkpoint nor the pipeline");
}

#[tokio::test]
async fn alert_test_says_which_webhook_did_not_take_the_sample() {
    let mut busy = StatusCode::TOO_MANY_REQUESTS.into_response();
    busy.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
    let mut slack = Double::start(vec![busy]).await;
    let mut program = Double::start(vec![StatusCode::NOT_FOUND.into_response()]).await;
    let (code, said) =
        alert_test(&[("STOCKSTREAM_ALERT_WEBHOOK_URL", &slack.url()), ("STOCKSTREAM_ALERT_JSON_URL", &program.url())])
            .await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("slack: not delivered") && said.contains("asks for a pause of 30 s"), "{said}");
    assert!(said.contains("webhook: not delivered") && said.contains("404"), "{said}");
    assert!(!said.contains("secret"), "{said}");
    slack.next().await;
    program.next().await;
    assert!(slack.is_quiet() && program.is_quiet(), "each is tried once");
}

#[tokio::test]
async fn alert_test_without_a_webhook_or_with_a_wrong_one_is_a_wrong_configuration() {
    let (code, said) = alert_test(&[]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("STOCKSTREAM_ALERT_WEBHOOK_URL"), "{said}");
    let wrong = [
        ("STOCKSTREAM_ALERT_WEBHOOK_URL", "https://elsewhere.example/secret"),
        ("STOCKSTREAM_ALERT_JSON_URL", "http://elsewhere.example/secret"),
        ("STOCKSTREAM_PUBLIC_URL", "stock.example.com"),
    ];
    let (code, said) = alert_test(&wrong).await;
    assert_eq!(code, Some(2), "{said}");
    for flag in ["--alert-webhook-url", "--alert-json-url", "--public-url"] {
        assert!(said.contains(flag), "{flag} in {said}");
    }
    assert!(!said.contains("secret"), "{said}");
}
