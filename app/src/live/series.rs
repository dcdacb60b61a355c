//! The bars of one symbol and timeframe as the browser knows them, and the rule by which a delta is accepted.
//!
//! A snapshot resets the chain. A delta `{prev, seq}` is applied if `prev ≤ mine < seq`, skipped if `seq ≤ mine`, and
//! reveals a gap if `prev > mine`. Knows no socket and no clock.

use chrono::{DateTime, TimeDelta, Utc};
use market::{Bar, wire::Record};

/// Bars asked for and kept per symbol: two regular sessions of minutes.
pub const WINDOW: usize = 780;

/// When the newest change of a series happened, hop by hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When the source committed it; a deletion does not say.
    pub event_time: Option<DateTime<Utc>>,
    /// When the server committed it.
    pub committed_at: DateTime<Utc>,
    /// When it came here, on the server's clock.
    pub received_at: DateTime<Utc>,
}

impl Heard {
    /// How late the change was. In a replay the source's own time lies in the past by intent, and the way counts from
    /// the server's commit.
    pub fn delay(&self, replay: bool) -> TimeDelta {
        let origin = self.event_time.filter(|_| !replay).unwrap_or(self.committed_at);
        (self.received_at - origin).max(TimeDelta::zero())
    }
}

/// What became of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Applied,
    /// Already contained in what is shown.
    Known,
    /// Something before it is missing: subscribe again.
    Gap,
}

/// The newest bars of one symbol and timeframe, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// The last change contained; `None` until a snapshot came, or after the chain broke.
    pub seq: Option<i64>,
    pub bars: Vec<Bar>,
    /// Whether the bars were ever told, so that none means "empty" and not "loading".
    pub loaded: bool,
    pub heard: Option<Heard>,
}

impl Series {
    /// Takes a snapshot as it is.
    pub fn snap(&mut self, seq: i64, bars: Vec<Bar>) {
        self.seq = Some(seq);
        self.bars = bars;
        self.loaded = true;
        self.trim();
    }

    /// What came with the page: shown, but not a link of the chain, because the page does not say of which epoch it is.
    pub fn seed(&mut self, bars: Vec<Bar>) {
        self.bars = bars;
        self.loaded = true;
        self.trim();
    }

    /// Applies the records of a delta if they are next; `received_at` is on the server's clock.
    pub fn delta(&mut self, prev: i64, seq: i64, records: &[Record], received_at: DateTime<Utc>) -> Outcome {
        match self.seq {
            None => return Outcome::Gap,
            Some(mine) if seq <= mine => return Outcome::Known,
            Some(mine) if prev > mine => return Outcome::Gap,
            Some(_) => {}
        }
        for record in records {
            self.apply(record, received_at);
        }
        self.seq = Some(seq);
        self.trim();
        Outcome::Applied
    }

    /// Forgets its place in the stream but keeps what is shown, until a snapshot replaces it.
    pub fn break_chain(&mut self) {
        self.seq = None;
    }

    fn apply(&mut self, record: &Record, received_at: DateTime<Utc>) {
        match *record {
            Record::Bar { bar, event_time, committed_at } | Record::Rev { bar, event_time, committed_at } => {
                match self.bars.binary_search_by_key(&bar.time, |known| known.time) {
                    Ok(index) => self.bars[index] = bar,
                    Err(index) => self.bars.insert(index, bar),
                }
                self.heard = Some(Heard { event_time: Some(event_time), committed_at, received_at });
            }
            Record::Del { time, committed_at } => {
                if let Ok(index) = self.bars.binary_search_by_key(&time, |known| known.time) {
                    self.bars.remove(index);
                }
                self.heard = Some(Heard { event_time: None, committed_at, received_at });
            }
        }
    }

    fn trim(&mut self) {
        let surplus = self.bars.len().saturating_sub(WINDOW);
        self.bars.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::Decimal;

    fn minute(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_705_415_400 + minute * 60, 0).unwrap()
    }

    fn bar(at: i64, close: i64) -> Bar {
        let close = Decimal::new(close, 2);
        Bar { time: minute(at), open: close, high: close, low: close, close, volume: 1 }
    }

    fn new(at: i64, close: i64) -> Record {
        Record::Bar { bar: bar(at, close), event_time: minute(at + 1), committed_at: minute(at + 1) }
    }

    fn series() -> Series {
        let mut series = Series::default();
        series.snap(10, vec![bar(0, 100), bar(1, 101)]);
        series
    }

    #[test]
    fn the_next_delta_is_applied_and_moves_the_chain() {
        let mut series = series();
        assert_eq!(series.delta(10, 12, &[new(2, 102)], minute(3)), Outcome::Applied);
        assert_eq!((series.seq, series.bars.len()), (Some(12), 3));
        assert_eq!(series.heard.map(|heard| heard.committed_at), Some(minute(3)));
    }

    #[test]
    fn a_delta_that_overlaps_is_applied_once_and_an_old_one_is_skipped() {
        let mut series = series();
        assert_eq!(series.delta(8, 11, &[new(1, 105), new(2, 106)], minute(3)), Outcome::Applied);
        assert_eq!(series.bars, [bar(0, 100), bar(1, 105), bar(2, 106)]);
        assert_eq!(series.delta(8, 11, &[new(1, 999)], minute(3)), Outcome::Known);
        assert_eq!(series.bars[1], bar(1, 105));
    }

    #[test]
    fn a_gap_changes_nothing() {
        let mut series = series();
        let before = series.clone();
        assert_eq!(series.delta(11, 13, &[new(2, 102)], minute(3)), Outcome::Gap);
        assert_eq!(series, before);
    }

    #[test]
    fn without_a_snapshot_every_delta_is_a_gap_but_what_is_shown_stays() {
        let mut series = series();
        series.break_chain();
        assert_eq!(series.delta(10, 11, &[new(2, 102)], minute(3)), Outcome::Gap);
        assert_eq!(series.bars.len(), 2);
        let mut seeded = Series::default();
        seeded.seed(vec![bar(0, 100)]);
        assert_eq!(seeded.delta(0, 1, &[], minute(0)), Outcome::Gap);
        assert!(seeded.loaded);
    }

    #[test]
    fn corrections_and_deletions_reach_the_bar_they_mean() {
        let mut series = series();
        let records = [
            Record::Rev { bar: bar(0, 90), event_time: minute(2), committed_at: minute(2) },
            Record::Del { time: minute(1), committed_at: minute(2) },
            Record::Del { time: minute(77), committed_at: minute(2) },
        ];
        assert_eq!(series.delta(10, 13, &records, minute(2)), Outcome::Applied);
        assert_eq!(series.bars, [bar(0, 90)]);
    }

    #[test]
    fn the_window_slides() {
        let mut series = Series::default();
        series.snap(1, (0..WINDOW as i64).map(|at| bar(at, at)).collect());
        series.delta(1, 2, &[new(WINDOW as i64, 7)], minute(0));
        assert_eq!((series.bars.len(), series.bars[0].time), (WINDOW, minute(1)));
    }

    #[test]
    fn a_replay_is_measured_from_the_commit() {
        let heard = Heard { event_time: Some(minute(0)), committed_at: minute(10), received_at: minute(11) };
        assert_eq!(heard.delay(false), TimeDelta::minutes(11));
        assert_eq!(heard.delay(true), TimeDelta::minutes(1));
    }
}
