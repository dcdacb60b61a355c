//! What a symbol is worth now: its newest minute, its day and the day before.

use super::{
    BarsQuery, ReadError, Store,
    read::{newest_minutes, read_bars, within},
};
use market::{Symbol, Timeframe, wire::Snapshot};

impl Store {
    /// The newest one-minute bar of each of `symbols` with the bars of its day and of the day with bars before it, by
    /// name, all as of one instant. A symbol without bars is left out.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn snapshots(&self, symbols: &[Symbol]) -> Result<Vec<Snapshot>, ReadError> {
        within(async {
            let mut transaction =
                self.readers().begin_with("begin transaction isolation level repeatable read, read only").await?;
            let mut snapshots = Vec::with_capacity(symbols.len());
            for latest in newest_minutes(&mut transaction, Some(symbols)).await? {
                let days = BarsQuery::newest(latest.symbol.clone(), Timeframe::DAY_1, 2);
                let mut days = read_bars(&mut transaction, &days).await?.into_iter().rev();
                let Some(daily) = days.next() else { continue };
                snapshots.push(Snapshot { latest, daily, previous_daily: days.next() });
            }
            transaction.commit().await?;
            Ok(snapshots)
        })
        .await
    }
}
