//! Writing bars so that writing them again changes nothing: a minute of a symbol is one row, whoever brings it.
//!
//! The source's table need not have a unique key of symbol and time (the original one has none), so the rows of a batch's
//! span are read first, and only what is new or different is written, all in one transaction. Feeds that write the same
//! table take turns by a lock of the database. An index on (symbol, time) makes the reading a matter of the span; without
//! one the database looks through the whole table for each batch.

use super::{Batch, COLUMNS, MOST_ROWS, Target};
use chrono::{DateTime, NaiveDateTime, Utc};
use market::{Bar, Symbol};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection, QueryBuilder};
use std::collections::{HashMap, hash_map::Entry};
use std::fmt::Write;
use std::ops::AddAssign;
use std::time::Duration;
use tokio::time::timeout;

/// A batch that takes longer has lost its server.
const BATCH_WITHIN: Duration = Duration::from_secs(300);
/// Rows that are corrected by one statement.
const CORRECTED_AT_ONCE: usize = 1_000;
/// Bytes of COPY that are sent at once.
const PIECE: usize = 256 * 1024;

/// What became of the bars of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Minutes that were not there.
    pub inserted: u64,
    /// Minutes that were there with other values.
    pub corrected: u64,
    /// Minutes that were there as they are, or came again in the same batch.
    pub duplicates: u64,
}

impl AddAssign for Written {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.corrected += other.corrected;
        self.duplicates += other.duplicates;
    }
}

/// A row of the table: its key, its minute, its four prices and its volume, widened.
type Row = (i64, String, NaiveDateTime, f64, f64, f64, f64, f64);

/// What is to be done with a batch.
#[derive(Debug, Default)]
struct Plan<'b> {
    new: Vec<&'b (Symbol, Bar)>,
    /// With the keys of their rows.
    changed: Vec<(i64, &'b (Symbol, Bar))>,
    duplicates: u64,
}

impl<'b> Plan<'b> {
    /// Compares a batch with the rows of its span, oldest key first. Where the table holds a minute more than once, the
    /// row with the highest key is the one that counts. Of bars for one minute the last of the batch counts.
    fn of(batch: &'b Batch, standing: &[Row]) -> Self {
        let rows: HashMap<(&str, NaiveDateTime), &Row> =
            standing.iter().map(|row| ((row.1.as_str(), row.2), row)).collect();
        let mut places: HashMap<(&str, DateTime<Utc>), usize> = HashMap::with_capacity(batch.rows.len());
        let mut bars: Vec<&(Symbol, Bar)> = Vec::with_capacity(batch.rows.len());
        let mut plan = Self::default();
        for entry in &batch.rows {
            match places.entry((entry.0.as_str(), entry.1.time)) {
                Entry::Occupied(place) => {
                    bars[*place.get()] = entry;
                    plan.duplicates += 1;
                }
                Entry::Vacant(place) => {
                    place.insert(bars.len());
                    bars.push(entry);
                }
            }
        }
        for entry in bars {
            match rows.get(&(entry.0.as_str(), entry.1.time.naive_utc())) {
                None => plan.new.push(entry),
                Some(row) if is_same(row, &entry.1) => plan.duplicates += 1,
                Some(row) => plan.changed.push((row.0, entry)),
            }
        }
        plan
    }

    fn written(&self) -> Written {
        Written { inserted: self.new.len() as u64, corrected: self.changed.len() as u64, duplicates: self.duplicates }
    }
}

/// Whether a row holds the values of a bar, as exactly as its columns can.
fn is_same(row: &Row, bar: &Bar) -> bool {
    let pairs = [(row.3, bar.open), (row.4, bar.high), (row.5, bar.low), (row.6, bar.close)];
    pairs.iter().all(|(kept, price)| holds(*kept, *price)) && holds(row.7, Decimal::from(bar.volume))
}

/// Whether a column of double precision, of decimals, or of single precision keeps `value` as `kept`.
fn holds(kept: f64, value: Decimal) -> bool {
    let Some(exact) = value.to_f64() else { return false };
    #[expect(clippy::cast_possible_truncation, reason = "that is what a FLOAT column does")]
    let coarse = f64::from(exact as f32);
    kept == exact || kept == coarse
}

/// Symbols and first and last minute of a batch, by which its span is found.
fn span(batch: &Batch) -> Option<(Vec<&str>, NaiveDateTime, NaiveDateTime)> {
    let mut symbols: Vec<&str> = Vec::new();
    for (symbol, _) in &batch.rows {
        if symbols.last() != Some(&symbol.as_str()) {
            symbols.push(symbol.as_str());
        }
    }
    symbols.sort_unstable();
    symbols.dedup();
    let first = batch.rows.iter().map(|(_, bar)| bar.time).min()?;
    let last = batch.rows.iter().map(|(_, bar)| bar.time).max()?;
    Some((symbols, first.naive_utc(), last.naive_utc()))
}

impl Target {
    /// Writes those bars of a batch that are not there, corrects those that are there with other values: all of it or
    /// nothing. Doing it again changes nothing.
    pub(in crate::source) async fn upsert(&mut self, batch: &Batch) -> Result<Written, sqlx::Error> {
        let event_time = self.kept(batch.event_time);
        let writing = async {
            match self {
                Self::MySql { connection, table, .. } => upsert_mysql(connection, table, batch, event_time).await,
                Self::Postgres { connection, table } => upsert_postgres(connection, table, batch, event_time).await,
            }
        };
        timeout(BATCH_WITHIN, writing).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}

async fn upsert_mysql(
    connection: &mut MySqlConnection,
    table: &str,
    batch: &Batch,
    event_time: NaiveDateTime,
) -> Result<Written, sqlx::Error> {
    let Some((symbols, first, last)) = span(batch) else { return Ok(Written::default()) };
    let lock: String = format!("stockstream {table}").chars().take(64).collect();
    let has_turn: Option<i64> =
        sqlx::query_scalar("select get_lock(?, 60)").bind(&lock).fetch_one(&mut *connection).await?;
    if has_turn != Some(1) {
        return Err(sqlx::Error::PoolTimedOut);
    }
    let written = async {
        let mut transaction = connection.begin().await?;
        // Adding a double makes a double of any kind of number, in every version of either database.
        let mut sql = QueryBuilder::new(format!(
            "select cast(record_id as signed), `symbol`, `time`, `open` + 0e0, `high` + 0e0, `low` + 0e0, `close` + 0e0, \
             `volume` + 0e0 from {table} where `time` >= "
        ));
        sql.push_bind(first).push(" and `time` <= ").push_bind(last).push(" and `symbol` in (");
        let mut list = sql.separated(",");
        for symbol in symbols {
            list.push_bind(symbol);
        }
        sql.push(") order by record_id");
        let standing: Vec<Row> = sql.build_query_as().fetch_all(&mut *transaction).await?;
        let plan = Plan::of(batch, &standing);
        let names = COLUMNS.join("`,`");
        for rows in plan.new.chunks(MOST_ROWS) {
            let mut sql = QueryBuilder::new(format!("insert into {table} (`{names}`) "));
            sql.push_values(rows, |mut row, (symbol, bar)| {
                row.push_bind(bar.time.naive_utc());
                for price in [bar.open, bar.high, bar.low, bar.close] {
                    row.push_bind(price);
                }
                row.push_bind(bar.volume).push_bind(symbol.as_str()).push_bind(event_time);
            });
            sql.build().execute(&mut *transaction).await?;
        }
        for rows in plan.changed.chunks(CORRECTED_AT_ONCE) {
            let mut sql = QueryBuilder::new(format!("insert into {table} (record_id, `{names}`) "));
            sql.push_values(rows, |mut row, (record_id, (symbol, bar))| {
                row.push_bind(*record_id).push_bind(bar.time.naive_utc());
                for price in [bar.open, bar.high, bar.low, bar.close] {
                    row.push_bind(price);
                }
                row.push_bind(bar.volume).push_bind(symbol.as_str()).push_bind(event_time);
            });
            let updates: Vec<String> = COLUMNS.iter().map(|name| format!("`{name}` = values(`{name}`)")).collect();
            sql.push(" on duplicate key update ").push(updates.join(","));
            sql.build().execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(plan.written())
    }
    .await;
    // A lost connection has given the lock back by itself.
    let _ = sqlx::query("do release_lock(?)").bind(&lock).execute(connection).await;
    written
}

async fn upsert_postgres(
    connection: &mut PgConnection,
    table: &str,
    batch: &Batch,
    event_time: NaiveDateTime,
) -> Result<Written, sqlx::Error> {
    let Some((symbols, first, last)) = span(batch) else { return Ok(Written::default()) };
    let mut transaction = connection.begin().await?;
    sqlx::query("select pg_advisory_xact_lock(hashtextextended('stockstream ' || $1, 0))")
        .bind(table)
        .execute(&mut *transaction)
        .await?;
    let sql = format!(
        "select record_id::bigint, symbol::text, time::timestamp, open::float8, high::float8, low::float8, close::float8, \
         volume::float8 from {table} where symbol = any($1) and time >= $2::timestamp and time <= $3::timestamp \
         order by record_id"
    );
    let standing: Vec<Row> =
        sqlx::query_as(AssertSqlSafe(sql)).bind(symbols).bind(first).bind(last).fetch_all(&mut *transaction).await?;
    let plan = Plan::of(batch, &standing);
    let names = COLUMNS.join(",");
    if !plan.new.is_empty() {
        let mut copy = transaction.copy_in_raw(&format!("copy {table} ({names}) from stdin")).await?;
        let mut piece = String::with_capacity(PIECE + 256);
        for (symbol, bar) in &plan.new {
            let &Bar { time, open, high, low, close, volume } = bar;
            // None of the values can hold a tab, a backslash or the end of a line.
            writeln!(piece, "{}\t{open}\t{high}\t{low}\t{close}\t{volume}\t{symbol}\t{event_time}", time.naive_utc())
                .expect("writing to a string cannot fail");
            if piece.len() >= PIECE {
                copy.send(piece.as_bytes()).await?;
                piece.clear();
            }
        }
        copy.send(piece.as_bytes()).await?;
        copy.finish().await?;
    }
    if !plan.changed.is_empty() {
        let rows = &plan.changed;
        let prices = |of: fn(&Bar) -> Decimal| rows.iter().map(|(_, (_, bar))| of(bar)).collect::<Vec<_>>();
        let sql = format!(
            "update {table} as kept set open = new.open, high = new.high, low = new.low, close = new.close, \
             volume = new.volume, event_time = $7::timestamp \
             from unnest($1::bigint[], $2::numeric[], $3::numeric[], $4::numeric[], $5::numeric[], $6::bigint[]) \
             as new(record_id, open, high, low, close, volume) where kept.record_id = new.record_id"
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(rows.iter().map(|(record_id, _)| *record_id).collect::<Vec<_>>())
            .bind(prices(|bar| bar.open))
            .bind(prices(|bar| bar.high))
            .bind(prices(|bar| bar.low))
            .bind(prices(|bar| bar.close))
            .bind(rows.iter().map(|(_, (_, bar))| bar.volume).collect::<Vec<_>>())
            .bind(event_time)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(plan.written())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(time: &str, close: &str) -> (Symbol, Bar) {
        let close: Decimal = close.parse().unwrap();
        let bar = Bar { time: time.parse().unwrap(), open: close, high: close, low: close, close, volume: 18_250 };
        ("AMZN".parse().unwrap(), bar)
    }

    fn row(record_id: i64, time: &str, close: f64) -> Row {
        (record_id, "AMZN".to_owned(), time.parse().unwrap(), close, close, close, close, 18_250.0)
    }

    #[test]
    fn only_what_is_new_or_different_is_written() {
        let rows = vec![
            bar("2024-01-16T14:31:00Z", "153.42"),
            bar("2024-01-16T14:32:00Z", "153.50"),
            bar("2024-01-16T14:33:00Z", "1"),
            bar("2024-01-16T14:33:00Z", "153.61"),
        ];
        let batch = Batch { rows, event_time: "2024-01-16T14:34:00Z".parse().unwrap() };
        let float = f64::from(153.42_f32);
        let standing = [
            row(7, "2024-01-16T14:31:00", 1.0),
            row(8, "2024-01-16T14:32:00", 153.49),
            row(9, "2024-01-16T14:31:00", float),
        ];
        let plan = Plan::of(&batch, &standing);
        assert_eq!(plan.new, [&batch.rows[3]]);
        assert_eq!(plan.changed, [(8, &batch.rows[1])]);
        assert_eq!(plan.written(), Written { inserted: 1, corrected: 1, duplicates: 2 });
    }

    #[test]
    fn a_float_column_keeps_what_a_float_can() {
        let price: Decimal = "153.42".parse().unwrap();
        assert!(holds(f64::from(153.42_f32), price) && holds(153.42, price));
        assert!(!holds(153.4201, price) && !holds(f64::from(153.43_f32), price));
        // A column of doubles or decimals tells apart what a float would not.
        assert!(!holds(2048.0001, "2048.0002".parse().unwrap()));
        assert!(holds(f64::from(1_234_567_890_f32), Decimal::from(1_234_567_890_i64)));
    }
}
