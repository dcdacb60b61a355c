//! What expectation suites found: runs, their results, and the trend of each expectation.

use super::{
    Problem,
    cursor::{InvalidCursor, open, seal},
    error::ProblemBody,
    params::{Limit, Params, Query, Request},
    schema,
};
use crate::store::{ReadError, RunFilter, Store, TrendPoint, ValidationRun};
use axum::{
    Json,
    extract::{Path, State},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::str::FromStr;
use utoipa::ToSchema;
use xxhash_rust::xxh3::xxh3_64;

const TAG: &str = "Data quality";
/// Runs on a page, or points of a trend, when the request does not say how many it wants.
const DEFAULT: u32 = 50;
/// The most of them.
const MAX: u32 = 1_000;

/// The run that the description shows.
pub(super) fn example_run() -> Value {
    json!({
        "run_id": 12, "suite": "stock", "asset": "stock", "cause": "schedule", "started_at": "2024-01-16T21:00:00Z",
        "finished_at": "2024-01-16T21:00:00.180Z", "success": false, "evaluated": 1, "met": 0
    })
}

/// The same with its result.
fn example_detail() -> Value {
    let mut detail = example_run();
    detail["result"] = json!({
        "success": false, "suite_name": "stock", "suite_parameters": {}, "meta": {}, "id": null,
        "statistics": {
            "evaluated_expectations": 1, "successful_expectations": 0, "unsuccessful_expectations": 1,
            "success_percent": 0.0
        },
        "results": [{
            "success": false, "meta": {},
            "expectation_config": {
                "type": "expect_table_row_count_to_be_between", "kwargs": { "min_value": 1 }, "meta": {},
                "severity": "critical"
            },
            "result": { "observed_value": 0 },
            "exception_info": { "raised_exception": false, "exception_message": null, "exception_traceback": null }
        }]
    });
    detail
}

/// A page of runs.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "runs": [example_run()], "next_cursor": null }))]
pub struct ValidationPage {
    pub runs: Vec<ValidationRun>,
    /// Pass it as `cursor` for the next page; `null` on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// The newest run of each suite.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "suites": [example_run()] }))]
pub struct ValidatedSuites {
    pub suites: Vec<ValidationRun>,
}

/// A run with its results.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(example_detail()))]
pub struct ValidationDetail {
    #[serde(flatten)]
    pub run: ValidationRun,
    /// As Great Expectations writes it.
    #[schema(value_type = Object)]
    pub result: Value,
}

/// What became of each expectation of a run, then and before.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "trends": [[
        { "run_id": 11, "started_at": "2024-01-15T21:00:00Z", "success": true, "observed": 1560.0, "unexpected": null },
        { "run_id": 12, "started_at": "2024-01-16T21:00:00Z", "success": false, "observed": 0.0, "unexpected": null }
    ]]
}))]
pub struct ValidationTrends {
    /// One trend for each of the run's results, in their order; points from the oldest run to this one.
    pub trends: Vec<Vec<TrendPoint>>,
}

/// Where a page ended, and the question it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    before: i64,
    question: u64,
}

impl Cursor {
    fn encode(self) -> String {
        seal(&format!("1 {} {:x}", self.before, self.question))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let plain = open(text)?;
            let parts: Vec<&str> = plain.split(' ').collect();
            let ["1", before, question] = parts[..] else { return None };
            Some(Self { before: before.parse().ok()?, question: u64::from_str_radix(question, 16).ok()? })
        };
        parse().ok_or(InvalidCursor)
    }
}

/// The question as a number: a cursor does not fit another one.
fn question(filter: &RunFilter) -> u64 {
    xxh3_64(format!("{} {}", filter.failed, filter.suite.as_deref().unwrap_or_default()).as_bytes())
}

/// Which runs.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ValidationListRequest {
    /// Of the suite of this name.
    #[param(value_type = String, required = false, example = "stock")]
    suite: Option<String>,
    /// Only those of which some expectation is not met.
    #[param(value_type = schema::Flag, inline, required = false)]
    failed: bool,
    /// Runs on a page.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 1_000, default = 50)]
    limit: u32,
    /// `next_cursor` of the page before; everything else must stay as it was.
    #[param(value_type = String, required = false, pattern = "^[A-Za-z0-9_-]*$")]
    cursor: Option<i64>,
}

impl ValidationListRequest {
    fn filter(&self) -> RunFilter {
        RunFilter { suite: self.suite.clone(), failed: self.failed, before: self.cursor }
    }
}

impl Request for ValidationListRequest {
    fn read(params: &mut Params) -> Option<Self> {
        // Postgres takes no zero byte, and no suite has one in its name.
        let suite = params.optional::<String>("suite").map(|suite| suite.replace('\0', "\u{fffd}"));
        let failed = params.optional("failed").unwrap_or(false);
        let Limit(limit) = params.optional::<Limit<MAX>>("limit").unwrap_or(Limit(DEFAULT));
        let cursor: Option<Cursor> = params.optional("cursor");
        let request = Self { suite, failed, limit, cursor: cursor.map(|cursor| cursor.before) };
        if cursor.is_some_and(|cursor| cursor.question != question(&request.filter())) {
            params.report("cursor", "belongs to another question");
        }
        Some(request)
    }
}

/// The question's next page; `None` when the cursor belongs to another one, or is none.
pub(super) fn go_on(filter: RunFilter, cursor: Option<&str>) -> Option<RunFilter> {
    let Some(cursor) = cursor else { return Some(filter) };
    let cursor: Cursor = cursor.parse().ok()?;
    (cursor.question == question(&filter)).then_some(RunFilter { before: Some(cursor.before), ..filter })
}

/// The newest runs that a filter allows, at most `limit`, and the cursor of the next page.
pub(super) async fn page(store: &Store, filter: &RunFilter, limit: u32) -> Result<ValidationPage, ReadError> {
    // One more than shown tells whether there is another page.
    let mut runs = store.validation_runs(filter, limit + 1).await?;
    let more = runs.len() > limit as usize;
    runs.truncate(limit as usize);
    let last = runs.last().filter(|_| more);
    let next_cursor = last.map(|run| Cursor { before: run.run_id, question: question(filter) }.encode());
    Ok(ValidationPage { runs, next_cursor })
}

/// The runs of expectation suites, newest first, page by page.
#[utoipa::path(get, path = "/api/v1/validations", tag = TAG, operation_id = "list_validations", params(ValidationListRequest), responses(
    (status = 200, description = "A page of runs; an empty one when there are none", body = ValidationPage),
    (status = 400, description = "Parameters are wrong; all of them are named", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn list_validations(
    State(store): State<Store>,
    Query(request): Query<ValidationListRequest>,
) -> Result<Json<ValidationPage>, Problem> {
    Ok(Json(page(&store, &request.filter(), request.limit).await?))
}

/// Each suite that was ever run, by its newest run.
#[utoipa::path(get, path = "/api/v1/validations/suites", tag = TAG, operation_id = "list_validated_suites", responses(
    (status = 200, description = "The newest run of each suite, by the suite's name", body = ValidatedSuites),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn list_validated_suites(State(store): State<Store>) -> Result<Json<ValidatedSuites>, Problem> {
    Ok(Json(ValidatedSuites { suites: store.validation_suites().await? }))
}

fn run_id(text: &str) -> Result<i64, Problem> {
    let number = text.parse().ok().filter(|number| *number >= 1);
    number.ok_or_else(|| Problem::invalid_parameter("run_id", "must be a whole number from 1"))
}

/// One run with the result of each expectation, as Great Expectations writes it.
#[utoipa::path(get, path = "/api/v1/validations/{run_id}", tag = TAG, operation_id = "find_validation",
    params(("run_id" = i64, Path, description = "Number of the run", minimum = 1, example = 12)),
    responses(
        (status = 200, description = "The run", body = ValidationDetail),
        (status = 400, description = "The number is none", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "There is no such run", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn find_validation(
    State(store): State<Store>,
    Path(id): Path<String>,
) -> Result<Json<ValidationDetail>, Problem> {
    let id = run_id(&id)?;
    let (run, result) = store.validation_run(id).await?.ok_or_else(|| Problem::unknown_run(id))?;
    Ok(Json(ValidationDetail { run, result }))
}

/// How far back a trend goes.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TrendRequest {
    /// Runs in each trend, this one included.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 1_000, default = 50)]
    limit: u32,
}

impl Request for TrendRequest {
    fn read(params: &mut Params) -> Option<Self> {
        let Limit(limit) = params.optional::<Limit<MAX>>("limit").unwrap_or(Limit(DEFAULT));
        Some(Self { limit })
    }
}

/// What became of each expectation of a run, in that run and in those of the same suite before it.
#[utoipa::path(get, path = "/api/v1/validations/{run_id}/trends", tag = TAG, operation_id = "list_validation_trends",
    params(("run_id" = i64, Path, description = "Number of the run", minimum = 1, example = 12), TrendRequest),
    responses(
        (status = 200, description = "A trend for each result", body = ValidationTrends),
        (status = 400, description = "Parameters are wrong; all of them are named", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "There is no such run", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn list_validation_trends(
    State(store): State<Store>,
    Path(id): Path<String>,
    Query(request): Query<TrendRequest>,
) -> Result<Json<ValidationTrends>, Problem> {
    let id = run_id(&id)?;
    let trends = store.validation_trends(id, request.limit).await?;
    // A suite of nothing has no trends either.
    if trends.is_empty() && store.validation_run(id).await?.is_none() {
        return Err(Problem::unknown_run(id));
    }
    Ok(Json(ValidationTrends { trends }))
}
