//! A notice of suites as blocks: one item at length, several as a digest.

use super::markup::{code, context, line, link, mention, section};
use crate::alert::{Event, Item, Notice, PublicUrl, RunReport};
use quality::suite::ExpectationResult;
use serde_json::Value;

/// Failed expectations that one item shows, and that each item of a digest shows; the others are counted.
const EXPECTATIONS: (usize, usize) = (10, 3);
/// Items that a digest shows with their expectations, and how many more by name. Slack takes 50 blocks.
const ITEMS: (usize, usize) = (20, 20);
/// Rows that a failed expectation shows.
const ROWS: usize = 3;

pub(super) fn blocks(notice: &Notice, public_url: Option<&PublicUrl>) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let [item] = notice.items.as_slice() {
        blocks.push(section(&head(item, public_url)));
        let failed = failed(item);
        blocks.extend(failed.iter().take(EXPECTATIONS.0).map(|result| section(&at_length(result))));
        if let Some(more) = failed.len().checked_sub(EXPECTATIONS.0).filter(|more| *more > 0) {
            blocks.push(section(&format!("… and {more} more expectations are not met.")));
        }
    } else {
        blocks.push(section(&format!("*{}*", line(&notice.summary()))));
        for item in notice.items.iter().take(ITEMS.0) {
            let mut text = head(item, public_url);
            let failed = failed(item);
            for result in failed.iter().take(EXPECTATIONS.1) {
                text = format!("{text}\n• {}: {}", sentence(result), code(&observed(result)));
            }
            if let Some(more) = failed.len().checked_sub(EXPECTATIONS.1).filter(|more| *more > 0) {
                text = format!("{text}\n… and {more} more");
            }
            blocks.push(section(&text));
        }
        let rest = notice.items.get(ITEMS.0..).unwrap_or_default();
        blocks.extend(rest.iter().take(ITEMS.1).map(|item| section(&line(&item.to_string()))));
        if let Some(more) = rest.len().checked_sub(ITEMS.1).filter(|more| *more > 0) {
            blocks.push(section(&format!("… and {more} more")));
        }
    }
    blocks.push(context(&format!("stockstream · {}", notice.at.format("%Y-%m-%d %H:%M:%S UTC"))));
    blocks
}

/// What happened to whom, since when, and who is called.
fn head(item: &Item, public_url: Option<&PublicUrl>) -> String {
    let icon = match item.event {
        Event::Firing | Event::Repeated => ":rotating_light:",
        Event::Nodata => ":zzz:",
        Event::Resolved | Event::Reporting | Event::Passed => ":white_check_mark:",
    };
    let (title, since) = (item.event.title(), item.first_seen.format("%Y-%m-%d %H:%M:%S UTC"));
    let checkpoint = code(&item.checkpoint);
    let mut text = match &item.run {
        None if item.event == Event::Nodata => {
            format!("{icon} *{title}* · checkpoint {checkpoint}\nIt has not reported since {since}.")
        }
        None => format!("{icon} *{title}* · checkpoint {checkpoint}\nIt was silent since {since}."),
        Some(run) => {
            let (met, all) = run.result.met();
            let (suite, run_link) = names(run, public_url);
            format!(
                "{icon} *{title}* · {suite} on {} · checkpoint {checkpoint}\n*{met} of {all} expectations met* · {run_link}",
                code(&run.asset)
            )
        }
    };
    if item.failed_runs > 0 {
        let runs = if item.failed_runs == 1 { "run" } else { "runs" };
        text = format!("{text}\nFirst seen {since} · {} failed {runs}", item.failed_runs);
    }
    if let Some(owner) = item.owner.as_deref().filter(|_| item.event.is_bad()) {
        text = format!("{text}\nOwner: {}", mention(owner));
    }
    text
}

/// The suite and the run, as links where there is somewhere to lead.
fn names(run: &RunReport, public_url: Option<&PublicUrl>) -> (String, String) {
    let label = format!("run {}", run.run_id);
    match public_url {
        Some(url) => (link(&url.suite(run.suite()), run.suite()), link(&url.run(run.run_id), &label)),
        None => (code(run.suite()), label),
    }
}

/// The expectations to name, the most severe first: a run that is met has none.
fn failed(item: &Item) -> Vec<&ExpectationResult> {
    let results = item.run.iter().flat_map(|run| &run.result.results);
    let mut failed: Vec<_> = results.filter(|result| !result.success).collect();
    failed.sort_by_key(|result| std::cmp::Reverse(result.expectation.severity));
    failed
}

fn at_length(result: &ExpectationResult) -> String {
    let mut text = format!("{}\n{}", sentence(result), code(&observed(result)));
    for row in rows(result) {
        text = format!("{text}\n• {row}");
    }
    text
}

fn sentence(result: &ExpectationResult) -> String {
    format!("*{}* {}", result.expectation.severity_name(), line(&result.expectation.sentence()))
}

fn observed(result: &ExpectationResult) -> String {
    result.found().unwrap_or_else(|| "not met".to_owned())
}

/// The first unexpected values whose rows are known.
fn rows(result: &ExpectationResult) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let row = |(value, names): (&Value, Vec<(&str, &Value)>)| {
        let names: Vec<String> = names.into_iter().map(|(_, name)| text(name)).collect();
        (!names.is_empty()).then(|| format!("record {}: {}", line(&names.join(" ")), code(&text(value))))
    };
    result.unexpected().map_while(row).take(ROWS).collect()
}

#[cfg(test)]
mod tests;
