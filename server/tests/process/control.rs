//! `stockstream pipeline` against a running server.

use crate::program::{Program, Services, ask, stockstream, until};
use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use std::process::Stdio;

const TOKEN: &str = "a-token-of-some-length";

/// Exit code and everything said by `stockstream pipeline`.
fn pipeline(address: &str, token: Option<&str>, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = stockstream(&["pipeline"]);
    command.args(arguments).env("STOCKSTREAM_URL", format!("http://{address}")).stdin(Stdio::null());
    if let Some(token) = token {
        command.env("STOCKSTREAM_CONTROL_TOKEN", token);
    }
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), text)
}

async fn until_stored(services: &Services, rows: i64) {
    let url = services.url();
    until(&format!("{rows} records are consumed"), || async {
        let mut connection = PgConnection::connect(url.expose_secret()).await.ok()?;
        let consumed: Option<i64> =
            sqlx::query_scalar("select consumed from kafka_offset").fetch_optional(&mut connection).await.ok()?;
        (consumed? >= rows).then_some(())
    })
    .await;
}

async fn until_state(address: &str, state: &str) {
    until(&format!("the partition is {state}"), || async {
        let answer = ask(address, "GET", "/api/v1/pipeline", &[], "").await;
        let pipeline: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
        (pipeline["partitions"][0]["state"] == state).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pipeline_is_steered_from_the_command_line() {
    let services = Services::start().await;
    services.produce(0..5).await;
    let mut command = services.serve();
    command.env("STOCKSTREAM_CONTROL_TOKEN", TOKEN);
    let server = Program::start(command);
    server.until_ready().await;
    until_stored(&services, 5).await;
    let address = server.address().await;
    until_state(&address, "running").await;

    let (code, said) = pipeline(&address, None, &["status"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("pipeline running") && said.contains("5 consumed = "), "{said}");

    let (code, said) = pipeline(&address, None, &["pause"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("STOCKSTREAM_CONTROL_TOKEN"), "{said}");
    let (code, said) = pipeline(&address, Some("another-token-than-that"), &["pause"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("not the control token"), "{said}");

    let (code, said) = pipeline(&address, Some(TOKEN), &["drain"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("drain: taken") && said.contains("drained"), "{said}");
    let (code, said) = pipeline(&address, None, &["status", "--json"]);
    assert_eq!(code, Some(1), "{said}");
    let status: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&status["state"], &status["partitions"][0]["state"]), (&"stopped".into(), &"drained".into()));
    services.produce(5..10).await;

    let (code, said) = pipeline(&address, Some(TOKEN), &["start"]);
    assert_eq!(code, Some(0), "{said}");
    until_stored(&services, 10).await;

    let one = ["--topic", crate::program::TOPIC, "--partition", "0"];
    let (code, said) = pipeline(&address, Some(TOKEN), &[&["pause"][..], &one].concat());
    assert_eq!(code, Some(0), "{said}");
    until_state(&address, "paused_by_operator").await;
    let (code, said) = pipeline(&address, Some(TOKEN), &["pause", "--topic", "another"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("does not consume another"), "{said}");
    let (code, said) = pipeline(&address, Some(TOKEN), &[&["resume"][..], &one].concat());
    assert_eq!(code, Some(0), "{said}");
    until_state(&address, "running").await;

    let mut connection = services.connect().await;
    let trail: Vec<(String, String)> =
        sqlx::query_as("select action, outcome from audit order by audit_id").fetch_all(&mut connection).await.unwrap();
    let trail: Vec<String> = trail.into_iter().map(|(action, outcome)| format!("{action} {outcome}")).collect();
    assert_eq!(
        trail,
        [
            "pipeline.pause refused",
            "pipeline.drain done",
            "pipeline.start done",
            "pipeline.pause done",
            "pipeline.pause refused",
            "pipeline.resume done",
        ]
    );
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let (code, said) = pipeline(&nobody, Some(TOKEN), &["drain"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&nobody) && said.contains("--url"), "{said}");
    let (code, said) = pipeline("user:secret@nobody", None, &["status"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--url") && !said.contains("secret"), "{said}");
    let (code, _) = pipeline(&nobody, None, &["pause", "--partition", "0"]);
    assert_eq!(code, Some(2), "a partition needs its topic");
}
