//! The pipeline as operators see and steer it. What it does is everybody's to see; orders are for who has the token.
//!
//! An order is for the pipeline of this process. It is taken at once and carried out in its own time: the answer, and
//! `GET /api/v1/pipeline` after it, say how far it is.

use super::{
    AppState, Problem,
    gate::Attempt,
    params::{Limit, Params, Query, Request},
    redrive::read_record,
};
use crate::{
    config::Topic,
    pipeline::{Controls, PartitionState, PartitionStatus, Status},
    store::{AuditOutcome, AuditRow, PartitionKey, PartitionProgress, RecordId, RetentionGap, SnapshotSweep},
};
use axum::{
    Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
};
use chrono::{DateTime, Utc};
use market::wire::PipeState;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeOwned},
};
use serde_json::json;
use std::{collections::BTreeMap, str::FromStr};
use utoipa::{
    IntoParams, IntoResponses, ToSchema,
    openapi::{self, RefOr},
};

const TAG: &str = "Control";
/// Retention gaps and sweeps that are listed.
const LISTED: i64 = 100;

/// What the pipeline does, and what became of every record.
#[derive(Debug, Serialize, ToSchema)]
pub struct PipelineView {
    /// The whole in one word: `starting`, `running`, `retrying`, `paused` or `stopped`.
    #[schema(value_type = String)]
    state: PipeState,
    since: DateTime<Utc>,
    /// One sentence for the operator, when there is something to say.
    message: Option<String>,
    /// Records not yet committed; null until the broker has said so.
    lag: Option<i64>,
    /// Records consumed by this process.
    consumed: i64,
    /// Whether this server takes orders.
    control: bool,
    /// Whether the counters could be read; without, `counts` are null.
    store_answers: bool,
    partitions: Vec<PartitionView>,
    /// Offsets that had expired in Kafka before they were read, whoever found it; the newest first, at most 100.
    retention_gaps: Vec<RetentionGap>,
    /// What became of the rows that snapshots did not mention; the newest first, at most 100.
    snapshot_sweeps: Vec<SnapshotSweep>,
}

/// One partition: what this process does with it, and what is committed of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PartitionView {
    topic: String,
    partition: i32,
    /// Null: another process has it, or none.
    state: Option<PartitionState>,
    /// Why it is in this state, when there is something to say.
    reason: Option<String>,
    since: Option<DateTime<Utc>>,
    /// Which life of the topic its offsets belong to.
    incarnation: i32,
    /// Offset after the last committed record.
    next_offset: i64,
    lag: Option<i64>,
    /// Records that had expired in Kafka before they were read, found by this process.
    expired: i64,
    counts: Option<Conservation>,
}

/// What became of every record of a partition since it was first read.
#[derive(Debug, Serialize, ToSchema)]
pub struct Conservation {
    consumed: i64,
    applied: i64,
    late: i64,
    duplicate: i64,
    deleted: i64,
    control: i64,
    quarantined: i64,
    /// Of the applied ones.
    tagged: i64,
    /// Whether `consumed = applied + late + duplicate + deleted + control + quarantined`, which must always hold.
    holds: bool,
    updated_at: DateTime<Utc>,
}

impl PipelineView {
    fn new(status: &Status, progress: Option<Vec<PartitionProgress>>, control: bool) -> Self {
        let store_answers = progress.is_some();
        let mut progress = progress.unwrap_or_default();
        let mut partitions: Vec<_> = status
            .partitions
            .iter()
            .map(|live| {
                let stored = progress
                    .iter()
                    .position(|row| row.partition == live.partition && row.topic == live.topic)
                    .map(|index| progress.remove(index));
                PartitionView::live(live, stored)
            })
            .collect();
        partitions.extend(progress.into_iter().map(PartitionView::elsewhere));
        partitions.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        Self {
            state: status.state,
            since: status.since,
            message: status.message.clone(),
            lag: status.lag,
            consumed: status.consumed,
            control,
            store_answers,
            partitions,
            retention_gaps: Vec::new(),
            snapshot_sweeps: Vec::new(),
        }
    }
}

impl PartitionView {
    fn live(live: &PartitionStatus, stored: Option<PartitionProgress>) -> Self {
        Self {
            topic: live.topic.clone(),
            partition: live.partition,
            state: Some(live.state),
            reason: live.reason.clone(),
            since: Some(live.since),
            incarnation: live.incarnation,
            next_offset: live.next_offset,
            lag: live.lag,
            expired: live.expired,
            counts: stored.map(Conservation::from),
        }
    }

    fn elsewhere(stored: PartitionProgress) -> Self {
        Self {
            topic: stored.topic.clone(),
            partition: stored.partition,
            state: None,
            reason: None,
            since: None,
            incarnation: stored.incarnation,
            next_offset: stored.next_offset,
            lag: None,
            expired: 0,
            counts: Some(stored.into()),
        }
    }
}

impl From<PartitionProgress> for Conservation {
    fn from(row: PartitionProgress) -> Self {
        let fates = row.applied + row.late + row.duplicate + row.deleted + row.control + row.quarantined;
        Self {
            consumed: row.consumed,
            applied: row.applied,
            late: row.late,
            duplicate: row.duplicate,
            deleted: row.deleted,
            control: row.control,
            quarantined: row.quarantined,
            tagged: row.tagged,
            holds: row.consumed == fates,
            updated_at: row.updated_at,
        }
    }
}

/// The JSON of a body; without one, what is meant by nothing.
///
/// # Errors
/// 415 when the body is no JSON by its header, 400 when it is not what is expected.
pub(super) fn read_body<T: DeserializeOwned + Default>(headers: &HeaderMap, body: &Bytes) -> Result<T, Problem> {
    if body.is_empty() {
        return Ok(T::default());
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // A form of another page can send text, but not this without asking first.
    if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Unsupported media type",
            "The body must be JSON: send Content-Type: application/json, or no body at all.",
        ));
    }
    // As an object first: serde would also read a list as the fields in their order.
    serde_json::from_slice::<Option<serde_json::Map<_, _>>>(body)
        .and_then(|members| serde_json::from_value(members.unwrap_or_default().into()))
        .map_err(|error| Problem::invalid_parameter("body", &error.to_string()))
}

/// A whole number as JSON Schema understands it, for which 3.0 is one too.
///
/// # Errors
/// It is no whole number, or does not fit.
pub(super) fn whole<'de, D: Deserializer<'de>>(value: D) -> Result<Option<i32>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(value)? else { return Ok(None) };
    let whole =
        number.as_i64().or_else(|| number.as_f64().filter(|float| float.fract() == 0.0).map(|float| float as i64));
    let fits = whole.and_then(|whole| i32::try_from(whole).ok());
    fits.map(Some).ok_or_else(|| de::Error::custom(format!("{number} is not a whole number of 32 bits")))
}

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

/// How a request that changes something can be refused.
pub enum OrderRefusals {}

impl IntoResponses for OrderRefusals {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        let problem = |description: &str| {
            let schema = openapi::Ref::from_schema_name("Problem");
            let content = openapi::ContentBuilder::new().schema(Some(schema)).build();
            let response = openapi::ResponseBuilder::new().description(description);
            response.content("application/problem+json", content).build().into()
        };
        BTreeMap::from([
            ("400".to_owned(), problem("The body is not what is expected")),
            ("401".to_owned(), problem("No token, or not the right one")),
            ("403".to_owned(), problem("Control is off, or the request comes from a page of another origin")),
            ("404".to_owned(), problem("There is no such order, or this process does not have what it is about")),
            ("415".to_owned(), problem("The body is not JSON")),
            ("503".to_owned(), problem("The attempt cannot be recorded, and is not carried out")),
        ])
    }
}

/// The pipeline: state, partitions, offsets, lag, and what became of every record.
#[utoipa::path(get, path = "/api/v1/pipeline", tag = TAG, operation_id = "find_pipeline", responses(
    (status = 200, description = "The pipeline as of now", body = PipelineView),
))]
pub async fn find_pipeline(State(state): State<AppState>) -> Json<PipelineView> {
    Json(view(&state).await)
}

async fn view(state: &AppState) -> PipelineView {
    // What the pipeline does is worth telling above all while the database is away.
    let store = &state.feed.store;
    let stored = tokio::try_join!(store.list_progress(), async { Ok(store.retention_gaps(LISTED).await?) }, async {
        Ok(store.snapshot_sweeps(LISTED).await?)
    },);
    let (progress, retention_gaps, snapshot_sweeps) = match stored {
        Ok((progress, gaps, sweeps)) => (Some(progress), gaps, sweeps),
        Err(error) => {
            tracing::debug!(%error, "counters cannot be read");
            Default::default()
        }
    };
    let view = PipelineView::new(&state.feed.status.borrow(), progress, state.gate.is_open());
    PipelineView { retention_gaps, snapshot_sweeps, ..view }
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
    Ok(Json(OrderTaken { changed, pipeline: view(&state).await }))
}

/// Which attempts.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditRequest {
    /// Only attempts older than this `audit_id`: the next page.
    #[param(value_type = Option<i64>, minimum = 1)]
    before: Option<i64>,
    /// Only those about this refused record, written `topic[partition]@offset`.
    #[param(value_type = Option<String>, pattern = r"^([A-Za-z0-9._-]{1,249}\[(0|[1-9][0-9]{0,8})\]@(0|[1-9][0-9]{0,17}))?$",
        example = "dbserver1.stream_db.stock[0]@17")]
    record: Option<RecordId>,
    /// Which life of the topic the record is of; without, any.
    #[param(value_type = Option<i32>, minimum = 1)]
    incarnation: Option<i32>,
    /// How many at most.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1_000, default = 100)]
    limit: Limit<1_000>,
}

impl Request for AuditRequest {
    fn read(params: &mut Params) -> Option<Self> {
        let (before, limit) = (params.optional("before"), params.optional("limit"));
        if before.is_some_and(|before| before < 1) {
            params.report("before", "must be a whole number from 1");
        }
        let incarnation: Option<i32> = params.optional("incarnation");
        let record = params
            .optional::<String>("record")
            .and_then(|text| read_record(&text).map_err(|reason| params.report("record", reason)).ok());
        if incarnation.is_some_and(|incarnation| incarnation < 1) {
            params.report("incarnation", "must be a whole number from 1");
        }
        Some(Self { before, record, incarnation, limit: limit.unwrap_or(Limit(100)) })
    }
}

/// Who tried to change what, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = TAG, operation_id = "list_audit", params(AuditRequest),
    security(("control_token" = [])),
    responses((status = 200, description = "Attempts, newest first", body = [AuditRow]), OrderRefusals)
)]
pub async fn list_audit(
    State(state): State<AppState>,
    attempt: Attempt,
    Query(request): Query<AuditRequest>,
) -> Result<Json<Vec<AuditRow>>, Problem> {
    state.admit_reader(&attempt)?;
    let store = &state.feed.store;
    let rows = match &request.record {
        Some(record) => {
            store
                .audit_of(
                    &RecordId { incarnation: request.incarnation, ..record.clone() },
                    request.before,
                    request.limit.0,
                )
                .await?
        }
        None => store.list_audit(request.before, request.limit.0).await?,
    };
    Ok(Json(rows))
}
