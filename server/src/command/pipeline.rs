//! `stockstream pipeline`: the control API's twin on the command line.

use super::{say, server::Server};
use crate::config::{PipelineArgs, PipelineCommand, Target};
use serde_json::{Value, json};
use std::{fmt::Write, process::ExitCode, time::Duration};
use tokio::time::{Instant, sleep};

const STATUS: &str = "/api/v1/pipeline";
/// Between two looks at a drain.
const LOOK: Duration = Duration::from_millis(200);

/// Not everything runs, or a drain has not ended in time.
const NOT_RUNNING: u8 = 1;

/// What is to be done, of which arguments.
pub struct Task {
    order: Option<&'static str>,
    args: PipelineArgs,
}

impl From<PipelineCommand> for Task {
    fn from(command: PipelineCommand) -> Self {
        let (order, args) = match command {
            PipelineCommand::Status(args) => (None, args),
            PipelineCommand::Start(args) => (Some("start"), args),
            PipelineCommand::Pause(args) => (Some("pause"), args),
            PipelineCommand::Resume(args) => (Some("resume"), args),
            PipelineCommand::Drain(args) => (Some("drain"), args),
        };
        Self { order, args }
    }
}

impl Task {
    pub fn args(&self) -> &PipelineArgs {
        &self.args
    }

    /// Asks or orders, and prints what the server answers.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub async fn run(self, target: Target) -> anyhow::Result<ExitCode> {
        let server = Server::new(target)?;
        let args = &self.args;
        let Some(order) = self.order else {
            let mut pipeline = server.get(STATUS).await?;
            narrow(&mut pipeline, args);
            print(&pipeline, args.target.json)?;
            let runs = pipeline["state"] == "running" && partitions(&pipeline).all(is_at_work);
            return Ok(if runs { ExitCode::SUCCESS } else { ExitCode::from(NOT_RUNNING) });
        };
        let mut scope = json!({});
        if let Some(topic) = &args.topic {
            scope["topic"] = topic.as_str().into();
        }
        if let Some(partition) = args.partition {
            scope["partition"] = partition.into();
        }
        let mut answer = server.order(&format!("{STATUS}/{order}"), &scope).await?;
        let mut drained = true;
        if order == "drain" {
            let deadline = Instant::now() + Duration::from_secs(args.timeout);
            loop {
                answer["pipeline"] = server.get(STATUS).await?;
                drained = partitions(&answer["pipeline"]).all(|partition| !holds_records(partition));
                if drained || Instant::now() >= deadline {
                    break;
                }
                sleep(LOOK).await;
            }
        }
        if args.target.json {
            say(&format!("{answer:#}"))?;
        } else {
            let changed = answer["changed"] == true;
            let said = if changed { format!("{order}: taken") } else { format!("{order}: that was so already") };
            narrow(&mut answer["pipeline"], args);
            say(&format!("{said}\n{}", table(&answer["pipeline"])))?;
        }
        if drained {
            return Ok(ExitCode::SUCCESS);
        }
        say(&format!("not drained within {} s; it goes on: see `stockstream pipeline status`", args.timeout))?;
        Ok(ExitCode::from(NOT_RUNNING))
    }
}

fn partitions(pipeline: &Value) -> impl Iterator<Item = &Value> {
    pipeline["partitions"].as_array().into_iter().flatten()
}

/// Another process's partition is not this server's to run.
fn is_at_work(partition: &Value) -> bool {
    matches!(partition["state"].as_str(), None | Some("running"))
}

fn holds_records(partition: &Value) -> bool {
    !matches!(partition["state"].as_str(), None | Some("drained"))
}

/// Keeps the partitions that were asked for.
fn narrow(pipeline: &mut Value, args: &PipelineArgs) {
    let Some(partitions) = pipeline["partitions"].as_array_mut() else { return };
    partitions.retain(|partition| {
        args.topic.as_ref().is_none_or(|topic| partition["topic"] == **topic)
            && args.partition.is_none_or(|number| partition["partition"] == number)
    });
}

fn print(pipeline: &Value, json: bool) -> anyhow::Result<()> {
    say(&if json { format!("{pipeline:#}") } else { table(pipeline) })
}

/// The pipeline as people read it: a line for the whole, then two per partition.
fn table(pipeline: &Value) -> String {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut out = format!(
        "pipeline {} since {}, lag {}",
        text(&pipeline["state"]),
        text(&pipeline["since"]),
        text(&pipeline["lag"])
    );
    if let Some(message) = pipeline["message"].as_str() {
        out += &format!("\n  {message}");
    }
    if pipeline["store_answers"] == false {
        out += "\n  Postgres does not answer: no counters";
    }
    for partition in partitions(pipeline) {
        let state = partition["state"].as_str().unwrap_or("not here").replace('_', " ");
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "\n{}[{}] {state}, offset {}, incarnation {}, lag {}",
            text(&partition["topic"]),
            partition["partition"],
            partition["next_offset"],
            partition["incarnation"],
            text(&partition["lag"]),
        );
        if let Some(reason) = partition["reason"].as_str() {
            let _ = write!(out, "\n  {reason}");
        }
        if partition["expired"].as_i64().is_some_and(|expired| expired > 0) {
            let _ = write!(out, "\n  {} records expired in Kafka before they were read", partition["expired"]);
        }
        let counts = &partition["counts"];
        if counts.is_object() {
            let sum = ["applied", "late", "duplicate", "deleted", "control", "quarantined"]
                .map(|fate| format!("{} {fate}", counts[fate]))
                .join(" + ");
            let sign = if counts["holds"] == true { "=" } else { "≠ (this must never be)" };
            let _ = write!(out, "\n  {} consumed {sign} {sum}", counts["consumed"]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_where_why_and_what_became_of_each_record() {
        let pipeline = json!({
            "state": "running", "since": "2024-01-16T14:31:00Z", "lag": 7, "store_answers": true,
            "message": "t[1]: 100 in a row were refused",
            "partitions": [
                {"topic": "t", "partition": 0, "state": "running", "incarnation": 1, "next_offset": 12, "lag": 0, "expired": 0,
                 "reason": null, "counts": {"consumed": 12, "applied": 9, "late": 1, "duplicate": 1, "deleted": 0,
                 "control": 0, "quarantined": 1, "holds": true}},
                {"topic": "t", "partition": 1, "state": "paused_by_flood_guard", "incarnation": 1, "next_offset": 5, "lag": 7,
                 "expired": 3, "reason": "100 in a row were refused", "counts": null},
            ],
        });
        assert_eq!(
            table(&pipeline),
            "pipeline running since 2024-01-16T14:31:00Z, lag 7\n  \
             t[1]: 100 in a row were refused\n\
             t[0] running, offset 12, incarnation 1, lag 0\n  \
             12 consumed = 9 applied + 1 late + 1 duplicate + 0 deleted + 0 control + 1 quarantined\n\
             t[1] paused by flood guard, offset 5, incarnation 1, lag 7\n  \
             100 in a row were refused\n  \
             3 records expired in Kafka before they were read"
        );
        assert!(!partitions(&pipeline).all(is_at_work));
    }
}
