//! What the rules over several bars are judged by, and where their findings go: one transaction per step, held by one
//! instance at a time.

use super::Store;
use chrono::{DateTime, Utc};
use market::Symbol;
use quality::pack::{Found, PackRow, PackRule};
use sqlx::{Postgres, Row, Transaction, postgres::PgRow};
use std::{collections::HashMap, time::Duration};
use uuid::Uuid;

/// How long an instance that is at work is preferred.
const LEASE: Duration = Duration::from_secs(10);
/// Batches of the log that one step looks at, at most.
const LOGGED_BATCHES: i64 = 256;

/// A step: whoever has it is the only one at work. Dropped without [`PackStep::finish`], it never was.
pub struct PackStep {
    tx: Transaction<'static, Postgres>,
    /// Every change up to it has been judged.
    pub seq: i64,
    /// The head of the stream.
    pub head: i64,
    /// The number of this step.
    pub number: i64,
    pub clock_at: Option<DateTime<Utc>>,
    pub counted_at: Option<DateTime<Utc>>,
}

/// A change that is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedChange {
    pub seq: i64,
    pub symbol_id: i32,
    pub time: DateTime<Utc>,
    /// The row was not there before, and it is no snapshot that read it.
    pub arrived: bool,
    /// It had an effect; otherwise it came late.
    pub touched: bool,
}

/// Minutes of one symbol that were touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub symbol_id: i32,
    pub from: DateTime<Utc>,
    /// Inclusive.
    pub to: DateTime<Utc>,
}

/// Judged minutes of one symbol: what was found there before and is not any more, is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    pub symbol_id: i32,
    /// Exclusive; `None`: from the first.
    pub after: Option<DateTime<Utc>>,
    pub until: DateTime<Utc>,
}

/// What a step has found, by where it is kept.
pub type FoundAt = HashMap<(i32, DateTime<Utc>, PackRule), Found>;

/// The newest bars of a symbol, for the rules of the clock.
#[derive(Clone, Debug)]
pub struct Newest {
    pub symbol_id: i32,
    pub symbol: Symbol,
    pub time: DateTime<Utc>,
    pub received_at: DateTime<Utc>,
    /// Seconds from the source's event to the commit, of the newest bars that no snapshot read.
    pub delays: Vec<f64>,
}

/// The rows there are, and the rows that the changes add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowCount {
    pub rows: i64,
    /// `None`: from here on it will be known.
    pub expected: Option<i64>,
    pub seq: i64,
}

impl Store {
    /// Begins a step; `None` when another instance is at one, or was within its lease.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn begin_pack_step(&self, instance: Uuid) -> Result<Option<PackStep>, sqlx::Error> {
        let mut tx = self.pool.begin().await?;
        let row = sqlx::query(
            "select watch.seq, head.seq as head, step, clock_at, counted_at,
                holder is distinct from $1 or held_until < now() + $2 / 2 as renew
             from pack_watch watch cross join stream_head head
             where holder is null or holder = $1 or held_until < now() for update of watch skip locked",
        )
        .bind(instance)
        .bind(LEASE)
        .fetch_optional(&mut *tx)
        .await?;
        if row.as_ref().is_some_and(|row| row.get("renew")) {
            sqlx::query("update pack_watch set holder = $1, held_until = now() + $2")
                .bind(instance)
                .bind(LEASE)
                .execute(&mut *tx)
                .await?;
        }
        Ok(row.map(|row| PackStep {
            tx,
            seq: row.get("seq"),
            head: row.get("head"),
            number: row.get::<i64, _>("step") + 1,
            clock_at: row.get("clock_at"),
            counted_at: row.get("counted_at"),
        }))
    }

    /// Lets another instance take over at once.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn leave_pack(&self, instance: Uuid) -> Result<(), sqlx::Error> {
        let leave = sqlx::query("update pack_watch set holder = null, held_until = null where holder = $1");
        leave.bind(instance).execute(&self.pool).await.map(drop)
    }

    /// Counts the rows, and what the log says their number is, as of one instant.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn count_rows(&self) -> Result<RowCount, sqlx::Error> {
        let mut tx = self.pool.begin_with("begin transaction isolation level repeatable read, read only").await?;
        let row = sqlx::query(
            "select head.seq, (select count(*) from stock) as rows,
                case when counted_seq = head.seq
                        or exists (select from change_log where counted_seq + 1 between first_seq and last_seq)
                    then counted + (
                        select coalesce(sum(case when outcome = 'n' then 1 when outcome = 'd' and op = 'd' then -1 else 0 end), 0)
                        from change_log cross join lateral unnest(ops, outcomes) with ordinality as change (op, outcome, place)
                        where last_seq > counted_seq and first_seq + place - 1 > counted_seq)::bigint
                end as expected
             from pack_watch cross join stream_head head",
        )
        .fetch_one(&mut *tx)
        .await?;
        Ok(RowCount { rows: row.get("rows"), expected: row.get("expected"), seq: row.get("seq") })
    }
}

impl PackStep {
    /// The next changes, at most `limit`, in their order; `None`: the log does not reach back so far.
    pub async fn changes(&mut self, limit: i64) -> Result<Option<Vec<LoggedChange>>, sqlx::Error> {
        let reaches: bool = sqlx::query_scalar(
            "select $1 = $2 or exists (select from change_log where $1 + 1 between first_seq and last_seq)",
        )
        .bind(self.seq)
        .bind(self.head)
        .fetch_one(&mut *self.tx)
        .await?;
        if !reaches || self.seq > self.head {
            return Ok(None);
        }
        let rows = sqlx::query(
            "select first_seq + place - 1 as seq, symbol_id, time, outcome = 'n' and op <> 'r' as arrived,
                outcome <> 'l' as touched
             from (select * from change_log where last_seq > $1 order by last_seq limit $3) log
             cross join lateral unnest(symbol_ids, times, ops, outcomes) with ordinality
                as change (symbol_id, time, op, outcome, place)
             where first_seq + place - 1 > $1
             order by last_seq, place limit $2",
        )
        .bind(self.seq)
        .bind(limit)
        .bind(LOGGED_BATCHES)
        .fetch_all(&mut *self.tx)
        .await?;
        let change = |row: &PgRow| LoggedChange {
            seq: row.get("seq"),
            symbol_id: row.get("symbol_id"),
            time: row.get("time"),
            arrived: row.get("arrived"),
            touched: row.get("touched"),
        };
        Ok(Some(rows.iter().map(change).collect()))
    }

    /// Symbols by their number.
    pub async fn symbols(&mut self, ids: &[i32]) -> Result<HashMap<i32, Symbol>, sqlx::Error> {
        let rows: Vec<(i32, String)> = sqlx::query_as("select symbol_id, symbol from symbol where symbol_id = any($1)")
            .bind(ids)
            .fetch_all(&mut *self.tx)
            .await?;
        Ok(rows.into_iter().filter_map(|(id, symbol)| Some((id, symbol.parse().ok()?))).collect())
    }

    /// The rows of each window, with `context` rows before and after it; oldest first, and of one minute the one first that
    /// the view `bar` shows.
    pub async fn rows(&mut self, windows: &[Window], context: usize) -> Result<Vec<Vec<PackRow>>, sqlx::Error> {
        let rows = sqlx::query(
            "select place, time, open, high, low, close, volume, event_time, received_at
             from unnest($1::integer[], $2::timestamptz[], $3::timestamptz[]) with ordinality
                as touched (symbol, first, last, place)
             cross join lateral (
                (select * from stock where symbol_id = symbol and time < first order by time desc limit $4)
                union all (select * from stock where symbol_id = symbol and time between first and last)
                union all (select * from stock where symbol_id = symbol and time > last order by time limit $4)) near
             order by place, time, event_time desc, version_epoch desc, version_hi desc, version_lo desc, topic_id,
                record_id desc",
        )
        .bind(windows.iter().map(|window| window.symbol_id).collect::<Vec<_>>())
        .bind(windows.iter().map(|window| window.from).collect::<Vec<_>>())
        .bind(windows.iter().map(|window| window.to).collect::<Vec<_>>())
        .bind(i64::try_from(context).unwrap_or(i64::MAX))
        .fetch_all(&mut *self.tx)
        .await?;
        let mut near: Vec<Vec<PackRow>> = windows.iter().map(|_| Vec::new()).collect();
        for row in &rows {
            let place = usize::try_from(row.get::<i64, _>("place") - 1).unwrap_or_default();
            if let Some(rows) = near.get_mut(place) {
                rows.push(PackRow {
                    time: row.get("time"),
                    open: row.get("open"),
                    high: row.get("high"),
                    low: row.get("low"),
                    close: row.get("close"),
                    volume: row.get("volume"),
                    event_time: row.get("event_time"),
                    received_at: row.get("received_at"),
                });
            }
        }
        Ok(near)
    }

    /// The newest minute that each of these symbols had when the last step ended.
    pub async fn newest_minutes(&mut self, ids: &[i32]) -> Result<HashMap<i32, DateTime<Utc>>, sqlx::Error> {
        let rows: Vec<(i32, DateTime<Utc>)> =
            sqlx::query_as("select symbol_id, newest from pack_symbol where symbol_id = any($1)")
                .bind(ids)
                .fetch_all(&mut *self.tx)
                .await?;
        Ok(rows.into_iter().collect())
    }

    /// Remembers the newest minutes as they are when this step ends.
    pub async fn remember_newest(&mut self, newest: &HashMap<i32, DateTime<Utc>>) -> Result<(), sqlx::Error> {
        let (ids, times): (Vec<i32>, Vec<DateTime<Utc>>) = newest.iter().map(|(id, time)| (*id, *time)).unzip();
        sqlx::query(
            "insert into pack_symbol select * from unnest($1::integer[], $2::timestamptz[])
             on conflict (symbol_id) do update set newest = excluded.newest where pack_symbol.newest < excluded.newest",
        )
        .bind(ids)
        .bind(times)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// The newest minutes of every symbol as the table has them now, and the last `window` before each.
    pub async fn newest_windows(&mut self, window: i64) -> Result<Vec<Window>, sqlx::Error> {
        let rows = sqlx::query(
            "select symbol_id, min(time) as first, max(time) as last
             from symbol cross join lateral (select time from stock where stock.symbol_id = symbol.symbol_id
                order by time desc limit $1) newest
             group by symbol_id",
        )
        .bind(window)
        .fetch_all(&mut *self.tx)
        .await?;
        let window = |row: &PgRow| Window { symbol_id: row.get(0), from: row.get(1), to: row.get(2) };
        Ok(rows.iter().map(window).collect())
    }

    /// What the rules of the clock look at, of every symbol that has a bar since `since`.
    pub async fn newest(&mut self, since: DateTime<Utc>, bars: usize) -> Result<Vec<Newest>, sqlx::Error> {
        let rows = sqlx::query(
            "select symbol_id, symbol, (array_agg(time order by time desc))[1] as time, max(received_at) as received_at,
                array_agg(extract(epoch from committed_at - event_time)::float8) filter (where op <> 'r') as delays
             from symbol cross join lateral (select time, received_at, committed_at, event_time, op from stock
                where stock.symbol_id = symbol.symbol_id and time >= $1 order by time desc limit $2) newest
             group by symbol_id, symbol order by symbol_id",
        )
        .bind(since)
        .bind(i64::try_from(bars).unwrap_or(i64::MAX))
        .fetch_all(&mut *self.tx)
        .await?;
        let newest = |row: &PgRow| {
            Some(Newest {
                symbol_id: row.get("symbol_id"),
                symbol: row.get::<String, _>("symbol").parse().ok()?,
                time: row.get("time"),
                received_at: row.get("received_at"),
                delays: row.get::<Option<Vec<f64>>, _>("delays").unwrap_or_default(),
            })
        };
        Ok(rows.iter().filter_map(newest).collect())
    }

    /// Where these rules have something open.
    pub async fn open(&mut self, rules: &[PackRule]) -> Result<HashMap<(i32, PackRule), DateTime<Utc>>, sqlx::Error> {
        let rows: Vec<(i32, String, DateTime<Utc>)> = sqlx::query_as(
            "select symbol_id, rule, time from finding where rule = any($1) and resolved_at is null order by time",
        )
        .bind(codes(rules))
        .fetch_all(&mut *self.tx)
        .await?;
        Ok(rows.into_iter().filter_map(|(id, rule, time)| Some(((id, PackRule::from_code(&rule)?), time))).collect())
    }

    /// Keeps what was found. What is there already is counted; it is news only when it says something else.
    pub async fn find(&mut self, found: &FoundAt, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        if found.is_empty() {
            return Ok(());
        }
        let each =
            |text: fn(&Found) -> Option<&str>| found.values().map(|found| text(found).map(str::to_owned)).collect();
        let (observed, expected): (Vec<Option<String>>, Vec<Option<String>>) =
            (each(|found| found.observed.as_deref()), each(|found| found.expected.as_deref()));
        sqlx::query(
            "insert into finding (symbol_id, time, rule, severity, observed, expected, text, first_seen, changed_at, judged,
                revision)
             select *, $8, $8, $9, $9 from unnest($1::integer[], $2::timestamptz[], $3::text[], $4::text[], $5::text[],
                $6::text[], $7::text[])
             on conflict (symbol_id, time, rule) do update set
                (severity, observed, expected, text) =
                    row (excluded.severity, excluded.observed, excluded.expected, excluded.text),
                count = finding.count + 1, resolved_at = null, judged = excluded.judged,
                (changed_at, revision) = row (
                    case when finding.resolved_at is not null or finding.text <> excluded.text
                            or finding.severity <> excluded.severity
                        then excluded.changed_at else finding.changed_at end,
                    case when finding.resolved_at is not null or finding.text <> excluded.text
                            or finding.severity <> excluded.severity
                        then excluded.revision else finding.revision end)",
        )
        .bind(found.keys().map(|(id, _, _)| *id).collect::<Vec<_>>())
        .bind(found.keys().map(|(_, time, _)| *time).collect::<Vec<_>>())
        .bind(found.keys().map(|(_, _, rule)| rule.code()).collect::<Vec<_>>())
        .bind(found.values().map(|found| found.severity.as_str()).collect::<Vec<_>>())
        .bind(observed)
        .bind(expected)
        .bind(found.values().map(|found| found.text.as_str()).collect::<Vec<_>>())
        .bind(now)
        .bind(self.number)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Resolves what the rules of bars found in judged minutes before this step, and not in it.
    pub async fn resolve_judged(&mut self, judged: &[Judged], now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        sqlx::query(
            "update finding set resolved_at = $4, changed_at = $4, revision = $5
             from unnest($1::integer[], $2::timestamptz[], $3::timestamptz[]) as minutes (symbol, after, until)
             where symbol_id = symbol and time > coalesce(after, '-infinity') and time <= until and resolved_at is null
                and judged < $5 and rule = any($6)",
        )
        .bind(judged.iter().map(|judged| judged.symbol_id).collect::<Vec<_>>())
        .bind(judged.iter().map(|judged| judged.after).collect::<Vec<_>>())
        .bind(judged.iter().map(|judged| judged.until).collect::<Vec<_>>())
        .bind(now)
        .bind(self.number)
        .bind(codes(&PackRule::OF_BARS))
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Resolves what these rules have open, but for what is listed.
    pub async fn resolve_others(
        &mut self,
        rules: &[PackRule],
        still: &[(i32, PackRule)],
        now: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "update finding set resolved_at = $4, changed_at = $4, revision = $5
             where rule = any($1) and resolved_at is null and judged < $5
                and not exists (select from unnest($2::integer[], $3::text[]) as still (symbol, code)
                    where symbol = symbol_id and code = rule)",
        )
        .bind(codes(rules))
        .bind(still.iter().map(|(id, _)| *id).collect::<Vec<_>>())
        .bind(still.iter().map(|(_, rule)| rule.code()).collect::<Vec<_>>())
        .bind(now)
        .bind(self.number)
        .execute(&mut *self.tx)
        .await?;
        Ok(())
    }

    /// Remembers that the rules of the clock were asked.
    pub async fn clock_asked(&mut self, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        sqlx::query("update pack_watch set clock_at = $1").bind(now).execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Remembers the number of rows there should be.
    pub async fn rows_counted(&mut self, count: RowCount, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
        sqlx::query("update pack_watch set counted_at = $1, counted_seq = $2, counted = $3")
            .bind(now)
            .bind(count.seq)
            .bind(count.expected.unwrap_or(count.rows))
            .execute(&mut *self.tx)
            .await?;
        Ok(())
    }

    /// Ends a step in which nothing happened; a renewed lease stays.
    pub async fn keep(self) -> Result<(), sqlx::Error> {
        self.tx.commit().await
    }

    /// Ends the step: every change up to `seq` has been judged.
    pub async fn finish(mut self, seq: i64) -> Result<(), sqlx::Error> {
        sqlx::query("update pack_watch set seq = $1, step = $2")
            .bind(seq)
            .bind(self.number)
            .execute(&mut *self.tx)
            .await?;
        self.tx.commit().await
    }
}

fn codes(rules: &[PackRule]) -> Vec<&'static str> {
    rules.iter().map(|rule| rule.code()).collect()
}
