//! Another chance for refused records, ordered over HTTP; how it works is `store`'s, who may order it the gate's.

use super::{
    AppState, Problem,
    gate::Attempt,
    order::{OrderRefusals, read_body, whole},
};
use crate::{
    config::Topic,
    pipeline,
    store::{
        AuditOutcome, IsSimulated, ReadError, RecordId, RedriveError, RedriveReport, RedriveRequest, Selection, Store,
    },
};
use axum::{Json, body::Bytes, extract::State, http::HeaderMap, http::StatusCode};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;

/// As the audit trail names it; the command line's redrive has the same name.
const ACTION: &str = "quarantine.redrive";

/// Which records: those for which everything holds that is given. Nothing given: every open one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedriveOrder {
    /// This one record, written `topic[partition]@offset`, open or not.
    #[schema(
        example = "dbserver1.stream_db.stock[0]@17",
        pattern = r"^[A-Za-z0-9._-]{1,249}\[(0|[1-9][0-9]{0,8})\]@(0|[1-9][0-9]{0,17})$"
    )]
    record: Option<String>,
    /// Which life of the topic the record is of; without, the newest that has it.
    #[serde(default, deserialize_with = "whole")]
    incarnation: Option<i32>,
    /// Only records of this topic; without `record`, open ones.
    #[schema(pattern = "^[A-Za-z0-9._-]{1,249}$")]
    topic: Option<String>,
    /// Only records that were refused with this code; without `record`, open ones.
    #[schema(pattern = "^[A-Za-z0-9_.:,-]{1,200}$")]
    code: Option<String>,
    /// A corrected copy of the record's value, which is redriven in its place and at the place in the order that the
    /// original had: with other columns of the row, and otherwise as the original is.
    value: Option<String>,
    /// Say what would happen and change nothing.
    #[serde(default)]
    dry_run: bool,
    /// Also what was refused again and again, or dismissed.
    #[serde(default)]
    force: bool,
}

impl RedriveOrder {
    fn selection(&self) -> Result<Selection, Problem> {
        if let Some(topic) = &self.topic {
            topic.parse::<Topic>().map_err(|reason| Problem::invalid_parameter("topic", &reason))?;
        }
        let is_code = |code: &String| {
            let is_part = |c: u8| c.is_ascii_alphanumeric() || b"_.:,-".contains(&c);
            (1..=200).contains(&code.len()) && code.bytes().all(is_part)
        };
        if !self.code.as_ref().is_none_or(is_code) {
            return Err(Problem::invalid_parameter("code", "is no code: 1 to 200 characters of A-Z a-z 0-9 _ . : , -"));
        }
        let Some(record) = &self.record else {
            if self.value.is_some() {
                return Err(Problem::invalid_parameter("value", "is a copy of one record's value: name it as record"));
            }
            return Ok(Selection::Open { topic: self.topic.clone(), code: self.code.clone() });
        };
        let record = read_record(record).map_err(|reason| Problem::invalid_parameter("record", &reason))?;
        let id = RecordId { incarnation: self.incarnation, ..record };
        Ok(match &self.value {
            Some(value) => Selection::Copy { of: id, value: value.clone() },
            None => Selection::One(id),
        })
    }

    /// Whether the one record that is meant is also what else the order says of it.
    async fn holds(&self, record: &RecordId, store: &Store) -> Result<bool, ReadError> {
        let Some(code) = &self.code else {
            return Ok(self.topic.as_ref().is_none_or(|topic| *topic == record.topic));
        };
        let found = store.find_quarantined(record).await?;
        Ok(found.is_some_and(|found| {
            self.topic.as_ref().is_none_or(|topic| *topic == record.topic) && found.record.codes.contains(code)
        }))
    }

    fn subject(&self) -> &str {
        [&self.record, &self.topic].into_iter().find_map(Option::as_deref).unwrap_or("all")
    }
}

/// The record that a text names, in the one way in which it is written.
pub(super) fn read_record(text: &str) -> Result<RecordId, String> {
    let record: RecordId = text.parse()?;
    record.topic.parse::<Topic>()?;
    let RecordId { topic, partition, offset, .. } = &record;
    if *partition < 0 || *offset < 0 || format!("{topic}[{partition}]@{offset}") != text {
        return Err("has a partition or an offset that is no plain number from 0".into());
    }
    Ok(record)
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
    if let Selection::One(record) | Selection::Copy { of: record, .. } = &selection
        && !order.holds(record, &state.feed.store).await?
    {
        let detail = "No refused record is all that the order says of it; GET /api/v1/quarantine lists what is.";
        let problem = Problem::new(StatusCode::NOT_FOUND, "unknown_record", "Unknown record", detail);
        return Err(refused(problem).await);
    }
    let request =
        RedriveRequest { selection, dry_run: order.dry_run, force: order.force, actor: operator.name.clone() };
    // What is done leaves its rows in the transactions of the changes.
    let is_simulated: IsSimulated = Arc::new(|_| false);
    match pipeline::redrive(&state.feed.store, &request, &state.suites, &is_simulated).await {
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
