//! Canaries: secrets that must turn up nowhere, whatever goes wrong.

use crate::program::{Program, Services, TOPIC, ask, stockstream, until};
use secrecy::ExposeSecret;
use std::process::{Command, Stdio};
use url::Url;

const PASSWORD: &str = "canary-of-the-database";
const SASL: &str = "canary-of-the-broker";
const TOKEN: &str = "canary-of-the-control-token";
const HOOK: &str = "canary-of-the-webhook";

/// Everything that can be asked, and much that cannot.
const PATHS: [(&str, &str); 16] = [
    ("GET", "/"),
    ("GET", "/dashboard"),
    ("GET", "/no-such-page"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/stock"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/v1/symbols"),
    ("GET", "/api/v1/bars?symbol=AMZN"),
    ("GET", "/api/v1/latest"),
    ("GET", "/api/v1/pipeline"),
    ("GET", "/api/v1/quarantine"),
    ("GET", "/api/v1/audit"),
    ("POST", "/api/v1/pipeline/pause"),
    ("POST", "/api/v1/quarantine/redrive"),
];

fn assert_silent(text: &str, about: &str) {
    for canary in [PASSWORD, SASL, TOKEN, HOOK, "canary"] {
        if let Some(at) = text.find(canary) {
            let line = text[..at].rfind('\n').map_or(0, |start| start + 1);
            let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
            panic!("{about} gives {canary} away: {:.600}", &text[line..end]);
        }
    }
}

/// Asks for everything without a token, with a wrong one and with the right one; gives all answers.
async fn ask_everything(address: &str) -> String {
    let right = format!("Bearer {TOKEN}");
    let tokens = [None, Some("Bearer wrong-wrong-wrong"), Some(right.as_str())];
    let asked = tokens.into_iter().flat_map(|token| PATHS.map(|path| (token, path))).map(async |(token, path)| {
        let headers: Vec<_> = token.into_iter().map(|token| ("authorization", token)).collect();
        let answer = ask(address, path.0, path.1, &headers, "").await;
        assert!(answer.starts_with("HTTP/1."), "{path:?}: {answer:.100}");
        answer
    });
    futures::future::join_all(asked).await.concat()
}

/// `serve`, talkative, with a canary wherever a secret can be.
fn talkative(services: &Services, database_url: &str, hook: &str) -> Command {
    let mut command = services.serve();
    command
        .env("RUST_BACKTRACE", "1")
        .env("STOCKSTREAM_LOG", "debug,server=trace,rdkafka=trace,librdkafka=trace")
        .env("DATABASE_URL", database_url)
        .env(
            "KAFKA_PROPERTIES",
            format!(
                "security.protocol=sasl_plaintext;sasl.mechanism=PLAIN;sasl.username=app;sasl.password={SASL};\
                 debug=broker,security,protocol,conf"
            ),
        )
        .env("STOCKSTREAM_CONTROL_TOKEN", TOKEN)
        .env("STOCKSTREAM_ALERT_WEBHOOK_URL", hook)
        .env("STOCKSTREAM_ALERT_JSON_URL", hook)
        .env("STOCKSTREAM_ALERT_AFTER", "1")
        .env("STOCKSTREAM_ALLOW_LOOPBACK_TARGETS", "true");
    command
}

/// An address nobody listens at.
fn nobody() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[tokio::test]
async fn a_server_in_trouble_gives_no_secret_away() {
    let services = Services::start().await;
    let mut wrong_password = Url::parse(services.url().expose_secret()).unwrap();
    wrong_password.set_password(Some(PASSWORD)).unwrap();
    let unreachable = format!("postgres://app:{PASSWORD}@{}/stock", nobody());
    let in_query = format!("postgres://{}/stock?user=app&password={PASSWORD}", nobody());
    let right = services.url();
    let hook = format!("http://{}/services/{HOOK}", nobody());
    // The broker knows no SASL, the webhook is not there, and the database is as wrong as it can be.
    let own = Url::parse(right.expose_secret()).unwrap().password().unwrap().to_owned();
    let urls = [wrong_password.as_str(), &unreachable, &in_query, right.expose_secret()];
    let runs = urls.map(async |url| {
        let mut program = Program::start(talkative(&services, url, &hook));
        let address = program.address().await;
        until("the alert is tried in vain", || async { program.said().contains("alert not delivered").then_some(()) })
            .await;
        let answers = ask_everything(&address).await;
        program.terminate();
        let (_, said) = program.ended().await;
        assert!(said.contains("DEBUG") && said.len() > 10_000, "it is talkative: {said:.1000}");
        assert_silent(&answers, "an answer");
        assert_silent(&said, "the log");
        assert!(!said.contains(&own) && !answers.contains(&own), "the working password is given away");
    });
    futures::future::join_all(runs).await;
}

/// What a command says that ends by itself.
fn said(command: &mut Command) -> (Option<i32>, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), text)
}

#[test]
fn a_wrong_configuration_is_told_without_its_secrets() {
    let database = format!("postgres://app:{PASSWORD}@db/stock");
    let good = ["--database-url", &database, "--brokers", "kafka:9092", "--topic", TOPIC];
    let password_in_query = format!("postgres://db/stock?user=app&password={PASSWORD}");
    let sasl = format!("sasl.password={SASL}");
    let hook = format!("https://hooks.slack.com/services/{HOOK}");
    let check = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["config", "check"].iter().chain(&good).chain(arguments).copied().collect();
        let mut command = stockstream(&arguments);
        command.env("STOCKSTREAM_CONTROL_TOKEN", TOKEN).env("STOCKSTREAM_ALERT_WEBHOOK_URL", &hook);
        let (code, text) = said(&mut command);
        assert_silent(&text, &format!("config check {arguments:?}").replace("canary", "…"));
        (code, text)
    };
    let (code, text) = check(&["--kafka-property", &sasl]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("postgres://app:***@db/stock") && text.contains("\"control_token\": \"***\""), "{text}");
    for (wrong, named) in [
        (vec!["--kafka-property", "canary-of-the-broker"], "--kafka-property"),
        (vec!["--kafka-property", "sasl.passwrd=canary-of-the-broker"], "sasl.passwrd"),
        (vec!["--kafka-property", "security.protocol=canary-of-the-broker"], "security.protocol"),
        (vec!["--kafka-property", "session.timeout.ms=canary-of-the-broker"], "session.timeout.ms"),
        (vec!["--control-token", "canary"], "--control-token"),
        (vec!["--control-token", "canary of the control token"], "--control-token"),
        (vec!["--alert-webhook-url", "http://hooks.slack.com/canary"], "--alert-webhook-url"),
        (vec!["--alert-webhook-url", "https://canary@hooks.slack.com/canary"], "--alert-webhook-url"),
        (vec!["--alert-webhook-url", "https://evil.example/canary"], "--alert-webhook-url"),
        (vec!["--alert-webhook-url", "canary"], "--alert-webhook-url"),
    ] {
        let (code, text) = check(&wrong);
        assert_eq!(code, Some(2), "{text}");
        assert!(text.contains(named), "{text}");
    }
    for url in [
        "mysql://app:canary@db/stock",
        "postgres://app:canary@db:port/stock",
        "postgres://app:canary@/stock?host=[",
        "postgres://app:canary@db/stock?sslmode=canary",
        "canary",
        &password_in_query,
    ] {
        let arguments = ["config", "check", "--database-url", url, "--brokers", "kafka:9092", "--topic", TOPIC];
        let (_, text) = said(&mut stockstream(&arguments));
        assert_silent(&text, "config check of a database URL");
        assert!(text.contains("database"), "{text}");
    }
}

#[tokio::test]
async fn a_feed_that_waits_for_its_database_gives_no_secret_away() {
    let mut command = stockstream(&["feed", "replay"]);
    command
        .env("STOCKSTREAM_LOG", "trace")
        .env("SOURCE_DATABASE_URL", format!("mysql://app:{PASSWORD}@{}/stock", nobody()));
    let mut program = Program::start(command);
    until("it complains", || async { program.said().contains("WARN").then_some(()) }).await;
    program.kill();
    assert_silent(&program.said(), "feed replay");
}

#[test]
fn no_command_gives_a_secret_away() {
    let everywhere = |arguments: &[&str]| {
        let mut command = stockstream(arguments);
        command
            .env("STOCKSTREAM_LOG", "trace")
            .env("RUST_BACKTRACE", "1")
            .env("DATABASE_URL", format!("postgres://app:{PASSWORD}@{}/stock", nobody()))
            .env("SOURCE_DATABASE_URL", format!("mysql://app:{PASSWORD}@{}/stock", nobody()))
            .env("KAFKA_BROKERS", nobody())
            .env("KAFKA_TOPICS", TOPIC)
            .env("KAFKA_PROPERTIES", format!("sasl.password={SASL}"))
            .env("STOCKSTREAM_CONTROL_TOKEN", TOKEN)
            .env("STOCKSTREAM_URL", format!("http://{}", nobody()))
            .env("STOCKSTREAM_ALERT_WEBHOOK_URL", format!("https://hooks.slack.com/{HOOK}"));
        let (code, text) = said(&mut command);
        assert_silent(&text, &arguments.join(" "));
        code
    };
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["demo", "--help"],
        &["pipeline", "pause", "--help"],
        &["feed", "replay", "--help"],
        &["quarantine", "ls", "--help"],
        &["config", "check"],
        &["openapi"],
    ] {
        assert_eq!(everywhere(arguments), Some(0), "{arguments:?}");
    }
    for arguments in [
        &["serve", "--no-such-flag"][..],
        &["serve", "--listen", "nowhere"],
        &["pipeline", "status"],
        &["pipeline", "pause"],
        &["quarantine", "ls"],
        &["health", "--listen", "127.0.0.1:1"],
    ] {
        assert_ne!(everywhere(arguments), Some(0), "{arguments:?}");
    }
}
