//! What the store knows of a batch's keys before it is folded.

use super::{Item, dictionary, fold::Stored};
use cdc::{KeyState, Op, Version};
use market::{Bar, Symbol};
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use std::collections::{HashMap, HashSet};

/// What the store knows of the batch's keys. Keys above the watermark are new and not looked up. Symbols are resolved
/// here and not by a join, which a planner without statistics could begin at the wrong end.
pub(super) async fn read_stored(
    tx: &mut Transaction<'_, Postgres>,
    topic_id: i16,
    items: &[Item],
    watermark: i64,
    symbols: &mut HashMap<i32, Symbol>,
) -> Result<HashMap<i64, Stored>, sqlx::Error> {
    let wanted: HashSet<i64> = items
        .iter()
        .filter_map(|item| match item {
            Item::Upsert(upsert) => Some(upsert.record_id),
            Item::Delete { record_id, .. } => Some(*record_id),
            Item::Truncate { .. } | Item::Control | Item::Refused(_) => None,
        })
        .filter(|id| *id <= watermark)
        .collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let wanted: Vec<i64> = wanted.into_iter().collect();
    // Tombstones first: should a key be in both tables, its row stands.
    let rows = sqlx::query(
        "select record_id, version_epoch, version_hi, version_lo, event_time, null::integer, null::timestamptz
         from tombstone where topic_id = $1 and record_id = any($2)
         union all
         select record_id, version_epoch, version_hi, version_lo, event_time, symbol_id, time
         from stock where topic_id = $1 and record_id = any($2)",
    )
    .bind(topic_id)
    .bind(&wanted)
    .fetch_all(&mut **tx)
    .await?;
    let mut bars = read_bars(tx, topic_id, items, watermark).await?;
    let ids = rows.iter().filter_map(|row| row.get::<Option<i32>, _>(5)).filter(|id| !symbols.contains_key(id));
    let unknown: HashSet<i32> = ids.collect();
    if !unknown.is_empty() {
        symbols.extend(dictionary::symbols(tx, unknown.into_iter().collect()).await?);
    }
    Ok(rows
        .iter()
        .map(|row| {
            let shows = row.get::<Option<i32>, _>(5).and_then(|id| symbols.get(&id).cloned()).zip(row.get(6));
            let state = KeyState {
                version: Version { epoch: row.get(1), hi: row.get(2), lo: row.get(3) },
                event_time: row.get(4),
                deleted: shows.is_none(),
            };
            let record_id: i64 = row.get(0);
            (record_id, Stored { state, shows, bar: bars.remove(&record_id) })
        })
        .collect())
}

/// The rows that a snapshot reads again, as they stand: it may have only coarser copies of them. Nothing is asked when the
/// batch has no such record.
async fn read_bars(
    tx: &mut Transaction<'_, Postgres>,
    topic_id: i16,
    items: &[Item],
    watermark: i64,
) -> Result<HashMap<i64, Bar>, sqlx::Error> {
    let read: Vec<i64> = items
        .iter()
        .filter_map(|item| match item {
            Item::Upsert(upsert) if upsert.op == Op::Read && upsert.record_id <= watermark => Some(upsert.record_id),
            _ => None,
        })
        .collect();
    if read.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(
        "select record_id, time, open, high, low, close, volume from stock where topic_id = $1 and record_id = any($2)",
    )
    .bind(topic_id)
    .bind(read)
    .fetch_all(&mut **tx)
    .await?;
    let bar = |row: &PgRow| Bar {
        time: row.get(1),
        open: row.get(2),
        high: row.get(3),
        low: row.get(4),
        close: row.get(5),
        volume: row.get(6),
    };
    Ok(rows.iter().map(|row| (row.get(0), bar(row))).collect())
}
