//! The decision that a record stays refused, ordered over HTTP. Its bytes stay, and so do the counters: it was refused.

use super::{
    AppState, Problem,
    error::ProblemBody,
    gate::Attempt,
    order::{OrderRefusals, read_body, whole},
    redrive::read_record,
};
use crate::store::{AuditOutcome, QuarantinedRecord, RecordId};
use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

/// As the audit trail names it; the command line's has the same name.
const ACTION: &str = "quarantine.dismiss";
/// Characters of a note.
const LONGEST_NOTE: usize = 1_000;

/// Which record, and why.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DismissOrder {
    /// The record, written `topic[partition]@offset`.
    #[serde(default)]
    #[schema(
        value_type = String, required,
        example = "dbserver1.stream_db.stock[0]@17",
        pattern = r"^[A-Za-z0-9._-]{1,249}\[(0|[1-9][0-9]{0,8})\]@(0|[1-9][0-9]{0,17})$"
    )]
    record: Option<String>,
    /// Which life of the topic the record is of; without, the newest that has it.
    #[serde(default, deserialize_with = "whole")]
    incarnation: Option<i32>,
    /// Why it stays refused, for those who ask later.
    #[serde(default)]
    #[schema(value_type = String, required, max_length = 1000, pattern = r"\S", example = "a test row; the source has dropped it")]
    note: Option<String>,
}

impl DismissOrder {
    fn read(&self) -> Result<(RecordId, String), Problem> {
        let record = self.record.as_deref().ok_or_else(|| Problem::invalid_parameter("record", "is missing"))?;
        let record = read_record(record).map_err(|reason| Problem::invalid_parameter("record", &reason))?;
        // Python's white space too, which the document's pattern may be read by.
        let is_blank = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
        let note = self.note.as_deref().unwrap_or_default();
        if note.chars().all(is_blank) || note.chars().count() > LONGEST_NOTE {
            let reason = format!("must say why it stays refused, in 1 to {LONGEST_NOTE} characters");
            return Err(Problem::invalid_parameter("note", &reason));
        }
        // Postgres takes no zero byte.
        let note = note.trim().replace('\0', "\u{fffd}");
        Ok((RecordId { incarnation: self.incarnation, ..record }, note))
    }
}

/// Decides that a record stays refused. It can still be redriven, by `force`.
#[utoipa::path(post, path = "/api/v1/quarantine/dismiss", tag = "Control", operation_id = "dismiss_quarantined",
    request_body(content = DismissOrder, description = "Which record, and why"),
    security(("control_token" = [])),
    responses(
        (status = 200, description = "The record as it stands now", body = QuarantinedRecord),
        (status = 409, description = "It was decided before", body = ProblemBody, content_type = "application/problem+json"),
        OrderRefusals,
    )
)]
pub async fn dismiss_quarantined(
    State(state): State<AppState>,
    attempt: Attempt,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<QuarantinedRecord>, Problem> {
    let order = read_body::<DismissOrder>(&headers, &body).and_then(|order| order.read());
    let subject = order.as_ref().map_or_else(|_| "unknown".to_owned(), |(record, _)| record.to_string());
    let operator = state.admit(&attempt, ACTION, &subject).await?;
    let store = &state.feed.store;
    let found = match order {
        Ok((id, note)) => {
            let found = store.find_quarantined(&id).await?;
            found.map(|found| (found.record, note)).ok_or_else(|| Problem::not_quarantined(&id))
        }
        Err(problem) => Err(problem),
    };
    let (record, note) = match found {
        Ok(found) => found,
        Err(problem) => {
            let detail = json!({ "status": problem.status().as_u16() });
            state.record(&operator, ACTION, &subject, AuditOutcome::Refused, detail).await?;
            return Err(problem);
        }
    };
    // It leaves its own row, in the transaction of the decision.
    let dismissed = store.dismiss(&record, &note, &operator.name).await?;
    let id = record.id();
    let now = store.find_quarantined(&id).await?.ok_or_else(|| Problem::not_quarantined(&id))?.record;
    if !dismissed {
        let detail = format!("{id} is {} already; nothing was changed.", now.resolution.state.as_str());
        return Err(Problem::new(StatusCode::CONFLICT, "already_decided", "Already decided", detail));
    }
    Ok(Json(now))
}
