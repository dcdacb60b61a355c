//! The audit trail, for who has the control token.

use super::{
    AppState, Problem,
    gate::Attempt,
    order::OrderRefusals,
    params::{Limit, Params, Query, Request},
    redrive::read_record,
};
use crate::store::{AuditRow, RecordId};
use axum::{Json, extract::State};
use utoipa::IntoParams;

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
#[utoipa::path(get, path = "/api/v1/audit", tag = "Control", operation_id = "list_audit", params(AuditRequest),
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
