//! Another chance for refused records, ordered over HTTP; how it works is `store`'s, who may order it the gate's.

use super::{
    AppState, Problem,
    control::{OrderRefusals, read_body},
    gate::Attempt,
};
use crate::{
    pipeline,
    store::{AuditOutcome, IsSimulated, RecordId, RedriveError, RedriveReport, RedriveRequest, Selection},
};
use axum::{Json, body::Bytes, extract::State, http::HeaderMap, http::StatusCode};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;

/// As the audit trail names it; the command line's redrive has the same name.
const ACTION: &str = "quarantine.redrive";

/// Which records. Nothing given: every open one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedriveOrder {
    /// This one record, written `topic[partition]@offset`; nothing else selects then.
    #[schema(example = "dbserver1.stream_db.stock[0]@17")]
    record: Option<String>,
    /// Which life of the topic the record is of; without, the newest that has it.
    incarnation: Option<i32>,
    /// Only open records of this topic.
    topic: Option<String>,
    /// Only open records that were refused with this code.
    code: Option<String>,
    /// Say what would happen and change nothing.
    #[serde(default)]
    dry_run: bool,
    /// Also what was refused again and again, or dismissed.
    #[serde(default)]
    force: bool,
}

impl RedriveOrder {
    fn selection(&self) -> Result<Selection, Problem> {
        let texts = [("record", &self.record), ("topic", &self.topic), ("code", &self.code)];
        for (name, text) in texts {
            if text.as_ref().is_some_and(|text| text.len() > 300 || text.contains('\0')) {
                return Err(Problem::invalid_parameter(name, "is longer than 300 bytes, or has a NUL in it"));
            }
        }
        let Some(record) = &self.record else {
            return Ok(Selection::Open { topic: self.topic.clone(), code: self.code.clone() });
        };
        if self.topic.is_some() || self.code.is_some() {
            return Err(Problem::invalid_parameter("record", "stands alone: leave topic and code out"));
        }
        let record: RecordId = record.parse().map_err(|reason| Problem::invalid_parameter("record", reason))?;
        Ok(Selection::One(RecordId { incarnation: self.incarnation, ..record }))
    }

    fn subject(&self) -> &str {
        [&self.record, &self.topic].into_iter().find_map(Option::as_deref).unwrap_or("all")
    }
}

/// Gives refused records another chance, by the decoder and rules of this version and at the place in the order that they
/// had. At most 10,000 at once; `more` says whether to ask again.
#[utoipa::path(post, path = "/api/v1/quarantine/redrive", tag = "Control", operation_id = "redrive_quarantine",
    request_body(content = Option<RedriveOrder>, description = "Which records; without a body, every open one"),
    security(("control_token" = [])),
    responses((status = 200, description = "What became of each record", body = RedriveReport), OrderRefusals)
)]
pub async fn redrive_quarantine(
    State(state): State<AppState>,
    attempt: Attempt,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<RedriveReport>, Problem> {
    let order = read_body::<RedriveOrder>(&headers, &body).and_then(|order| {
        let selection = order.selection()?;
        Ok((order, selection))
    });
    let subject = order.as_ref().map_or("unknown", |(order, _)| order.subject()).to_owned();
    let operator = state.admit(&attempt, ACTION, &subject).await?;
    let refused = async |problem: Problem| {
        let detail = json!({ "status": problem.status().as_u16() });
        match state.record(&operator, ACTION, &subject, AuditOutcome::Refused, detail).await {
            Ok(()) => problem,
            Err(unrecorded) => unrecorded,
        }
    };
    let (order, selection) = match order {
        Ok(order) => order,
        Err(problem) => return Err(refused(problem).await),
    };
    let request =
        RedriveRequest { selection, dry_run: order.dry_run, force: order.force, actor: operator.name.clone() };
    // What is done leaves its rows in the transactions of the changes.
    let is_simulated: IsSimulated = Arc::new(|_| false);
    match pipeline::redrive(&state.feed.store, &request, &is_simulated).await {
        Ok(report) => Ok(Json(report)),
        Err(RedriveError::Read(error)) => Err(error.into()),
        Err(error @ RedriveError::NotFound(_)) => Err(refused(Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_record",
            "Unknown record",
            format!("{error}; GET /api/v1/quarantine lists what is."),
        ))
        .await),
        Err(error @ RedriveError::Busy(_)) => {
            Err(refused(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Busy", error.to_string())).await)
        }
    }
}
