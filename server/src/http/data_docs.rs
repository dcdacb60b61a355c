//! What expectation suites found, as the pages show it.

use super::{
    checkpoints::{self, CheckpointView},
    validations,
};
use crate::checkpoint::{Checkpoint as Configured, Runner};
use crate::store::{
    ReadError, RunFilter, Store, TrendPoint, ValidationRun,
    validate::{SOURCE, SOURCE_COLUMNS},
};
use app::provenance::Candle;
use app::quality::{
    Checkpoint, Checkpoints, Finding, Overview, RUNS, Run, RunReport, Runs, Shown, SuiteReport, Suites, TREND,
    Unexpected, Verdict, trend::Point,
};
use market::Timeframe;
use quality::suite::{Dialect, ExpectationResult, Finding as Remark, Suite, ValidationResult, lint};
use serde_json::{Map, Value};

/// Characters of a value that a page shows.
const SHORT: usize = 120;

/// Why a page cannot be filled.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    #[error(transparent)]
    Store(#[from] ReadError),
    #[error("the result of run {0} is not as this program writes it")]
    Form(i64),
}

/// Suites and runs; `None` when the cursor is none of this question.
pub async fn overview(
    store: &Store,
    runner: &Runner,
    shown: Shown,
    cursor: Option<&str>,
) -> Result<Option<Overview>, Unread> {
    let filter = RunFilter { failed: shown == Shown::Failed, ..RunFilter::default() };
    let Some(filter) = validations::go_on(filter, cursor) else { return Ok(None) };
    let configured: Vec<&Configured> = runner.checkpoints().iter().collect();
    let (suites, runs, checkpoints) = tokio::try_join!(
        store.validation_suites(),
        validations::page(store, &filter, RUNS),
        checkpoints::view(store, runner, &configured),
    )?;
    Ok(Some(Overview {
        suites: Suites { suites: suites.into_iter().map(run).collect() },
        checkpoints: Checkpoints { checkpoints: checkpoints.into_iter().map(checkpoint).collect() },
        runs: list(runs),
    }))
}

/// A run with what became of each expectation, then and before; `None` when there is no such run.
pub async fn run_report(store: &Store, run_id: i64) -> Result<Option<RunReport>, Unread> {
    let (found, trends) = tokio::try_join!(store.validation_run(run_id), store.validation_trends(run_id, TREND))?;
    let Some((found, result)) = found else { return Ok(None) };
    let result = ValidationResult::from_json(result).ok_or(Unread::Form(run_id))?;
    Ok(Some(report(found, result, trends)))
}

fn report(found: ValidationRun, result: ValidationResult, trends: Vec<Vec<TrendPoint>>) -> RunReport {
    let trends = trends.into_iter().map(Some).chain(std::iter::repeat_with(|| None));
    let findings = result.results.into_iter().zip(trends).enumerate();
    let findings = findings.map(|(place, (result, trend))| finding(place, result, trend.unwrap_or_default()));
    RunReport { run: run(found), findings: findings.collect() }
}

/// A suite by its newest run, or by what its checkpoint expects; `None` when there is neither.
pub async fn suite_report(store: &Store, runner: &Runner, name: &str) -> Result<Option<SuiteReport>, Unread> {
    // Postgres takes no zero byte, and no suite has one in its name.
    if name.contains('\0') {
        return Ok(None);
    }
    let filter = RunFilter { suite: Some(name.to_owned()), ..RunFilter::default() };
    let runs = list(validations::page(store, &filter, RUNS).await?);
    let configured: Vec<&Configured> =
        runner.checkpoints().iter().filter(|checkpoint| checkpoint.suite.name == name).collect();
    let checkpoints: Vec<Checkpoint> =
        checkpoints::view(store, runner, &configured).await?.into_iter().map(checkpoint).collect();
    let newest = runs.runs.first().map(|run| run.run_id);
    let whole =
        move |latest, expects, remarks| SuiteReport { latest, expects, remarks, runs, checkpoints, control: false };
    let Some(run_id) = newest else {
        return Ok(configured.first().map(|checkpoint| {
            let suite = &checkpoint.suite;
            let expects = suite.expectations.iter().map(|expectation| expectation.sentence()).collect();
            let remarks = lint_of(suite, &checkpoint.table).into_iter().map(|remark| remark.message).collect();
            whole(None, expects, remarks)
        }));
    };
    let (found, trends) = tokio::try_join!(store.validation_run(run_id), store.validation_trends(run_id, TREND))?;
    let Some((found, result)) = found else { return Ok(None) };
    let result = ValidationResult::from_json(result).ok_or(Unread::Form(run_id))?;
    let lint = lint_of(&suite_of(&result), &found.asset);
    let (mut latest, mut remarks) = (report(found, result, trends), Vec::new());
    for remark in lint {
        match remark.expectation.and_then(|place| latest.findings.get_mut(place)) {
            Some(finding) => finding.remarks.push(remark.message),
            None => remarks.push(remark.message),
        }
    }
    Ok(Some(whole(Some(latest), Vec::new(), remarks)))
}

/// What is worth knowing of a suite. Of another table's columns nobody here knows.
fn lint_of(suite: &Suite, table: &str) -> Vec<Remark> {
    if table == SOURCE { lint(suite, &SOURCE_COLUMNS) } else { Vec::new() }
}

/// The suite that was run, as far as its results tell.
fn suite_of(result: &ValidationResult) -> Suite {
    Suite {
        name: result.suite_name.clone(),
        dialect: Dialect::One,
        expectations: result.results.iter().map(|result| result.expectation.clone()).collect(),
        meta: Map::new(),
        other: Map::new(),
    }
}

fn list(page: validations::ValidationPage) -> Runs {
    Runs { runs: page.runs.into_iter().map(run).collect(), next_cursor: page.next_cursor }
}

fn run(run: ValidationRun) -> Run {
    let ValidationRun { run_id, suite, asset, cause, started_at, finished_at, success, evaluated, met } = run;
    let (evaluated, met) = (evaluated.unsigned_abs(), met.unsigned_abs());
    Run { run_id, suite, asset, cause, started_at, finished_at, success, evaluated, met }
}

fn checkpoint(view: CheckpointView) -> Checkpoint {
    let CheckpointView { name, suite, table, every_seconds, running_since, next_run_at, trouble, last_run, .. } = view;
    let last_run = last_run.map(run);
    Checkpoint { name, suite, table, every_seconds, running_since, next_run_at, trouble, last_run }
}

fn finding(place: usize, result: ExpectationResult, trend: Vec<TrendPoint>) -> Finding {
    let verdict = match (&result.exception, result.success) {
        (Some(_), _) => Verdict::CouldNot,
        (None, true) => Verdict::Met,
        (None, false) => Verdict::Unmet,
    };
    let points = trend.into_iter().map(|point| {
        let TrendPoint { run_id, started_at, success, observed, unexpected } = point;
        Point { run_id, started_at, success, observed, unexpected }
    });
    Finding {
        place,
        column: result.expectation.column().map(str::to_owned),
        sentence: result.expectation.sentence(),
        severity: result.expectation.severity_name().to_owned(),
        verdict,
        found: result.found(),
        remarks: Vec::new(),
        unexpected: unexpected(&result),
        trend: points.collect(),
        kind: result.expectation.kind,
    }
}

/// The unexpected values that the result shows, with what names their rows where that is known of every one.
fn unexpected(result: &ExpectationResult) -> Vec<Unexpected> {
    let row = |(value, names): (&Value, Vec<(&str, &Value)>)| {
        let text = |column: &str| names.iter().find(|(name, _)| *name == column)?.1.as_str();
        let candle = || {
            let (symbol, time) = (text("symbol")?.parse().ok()?, text("time")?.parse().ok()?);
            Some(Candle { symbol, time, timeframe: Timeframe::MINUTE_1 }.hash())
        };
        let candle = candle();
        let others = names.iter().filter(|(name, _)| candle.is_none() || !["symbol", "time"].contains(name));
        let key = others.map(|(_, value)| shown(value)).collect::<Vec<_>>().join(", ");
        Unexpected { value: shown(value), key: Some(key).filter(|key| !key.is_empty()), candle }
    };
    result.unexpected().map(row).collect()
}

fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
