//! The bars of one symbol and timeframe as the browser knows them, and the rule by which a delta is accepted.
//!
//! A snapshot resets the chain. A delta `{prev, seq}` is applied if `prev ≤ mine < seq`, skipped if `seq ≤ mine`, and
//! reveals a gap if `prev > mine`. Knows no socket and no clock.

use chrono::{DateTime, TimeDelta, Utc};
use market::{Bar, wire::Record};
use std::collections::BTreeMap;

/// Bars asked for and kept per symbol: two regular sessions of minutes.
pub const WINDOW: usize = 780;
/// Bars kept per symbol when older ones were asked for: more would make no picture, and slow the canvas.
pub const MOST: usize = 2_000;

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
    /// Bars of which something that was known became different while the page looked, and when that was committed.
    pub revised: BTreeMap<DateTime<Utc>, DateTime<Utc>>,
    /// How often anything but the newest bar changed.
    pub settled: u64,
    /// Bars that were asked for beyond the window.
    older: usize,
    /// Whether there is nothing older than the first bar.
    pub complete: bool,
}

impl Series {
    /// Takes a snapshot as it is.
    pub fn snap(&mut self, seq: i64, bars: Vec<Bar>) {
        self.seq = Some(seq);
        self.replace(bars);
    }

    fn replace(&mut self, bars: Vec<Bar>) {
        self.bars = bars;
        self.loaded = true;
        self.older = 0;
        self.complete = false;
        self.settled += 1;
        self.trim();
    }

    /// Takes in a page of older bars, newest first, as the API gives it; `last`: there are none before them. Bars that are
    /// not older than the first are known already. Keeps no more than [`MOST`].
    pub fn prepend(&mut self, page: &[Bar], last: bool) {
        let Some(first) = self.bars.first().map(|bar| bar.time) else { return };
        let room = MOST.saturating_sub(self.bars.len());
        let mut older: Vec<Bar> = page.iter().filter(|bar| bar.time < first).copied().collect();
        self.complete = last && older.len() <= room;
        older.truncate(room);
        older.reverse();
        self.older += older.len();
        self.bars.splice(0..0, older);
        self.settled += 1;
    }

    /// The newest bars, which the window's statistics are of.
    pub fn window(&self) -> &[Bar] {
        &self.bars[self.bars.len().saturating_sub(WINDOW)..]
    }

    /// The bars of a time.
    pub fn between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> &[Bar] {
        let place = |time| self.bars.partition_point(|bar| bar.time < time);
        &self.bars[place(from)..place(to).max(place(from))]
    }

    /// What came with the page: shown, but not a link of the chain, because the page does not say of which epoch it is.
    pub fn seed(&mut self, bars: Vec<Bar>) {
        self.replace(bars);
    }

    /// A window of the past, oldest bar first: as many as were asked for, up to [`MOST`].
    pub fn hold(&mut self, mut bars: Vec<Bar>) {
        let newest = bars.split_off(bars.len().saturating_sub(WINDOW));
        self.seq = None;
        self.revised.clear();
        self.heard = None;
        self.replace(newest);
        bars.reverse();
        self.prepend(&bars, false);
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
                    Ok(index) => {
                        self.settled += u64::from(index + 1 < self.bars.len() && self.bars[index] != bar);
                        self.bars[index] = bar;
                    }
                    Err(index) => {
                        self.bars.insert(index, bar);
                        self.settled += 1;
                    }
                }
                if matches!(record, Record::Rev { .. }) {
                    self.revised.insert(bar.time, committed_at);
                }
                self.heard = Some(Heard { event_time: Some(event_time), committed_at, received_at });
            }
            Record::Del { time, committed_at } => {
                if let Ok(index) = self.bars.binary_search_by_key(&time, |known| known.time) {
                    self.bars.remove(index);
                    self.settled += 1;
                }
                self.revised.remove(&time);
                self.heard = Some(Heard { event_time: None, committed_at, received_at });
            }
        }
    }

    fn trim(&mut self) {
        let surplus = self.bars.len().saturating_sub((WINDOW + self.older).min(MOST));
        if surplus > 0 {
            self.bars.drain(..surplus);
            self.settled += 1;
            self.complete = false;
        }
        if let Some(first) = self.bars.first() {
            self.revised = self.revised.split_off(&first.time);
        }
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

    #[test]
    fn only_the_newest_bar_moves_without_settling_anything_anew() {
        let mut series = series();
        let settled = series.settled;
        series.delta(10, 11, &[new(1, 105)], minute(3));
        assert_eq!(series.settled, settled);
        series.delta(11, 12, &[new(2, 106)], minute(3));
        assert_eq!(series.settled, settled + 1);
        series.delta(12, 13, &[new(0, 99)], minute(3));
        assert_eq!(series.settled, settled + 2);
    }

    #[test]
    fn a_revision_is_remembered_as_such_until_its_bar_is_gone() {
        let mut series = series();
        let revision = Record::Rev { bar: bar(0, 90), event_time: minute(2), committed_at: minute(3) };
        series.delta(10, 11, &[revision], minute(3));
        assert_eq!(series.revised.get(&minute(0)), Some(&minute(3)));
        series.delta(11, 12, &[Record::Del { time: minute(0), committed_at: minute(4) }], minute(4));
        assert!(series.revised.is_empty());
    }

    #[test]
    fn a_window_of_the_past_is_held_whole() {
        let mut series = series();
        series.hold((0..1_500).map(|at| bar(at, at)).collect());
        assert_eq!((series.bars.len(), series.bars[0], series.bars[1_499]), (1_500, bar(0, 0), bar(1_499, 1_499)));
        series.hold(vec![bar(7, 1)]);
        assert_eq!((series.bars.as_slice(), series.seq), ([bar(7, 1)].as_slice(), None));
        series.hold(Vec::new());
        assert!(series.loaded && series.bars.is_empty());
    }

    #[test]
    fn older_bars_come_before_the_first_and_stay_when_new_ones_come() {
        let mut series = Series::default();
        series.snap(10, (0..WINDOW as i64).map(|at| bar(at, 100)).collect());
        series.prepend(&[bar(0, 1), bar(-1, 2), bar(-2, 3)], true);
        assert_eq!((series.bars.len(), series.bars[0], series.complete), (WINDOW + 2, bar(-2, 3), true));
        series.delta(10, 11, &[new(WINDOW as i64, 5)], minute(999));
        assert_eq!((series.bars.len(), series.bars[0].time), (WINDOW + 2, minute(-1)));
        assert_eq!(series.window().len(), WINDOW);
        let page: Vec<_> = (2..5_000).map(|back| bar(-back, 7)).collect();
        series.prepend(&page, true);
        assert_eq!((series.bars.len(), series.complete), (MOST, false));
    }
}
