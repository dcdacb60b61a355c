//! For supervisors and Prometheus: is the process alive, can it do its work, and how much did it do.

use super::AppState;
use crate::{feed::Feed, pipeline::StatusHandle, store::Store};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use chrono::{DateTime, Utc};
use market::wire::PipeState;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

const TAG: &str = "Operations";
/// How long Postgres may take to say that it is there.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether the server can do its work, and what it depends on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "ready": false,
    "dependencies": [
        {"name": "postgres", "ready": true, "state": "answers", "reason": null, "since": null},
        {"name": "pipeline", "ready": false, "state": "retrying", "reason": "Kafka does not answer",
         "since": "2024-01-16T14:31:00Z"},
        {"name": "server", "ready": true, "state": "serves", "reason": null, "since": null}
    ]
}))]
pub struct Readiness {
    ready: bool,
    dependencies: Vec<Dependency>,
}

/// Something the server depends on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Dependency {
    #[schema(value_type = String)]
    name: &'static str,
    ready: bool,
    #[schema(value_type = String)]
    state: &'static str,
    /// Why it is in this state, when there is something to say.
    reason: Option<String>,
    /// Since when it is in this state, when that is known.
    since: Option<DateTime<Utc>>,
}

/// 200 as long as the process answers at all.
#[utoipa::path(get, path = "/livez", tag = TAG, operation_id = "livez", responses(
    (status = 200, description = "Alive", body = String, content_type = "text/plain"),
))]
pub async fn livez() -> &'static str {
    "alive\n"
}

/// Whether Postgres answers and the pipeline runs. A pipeline of which a
/// part is paused, by an operator or by the flood guard, is not ready: its data falls behind.
#[utoipa::path(get, path = "/readyz", tag = TAG, operation_id = "readyz", responses(
    (status = 200, description = "Ready", body = Readiness),
    (status = 503, description = "Not ready; each dependency says why", body = Readiness),
))]
pub async fn readyz(State(state): State<AppState>) -> (StatusCode, Json<Readiness>) {
    let dependencies = vec![postgres(&state.feed.store).await, pipeline(&state.feed.status), server(&state.feed)];
    let ready = dependencies.iter().all(|dependency| dependency.ready);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, dependencies }))
}

/// A server that was told to stop finishes what it has; new work belongs elsewhere.
fn server(feed: &Feed) -> Dependency {
    let draining = feed.shutdown.is_cancelled();
    let (state, reason) =
        if draining { ("draining", Some("it was told to stop".to_owned())) } else { ("serves", None) };
    Dependency { name: "server", ready: !draining, state, reason, since: None }
}

async fn postgres(store: &Store) -> Dependency {
    let reason = match tokio::time::timeout(PING_TIMEOUT, store.ping()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => {
            tracing::debug!(%error, "Postgres is not ready");
            Some("Postgres does not answer".to_owned())
        }
        Err(_elapsed) => Some(format!("Postgres did not answer within {} s", PING_TIMEOUT.as_secs())),
    };
    let ready = reason.is_none();
    Dependency { name: "postgres", ready, state: if ready { "answers" } else { "away" }, reason, since: None }
}

fn pipeline(status: &StatusHandle) -> Dependency {
    let status = status.borrow();
    let (state, ready) = match status.state {
        PipeState::Starting => ("starting", false),
        PipeState::Running => ("running", status.partitions.iter().all(|partition| partition.state.is_working())),
        PipeState::Retrying => ("retrying", false),
        PipeState::Paused => ("paused", false),
        PipeState::Stopped => ("stopped", false),
    };
    Dependency { name: "pipeline", ready, state, reason: status.message.clone(), since: Some(status.since) }
}

/// Counters in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = TAG, operation_id = "metrics", responses(
    (status = 200, description = "Prometheus text format 0.0.4", body = String, content_type = "text/plain"),
))]
pub async fn metrics(State(state): State<AppState>) -> impl IntoResponse {
    let store = &state.feed.store;
    for (role, pool) in [("writer", store.pool()), ("reader", store.readers())] {
        let (open, idle) = (f64::from(pool.size()), pool.num_idle() as f64);
        metrics::gauge!("stockstream_postgres_connections", "role" => role, "state" => "idle").set(idle);
        metrics::gauge!("stockstream_postgres_connections", "role" => role, "state" => "busy")
            .set((open - idle).max(0.0));
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.render())
}
