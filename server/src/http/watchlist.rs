//! The newest figures of many symbols.

use super::{
    Problem,
    error::ProblemBody,
    market_data::TAG,
    params::{Limit, Params, Query, Request},
    schema,
};
use crate::store::Store;
use axum::{Json, extract::State};
use market::watchlist::{MAX_WATCHED, Watchlist};
use std::str::FromStr;

/// Symbols of a list that does not say how many it wants.
const DEFAULT: u32 = 100;
const MAX: u32 = MAX_WATCHED as u32;

/// A part of a symbol's name.
struct Part(String);

impl FromStr for Part {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let part = text.trim().to_ascii_uppercase();
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        if part.len() <= 15 && part.bytes().all(legal) {
            Ok(Self(part))
        } else {
            Err("is part of no symbol: at most 15 of A-Z, 0-9, full stop and hyphen")
        }
    }
}

/// Which symbols.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WatchlistRequest {
    /// What their names have in them; all when not given.
    #[param(value_type = String, required = false, example = "AM", pattern = "^[A-Za-z0-9.-]{0,15}$")]
    filter: Option<String>,
    /// The most rows.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 500, default = 100)]
    limit: u32,
}

impl Request for WatchlistRequest {
    fn read(params: &mut Params) -> Option<Self> {
        let filter = params.optional("filter").map(|Part(part)| part);
        let Limit(limit) = params.optional::<Limit<MAX>>("limit").unwrap_or(Limit(DEFAULT));
        Some(Self { filter: filter.filter(|part| !part.is_empty()), limit })
    }
}

/// Symbols by name with their newest price, the close of the exchange day before, and the volume, the course, the tagged bars
/// and the open findings of their newest exchange day; `total` says how many there are in all.
#[utoipa::path(get, path = "/api/v1/watchlist", tag = TAG, operation_id = "list_watched", params(WatchlistRequest), responses(
    (status = 200, description = "The first of them by name; none when no name has the filter in it", body = schema::Watchlist),
    (status = 400, description = "Parameters are wrong; all of them are named", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn list_watched(
    State(store): State<Store>,
    Query(WatchlistRequest { filter, limit }): Query<WatchlistRequest>,
) -> Result<Json<Watchlist>, Problem> {
    Ok(Json(store.watchlist(filter.as_deref(), limit).await?))
}
