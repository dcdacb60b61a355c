//! What expectation suites found, as the pages show it.

use super::validations;
use crate::store::{
    ReadError, RunFilter, Store, TrendPoint, ValidationRun,
    validate::{SOURCE, SOURCE_COLUMNS},
};
use app::quality::{
    Finding, Overview, RUNS, Run, RunReport, Runs, Shown, SuiteReport, Suites, TREND, Unexpected, Verdict, trend::Point,
};
use quality::suite::{Dialect, ExpectationResult, Suite, ValidationResult, lint};
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
pub async fn overview(store: &Store, shown: Shown, cursor: Option<&str>) -> Result<Option<Overview>, Unread> {
    let filter = RunFilter { failed: shown == Shown::Failed, ..RunFilter::default() };
    let Some(filter) = validations::go_on(filter, cursor) else { return Ok(None) };
    let (suites, runs) = tokio::try_join!(store.validation_suites(), validations::page(store, &filter, RUNS))?;
    Ok(Some(Overview { suites: Suites { suites: suites.into_iter().map(run).collect() }, runs: list(runs) }))
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

/// A suite by its newest run; `None` when it was never run.
pub async fn suite_report(store: &Store, name: &str) -> Result<Option<SuiteReport>, Unread> {
    // Postgres takes no zero byte, and no suite has one in its name.
    if name.contains('\0') {
        return Ok(None);
    }
    let filter = RunFilter { suite: Some(name.to_owned()), ..RunFilter::default() };
    let runs = list(validations::page(store, &filter, RUNS).await?);
    let Some(newest) = runs.runs.first() else { return Ok(None) };
    let run_id = newest.run_id;
    let (found, trends) = tokio::try_join!(store.validation_run(run_id), store.validation_trends(run_id, TREND))?;
    let Some((found, result)) = found else { return Ok(None) };
    let result = ValidationResult::from_json(result).ok_or(Unread::Form(run_id))?;
    // Of another table's columns nobody here knows.
    let lint = if found.asset == SOURCE { lint(&suite_of(&result), &SOURCE_COLUMNS) } else { Vec::new() };
    let (mut latest, mut remarks) = (report(found, result, trends), Vec::new());
    for remark in lint {
        match remark.expectation.and_then(|place| latest.findings.get_mut(place)) {
            Some(finding) => finding.remarks.push(remark.message),
            None => remarks.push(remark.message),
        }
    }
    Ok(Some(SuiteReport { latest, remarks, runs }))
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

/// The unexpected values that the result shows, with the keys of their rows where every one has its key.
fn unexpected(result: &ExpectationResult) -> Vec<Unexpected> {
    let list = |name: &str| result.result.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let (values, keys) = (list("partial_unexpected_list"), list("partial_unexpected_index_list"));
    let key = |index: usize| keys.get(index).filter(|_| keys.len() == values.len()).map(shown);
    values.iter().enumerate().map(|(index, value)| Unexpected { value: shown(value), key: key(index) }).collect()
}

fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
