//! Refused records, to be read: which there are, and what exactly arrived.

use super::{
    Problem, Violation,
    cursor::{InvalidCursor, open, seal},
    error::ProblemBody,
    params::{Instant, Limit, Params, Query, Request},
    schema,
};
use crate::{
    pipeline::{Explanation, RecordSuites, explain},
    store::{QuarantineFilter, QuarantinePlace, QuarantinedRecord, ReadError, RecordId, ResolutionState, Store},
};
use axum::{
    Json,
    extract::{Path, State},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use std::str::FromStr;
use utoipa::ToSchema;
use xxhash_rust::xxh3::xxh3_64;

const TAG: &str = "Operations";
/// Records on a page that does not say how many it wants.
const DEFAULT_RECORDS: u32 = 50;
/// Records on the longest page.
const MAX_RECORDS: u32 = 1_000;

/// A page of refused records.
#[derive(Serialize, ToSchema)]
pub struct QuarantinePage {
    pub records: Vec<QuarantinedRecord>,
    /// Pass it as `cursor` for the next page; `null` on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// A refused record with everything that arrived.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "topic": "dbserver1.stream_db.stock", "partition": 0, "incarnation": 1, "offset": 17,
    "received_at": "2024-01-16T14:31:00Z", "timestamp": null, "stage": "decode", "codes": ["not_json"],
    "reason": "value is not JSON: EOF while parsing an object at line 1 column 1", "rule_version": 1, "suites_digest": null, "key_bytes": null,
    "value_bytes": 1, "resolution": {
        "state": "open", "outcome": null, "attempts": 0, "at": null, "by": null, "note": null, "audit_id": null
    },
    "explanation": [{
        "code": "not_json", "rule": "Key and value are JSON.",
        "found": ["value is not JSON: EOF while parsing an object at line 1 column 1"],
        "advice": "Find out who writes to the topic beside the connector, and stop it; then dismiss the record with a note."
    }],
    "acceptable": false, "headers": [["id", "7"], ["authorization", "***"]], "key": null, "value": { "base64": "ew==", "text": "{" }
}))]
pub struct QuarantinedDetail {
    #[serde(flatten)]
    pub record: QuarantinedRecord,
    /// Which rule, which value, and what to do: one for each of `codes`.
    pub explanation: Vec<Explanation>,
    /// Whether today's decoder, rules and suites would let it through.
    pub acceptable: bool,
    /// Pairs of name and value. A value is its text, or an object with its `base64` when it is not UTF-8; those whose names
    /// sound like a secret are `***`.
    #[schema(value_type = Vec<Vec<Value>>)]
    pub headers: Value,
    /// `null` when the record has none.
    #[schema(required)]
    pub key: Option<RawBytes>,
    /// `null` for a tombstone.
    #[schema(required)]
    pub value: Option<RawBytes>,
}

/// Bytes as they arrived.
#[derive(Serialize, ToSchema)]
pub struct RawBytes {
    pub base64: String,
    /// The same as text, when they are UTF-8.
    #[schema(required)]
    pub text: Option<String>,
}

impl From<Vec<u8>> for RawBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self { base64: STANDARD.encode(&bytes), text: String::from_utf8(bytes).ok() }
    }
}

/// What became of the records asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Somebody still has to decide.
    Open,
    All,
    One(ResolutionState),
}

impl FromStr for Wanted {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "open" => Ok(Self::Open),
            "all" => Ok(Self::All),
            _ => ResolutionState::ALL
                .into_iter()
                .find(|state| state.as_str() == text)
                .map(Self::One)
                .ok_or("must be open (with what was refused again), refused_again, redriven, dismissed or all"),
        }
    }
}

/// A reason's or a stage's name.
struct Name(String);

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let legal = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if legal { Ok(Self(text.to_owned())) } else { Err("must be a name such as not_json or price_range") }
    }
}

/// The code of a refusal: a name, or `suite:…`, the code of an unmet expectation.
struct Code(String);

impl FromStr for Code {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let legal = text.len() <= 200 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:,-".contains(&b));
        if legal { Ok(Self(text.to_owned())) } else { Err("must be a code such as not_json or price_range") }
    }
}

/// Where a page ended, and the question it answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    place: QuarantinePlace,
    question: u64,
}

impl Cursor {
    fn encode(&self) -> String {
        let QuarantinePlace { received_at, topic_id, incarnation, partition, offset } = self.place;
        let at = received_at.timestamp_micros();
        let question = self.question;
        seal(&format!("1 {at} {topic_id} {incarnation} {partition} {offset} {question:x}"))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let plain = open(text)?;
            let parts: Vec<&str> = plain.split(' ').collect();
            let ["1", at, topic_id, incarnation, partition, offset, question] = parts[..] else { return None };
            let received_at = DateTime::from_timestamp_micros(at.parse().ok()?)?;
            let place = QuarantinePlace {
                received_at: Some(received_at).filter(|at| super::params::is_in_calendar(*at))?,
                topic_id: topic_id.parse().ok()?,
                incarnation: incarnation.parse().ok()?,
                partition: partition.parse().ok()?,
                offset: offset.parse().ok()?,
            };
            Some(Self { place, question: u64::from_str_radix(question, 16).ok()? })
        };
        parse().ok_or(InvalidCursor)
    }
}

/// The question as a number: a cursor does not fit another one.
fn question(filter: &QuarantineFilter) -> u64 {
    let states: Vec<&str> = filter.states.iter().map(|state| state.as_str()).collect();
    let parts = (&filter.topic, filter.partition, &filter.code, &filter.stage, filter.since, states);
    xxh3_64(serde_json::to_string(&parts).unwrap_or_default().as_bytes())
}

/// Which refused records.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct QuarantineListRequest {
    /// Of this topic.
    #[param(value_type = String, required = false, pattern = "^[A-Za-z0-9._-]{0,249}$", example = "dbserver1.stream_db.stock")]
    topic: Option<String>,
    /// Of this partition.
    #[param(value_type = i32, required = false, minimum = 0)]
    partition: Option<i32>,
    /// With this reason among theirs.
    #[param(value_type = String, required = false, pattern = "^[A-Za-z0-9_.:,-]{0,200}$", example = "envelope")]
    code: Option<String>,
    /// Refused at this stage: `decode`, `rules`, `suite`, or later `store`, `redrive`.
    #[param(value_type = String, required = false, pattern = "^[a-z0-9_]{0,64}$", example = "rules")]
    stage: Option<String>,
    /// Received at this instant (RFC 3339) or later; a day is its midnight in New York.
    #[param(value_type = schema::Instant, inline, required = false, example = "2024-01-16T14:30:00Z")]
    since: Option<DateTime<Utc>>,
    /// `open` (the default): somebody still has to decide, `refused_again` ones included; or one state; or `all`.
    #[param(value_type = String, required = false, pattern = "^(open|refused_again|redriven|dismissed|all)?$", example = "open")]
    state: Vec<ResolutionState>,
    /// Records on a page.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 1_000, default = 50)]
    limit: u32,
    /// `next_cursor` of the page before; everything else must stay as it was.
    #[param(value_type = String, required = false, pattern = "^[A-Za-z0-9_-]*$")]
    cursor: Option<QuarantinePlace>,
}

impl Request for QuarantineListRequest {
    fn read(params: &mut Params) -> Option<Self> {
        let topic = params.optional::<crate::config::Topic>("topic").map(|topic| topic.0);
        let partition: Option<i32> = params.optional("partition");
        if partition.is_some_and(|partition| partition < 0) {
            params.report("partition", "must be a whole number from 0");
        }
        let code = params.optional("code").map(|Code(code)| code);
        let stage = params.optional("stage").map(|Name(stage)| stage);
        let since = params.optional("since").map(|Instant(since)| since);
        let state = match params.optional("state").unwrap_or(Wanted::Open) {
            Wanted::Open => QuarantineFilter::open().states,
            Wanted::All => Vec::new(),
            Wanted::One(state) => vec![state],
        };
        let Limit(limit) = params.optional::<Limit<MAX_RECORDS>>("limit").unwrap_or(Limit(DEFAULT_RECORDS));
        let cursor: Option<Cursor> = params.optional("cursor");
        let request =
            Self { topic, partition, code, stage, since, state, limit, cursor: cursor.map(|cursor| cursor.place) };
        if cursor.is_some_and(|cursor| cursor.question != question(&request.filter())) {
            params.report("cursor", "belongs to another question");
        }
        Some(request)
    }
}

impl QuarantineListRequest {
    fn filter(&self) -> QuarantineFilter {
        QuarantineFilter {
            topic: self.topic.clone(),
            partition: self.partition,
            code: self.code.clone(),
            stage: self.stage.clone(),
            since: self.since,
            states: self.state.clone(),
        }
    }
}

/// The records that were refused, newest first, page by page, with the reasons and what became of each.
#[utoipa::path(get, path = "/api/v1/quarantine", tag = TAG, operation_id = "list_quarantine", params(QuarantineListRequest), responses(
    (status = 200, description = "A page of refused records; an empty one when there are none", body = QuarantinePage),
    (status = 400, description = "Parameters are wrong; all of them are named", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn list_quarantine(
    State(store): State<Store>,
    Query(request): Query<QuarantineListRequest>,
) -> Result<Json<QuarantinePage>, Problem> {
    Ok(Json(page_of(&store, &request).await?))
}

/// The page of refused records that is asked for.
///
/// # Errors
/// Postgres does not answer.
pub(super) async fn page_of(store: &Store, request: &QuarantineListRequest) -> Result<QuarantinePage, ReadError> {
    let filter = request.filter();
    // One more than shown tells whether there is another page.
    let mut found = store.quarantined(&filter, request.cursor, request.limit + 1).await?;
    let more = found.len() > request.limit as usize;
    found.truncate(request.limit as usize);
    let last = found.last().filter(|_| more);
    let next_cursor = last.map(|(place, _)| Cursor { place: *place, question: question(&filter) }.encode());
    Ok(QuarantinePage { records: found.into_iter().map(|(_, record)| record).collect(), next_cursor })
}

/// Which life of the topic.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct QuarantineFindRequest {
    /// Which life of the topic, when it was re-created; the newest that has this record when not given.
    #[param(value_type = i32, required = false, minimum = 1)]
    incarnation: Option<i32>,
}

impl Request for QuarantineFindRequest {
    fn read(params: &mut Params) -> Option<Self> {
        Some(Self { incarnation: params.optional("incarnation") })
    }
}

/// One refused record with its headers, key and value as they arrived.
#[utoipa::path(get, path = "/api/v1/quarantine/{topic}/{partition}/{offset}", tag = TAG, operation_id = "find_quarantine",
    params(
        ("topic" = String, Path, description = "Topic of the record", example = "dbserver1.stream_db.stock"),
        ("partition" = i32, Path, description = "Partition of the record", minimum = 0),
        ("offset" = i64, Path, description = "Offset of the record", minimum = 0),
        QuarantineFindRequest,
    ),
    responses(
        (status = 200, description = "The record", body = QuarantinedDetail),
        (status = 400, description = "Parameters are wrong; all of them are named", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "It is not in quarantine", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn find_quarantine(
    State(store): State<Store>,
    State(suites): State<RecordSuites>,
    Path((topic, partition, offset)): Path<(String, String, String)>,
    Query(request): Query<QuarantineFindRequest>,
) -> Result<Json<QuarantinedDetail>, Problem> {
    let wrong =
        |parameter: &str| Violation { parameter: parameter.to_owned(), reason: "must be a whole number".to_owned() };
    let (partition, offset) = match (partition.parse(), offset.parse()) {
        (Ok(partition), Ok(offset)) => (partition, offset),
        (partition, offset) => {
            let violations = [partition.err().map(|_| wrong("partition")), offset.err().map(|_| wrong("offset"))];
            return Err(Problem::invalid_parameters(violations.into_iter().flatten().collect()));
        }
    };
    let id = RecordId { topic, partition, offset, incarnation: request.incarnation };
    let found = store.find_quarantined(&id).await?.ok_or_else(|| Problem::not_quarantined(&id))?;
    let explained = explain(&found, &suites);
    Ok(Json(QuarantinedDetail {
        explanation: explained.reasons,
        acceptable: explained.acceptable,
        headers: found.headers_without_secrets(),
        key: found.key.map(RawBytes::from),
        value: found.value.map(RawBytes::from),
        record: found.record,
    }))
}
