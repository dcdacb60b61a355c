//! Refusals, all of one shape: `application/problem+json` (RFC 9457) with the extra members `code` and `message`.
//!
//! The policy: what the client can mend (4xx) is said exactly, every wrong parameter at once. What it cannot (5xx) is
//! said in general words with an `instance` that also stands in the log, where the cause is; causes never leave the
//! server. A refusal travels with its answer, so that a [dialect](super::dialect) can say it in other words.

use crate::store::{ReadError, RecordId};
use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use market::Symbol;
use serde::Serialize;
use std::any::Any;
use utoipa::ToSchema;
use uuid::Uuid;

/// Seconds after which a client may ask again what the server could not answer.
const RETRY_AFTER_SECONDS: u32 = 5;

/// A refusal.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    /// The kind of problem, for programs.
    code: &'static str,
    /// The kind of problem, in words.
    title: &'static str,
    /// What is wrong this time.
    detail: String,
    instance: Option<Uuid>,
    /// Seconds after which the client may ask again.
    retry_after: Option<u32>,
    violations: Vec<Violation>,
}

/// A refusal as JSON.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "urn:stockstream:problem:unknown_symbol", "title": "Unknown symbol", "status": 404,
    "detail": "No row of NOPE was ever stored; /api/v1/symbols lists what there is.",
    "code": "unknown_symbol", "message": "No row of NOPE was ever stored; /api/v1/symbols lists what there is."
}))]
pub struct ProblemBody<'a> {
    /// Names the kind of problem, as a URI.
    #[serde(rename = "type")]
    kind: String,
    /// The kind of problem in words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What is wrong this time.
    detail: &'a str,
    /// The kind of problem, for programs.
    code: &'a str,
    /// The same as `detail`, for clients that look for it here.
    message: &'a str,
    /// This one occurrence; the server's log has the cause under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// Each parameter that is wrong, and why.
    #[serde(skip_serializing_if = "<[Violation]>::is_empty")]
    errors: &'a [Violation],
}

/// A parameter that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Violation {
    pub parameter: String,
    pub reason: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER_SECONDS);
        Self { status, code, title, detail: detail.into(), instance: None, retry_after, violations: Vec::new() }
    }

    /// What is wrong, for people.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// 400: all that is wrong with the parameters.
    pub fn invalid_parameters(errors: Vec<Violation>) -> Self {
        let detail = errors.iter().map(|e| format!("{}: {}", e.parameter, e.reason)).collect::<Vec<_>>().join("; ");
        let problem = Self::new(StatusCode::BAD_REQUEST, "invalid_parameter", "Invalid parameter", detail);
        Self { violations: errors, ..problem }
    }

    /// 400: one parameter is wrong.
    pub fn invalid_parameter(parameter: &str, reason: &str) -> Self {
        Self::invalid_parameters(vec![Violation { parameter: parameter.into(), reason: reason.into() }])
    }

    /// 404: no row of these symbols was ever stored.
    pub fn unknown_symbol(symbols: &[Symbol]) -> Self {
        let names = symbols.iter().map(Symbol::as_str).collect::<Vec<_>>().join(", ");
        let detail = format!("No row of {names} was ever stored; /api/v1/symbols lists what there is.");
        Self::new(StatusCode::NOT_FOUND, "unknown_symbol", "Unknown symbol", detail)
    }

    /// 404: the symbol is known, but nothing of it lies in the window.
    pub fn no_bars(symbol: &Symbol) -> Self {
        let detail = format!("{symbol} has no bars in this window.");
        Self::new(StatusCode::NOT_FOUND, "no_bars", "No bars", detail)
    }

    /// 404: the symbol is known, and nothing of the bar that starts at this instant.
    pub fn no_bar(symbol: &Symbol, time: chrono::DateTime<chrono::Utc>) -> Self {
        let detail = format!(
            "Nothing is known of a bar of {symbol} at {}; /api/v1/bars lists what there is.",
            time.format("%FT%TZ")
        );
        Self::new(StatusCode::NOT_FOUND, "no_bars", "No bars", detail)
    }

    /// 404: no such record was refused.
    pub fn not_quarantined(id: &RecordId) -> Self {
        let topic: String = id.topic.chars().take(249).collect();
        let id = RecordId { topic, ..id.clone() };
        let detail = format!("{id} is not in quarantine; /api/v1/quarantine?state=all lists what is.");
        Self::new(StatusCode::NOT_FOUND, "not_quarantined", "Not in quarantine", detail)
    }

    /// 404: no such run of a suite.
    pub fn unknown_run(run_id: i64) -> Self {
        let detail = format!("There is no run {run_id}; /api/v1/validations lists what there is.");
        Self::new(StatusCode::NOT_FOUND, "unknown_run", "Unknown run", detail)
    }

    /// 406: the answer cannot be written exactly in the format that was asked for.
    pub(super) fn not_acceptable(why: &str) -> Self {
        let detail = format!("In this page {why}; ask for JSON or CSV.");
        Self::new(StatusCode::NOT_ACCEPTABLE, "not_representable", "Not representable", detail)
    }

    /// 500: the answer is there and could not be written.
    pub(super) fn unwritable(cause: &(dyn std::error::Error + 'static)) -> Self {
        let problem = Self::internal();
        tracing::error!(
            instance = problem.instance.map(tracing::field::display),
            cause,
            "an answer could not be written"
        );
        problem
    }

    /// 410: the window has been corrected since the client got this version of it.
    pub fn corrected() -> Self {
        let detail = "The source has corrected this window since; ask again without version.";
        Self::new(StatusCode::GONE, "corrected", "Corrected since", detail)
    }

    /// 410: what changed cannot be told any more.
    pub fn gone(why: &str) -> Self {
        let detail = format!("{why} Read the bars, and go on without epoch and since.");
        Self::new(StatusCode::GONE, "gone", "History gone", detail)
    }

    /// A request that does not become a socket.
    pub(super) fn no_socket(status: StatusCode, code: &'static str, title: &'static str, detail: String) -> Self {
        Self::new(status, code, title, detail)
    }

    /// 503, with `Retry-After`.
    pub(super) fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Service unavailable",
            "The database does not answer; it is tried again with every request.",
        )
        .logged()
    }

    /// 503, with `Retry-After`: it was given up, so that others get their answers.
    pub fn too_slow() -> Self {
        let detail = "Finding the answer took too long and was given up; ask for less, or again later.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too_slow", "Too slow", detail).logged()
    }

    /// 401: nobody says who asks, or somebody says what is not so.
    pub fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized", detail)
    }

    /// 429, with `Retry-After`.
    pub fn too_many_requests(per_second: u32, whose: &str, retry_after: u32) -> Self {
        let detail = format!("More than {per_second} requests per second come {whose}; go on in {retry_after} s.");
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests", detail);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// A request that could not be read.
    pub fn bad_request(status: StatusCode, reason: impl Into<String>) -> Self {
        Self::new(status, "bad_request", "Bad request", reason)
    }

    /// 413.
    pub fn too_large(limit: usize) -> Self {
        let detail = format!("The body is larger than {limit} bytes, the most that is read.");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "Content too large", detail)
    }

    fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Internal server error",
            "The server failed to answer; its log has the cause.",
        )
        .logged()
    }

    fn logged(self) -> Self {
        Self { instance: Some(Uuid::new_v4()), ..self }
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Each parameter that is wrong, and why.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        if error.is_too_slow() {
            let problem = Self::too_slow();
            tracing::warn!(instance = problem.instance.map(tracing::field::display), %error, "a query took too long");
            problem
        } else if error.is_outage() {
            let problem = Self::unavailable();
            tracing::warn!(instance = problem.instance.map(tracing::field::display), %error, "the database does not answer");
            problem
        } else {
            let problem = Self::internal();
            tracing::error!(instance = problem.instance.map(tracing::field::display), ?error, "a query failed");
            problem
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: format!("urn:stockstream:problem:{}", self.code),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            message: &self.detail,
            instance: self.instance.map(|instance| instance.urn().to_string()),
            errors: &self.violations,
        };
        let body = serde_json::to_vec(&body).expect("strings and numbers always have a JSON form");
        let mut response = (self.status, Body::from(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        match (self.status, self.code) {
            (StatusCode::UNAUTHORIZED, _) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"stockstream\""));
            }
            (_, "insufficient_scope") => {
                let challenge = "Bearer realm=\"stockstream\", error=\"insufficient_scope\"";
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            _ => {}
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// 404 under `/api` and `/udf`.
pub async fn not_found(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(120).collect();
    let detail = format!("There is nothing at {path}; /api/openapi.json lists what there is.");
    Problem::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail)
}

/// 405, with `Allow` as axum knows it; and an answer to `OPTIONS`, which asks for just that header.
pub async fn method_not_allowed(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    let detail = format!("{method} is not possible here; the Allow header says what is.");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed", detail).into_response()
}

/// 500 instead of a cut connection.
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let cause = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "of unknown kind".to_owned());
    let problem = Problem::internal();
    tracing::error!(instance = problem.instance.map(tracing::field::display), cause, "a handler panicked");
    problem.into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use serde_json::Value;

    async fn read(response: Response) -> (StatusCode, Value) {
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn the_cause_of_a_failure_stays_in_the_log() {
        let failed = Problem::from(ReadError::Sql(sqlx::Error::Protocol("column secret".to_owned())));
        for response in [failed.into_response(), panicked(Box::new("secret")), panicked(Box::new(7))] {
            let (status, body) = read(response).await;
            assert_eq!((status, &body["code"]), (StatusCode::INTERNAL_SERVER_ERROR, &Value::from("internal")));
            assert!(body["instance"].as_str().unwrap().starts_with("urn:uuid:"));
            assert!(!body.to_string().contains("secret"), "{body}");
        }
    }

    #[tokio::test]
    async fn a_database_that_is_away_is_503_and_a_wrong_query_is_500() {
        let away = sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        for error in [ReadError::Timeout, ReadError::Sql(away), ReadError::Sql(sqlx::Error::PoolTimedOut)] {
            assert_eq!(Problem::from(error).status(), StatusCode::SERVICE_UNAVAILABLE);
        }
        let wrong = ReadError::Sql(sqlx::Error::ColumnNotFound("close".to_owned()));
        assert_eq!(Problem::from(wrong).status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
