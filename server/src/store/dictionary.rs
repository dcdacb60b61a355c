//! The dictionaries: small integers for symbols and topics.

use market::Symbol;
use sqlx::{PgConnection, Row};
use std::collections::HashMap;

pub(super) async fn topic_id(connection: &mut PgConnection, topic: &str) -> Result<i16, sqlx::Error> {
    // Looked up first: an insert that conflicts would still use a number up.
    const KNOWN: &str = "select topic_id from topic where name = $1";
    if let Some(topic_id) = sqlx::query_scalar(KNOWN).bind(topic).fetch_optional(&mut *connection).await? {
        return Ok(topic_id);
    }
    sqlx::query("insert into topic (name) values ($1) on conflict (name) do nothing")
        .bind(topic)
        .execute(&mut *connection)
        .await?;
    sqlx::query_scalar(KNOWN).bind(topic).fetch_one(connection).await
}

/// The ids of the symbols, in a cache that the caller keeps. Unknown symbols are added in the same transaction; the
/// cache must only be trusted once that has committed, which is why the new ones are returned.
pub(super) async fn symbol_ids(
    connection: &mut PgConnection,
    wanted: &[(Symbol, bool)],
) -> Result<HashMap<Symbol, i32>, sqlx::Error> {
    let names: Vec<&str> = wanted.iter().map(|(symbol, _)| symbol.as_str()).collect();
    let simulated: Vec<bool> = wanted.iter().map(|(_, simulated)| *simulated).collect();
    sqlx::query(
        "insert into symbol (symbol, simulated) select * from unnest($1::text[], $2::boolean[]) order by 1
         on conflict (symbol) do nothing",
    )
    .bind(&names)
    .bind(&simulated)
    .execute(&mut *connection)
    .await?;
    let rows = sqlx::query("select symbol, symbol_id from symbol where symbol = any($1)")
        .bind(&names)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| Some((row.get::<String, _>("symbol").parse().ok()?, row.get("symbol_id"))))
        .collect())
}

/// The symbols of some ids.
pub(super) async fn symbols(connection: &mut PgConnection, ids: Vec<i32>) -> Result<HashMap<i32, Symbol>, sqlx::Error> {
    let rows = sqlx::query("select symbol_id, symbol from symbol where symbol_id = any($1)")
        .bind(ids)
        .fetch_all(connection)
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| Some((row.get("symbol_id"), row.get::<String, _>("symbol").parse().ok()?)))
        .collect())
}
