//! The newest figures of many symbols, for the watchlist: of each a few index probes and the rows of one day.

use super::{ReadError, Store, read::within};
use market::{
    InvalidSymbol, Severity,
    watchlist::{WatchRow, Watchlist},
};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use sqlx::{Row, postgres::PgRow};

/// `$1`: what names have in them, or null; `$2`: how many.
const WATCHED: &str = "with wanted as (
        select symbol_id, symbol, simulated, count(*) over () as total from symbol
        where ($1::text is null or strpos(symbol, $1) > 0)
            and exists (select from stock where stock.symbol_id = symbol.symbol_id)
        order by symbol collate \"C\" limit $2)
    select wanted.symbol, simulated, total, newest.*, day.*, before.close as previous_close, found.*
    from wanted
    cross join lateral (select max(time) as time from stock where symbol_id = wanted.symbol_id) last
    cross join lateral (select time, close, volume as bar_volume, event_time, committed_at
        from bar where symbol_id = wanted.symbol_id and time = last.time) newest
    cross join lateral (select date_trunc('day', last.time, 'America/New_York') as start) today
    cross join lateral (select least(sum(volume), 9223372036854775807)::bigint as volume, count(*) as bars,
            count(*) filter (where rules <> 0) as tagged, array_agg(close order by time) as closes
        from bar where symbol_id = wanted.symbol_id and time >= today.start and time <= last.time) day
    left join lateral (select close from bar where symbol_id = wanted.symbol_id and time = (
            select max(time) from stock where symbol_id = wanted.symbol_id and time < today.start)) before on true
    cross join lateral (select count(*) as findings, (array_agg(severity order by
                array_position('{critical,warning,info}'::text[], severity)))[1] as worst
        from finding where symbol_id = wanted.symbol_id and time >= today.start and resolved_at is null) found
    order by wanted.symbol collate \"C\"";

impl Store {
    /// The first `limit` symbols by name whose name has `filter` in it.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn watchlist(&self, filter: Option<&str>, limit: u32) -> Result<Watchlist, ReadError> {
        let query = sqlx::query(WATCHED).bind(filter).bind(i64::from(limit));
        let rows: Vec<PgRow> = within(query.fetch_all(self.readers())).await?;
        let total = rows.first().map_or(Ok(0), |row| row.try_get("total"))?;
        Ok(Watchlist { total, rows: rows.iter().map(watch_row).collect::<Result<_, _>>()? })
    }
}

fn watch_row(row: &PgRow) -> Result<WatchRow, sqlx::Error> {
    let symbol: &str = row.try_get("symbol")?;
    let closes: Vec<Decimal> = row.try_get("closes")?;
    let worst: Option<&str> = row.try_get("worst")?;
    Ok(WatchRow {
        symbol: symbol.parse().map_err(|error: InvalidSymbol| sqlx::Error::Decode(Box::new(error)))?,
        simulated: row.try_get("simulated")?,
        time: row.try_get("time")?,
        close: row.try_get("close")?,
        bar_volume: row.try_get("bar_volume")?,
        previous_close: row.try_get("previous_close")?,
        volume: row.try_get("volume")?,
        bars: row.try_get("bars")?,
        tagged: row.try_get("tagged")?,
        findings: row.try_get("findings")?,
        worst: worst.and_then(Severity::from_name),
        closes: thinned(&closes),
        event_time: row.try_get("event_time")?,
        committed_at: row.try_get("committed_at")?,
    })
}

/// The closes of a course, evenly spread, the newest always among them.
fn thinned(closes: &[Decimal]) -> Vec<f64> {
    let step = WatchRow::course_step(closes.len());
    let mut points: Vec<f64> = closes.iter().rev().step_by(step).filter_map(Decimal::to_f64).collect();
    points.reverse();
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use market::watchlist::COURSE_POINTS;

    #[test]
    fn a_course_keeps_its_newest_point_and_is_never_long() {
        for count in [0, 1, 39, 40, 41, 390, 960] {
            let closes: Vec<Decimal> = (0..count).map(Decimal::from).collect();
            let points = thinned(&closes);
            assert!(points.len() <= COURSE_POINTS && points.len() >= closes.len().min(COURSE_POINTS / 2), "{count}");
            assert_eq!(points.last().copied(), (count > 0).then(|| f64::from(count - 1)));
            assert!(points.is_sorted());
        }
    }
}
