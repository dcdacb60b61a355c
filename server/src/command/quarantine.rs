//! `stockstream quarantine`: refused records, looked at and redriven by hand.

use super::{report::table, say};
use crate::{
    checkpoint::Checkpoints,
    config::{
        Mistakes, QuarantineCommand, QuarantineDismissArgs, QuarantineLsArgs, QuarantineRedriveArgs,
        QuarantineShowArgs, RecordPart, StoreArgs, SuitesArgs,
    },
    pipeline::{self, RecordSuites, explain},
    store::{
        AuditRow, QuarantineFilter, QuarantinedBytes, QuarantinedRecord, RecordId, RedriveReport, RedriveRequest,
        RedriveResult, Selection, Store,
    },
};
use anyhow::{Context, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};
use std::{fmt::Write as _, io::Write as _, path::Path, sync::Arc};

/// How the command ended.
pub enum Ended {
    Well,
    /// Something stays refused.
    Refused,
    Misconfigured(Mistakes),
}

/// Attempts in the audit trail that `show` prints.
const SHOWN_ATTEMPTS: u32 = 20;
/// Bytes of a key or value that `show` prints.
const SHOWN_BYTES: usize = 4_096;
/// Characters of a reason in a table.
const SHOWN_REASON: usize = 80;

pub async fn run(command: QuarantineCommand) -> anyhow::Result<Ended> {
    match command {
        QuarantineCommand::Ls(args) => ls(args).await,
        QuarantineCommand::Show(args) => show(args).await,
        QuarantineCommand::Redrive(args) => redrive(args).await,
        QuarantineCommand::Dismiss(args) => dismiss(args).await,
    }
}

async fn open(args: StoreArgs) -> anyhow::Result<Result<Store, Mistakes>> {
    let url = match args.check() {
        Ok(url) => url,
        Err(mistakes) => return Ok(Err(mistakes)),
    };
    let store = Store::new(url.options(), 2);
    store.require_current().await.with_context(|| format!("cannot use {}", url.redacted()))?;
    Ok(Ok(store))
}

macro_rules! open {
    ($args:expr) => {
        match open($args).await? {
            Ok(store) => store,
            Err(mistakes) => return Ok(Ended::Misconfigured(mistakes)),
        }
    };
}

async fn ls(args: QuarantineLsArgs) -> anyhow::Result<Ended> {
    let store = open!(args.store);
    let filter = QuarantineFilter {
        topic: args.topic,
        partition: None,
        code: args.code,
        stage: args.stage,
        since: args.since.map(|since| since.instant(Utc::now())),
        states: if args.all { Vec::new() } else { QuarantineFilter::open().states },
    };
    // One more than shown tells whether there is more.
    let mut records = store.quarantined(&filter, None, args.limit + 1).await?;
    let more = records.len() > args.limit as usize;
    records.truncate(args.limit as usize);
    let mut text = String::new();
    if args.json {
        for (_, record) in &records {
            writeln!(text, "{}", serde_json::to_string(record)?)?;
        }
    } else if records.is_empty() {
        writeln!(text, "Nothing{} is in quarantine.", if args.all { "" } else { " that is open" })?;
    } else {
        let rows = records.iter().map(|(_, record)| {
            let QuarantinedRecord { stage, codes, reason, resolution, received_at, .. } = record;
            let state = match &resolution.outcome {
                Some(outcome) => format!("{}: {outcome}", resolution.state.as_str()),
                None => resolution.state.as_str().to_owned(),
            };
            let received = received_at.to_rfc3339_opts(SecondsFormat::Secs, true);
            [record.id().to_string(), received, stage.clone(), codes.join(","), state, shortened(reason)]
        });
        text = table(["RECORD", "RECEIVED", "STAGE", "CODES", "STATE", "REASON"], rows);
        if more {
            writeln!(text, "There are more; --limit shows them.")?;
        }
    }
    print(&text)?;
    Ok(Ended::Well)
}

/// The suites that records are judged by: the file's, or those by which the server has judged last.
async fn judging(store: &Store, args: SuitesArgs) -> anyhow::Result<RecordSuites> {
    if let Some(file) = args.checkpoints {
        let streams = Checkpoints::read(&file)?.streams;
        return Ok(RecordSuites::new(streams.into_iter().map(|stream| stream.suite)));
    }
    match store.latest_suites().await? {
        Some(set) => RecordSuites::read(&set).with_context(|| {
            format!(
                "cannot read the suites by which the server has judged (digest {}); name a file with --checkpoints",
                set.digest
            )
        }),
        None => Ok(RecordSuites::default()),
    }
}

async fn find(store: &Store, id: &RecordId) -> anyhow::Result<QuarantinedBytes> {
    let found = store.find_quarantined(id).await?;
    found.with_context(|| format!("{id} is not in quarantine; `stockstream quarantine ls --all` lists what is"))
}

async fn show(args: QuarantineShowArgs) -> anyhow::Result<Ended> {
    let store = open!(args.store);
    let found = find(&store, &args.record.id()).await?;
    if let Some(part) = args.raw {
        let bytes = match part {
            RecordPart::Key => found.key.as_deref(),
            RecordPart::Value => found.value.as_deref(),
        };
        let Some(bytes) = bytes else {
            bail!("the record has no {}", if part == RecordPart::Key { "key" } else { "value" })
        };
        let mut out = std::io::stdout().lock();
        out.write_all(bytes)?;
        out.flush()?;
        return Ok(Ended::Well);
    }
    if args.json {
        let mut value = serde_json::to_value(&found.record)?;
        value["headers"] = found.headers_without_secrets();
        value["key"] = json!(found.key.map(|key| STANDARD.encode(key)));
        value["value"] = json!(found.value.map(|value| STANDARD.encode(value)));
        say(&serde_json::to_string_pretty(&value)?)?;
        return Ok(Ended::Well);
    }
    let trail = store.audit_of(&found.record.id(), None, SHOWN_ATTEMPTS).await?;
    let suites = judging(&store, args.suites).await?;
    print(&describe(&found, &suites, &trail))?;
    Ok(Ended::Well)
}

/// Which suites judged a record last, and whether they are the ones that are asked now.
fn judged_by(digest: Option<&str>, today: &RecordSuites) -> String {
    let short = |digest: &str| format!("suites with the digest {}", digest.get(..12).unwrap_or(digest));
    let then = digest.map_or("no suite".to_owned(), short);
    let today = today.set().map(|set| set.digest.as_str());
    if today == digest { then } else { format!("{then}; today by {}", today.map_or("none".to_owned(), short)) }
}

fn describe(found: &QuarantinedBytes, suites: &RecordSuites, trail: &[AuditRow]) -> String {
    let record = &found.record;
    let mut lines = vec![
        ("record", record.id().to_string()),
        ("incarnation", record.incarnation.to_string()),
        ("refused by", format!("{} (version {} of the rules)", record.stage, record.rule_version)),
        ("judged by", judged_by(record.suites_digest.as_deref(), suites)),
        ("codes", record.codes.join(", ")),
    ];
    let explained = explain(found, suites);
    for reason in explained.reasons {
        lines.push(("rule", format!("{}: {}", reason.code, reason.rule)));
        lines.extend(reason.found.into_iter().map(|found| ("found", found)));
        lines.push(("advice", reason.advice));
    }
    if explained.acceptable && record.resolution.state.is_open() {
        lines.push(("today", "the decoder, the rules and the suites would let it through: redrive it".to_owned()));
    }
    lines.extend([
        ("received", record.received_at.to_rfc3339()),
        ("timestamp", record.timestamp.map_or("none".to_owned(), |at| at.to_rfc3339())),
    ]);
    let resolution = &record.resolution;
    let mut state = resolution.state.as_str().to_owned();
    if let Some(outcome) = &resolution.outcome {
        state += &format!(", {outcome}");
    }
    if let (Some(at), Some(by)) = (resolution.at, &resolution.by) {
        state += &format!(", {} by {by}", at.to_rfc3339_opts(SecondsFormat::Secs, true));
    }
    if resolution.attempts > 0 {
        state += &format!("; refused by {} redrives", resolution.attempts);
    }
    lines.push(("state", state));
    if let Some(note) = &resolution.note {
        lines.push(("note", note.clone()));
    }
    for AuditRow { audit_id, at, actor, action, outcome, .. } in trail {
        let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
        lines.push(("audit", format!("{audit_id}: {action} by {actor}, {at}, {outcome}")));
    }
    for header in found.headers_without_secrets().as_array().into_iter().flatten() {
        let value = match &header[1] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        lines.push(("header", format!("{} = {value}", header[0].as_str().unwrap_or_default())));
    }
    let mut text: String = lines.iter().map(|(name, value)| format!("{name:<12} {}\n", escaped(value))).collect();
    for (name, bytes) in [("key", &found.key), ("value", &found.value)] {
        match bytes {
            None => text += &format!("{name:<12} none\n"),
            Some(bytes) => text += &format!("{name:<12} {} bytes{}", bytes.len(), shown(name, bytes)),
        }
    }
    text
}

/// Bytes for people: JSON indented, other text with its control characters escaped, anything else in hexadecimal.
fn shown(name: &str, bytes: &[u8]) -> String {
    let mut cut = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let json = serde_json::from_slice::<Value>(bytes).ok().and_then(|value| serde_json::to_string_pretty(&value).ok());
    let text = match (json, std::str::from_utf8(bytes)) {
        (Some(pretty), _) if pretty.len() <= SHOWN_BYTES => {
            return format!(", JSON\n{}\n", escaped(&pretty));
        }
        (json, Ok(text)) => {
            while !text.is_char_boundary(cut.len()) {
                cut = &cut[..cut.len() - 1];
            }
            let kind = if json.is_some() { "JSON" } else { "text" };
            format!(", {kind}\n{}\n", escaped(&text[..cut.len()]))
        }
        (_, Err(_)) => {
            let hex = cut.chunks(32).map(|line| line.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            format!(", not UTF-8\n{}\n", hex.collect::<Vec<_>>().join("\n"))
        }
    };
    let left = bytes.len() - cut.len();
    if left == 0 { text } else { format!("{text}… {left} bytes more; --raw={name} writes all of it\n") }
}

/// A record's text must not steer the terminal.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    safe
}

async fn redrive(args: QuarantineRedriveArgs) -> anyhow::Result<Ended> {
    let store = open!(args.store);
    let value = args.value.as_deref().map(read_copy).transpose()?;
    let selection = match (args.id.map(|id| RecordId { incarnation: args.incarnation, ..id }), value) {
        (Some(of), Some(value)) => Selection::Copy { of, value },
        (Some(id), None) => Selection::One(id),
        (None, _) => Selection::Open { topic: args.topic, code: args.code },
    };
    let request = RedriveRequest { selection, dry_run: args.dry_run, force: args.force, actor: args.actor };
    let suites = judging(&store, args.suites).await?;
    let report = pipeline::redrive(&store, &request, &suites, &(Arc::new(|_: &market::Symbol| false) as _)).await?;
    if args.json {
        say(&serde_json::to_string_pretty(&report)?)?;
    } else {
        print(&summary(&report))?;
    }
    let stays = [RedriveResult::RefusedAgain, RedriveResult::HeldBack, RedriveResult::Dismissed];
    Ok(if stays.iter().any(|result| report.counts.contains_key(result)) { Ended::Refused } else { Ended::Well })
}

/// The corrected copy of a value in this file.
fn read_copy(file: &Path) -> anyhow::Result<String> {
    if file.as_os_str() == "-" {
        return std::io::read_to_string(std::io::stdin()).context("cannot read the copy from standard input as text");
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read the copy from {} as text", file.display()))
}

fn summary(report: &RedriveReport) -> String {
    if report.records.is_empty() {
        return "Nothing to redrive.\n".to_owned();
    }
    let rows = report.records.iter().map(|record| {
        let id = RecordId {
            topic: record.topic.clone(),
            partition: record.partition,
            offset: record.offset,
            incarnation: Some(record.incarnation),
        };
        let reason = record.reason.as_deref().map(shortened).unwrap_or_default();
        [id.to_string(), record.result.as_str().to_owned(), reason]
    });
    let mut text = table(["RECORD", "RESULT", "REASON"], rows);
    let counts: Vec<String> =
        report.counts.iter().map(|(result, count)| format!("{count} {}", result.as_str())).collect();
    text += &format!("{}: {}.\n", if report.dry_run { "Would be" } else { "Redriven" }, counts.join(", "));
    if report.dry_run {
        text += "This was a dry run: nothing was changed.\n";
    }
    if report.more {
        text += "There are more; ask again for them.\n";
    }
    text
}

async fn dismiss(args: QuarantineDismissArgs) -> anyhow::Result<Ended> {
    let store = open!(args.store);
    let record = find(&store, &args.record.id()).await?.record;
    if !store.dismiss(&record, &args.note, &args.actor).await? {
        let state = record.resolution.state.as_str();
        say(&format!("{} is {state} already; nothing was changed.", record.id()))?;
        return Ok(Ended::Refused);
    }
    say(&format!("{} is dismissed; its bytes are kept.", record.id()))?;
    Ok(Ended::Well)
}

fn shortened(text: &str) -> String {
    let one_line = escaped(text).replace('\n', " ");
    match one_line.char_indices().nth(SHOWN_REASON) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    say(text.trim_end_matches('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_what_they_are_and_never_steer_the_terminal() {
        assert_eq!(shown("key", br#"{"record_id":1}"#), ", JSON\n{\n  \"record_id\": 1\n}\n");
        assert_eq!(shown("value", b"a\x1b[2Jb"), ", text\na\\u{1b}[2Jb\n");
        assert_eq!(shown("value", &[0xff, 0x00]), ", not UTF-8\nff00\n");
        let long = shown("value", "é".repeat(4_000).as_bytes());
        assert!(long.ends_with("… 3904 bytes more; --raw=value writes all of it\n"), "{long}");
    }
}
