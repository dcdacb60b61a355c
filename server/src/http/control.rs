//! The pipeline as operators see and steer it. What it does is everybody's to see; orders are for who has the token.
//!
//! An order is for the pipeline of this process. It is taken at once and carried out in its own time: the answer, and
//! `GET /api/v1/pipeline` after it, say how far it is.

use super::{
    AppState, Problem,
    gate::Attempt,
    order::{OrderRefusals, read_body, whole},
    pipeline_view::PipelineView,
};
use crate::{
    config::Topic,
    pipeline::{Controls, PartitionStatus, Status},
    store::{AuditOutcome, PartitionKey},
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::str::FromStr;
use utoipa::ToSchema;

const TAG: &str = "Control";

/// What an order is about. Nothing given: everything.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// Only partitions of this topic.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,249}$")]
    topic: Option<String>,
    /// Only this partition of the topic.
    #[serde(default, deserialize_with = "whole")]
    partition: Option<i32>,
}

impl Scope {
    /// # Errors
    /// 415 when the body is no JSON by its header, 400 when it is not what is expected.
    fn read(order: Order, headers: &HeaderMap, body: &Bytes) -> Result<Self, Problem> {
        let scope: Self = read_body(headers, body)?;
        match &scope {
            Self { topic: None, partition: Some(_) } => {
                Err(Problem::invalid_parameter("topic", "is missing: a partition is one of a topic"))
            }
            Self { topic: Some(_), .. } if order == Order::Drain => Err(Problem::invalid_parameter(
                "topic",
                "is not possible here: a drain is of everything; pause it instead",
            )),
            Self { topic: Some(topic), .. } => {
                topic.parse::<Topic>().map_err(|reason| Problem::invalid_parameter("topic", &reason))?;
                Ok(scope)
            }
            Self { topic: None, partition: None } => Ok(scope),
        }
    }

    fn subject(&self) -> String {
        let topic = self.topic.as_deref().unwrap_or("all");
        self.partition.map_or_else(|| topic.to_owned(), |partition| format!("{topic}[{partition}]"))
    }

    /// The partitions of this process that are meant; `None`: everything.
    ///
    /// # Errors
    /// 404 when none is.
    fn partitions(&self, status: &Status) -> Result<Option<Vec<PartitionKey>>, Problem> {
        let Some(topic) = &self.topic else { return Ok(None) };
        let meant = |partition: &&PartitionStatus| {
            partition.topic == *topic && self.partition.is_none_or(|number| partition.partition == number)
        };
        let key = |partition: &PartitionStatus| PartitionKey {
            topic: partition.topic.clone(),
            partition: partition.partition,
        };
        let found: Vec<_> = status.partitions.iter().filter(meant).map(key).collect();
        if found.is_empty() {
            let detail = format!(
                "This process does not consume {}; GET /api/v1/pipeline lists what it consumes.",
                self.subject()
            );
            return Err(Problem::new(StatusCode::NOT_FOUND, "unknown_partition", "Unknown partition", detail));
        }
        Ok(Some(found))
    }
}

/// An order was taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderTaken {
    /// Whether it changed what is wanted; false when that was wanted already.
    changed: bool,
    /// The pipeline as it was when the order was taken.
    pipeline: PipelineView,
}

/// What can be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// Stop fetching; what is in flight is finished.
    Pause,
    /// Go on: after a pause, after a drain, or when the flood guard stopped a partition.
    Resume,
    /// The same as `resume`.
    Start,
    /// Stop fetching everywhere, commit what is in flight, and count as stopped until started again.
    Drain,
}

impl Order {
    fn action(self) -> &'static str {
        match self {
            Self::Pause => "pipeline.pause",
            Self::Resume => "pipeline.resume",
            Self::Start => "pipeline.start",
            Self::Drain => "pipeline.drain",
        }
    }

    /// Whether it changed what is wanted.
    fn give(self, controls: &Controls, partitions: Option<&[PartitionKey]>, by: &str) -> bool {
        let any = |order: &dyn Fn(&PartitionKey) -> bool| {
            partitions.map(|keys| keys.iter().fold(false, |changed, key| order(key) | changed))
        };
        match self {
            Self::Pause => any(&|key| controls.pause_partition(key, by)).unwrap_or_else(|| controls.pause(by)),
            Self::Resume | Self::Start => {
                any(&|key| controls.resume_partition(key)).unwrap_or_else(|| controls.resume())
            }
            Self::Drain => controls.drain(by),
        }
    }
}

impl FromStr for Order {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        match text {
            "pause" => Ok(Self::Pause),
            "resume" => Ok(Self::Resume),
            "start" => Ok(Self::Start),
            "drain" => Ok(Self::Drain),
            _ => Err(Problem::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "Not found",
                "There are the orders pause, resume, start and drain.",
            )),
        }
    }
}

/// The pipeline: state, partitions, offsets, lag, and what became of every record.
#[utoipa::path(get, path = "/api/v1/pipeline", tag = TAG, operation_id = "find_pipeline", responses(
    (status = 200, description = "The pipeline as of now", body = PipelineView),
))]
pub async fn find_pipeline(State(state): State<AppState>) -> Json<PipelineView> {
    Json(PipelineView::of(&state.feed.store, &state.feed.status, state.gate.is_open()).await)
}

/// Gives the pipeline of this process an order, about everything or about what the body names.
#[utoipa::path(post, path = "/api/v1/pipeline/{order}", tag = TAG, operation_id = "order_pipeline",
    params(("order" = inline(Order), Path, description = "What to do")),
    request_body(content = Option<Scope>, description = "What it is about; without a body, everything"),
    security(("control_token" = [])),
    responses((status = 200, description = "Taken; it is carried out in its own time", body = OrderTaken), OrderRefusals)
)]
pub async fn order_pipeline(
    State(state): State<AppState>,
    Path(order): Path<String>,
    attempt: Attempt,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<OrderTaken>, Problem> {
    let order: Order = order.parse()?;
    let scope = Scope::read(order, &headers, &body);
    let subject = scope.as_ref().map_or_else(|_| "unknown".to_owned(), Scope::subject);
    let operator = state.admit(&attempt, order.action(), &subject).await?;
    let partitions = scope.and_then(|scope| scope.partitions(&state.feed.status.borrow()));
    let (outcome, detail) = match &partitions {
        Ok(_) => (AuditOutcome::Done, json!({})),
        Err(problem) => (AuditOutcome::Refused, json!({ "status": problem.status().as_u16() })),
    };
    state.record(&operator, order.action(), &subject, outcome, detail).await?;
    let changed = order.give(&state.controls, partitions?.as_deref(), &operator.name);
    tracing::info!(order = order.action(), subject, by = operator.name, changed, "an order for the pipeline");
    let pipeline = PipelineView::of(&state.feed.store, &state.feed.status, state.gate.is_open()).await;
    Ok(Json(OrderTaken { changed, pipeline }))
}
