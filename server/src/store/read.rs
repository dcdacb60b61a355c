//! The read side: every question the API, the pages and the live feed ask of Postgres.
//!
//! Who wins when a source holds a minute twice is decided by the view `bar` and nowhere else. Each query first finds
//! by index probes where its window begins or ends and only then reads the view, because Postgres sorts the whole
//! range of a `distinct on` before a `limit` can stop it.

use super::Store;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures::TryStreamExt;
use market::{
    Bar, Stats, Symbol, Timeframe, aggregate,
    wire::{LatestBar, SymbolInfo},
};
use rust_decimal::Decimal;
use sqlx::{FromRow, PgConnection, postgres::PgRow};
use std::{future::Future, time::Duration};

/// The longest a reader waits for one answer, the wait for a free connection included.
pub const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// A question Postgres did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("Postgres did not answer within {} s", READ_TIMEOUT.as_secs())]
    Timeout,
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

impl ReadError {
    /// Whether the question was ended because it took too long.
    pub fn is_too_slow(&self) -> bool {
        match self {
            Self::Timeout => true,
            // query_canceled: the session's statement_timeout
            Self::Sql(sqlx::Error::Database(error)) => error.code().as_deref() == Some("57014"),
            Self::Sql(_) => false,
        }
    }

    /// Whether Postgres is away or overloaded, so that the same question may succeed later. Everything else is a
    /// defect of this program.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Timeout => true,
            Self::Sql(
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed,
            ) => true,
            // Classes 08 connection, 53 resources, 57 operator intervention, 58 system; 25006 is a standby, 28 and 3D
            // are a database that is being set up again, 42P01 one whose migrations have not run yet.
            Self::Sql(sqlx::Error::Database(error)) => error.code().is_some_and(|code| {
                ["08", "53", "57", "58", "28", "3D"].iter().any(|class| code.starts_with(class))
                    || code == "25006"
                    || code == "42P01"
            }),
            Self::Sql(_) => false,
        }
    }
}

/// Which bars of one symbol, and how many of them.
#[derive(Clone, Debug)]
pub struct BarsQuery {
    pub symbol: Symbol,
    pub timeframe: Timeframe,
    /// Bars that start at this instant or later.
    pub start: Option<DateTime<Utc>>,
    /// Bars that start before this instant.
    pub end: Option<DateTime<Utc>>,
    /// At most this many bars.
    pub limit: u32,
    /// Newest first; otherwise oldest first.
    pub descending: bool,
    /// Go on behind the bar that starts at this instant, in the direction of the query.
    pub after: Option<DateTime<Utc>>,
}

impl BarsQuery {
    /// The newest `limit` bars, newest first.
    pub fn newest(symbol: Symbol, timeframe: Timeframe, limit: u32) -> Self {
        Self { symbol, timeframe, start: None, end: None, limit, descending: true, after: None }
    }

    /// The one-minute rows that can be part of an answer, as `from ≤ time < to`; aligned with buckets, so that a
    /// bucket is either read whole or not at all.
    fn range(&self) -> (DateTime<Utc>, DateTime<Utc>) {
        let (mut from, mut to) = (self.start.unwrap_or(first_instant()), self.end.unwrap_or(last_instant()));
        match self.after {
            Some(after) if self.descending => to = to.min(after),
            Some(after) => from = from.max(after + TimeDelta::microseconds(1)),
            None => {}
        }
        (ceiling(self.timeframe, from), ceiling(self.timeframe, to))
    }
}

/// Start of the first bucket that starts at `time` or later.
fn ceiling(timeframe: Timeframe, time: DateTime<Utc>) -> DateTime<Utc> {
    if timeframe == Timeframe::Minute1 {
        return time;
    }
    let bucket = timeframe.bucket(time);
    if bucket == time { time } else { timeframe.bucket_end(bucket) }
}

/// Before every bar: the first day of the calendar both chrono and Postgres have.
fn first_instant() -> DateTime<Utc> {
    midnight(1, 1, 1)
}

/// After every bar.
fn last_instant() -> DateTime<Utc> {
    midnight(9999, 12, 31)
}

fn midnight(year: i32, month: u32, day: u32) -> DateTime<Utc> {
    NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default().and_time(chrono::NaiveTime::MIN).and_utc()
}

#[derive(FromRow)]
struct BarRow {
    time: DateTime<Utc>,
    open: Decimal,
    high: Decimal,
    low: Decimal,
    close: Decimal,
    volume: i64,
}

impl From<BarRow> for Bar {
    fn from(row: BarRow) -> Self {
        let BarRow { time, open, high, low, close, volume } = row;
        Self { time, open, high, low, close, volume }
    }
}

macro_rules! bars_where {
    ($window:literal) => {
        concat!(
            "select time, open, high, low, close, volume from bar ",
            "where symbol_id = (select symbol_id from symbol where symbol = $1) and ",
            $window,
            " order by time"
        )
    };
}

/// Walks from bucket to bucket by one index probe each: nights and weekends cost nothing.
macro_rules! buckets {
    ($bucket:literal, $next:literal, $order:literal) => {
        concat!(
            "with recursive bucket(start, n) as (",
            "(select ",
            $bucket,
            ", 1::bigint from stock where symbol_id = (select symbol_id from symbol where symbol = $1) ",
            "and time >= $2 and time < $3 order by time ",
            $order,
            " limit 1) union all select ",
            $bucket,
            ", n + 1 from bucket cross join lateral (select time from stock ",
            "where symbol_id = (select symbol_id from symbol where symbol = $1) and ",
            $next,
            " order by time ",
            $order,
            " limit 1) probe where n < $4) "
        )
    };
}

/// `$1` symbol, `$2` from, `$3` to, `$4` number of bars. Rows come oldest first.
const OLDEST_MINUTES: &str = bars_where!(
    "time >= $2 and time <= (select max(time) from (select distinct time from stock
        where symbol_id = (select symbol_id from symbol where symbol = $1) and time >= $2 and time < $3
        order by time limit $4) oldest)"
);
const NEWEST_MINUTES: &str = bars_where!(
    "time < $3 and time >= (select min(time) from (select distinct time from stock
        where symbol_id = (select symbol_id from symbol where symbol = $1) and time >= $2 and time < $3
        order by time desc limit $4) newest)"
);
/// As above; `$5` is the bucket's length.
const OLDEST_BUCKETS: &str = concat!(
    buckets!("date_bin($5, time, timestamptz 'epoch')", "time >= bucket.start + $5 and time < $3", ""),
    bars_where!("time >= $2 and time < least($3, (select max(start) + $5 from bucket))")
);
const NEWEST_BUCKETS: &str = concat!(
    buckets!("date_bin($5, time, timestamptz 'epoch')", "time >= $2 and time < bucket.start", "desc"),
    bars_where!("time >= (select min(start) from bucket) and time < $3")
);
/// A day is the exchange's; 25 hours after its midnight is always inside the next one.
const OLDEST_DAYS: &str = concat!(
    buckets!(
        "date_trunc('day', time, 'America/New_York')",
        "time >= date_trunc('day', bucket.start + interval '25 hours', 'America/New_York') and time < $3",
        ""
    ),
    bars_where!(
        "time >= $2 and time < least($3,
            (select date_trunc('day', max(start) + interval '25 hours', 'America/New_York') from bucket))"
    )
);
const NEWEST_DAYS: &str = concat!(
    buckets!("date_trunc('day', time, 'America/New_York')", "time >= $2 and time < bucket.start", "desc"),
    bars_where!("time >= (select min(start) from bucket) and time < $3")
);

/// One-minute rows are folded in pieces of this many, so that a long window of days needs little memory.
const FOLD_ROWS: usize = 2_000;

/// The answer to `query`, oldest first.
async fn read_bars(connection: &mut PgConnection, query: &BarsQuery) -> Result<Vec<Bar>, sqlx::Error> {
    let sql = match (query.timeframe, query.descending) {
        (Timeframe::Minute1, false) => OLDEST_MINUTES,
        (Timeframe::Minute1, true) => NEWEST_MINUTES,
        (Timeframe::Day1, false) => OLDEST_DAYS,
        (Timeframe::Day1, true) => NEWEST_DAYS,
        (_, false) => OLDEST_BUCKETS,
        (_, true) => NEWEST_BUCKETS,
    };
    let (from, to) = query.range();
    if from >= to || query.limit == 0 {
        return Ok(Vec::new());
    }
    let mut bound =
        sqlx::query_as::<_, BarRow>(sql).bind(query.symbol.as_str()).bind(from).bind(to).bind(i64::from(query.limit));
    if !matches!(query.timeframe, Timeframe::Minute1 | Timeframe::Day1) {
        bound = bound.bind(query.timeframe.duration());
    }
    let rows = bound.fetch(connection).map_ok(Bar::from);
    if query.timeframe == Timeframe::Minute1 {
        return rows.try_collect().await;
    }
    rows.try_chunks(FOLD_ROWS)
        .map_err(|futures::stream::TryChunksError(_, error)| error)
        .try_fold(Vec::new(), |mut bars: Vec<Bar>, rows| async move {
            // Aggregating is associative, so the bucket that the piece before left open goes in again.
            let open = bars.pop();
            bars.extend(aggregate(open.into_iter().chain(rows), query.timeframe));
            Ok(bars)
        })
        .await
}

pub(super) async fn within<T>(answer: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, ReadError> {
    match tokio::time::timeout(READ_TIMEOUT, answer).await {
        Ok(result) => Ok(result?),
        Err(_elapsed) => Err(ReadError::Timeout),
    }
}

/// The one-minute bars with `from ≤ time < to`, oldest first.
pub(super) async fn minutes_in(
    connection: &mut PgConnection,
    symbol: &Symbol,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<Bar>, sqlx::Error> {
    let rows = sqlx::query_as::<_, BarRow>(bars_where!("time >= $2 and time < $3"))
        .bind(symbol.as_str())
        .bind(from)
        .bind(to)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(Bar::from).collect())
}

fn parse_symbol(text: &str) -> Result<Symbol, sqlx::Error> {
    text.parse().map_err(|error| sqlx::Error::Decode(Box::<market::InvalidSymbol>::new(error)))
}

/// All of these fail with [`ReadError`] when Postgres does not answer.
impl Store {
    /// All symbols that have a bar, by name. Counting the bars reads one whole index; keep the answer for a while.
    pub async fn symbols(&self) -> Result<Vec<SymbolInfo>, ReadError> {
        #[derive(FromRow)]
        struct Row {
            symbol: String,
            first: DateTime<Utc>,
            last: DateTime<Utc>,
            bars: i64,
            simulated: bool,
        }
        let rows = within(
            sqlx::query_as::<_, Row>(
                "select symbol.symbol, first.time as first, last.time as last, counted.bars, symbol.simulated
                 from (select symbol_id, count(distinct time) as bars from stock group by symbol_id) counted
                 join symbol using (symbol_id)
                 cross join lateral (select time from stock where stock.symbol_id = symbol.symbol_id
                    order by time limit 1) first
                 cross join lateral (select time from stock where stock.symbol_id = symbol.symbol_id
                    order by time desc limit 1) last
                 order by symbol.symbol",
            )
            .fetch_all(self.readers()),
        )
        .await?;
        rows.into_iter()
            .map(|Row { symbol, first, last, bars, simulated }| {
                Ok(SymbolInfo { symbol: parse_symbol(&symbol)?, first, last, bars, simulated })
            })
            .collect()
    }

    /// Those of `symbols` that no row was ever stored for.
    pub async fn unknown(&self, symbols: &[Symbol]) -> Result<Vec<Symbol>, ReadError> {
        let asked: Vec<&str> = symbols.iter().map(Symbol::as_str).collect();
        let unknown: Vec<String> = within(
            sqlx::query_scalar(
                "select asked from unnest($1::text[]) with ordinality as list(asked, place)
                 where not exists (select from symbol where symbol = asked) order by place",
            )
            .bind(asked)
            .fetch_all(self.readers()),
        )
        .await?;
        unknown.iter().map(|symbol| Ok(parse_symbol(symbol)?)).collect()
    }

    /// The bars asked for, in the order asked for. Longer bars are what [`market::aggregate`] makes of the one-minute
    /// bars; a page never splits one.
    pub async fn bars(&self, query: &BarsQuery) -> Result<Vec<Bar>, ReadError> {
        let mut bars = within(async { read_bars(&mut *self.readers().acquire().await?, query).await }).await?;
        if query.descending {
            bars.reverse();
        }
        Ok(bars)
    }

    /// The one-minute bars with `from ≤ time < to`, oldest first.
    pub async fn bars_in(
        &self,
        symbol: &Symbol,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<Bar>, ReadError> {
        within(async { minutes_in(&mut *self.readers().acquire().await?, symbol, from, to).await }).await
    }

    /// The `n`-th one-minute bar, oldest first, counted from 0. Walks an index: `n` entries are read.
    pub async fn bar_at(&self, symbol: &Symbol, n: i64) -> Result<Option<Bar>, ReadError> {
        let row = within(
            sqlx::query_as::<_, BarRow>(bars_where!(
                "time = (select time from (select distinct time from stock
                    where symbol_id = (select symbol_id from symbol where symbol = $1)
                    order by time offset $2 limit 1) nth)"
            ))
            .bind(symbol.as_str())
            .bind(n.max(0))
            .fetch_optional(self.readers()),
        )
        .await?;
        Ok(row.map(Bar::from))
    }

    /// The newest one-minute bar of each of `symbols`, or of all, by name. A symbol without bars is left out.
    pub async fn latest(&self, symbols: Option<&[Symbol]>) -> Result<Vec<LatestBar>, ReadError> {
        let asked: Option<Vec<&str>> = symbols.map(|list| list.iter().map(Symbol::as_str).collect());
        let rows: Vec<PgRow> = within(
            sqlx::query(
                "select symbol.symbol, bar.*
                 from symbol
                 cross join lateral (select max(time) as time from stock where symbol_id = symbol.symbol_id) newest
                 cross join lateral (select time, open, high, low, close, volume, event_time, committed_at
                    from bar where symbol_id = symbol.symbol_id and time = newest.time limit 1) bar
                 where $1::text[] is null or symbol.symbol = any($1)
                 order by symbol.symbol",
            )
            .bind(asked)
            .fetch_all(self.readers()),
        )
        .await?;
        rows.iter()
            .map(|row| {
                use sqlx::Row;
                Ok(LatestBar {
                    symbol: parse_symbol(row.try_get("symbol")?)?,
                    bar: BarRow::from_row(row)?.into(),
                    event_time: row.try_get("event_time")?,
                    committed_at: row.try_get("committed_at")?,
                })
            })
            .collect()
    }

    /// What the newest `limit` bars with `start ≤ time < end` amount to; `None` when there are none.
    pub async fn stats(
        &self,
        symbol: &Symbol,
        timeframe: Timeframe,
        start: Option<DateTime<Utc>>,
        end: Option<DateTime<Utc>>,
        limit: u32,
    ) -> Result<Option<Stats>, ReadError> {
        let query = BarsQuery { start, end, ..BarsQuery::newest(symbol.clone(), timeframe, limit) };
        let bars = within(async { read_bars(&mut *self.readers().acquire().await?, &query).await }).await?;
        Ok(Stats::of(&bars))
    }

    /// The newest `bars` bars, oldest first, and the `seq` of the stream as of which they are true: both come from one
    /// snapshot of the database, so that deltas after `seq` continue them without a gap.
    pub async fn snapshot(
        &self,
        symbol: &Symbol,
        timeframe: Timeframe,
        bars: u32,
    ) -> Result<(i64, Vec<Bar>), ReadError> {
        let query = BarsQuery::newest(symbol.clone(), timeframe, bars);
        within(async {
            let mut transaction =
                self.readers().begin_with("begin transaction isolation level repeatable read, read only").await?;
            let seq = sqlx::query_scalar("select seq from stream_head").fetch_one(&mut *transaction).await?;
            let bars = read_bars(&mut transaction, &query).await?;
            transaction.commit().await?;
            Ok((seq, bars))
        })
        .await
    }
}
