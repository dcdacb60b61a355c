//! The read side: every question the API, the pages and the live feed ask of Postgres.
//!
//! Who wins when a source holds a minute twice is decided by the view `bar` and nowhere else. Each query first finds
//! by index probes where its window begins or ends and only then reads the view, because Postgres sorts the whole
//! range of a `distinct on` before a `limit` can stop it.

use super::{Store, bar::read_bar};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use futures::TryStreamExt;
use market::{
    Bar, Stats, Symbol, Timeframe, Unit, aggregate,
    wire::{LatestBar, SymbolInfo},
};
use sqlx::{
    FromRow, PgConnection, Row,
    postgres::{PgRow, types::PgInterval},
};
use std::{
    future::{Future, ready},
    time::Duration,
};

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
    if timeframe == Timeframe::MINUTE_1 {
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
/// Days, weeks and months of the exchange's calendar; `$5` names the calendar unit, `$6` is how many months a bucket has
/// (1 for days and weeks), `$7` its length in the calendar.
macro_rules! calendar_buckets {
    ($next:literal, $order:literal) => {
        buckets!(
            "(date_trunc($5, time at time zone 'America/New_York') - make_interval(months =>
                (extract(month from time at time zone 'America/New_York')::int - 1) % $6)) at time zone 'America/New_York'",
            $next,
            $order
        )
    };
}
const OLDEST_DAYS: &str = concat!(
    calendar_buckets!(
        "time >= (bucket.start at time zone 'America/New_York' + $7) at time zone 'America/New_York' and time < $3",
        ""
    ),
    bars_where!(
        "time >= $2 and time < least($3,
            (select (max(start) at time zone 'America/New_York' + $7) at time zone 'America/New_York' from bucket))"
    )
);
const NEWEST_DAYS: &str = concat!(
    calendar_buckets!("time >= $2 and time < bucket.start and $7 > interval '0'", "desc"),
    bars_where!("time >= (select min(start) from bucket) and time < $3")
);

/// One-minute rows are folded in pieces of this many, so that a long window of days needs little memory.
const FOLD_ROWS: usize = 2_000;

/// The answer to `query`, oldest first.
pub(super) async fn read_bars(connection: &mut PgConnection, query: &BarsQuery) -> Result<Vec<Bar>, sqlx::Error> {
    let timeframe = query.timeframe;
    let sql = match (timeframe, timeframe.is_intraday(), query.descending) {
        (Timeframe::MINUTE_1, _, false) => OLDEST_MINUTES,
        (Timeframe::MINUTE_1, _, true) => NEWEST_MINUTES,
        (_, true, false) => OLDEST_BUCKETS,
        (_, true, true) => NEWEST_BUCKETS,
        (_, false, false) => OLDEST_DAYS,
        (_, false, true) => NEWEST_DAYS,
    };
    let (from, to) = query.range();
    if from >= to || query.limit == 0 {
        return Ok(Vec::new());
    }
    let mut bound = sqlx::query(sql).bind(query.symbol.as_str()).bind(from).bind(to).bind(i64::from(query.limit));
    if !timeframe.is_intraday() {
        let (unit, months, length) = calendar(timeframe);
        bound = bound.bind(unit).bind(months).bind(length);
    } else if timeframe != Timeframe::MINUTE_1 {
        bound = bound.bind(timeframe.duration());
    }
    let rows = bound.fetch(connection).and_then(|row| ready(read_bar(&row, 0)));
    if timeframe == Timeframe::MINUTE_1 {
        return rows.try_collect().await;
    }
    rows.try_chunks(FOLD_ROWS)
        .map_err(|futures::stream::TryChunksError(_, error)| error)
        .try_fold(Vec::new(), |mut bars: Vec<Bar>, rows| async move {
            // Aggregating is associative, so the bucket that the piece before left open goes in again.
            let open = bars.pop();
            bars.extend(aggregate(open.into_iter().chain(rows), timeframe));
            Ok(bars)
        })
        .await
}

/// The calendar unit, the number of months and the length of a bucket, as [`calendar_buckets`] takes them.
fn calendar(timeframe: Timeframe) -> (&'static str, i32, PgInterval) {
    let count = i32::from(timeframe.count());
    let length = |months, days| PgInterval { months, days, microseconds: 0 };
    match timeframe.unit() {
        Unit::Week => ("week", 1, length(0, 7)),
        Unit::Month => ("month", count, length(count, 0)),
        _ => ("day", 1, length(0, 1)),
    }
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
    let rows = sqlx::query(bars_where!("time >= $2 and time < $3")).bind(symbol.as_str()).bind(from).bind(to);
    rows.fetch(connection).and_then(|row| ready(read_bar(&row, 0))).try_collect().await
}

/// The newest one-minute bar of each of `symbols`, or of all, by name. A symbol without bars is left out.
pub(super) async fn newest_minutes(
    connection: &mut PgConnection,
    symbols: Option<&[Symbol]>,
) -> Result<Vec<LatestBar>, sqlx::Error> {
    let asked: Option<Vec<&str>> = symbols.map(|list| list.iter().map(Symbol::as_str).collect());
    let rows: Vec<PgRow> = sqlx::query(
        "select symbol.symbol, bar.time, open, high, low, close, volume, event_time, committed_at
         from symbol
         cross join lateral (select max(time) as time from stock where symbol_id = symbol.symbol_id) newest
         cross join lateral (select time, open, high, low, close, volume, event_time, committed_at
            from bar where symbol_id = symbol.symbol_id and time = newest.time limit 1) bar
         where $1::text[] is null or symbol.symbol = any($1)
         order by symbol.symbol",
    )
    .bind(asked)
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(LatestBar {
                symbol: parse_symbol(row.try_get(0)?)?,
                bar: read_bar(row, 1)?,
                event_time: row.try_get(7)?,
                committed_at: row.try_get(8)?,
            })
        })
        .collect()
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
        if let Some(bars) = self.recent_bars(query).await? {
            return Ok(bars);
        }
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
            sqlx::query(bars_where!(
                "time = (select time from (select distinct time from stock
                    where symbol_id = (select symbol_id from symbol where symbol = $1)
                    order by time offset $2 limit 1) nth)"
            ))
            .bind(symbol.as_str())
            .bind(n.max(0))
            .fetch_optional(self.readers()),
        )
        .await?;
        Ok(row.map(|row| read_bar(&row, 0)).transpose()?)
    }

    /// The newest one-minute bar of each of `symbols`, or of all, by name. A symbol without bars is left out.
    pub async fn latest(&self, symbols: Option<&[Symbol]>) -> Result<Vec<LatestBar>, ReadError> {
        if let Some(symbols) = symbols
            && let Some(latest) = self.recent_latest(symbols).await?
        {
            return Ok(latest);
        }
        within(async { newest_minutes(&mut *self.readers().acquire().await?, symbols).await }).await
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
