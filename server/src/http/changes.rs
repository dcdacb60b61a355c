//! Snapshots of symbols, and what changed since: the live stream's promise for those who poll.

use super::{
    AppState, Problem,
    error::ProblemBody,
    market_data::{SymbolList, TAG, refuse_unknown},
    params::{Params, Query, Request},
    schema,
};
use crate::{
    feed::{Answer, Question},
    store::Store,
};
use axum::{Json, extract::State};
use market::{
    Symbol, Timeframe,
    wire::{Changed, Changes, MAX_SYMBOLS, ServerMessage, Snapshot},
};
use uuid::Uuid;

/// Of which symbols.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SnapshotsRequest {
    /// Tickers, separated by commas, 100 at most.
    #[param(
        value_type = String, example = "AMZN,AAPL",
        pattern = "^[A-Z][A-Z0-9.-]{0,14}(,[A-Z][A-Z0-9.-]{0,14}){0,99}$",
    )]
    symbols: Vec<Symbol>,
}

impl Request for SnapshotsRequest {
    fn read(params: &mut Params) -> Option<Self> {
        let SymbolList(symbols) = params.required("symbols")?;
        Some(Self { symbols })
    }
}

/// The newest one-minute bar of each symbol, the bar of its day and the bar of the trading day before, as of one instant.
#[utoipa::path(get, path = "/api/v1/snapshots", tag = TAG, operation_id = "list_snapshots", params(SnapshotsRequest), responses(
    (status = 200, description = "One snapshot per symbol, by name", body = [schema::Snapshot]),
    (status = 400, description = "Parameters are wrong; all of them are named", body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, description = "Unknown symbols; all of them are named", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn list_snapshots(
    State(store): State<Store>,
    Query(SnapshotsRequest { symbols }): Query<SnapshotsRequest>,
) -> Result<Json<Vec<Snapshot>>, Problem> {
    let snapshots = store.snapshots(&symbols).await?;
    if snapshots.len() < symbols.len() {
        refuse_unknown(&store, &symbols).await?;
    }
    Ok(Json(snapshots))
}

/// Since when, and of what.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChangesRequest {
    /// Tickers, separated by commas, 64 at most.
    #[param(
        value_type = String, example = "AMZN,AAPL",
        pattern = "^[A-Z][A-Z0-9.-]{0,14}(,[A-Z][A-Z0-9.-]{0,14}){0,63}$",
    )]
    symbols: Vec<Symbol>,
    /// Length of a bar, of a day at most.
    #[param(value_type = schema::LiveTimeframe, inline, required = false)]
    timeframe: Timeframe,
    /// `epoch` of the answer before. Without `epoch` and `since`, the answer says where the stream stands and has no
    /// changes: read the bars then, and go on from there.
    #[param(value_type = String, required = false, pattern = "^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$")]
    epoch: Option<Uuid>,
    /// `seq` of the answer before.
    #[param(value_type = i64, required = false, minimum = 0)]
    since: Option<i64>,
}

impl Request for ChangesRequest {
    fn read(params: &mut Params) -> Option<Self> {
        let symbols: Option<SymbolList> = params.required("symbols");
        let timeframe: Timeframe = params.optional("timeframe").unwrap_or_default();
        let (epoch, since) = (params.optional("epoch"), params.optional::<i64>("since"));
        let SymbolList(symbols) = symbols?;
        if symbols.len() > MAX_SYMBOLS {
            params.report("symbols", format!("names more than {MAX_SYMBOLS} symbols"));
        }
        if timeframe > Timeframe::DAY_1 {
            params.report("timeframe", "is longer than a day: changes are told in bars of 1d at most");
        }
        match (epoch, since) {
            (Some(_), None) => params.report("since", "belongs to epoch: give both, or neither"),
            (None, Some(_)) => params.report("epoch", "belongs to since: give both, or neither"),
            (_, Some(..0)) => params.report("since", "is a seq: 0 or more"),
            _ => {}
        }
        Some(Self { symbols, timeframe, epoch, since })
    }
}

/// The bars of these symbols that changed after `since`, each as it is now, and where to go on. Complete: a change that
/// is not told here is told with a later `since`.
#[utoipa::path(get, path = "/api/v1/changes", tag = TAG, operation_id = "list_changes", params(ChangesRequest), responses(
    (status = 200, description = "The changes, by symbol and time", body = schema::Changes),
    (status = 400, description = "Parameters are wrong; all of them are named", body = ProblemBody, content_type = "application/problem+json"),
    (status = 404, description = "Unknown symbols; all of them are named", body = ProblemBody, content_type = "application/problem+json"),
    (status = 410, description = "The change log does not reach back to `since`, too much changed, or the epoch is another (`gone`): \
                                  read the bars, then go on without `epoch` and `since`", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn list_changes(
    State(state): State<AppState>,
    Query(request): Query<ChangesRequest>,
) -> Result<Json<Changes>, Problem> {
    let ChangesRequest { symbols, timeframe, epoch, since } = request;
    let store = &state.feed.store;
    refuse_unknown(store, &symbols).await?;
    let head = store.head().await.map_err(crate::store::ReadError::from)?;
    let start = Changes { epoch: head.epoch.to_string(), seq: head.seq, timeframe, changes: Vec::new() };
    let Some(since) = since else { return Ok(Json(start)) };
    if epoch != Some(head.epoch) {
        return Err(Problem::gone("The stream was restarted, and its history with it."));
    }
    let question = Question::Missed { symbols, timeframe, since };
    let frames = match state.feed.catch_up.ask(question).answer().await {
        Answer::Frames(frames) => frames,
        Answer::Unknown => return Err(Problem::gone("Too much has changed since, or nothing is known of that seq.")),
        Answer::Unavailable => return Err(Problem::unavailable()),
    };
    let mut all = Changes { seq: since, ..start };
    for frame in frames.iter() {
        if let ServerMessage::Delta { symbol, seq, records, .. } = frame.message() {
            all.seq = *seq;
            let changes = records.iter().map(|record| Changed { symbol: symbol.clone(), record: record.clone() });
            all.changes.extend(changes);
        }
    }
    Ok(Json(all))
}
