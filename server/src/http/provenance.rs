//! Where a candle came from, for programs and for the dashboard's drawer.

use super::{
    Problem, Violation,
    error::ProblemBody,
    market_data::{TAG, refuse_unknown},
    params::{Instant, Params, Query, Request},
    provenance_schema as shape, schema,
};
use crate::{
    provenance::{self, Archive},
    store::Store,
};
use axum::{
    Json,
    extract::{Path, State},
    response::Html,
};
use market::{Symbol, Timeframe, provenance::Provenance};
use quality::pack::Pack;
use std::sync::Arc;

/// Of which interval.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProvenanceRequest {
    /// Length of the bar. One longer than a minute is told by the minutes in it.
    #[param(value_type = schema::Timeframe, inline, required = false)]
    timeframe: Timeframe,
}

impl Request for ProvenanceRequest {
    fn read(params: &mut Params) -> Option<Self> {
        Some(Self { timeframe: params.optional("timeframe").unwrap_or_default() })
    }
}

/// Where a bar came from: the row that is shown and the change that made it, all changes of the minute that the change log
/// still has (a day of them, if not configured otherwise) with the records before and after as Kafka still has them, the other
/// rows of the source that hold the same minute, what each rule says of the row (the built-in ones of a row, the expectations of
/// the suites its record was held to, and the rules over several bars), and what was refused of the same records.
#[utoipa::path(get, path = "/api/v1/bars/{symbol}/{time}/provenance", tag = TAG, operation_id = "find_provenance",
    params(
        ("symbol" = String, Path, description = "Ticker", example = "AMZN", pattern = "^[A-Z][A-Z0-9.-]{0,14}$"),
        ("time" = DateTime<Utc>, Path, description = "Start of the bar (RFC 3339)", example = "2024-01-16T14:31:00Z"),
        ProvenanceRequest,
    ),
    responses(
        (status = 200, description = "What is known of it", body = shape::Provenance),
        (status = 400, description = "Parameters are wrong; all of them are named", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "Unknown symbol, or nothing is known of this bar", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub async fn find_provenance(
    State(store): State<Store>,
    State(archive): State<Archive>,
    State(pack): State<Arc<Pack>>,
    Path((symbol, time)): Path<(String, String)>,
    Query(ProvenanceRequest { timeframe }): Query<ProvenanceRequest>,
) -> Result<Json<Provenance>, Problem> {
    let wrong = |parameter: &str, reason: String| Violation { parameter: parameter.to_owned(), reason };
    let (symbol, time) = match (symbol.parse::<Symbol>(), time.parse::<Instant>()) {
        (Ok(symbol), Ok(Instant(time))) => (symbol, time),
        (symbol, time) => {
            let symbol = symbol.err().map(|error| wrong("symbol", error.to_string()));
            let time = time.err().map(|error| wrong("time", error.to_owned()));
            return Err(Problem::invalid_parameters(symbol.into_iter().chain(time).collect()));
        }
    };
    match provenance::find(&store, &archive, &pack, symbol.clone(), time, timeframe).await? {
        Some(found) => Ok(Json(found)),
        None => {
            refuse_unknown(&store, std::slice::from_ref(&symbol)).await?;
            Err(Problem::no_bar(&symbol, time))
        }
    }
}

/// The same for people, as HTML that the dashboard's drawer shows.
pub async fn tell_provenance(
    store: State<Store>,
    archive: State<Archive>,
    pack: State<Arc<Pack>>,
    path: Path<(String, String)>,
    query: Query<ProvenanceRequest>,
) -> Result<Html<String>, Problem> {
    let Json(found) = find_provenance(store, archive, pack, path, query).await?;
    Ok(Html(app::provenance::told(found)))
}
