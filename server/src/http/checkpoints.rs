//! Checkpoints: which suites this server runs against which tables, how they stand, and a run of one when somebody asks.
//!
//! A run that takes longer than a client likes to wait goes on without it: the answer says where to look.

use super::{
    AppState, Problem,
    error::ProblemBody,
    gate::Attempt,
    order::{OrderRefusals, read_body},
    validations::example_run,
};
use crate::{
    checkpoint::{Checkpoint, Runner},
    store::{
        AuditOutcome, ReadError, Store, ValidationRun,
        validate::{AssetError, RunError},
    },
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use utoipa::ToSchema;

const TAG: &str = "Data quality";
/// As the audit trail names it.
const ACTION: &str = "validation.run";
/// How long a run is waited for before the answer says that it goes on.
const WAIT: Duration = Duration::from_secs(5);
/// Characters of an unknown name that a refusal repeats.
const SHOWN_NAME: usize = 100;

/// A suite, a table, when, and how that stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!(example_checkpoint()))]
pub struct CheckpointView {
    pub name: String,
    pub suite: String,
    /// Table or view.
    pub table: String,
    /// How many the suite has.
    pub expectations: usize,
    /// `null`: it is run only when somebody asks.
    #[schema(required)]
    pub every_seconds: Option<u64>,
    /// Since when this process is running it; `null`: it is not.
    #[schema(required)]
    pub running_since: Option<DateTime<Utc>>,
    /// When this process runs it next, unless another one has done so by then.
    #[schema(required)]
    pub next_run_at: Option<DateTime<Utc>>,
    /// Why it could not be run when it was last tried.
    #[schema(required)]
    pub trouble: Option<String>,
    /// The suite's newest run on this table; `null`: there was none.
    #[schema(required)]
    pub last_run: Option<ValidationRun>,
}

fn example_checkpoint() -> Value {
    json!({
        "name": "stock", "suite": "stock", "table": "stock", "expectations": 1, "every_seconds": 300,
        "running_since": null, "next_run_at": "2024-01-16T21:05:00Z", "trouble": null, "last_run": example_run()
    })
}

/// All of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "checkpoints": [example_checkpoint()] }))]
pub struct CheckpointList {
    pub checkpoints: Vec<CheckpointView>,
}

impl CheckpointView {
    fn new(checkpoint: &Checkpoint, runner: &Runner, last_run: Option<ValidationRun>) -> Self {
        let progress = runner.progress(&checkpoint.name);
        Self {
            name: checkpoint.name.clone(),
            suite: checkpoint.suite.name.clone(),
            table: checkpoint.table.clone(),
            expectations: checkpoint.suite.expectations.len(),
            every_seconds: checkpoint.every.map(|every| every.as_secs()),
            running_since: progress.running_since,
            next_run_at: progress.next_run_at,
            trouble: progress.trouble,
            last_run,
        }
    }
}

/// How these checkpoints stand.
pub(super) async fn view(
    store: &Store,
    runner: &Runner,
    checkpoints: &[&Checkpoint],
) -> Result<Vec<CheckpointView>, ReadError> {
    let wanted: Vec<_> =
        checkpoints.iter().map(|checkpoint| (checkpoint.suite.name.as_str(), checkpoint.table.as_str())).collect();
    let runs = if wanted.is_empty() { Vec::new() } else { store.newest_runs(&wanted).await? };
    Ok(checkpoints.iter().zip(runs).map(|(checkpoint, run)| CheckpointView::new(checkpoint, runner, run)).collect())
}

async fn view_of(state: &AppState, checkpoint: &Checkpoint) -> Result<CheckpointView, ReadError> {
    let mut views = view(&state.feed.store, &state.runner, &[checkpoint]).await?;
    Ok(views.pop().expect("one for each checkpoint that was asked for"))
}

/// The checkpoints of this server: what each runs, when it last did, and when it does so next.
#[utoipa::path(get, path = "/api/v1/checkpoints", tag = TAG, operation_id = "list_checkpoints", responses(
    (status = 200, description = "All checkpoints, in the order of their file", body = CheckpointList),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn list_checkpoints(State(state): State<AppState>) -> Result<Json<CheckpointList>, Problem> {
    let checkpoints: Vec<&Checkpoint> = state.runner.checkpoints().iter().collect();
    Ok(Json(CheckpointList { checkpoints: view(&state.feed.store, &state.runner, &checkpoints).await? }))
}

/// One checkpoint.
#[utoipa::path(get, path = "/api/v1/checkpoints/{name}", tag = TAG, operation_id = "find_checkpoint",
    params(("name" = String, Path, description = "Its name", example = "bars")),
    responses(
        (status = 200, description = "The checkpoint", body = CheckpointView),
        (status = 404, description = "There is no such checkpoint", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn find_checkpoint(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<CheckpointView>, Problem> {
    Ok(Json(view_of(&state, find(&state, &name)?).await?))
}

fn find<'a>(state: &'a AppState, name: &str) -> Result<&'a Checkpoint, Problem> {
    state.runner.find(name).ok_or_else(|| {
        let name: String = name.chars().take(SHOWN_NAME).collect();
        let detail = format!("This server has no checkpoint {name:?}; GET /api/v1/checkpoints lists what it has.");
        Problem::new(StatusCode::NOT_FOUND, "unknown_checkpoint", "Unknown checkpoint", detail)
    })
}

/// What is to be run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "checkpoint": "bars" }))]
pub struct RunOrder {
    /// Name of the checkpoint.
    #[serde(default)]
    #[schema(value_type = String, required)]
    checkpoint: Option<String>,
}

/// Runs a checkpoint now. The answer waits for the run, but not for long: one that goes on is told by the checkpoint.
#[utoipa::path(post, path = "/api/v1/validations", tag = TAG, operation_id = "run_validation",
    params(("Prefer" = Option<String>, Header, description = "`respond-async`: do not wait for the run at all")),
    request_body(content = RunOrder, description = "Which checkpoint"),
    security(("control_token" = [])),
    responses(
        (status = 201, description = "The run, which is over", body = ValidationRun,
            headers(("Location" = String, description = "The run with its results"))),
        (status = 202, description = "The checkpoint, whose run goes on", body = CheckpointView,
            headers(("Location" = String, description = "The checkpoint, which tells when the run is over"))),
        (status = 409, description = "It is being run already, or its table does not exist", body = ProblemBody, content_type = "application/problem+json"),
        OrderRefusals,
    )
)]
pub async fn run_validation(
    State(state): State<AppState>,
    attempt: Attempt,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let checkpoint = choose(&state, &headers, &body);
    let subject = checkpoint.as_ref().map_or("unknown", |checkpoint| &checkpoint.name).to_owned();
    let operator = state.admit(&attempt, ACTION, &subject).await?;
    let (outcome, detail) = match &checkpoint {
        Ok(checkpoint) => (AuditOutcome::Done, json!({ "suite": checkpoint.suite.name, "table": checkpoint.table })),
        Err(problem) => (AuditOutcome::Refused, json!({ "status": problem.status().as_u16() })),
    };
    state.record(&operator, ACTION, &subject, outcome, detail).await?;
    let checkpoint = checkpoint?;
    tracing::info!(checkpoint = checkpoint.name, by = operator.name, "a run on demand");

    let Some(run) = state.runner.begin(&checkpoint) else { return Err(busy(&checkpoint.name)) };
    let wait = if is_asynchronous(&headers) { Duration::ZERO } else { WAIT };
    let Ok(ended) = tokio::time::timeout(wait, run).await else {
        let name = utf8_percent_encode(&checkpoint.name, NON_ALPHANUMERIC);
        let location = [(header::LOCATION, format!("/api/v1/checkpoints/{name}"))];
        return Ok((StatusCode::ACCEPTED, location, Json(view_of(&state, &checkpoint).await?)).into_response());
    };
    let problem = match ended {
        Ok(Ok(Some((run_id, _)))) => {
            let (run, _) =
                state.feed.store.validation_run(run_id).await?.ok_or_else(|| Problem::unknown_run(run_id))?;
            let location = [(header::LOCATION, format!("/api/v1/validations/{run_id}"))];
            return Ok((StatusCode::CREATED, location, Json(run)).into_response());
        }
        Ok(Ok(None)) => busy(&checkpoint.name),
        Ok(Err(RunError::Asset(AssetError::Missing(table)))) => {
            let detail = format!("It could not be run: there is no table or view {table}.");
            Problem::new(StatusCode::CONFLICT, "unknown_table", "Unknown table", detail)
        }
        Ok(Err(RunError::Asset(AssetError::Database(error)) | RunError::Database(error))) => {
            ReadError::from(error).into()
        }
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => busy(&checkpoint.name), // the server is being stopped
        },
    };
    let detail = json!({ "status": problem.status().as_u16() });
    state.record(&operator, ACTION, &subject, AuditOutcome::Failed, detail).await?;
    Err(problem)
}

/// The checkpoint that is ordered, if it can be run now.
fn choose(state: &AppState, headers: &HeaderMap, body: &Bytes) -> Result<Checkpoint, Problem> {
    let order: RunOrder = read_body(headers, body)?;
    let name = order.checkpoint.ok_or_else(|| Problem::invalid_parameter("checkpoint", "is missing"))?;
    let checkpoint = find(state, &name)?;
    match state.runner.progress(&name).running_since {
        None => Ok(checkpoint.clone()),
        Some(_) => Err(busy(&name)),
    }
}

fn busy(name: &str) -> Problem {
    let detail = format!("{name} is being run; GET /api/v1/checkpoints tells when that is over.");
    Problem::new(StatusCode::CONFLICT, "already_running", "Already running", detail)
}

/// Whether the client would rather not wait (RFC 7240).
fn is_asynchronous(headers: &HeaderMap) -> bool {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    preferences.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case("respond-async"))
}
