//! The dictionaries: small integers for symbols, topics, and sets of tags.

use market::Symbol;
use sqlx::{PgConnection, Row};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

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

/// Sets of tags by their codes, in the order of the suites.
pub(super) type TagIds = HashMap<Vec<Arc<str>>, i16>;

/// Stands for every set for which there is no number left.
const MORE_TAGS: i16 = i16::MAX;
/// How often a number is asked for that others may be taking at the same moment.
const ATTEMPTS: u32 = 8;

/// The ids of the sets of tags that are not known yet. They are added in the same transaction, like symbols, and in
/// order, so that writers do not wait for each other in a circle.
pub(super) async fn tag_ids(
    connection: &mut PgConnection,
    wanted: &HashSet<&[Arc<str>]>,
    known: &TagIds,
) -> Result<TagIds, sqlx::Error> {
    let mut missing: Vec<&[Arc<str>]> = wanted.iter().filter(|tags| !known.contains_key(**tags)).copied().collect();
    missing.sort_unstable();
    let mut found = TagIds::new();
    for tags in missing {
        let codes: Vec<&str> = tags.iter().map(|code| &**code).collect();
        found.insert(tags.to_vec(), tag_id(connection, &codes).await?);
    }
    Ok(found)
}

async fn tag_id(connection: &mut PgConnection, codes: &[&str]) -> Result<i16, sqlx::Error> {
    for _ in 0..ATTEMPTS {
        let known = sqlx::query_scalar("select tag_id from suite_tag where codes = $1").bind(codes);
        if let Some(tag_id) = known.fetch_optional(&mut *connection).await? {
            return Ok(tag_id);
        }
        // Without a sequence, which would lose numbers to every transaction that is rolled back.
        sqlx::query(
            "insert into suite_tag (tag_id, codes)
             select next, $1 from (select coalesce(max(tag_id), 0) + 1 as next from suite_tag where tag_id < $2) free
             where next < $2 on conflict do nothing",
        )
        .bind(codes)
        .bind(MORE_TAGS)
        .execute(&mut *connection)
        .await?;
    }
    Ok(MORE_TAGS)
}
