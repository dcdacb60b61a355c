//! The head of the stream, and what changed since a seq.

use super::Store;
use chrono::{DateTime, Utc};
use market::Symbol;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

/// Where the stream of committed changes stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Names one history of `seq`.
    pub epoch: Uuid,
    pub seq: i64,
}

/// A candle that changed, with the newest event and commit that touched it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedCandle {
    pub symbol: Symbol,
    pub time: DateTime<Utc>,
    pub event_time: DateTime<Utc>,
    pub committed_at: DateTime<Utc>,
    /// All that happened to it is that rows came which were not there before.
    pub new: bool,
}

/// What a returning client missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangesSince {
    /// The candles that changed, and the seq up to which this is complete.
    Known { seq: i64, candles: Vec<ChangedCandle> },
    /// The log does not reach back that far, or too much changed.
    Gone,
}

impl Store {
    /// The head, as committed.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn head(&self) -> Result<Head, sqlx::Error> {
        let row = sqlx::query("select epoch, seq from stream_head").fetch_one(self.readers()).await?;
        Ok(Head { epoch: row.get("epoch"), seq: row.get("seq") })
    }

    /// The candles of `symbols`, or of all, that changed after `since`, at most `limit` of them.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn changes_since(
        &self,
        since: i64,
        symbols: Option<&[Symbol]>,
        limit: i64,
    ) -> Result<ChangesSince, sqlx::Error> {
        let mut tx = self.readers().begin().await?;
        sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
        changes_in(&mut tx, since, symbols, limit).await
    }
}

/// The same inside a transaction that sees one instant.
pub(super) async fn changes_in(
    tx: &mut PgConnection,
    since: i64,
    symbols: Option<&[Symbol]>,
    limit: i64,
) -> Result<ChangesSince, sqlx::Error> {
    let seq: i64 = sqlx::query_scalar("select seq from stream_head").fetch_one(&mut *tx).await?;
    if since > seq {
        return Ok(ChangesSince::Gone);
    }
    let reaches: bool = sqlx::query_scalar(
        "select $1 = $2 or exists (select from change_log where $1 + 1 between first_seq and last_seq)",
    )
    .bind(since)
    .bind(seq)
    .fetch_one(&mut *tx)
    .await?;
    if !reaches {
        return Ok(ChangesSince::Gone);
    }
    let names: Option<Vec<&str>> = symbols.map(|symbols| symbols.iter().map(Symbol::as_str).collect());
    let rows = sqlx::query(
        "select symbol, time, max(event_time) as event_time, max(committed_at) as committed_at,
                bool_and(outcome = 'n') as new
             from change_log
             cross join lateral unnest(symbol_ids, times, event_times, outcomes) with ordinality
                as change (symbol_id, time, event_time, outcome, place)
             join symbol using (symbol_id)
             where last_seq > $1 and first_seq + place - 1 > $1 and ($2::text[] is null or symbol = any($2)) and outcome <> 'l'
             group by symbol, time order by time, symbol limit $3 + 1",
    )
    .bind(since)
    .bind(&names)
    .bind(limit)
    .fetch_all(&mut *tx)
    .await?;
    if rows.len() as i64 > limit {
        return Ok(ChangesSince::Gone);
    }
    let candles = rows
        .iter()
        .filter_map(|row| {
            Some(ChangedCandle {
                symbol: row.get::<String, _>("symbol").parse().ok()?,
                time: row.get("time"),
                event_time: row.get("event_time"),
                committed_at: row.get("committed_at"),
                new: row.get("new"),
            })
        })
        .collect();
    Ok(ChangesSince::Known { seq, candles })
}
