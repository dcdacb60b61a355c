//! `stockstream validate`: runs expectation suites against a table and says what they found.

use super::{
    report::{junit, text},
    say, suite,
};
use crate::{
    config::ValidateConfig,
    progress,
    store::validate::{Asset, Step, validate},
};
use anyhow::Context;
use chrono::Utc;
use quality::suite::ValidationResult;
use sqlx::{ConnectOptions, Connection};
use std::{fmt::Write, fs, path::Path, time::Duration};

/// Whether every expectation of the severity that counts is met.
pub async fn run(config: ValidateConfig) -> anyhow::Result<bool> {
    // Before anything is asked of the database: a mistake in the third file should not show after the second's scan.
    let suites = config.suites.iter().map(|file| suite::read(file)).collect::<anyhow::Result<Vec<_>>>()?;
    let url = config.database_url.redacted();
    let mut connection = config
        .database_url
        .options()
        .application_name("stockstream validate")
        .disable_statement_logging()
        .connect()
        .await
        .with_context(|| format!("cannot use {url}"))?;
    let asset = Asset::describe(&mut connection, &config.table).await?;
    let on_stdout = config.json.as_deref() == Some(Path::new("-"));
    let mut results = Vec::with_capacity(suites.len());
    for suite in &suites {
        let bar = progress::spinner(Duration::from_millis(100));
        let result = validate(&mut connection, &asset, suite, Utc::now(), |step| bar.set_message(told(step)))
            .await
            .with_context(|| format!("cannot validate {} with {}", config.table, suite.name))?;
        bar.finish_and_clear();
        if !on_stdout {
            say(&text(&result))?;
        }
        results.push(result);
    }
    connection.close().await?;
    if let Some(file) = &config.json {
        write_json(file, &results)?;
    }
    if let Some(file) = &config.junit {
        fs::write(file, junit(&results)?).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let counts = |severity| severity >= config.fail_on;
    Ok(results.iter().flat_map(|run| &run.results).all(|result| result.success || !counts(result.expectation.severity)))
}

fn write_json(file: &Path, results: &[ValidationResult]) -> anyhow::Result<()> {
    let mut lines = String::new();
    for result in results {
        writeln!(lines, "{}", result.to_json())?;
    }
    if file == Path::new("-") {
        return say(lines.trim_end());
    }
    fs::write(file, lines).with_context(|| format!("cannot write {}", file.display()))
}

fn told(step: Step) -> String {
    match step {
        Step::Scan { expectations } => format!("one scan for {expectations} expectations"),
        Step::Rows { expectations, read } => format!("{read} rows read for {expectations} expectations"),
        Step::Rest { done, expectations } => format!("{done} of {expectations} expectations are done"),
    }
}
