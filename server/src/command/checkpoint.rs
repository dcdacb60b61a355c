//! `stockstream checkpoint`: what a running server validates, and a run of it now.

use super::{report::table, say, server::Server};
use crate::config::{CheckpointCommand, CheckpointRunArgs, Target};
use anyhow::bail;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two looks at a run that goes on.
const LOOK: Duration = Duration::from_millis(500);

/// Whether every expectation is met; of a list always.
pub async fn run(command: CheckpointCommand, target: Target) -> anyhow::Result<bool> {
    let server = Server::new(target)?;
    match command {
        CheckpointCommand::Ls(target) => {
            let list = server.get("/api/v1/checkpoints").await?;
            say(&if target.json { format!("{list:#}") } else { listed(&list) })?;
            Ok(true)
        }
        CheckpointCommand::Run(args) => {
            let run = order(&server, &args).await?;
            if args.target.json {
                say(&format!("{run:#}"))?;
            } else {
                let all = if run["success"] == true { "✓" } else { "✗" };
                say(&format!(
                    "{all} run {} of {}: {} of {} expectations met",
                    run["run_id"], args.name, run["met"], run["evaluated"]
                ))?;
            }
            Ok(run["success"] == true)
        }
    }
}

/// Orders the run and waits until it is over.
async fn order(server: &Server, args: &CheckpointRunArgs) -> anyhow::Result<Value> {
    let answer = server.order("/api/v1/validations", &json!({ "checkpoint": args.name })).await?;
    if answer["run_id"].is_i64() {
        return Ok(answer);
    }
    // It takes longer: the answer is the checkpoint as it was when the run began.
    let before = answer["last_run"]["run_id"].as_i64();
    let path = format!("/api/v1/checkpoints/{}", utf8_percent_encode(&args.name, NON_ALPHANUMERIC));
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    loop {
        let mut now = server.get(&path).await?;
        if now["last_run"]["run_id"].as_i64() > before {
            return Ok(now["last_run"].take());
        }
        if let Some(why) = now["trouble"].as_str() {
            bail!("{} could not be run: {why}", args.name);
        }
        if now["running_since"].is_null() {
            bail!("{} was not run: another instance of the server is running it", args.name);
        }
        if Instant::now() >= deadline {
            bail!(
                "{} still runs after {} s; `stockstream checkpoint ls` tells when it is over",
                args.name,
                args.timeout
            );
        }
        sleep(LOOK).await;
    }
}

fn listed(list: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let rows = list["checkpoints"].as_array().into_iter().flatten().map(|one| {
        let every = one["every_seconds"].as_u64().map_or_else(
            || "on demand".to_owned(),
            |seconds| humantime::format_duration(Duration::from_secs(seconds)).to_string(),
        );
        let last = &one["last_run"];
        let last = if last.is_null() {
            "not yet run".to_owned()
        } else {
            format!("run {}: {} of {} met", last["run_id"], last["met"], last["evaluated"])
        };
        let next = match (one["running_since"].as_str(), one["trouble"].as_str()) {
            (Some(since), _) => format!("running since {since}"),
            (None, Some(trouble)) => trouble.to_owned(),
            (None, None) => text(&one["next_run_at"]),
        };
        [text(&one["name"]), text(&one["suite"]), text(&one["table"]), every, last, next]
    });
    table(["NAME", "SUITE", "TABLE", "EVERY", "LAST", "NEXT"], rows).trim_end().to_owned()
}
