//! The public history of freshness: how much of the time data was within its budget.

use super::{AppState, Problem, error::ProblemBody};
use crate::store::{FreshSpan, ReadError, Store};
use axum::{Json, extract::State};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use market::wire::SourceKind;
use serde::Serialize;
use utoipa::ToSchema;

/// Minutes of the windows, the shortest first.
const WINDOWS: [i32; 4] = [60, 24 * 60, 7 * 24 * 60, 30 * 24 * 60];

/// The budget, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct FreshnessView {
    /// How long after the source's commit a change may be committed here and still count as fresh, in milliseconds.
    budget_ms: u32,
    /// Up to when; the minute that is under way is not told.
    to: DateTime<Utc>,
    /// Where the rows come from: `mode` is `live` or `replay`, `simulated` says whether prices are made up, and `speed` is
    /// the replay's in multiples of real time.
    #[schema(value_type = Object, example = json!({ "mode": "live", "simulated": false }))]
    source: SourceKind,
    /// The last hour, day, week and 30 days.
    windows: Vec<FreshSpan>,
    /// The last hour, minute by minute.
    minutes: Vec<FreshSpan>,
    /// The last day, hour by hour.
    hours: Vec<FreshSpan>,
}

impl FreshnessView {
    /// As of `now`.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn of(store: &Store, source: &SourceKind, budget_ms: u32, now: DateTime<Utc>) -> Result<Self, ReadError> {
        let to = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
        let mut windows = Vec::with_capacity(WINDOWS.len());
        for minutes in WINDOWS {
            windows.extend(store.freshness(to, minutes, 1).await?);
        }
        let (minutes, hours) = (store.freshness(to, 1, 60).await?, store.freshness(to, 60, 24).await?);
        Ok(Self { budget_ms, to, source: source.clone(), windows, minutes, hours })
    }
}

/// How much of the time data was within its budget: the last hour, day, week and 30 days.
#[utoipa::path(get, path = "/api/v1/freshness", tag = "Control", operation_id = "find_freshness", responses(
    (status = 200, description = "The budget and its history", body = FreshnessView),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn find_freshness(State(state): State<AppState>) -> Result<Json<FreshnessView>, Problem> {
    let feed = &state.feed;
    Ok(Json(FreshnessView::of(&feed.store, &feed.source, feed.budget_ms, Utc::now()).await?))
}
