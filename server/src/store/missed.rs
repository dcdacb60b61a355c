//! What a returning client missed: what changed, and what it changed to, as of one instant.

use super::{
    ChangedCandle, ChangesSince, ReadError, Store,
    head::changes_in,
    read::{minutes_in, within},
};
use chrono::{DateTime, TimeDelta, Utc};
use market::{Bar, Symbol, Timeframe, aggregate};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The longest span of one-minute rows read at once.
const MAX_SPAN: TimeDelta = TimeDelta::days(2);

/// What changed after a seq.
#[derive(Clone, Debug)]
pub enum Missed {
    /// Up to which seq this is complete, the one-minute candles that changed, and what the bars that hold them are now;
    /// a bar that is missing is gone.
    Known { seq: i64, candles: Vec<ChangedCandle>, bars: HashMap<(Symbol, DateTime<Utc>), Bar> },
    /// The log does not reach back that far, or too much changed.
    Gone,
}

impl Store {
    /// What changed of `symbols` after `since`, at most `limit` one-minute candles, in bars of `timeframe`. All of it is
    /// read from one snapshot of the database: a bar read a moment later could have a change in it that a client is
    /// only told of later, and would then see taken back by the change before that.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn missed(
        &self,
        since: i64,
        symbols: &[Symbol],
        timeframe: Timeframe,
        limit: i64,
    ) -> Result<Missed, ReadError> {
        within(async {
            let mut transaction =
                self.readers().begin_with("begin transaction isolation level repeatable read, read only").await?;
            let (seq, candles) = match changes_in(&mut transaction, since, Some(symbols), limit).await? {
                ChangesSince::Known { seq, candles } => (seq, candles),
                ChangesSince::Gone => return Ok(Missed::Gone),
            };
            let mut buckets: BTreeMap<&Symbol, BTreeSet<DateTime<Utc>>> = BTreeMap::new();
            for candle in &candles {
                buckets.entry(&candle.symbol).or_default().insert(timeframe.bucket(candle.time));
            }
            let mut bars = HashMap::new();
            for (symbol, buckets) in buckets {
                for (from, to) in spans(timeframe, buckets) {
                    let minutes = minutes_in(&mut transaction, symbol, from, to).await?;
                    let found = aggregate(minutes, timeframe);
                    bars.extend(found.into_iter().map(|bar| ((symbol.clone(), bar.time), bar)));
                }
            }
            transaction.commit().await?;
            Ok(Missed::Known { seq, candles, bars })
        })
        .await
    }
}

/// As few ranges as the spread of the buckets allows, which must come in time order.
fn spans(
    timeframe: Timeframe,
    buckets: impl IntoIterator<Item = DateTime<Utc>>,
) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let mut spans: Vec<(DateTime<Utc>, DateTime<Utc>)> = Vec::new();
    for bucket in buckets {
        let end = timeframe.bucket_end(bucket);
        match spans.last_mut() {
            Some(span) if end - span.0 <= MAX_SPAN => span.1 = end,
            _ => spans.push((bucket, end)),
        }
    }
    spans
}
