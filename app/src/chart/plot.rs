//! What a chart shows of its bars: places on the time axis, candles, and the values of its studies. Built once per change
//! of a closed bar; a change of the forming bar costs one step.

use super::look::{Kind, Look};
use crate::{live::Series, span::Span, zone::Zone};
use chrono::{DateTime, Utc};
use market::{
    Bar, EXCHANGE_ZONE, Symbol, Timeframe,
    indicator::{Candle, HeikinAshi, Run, Study, Values},
};
use rust_decimal::prelude::ToPrimitive;

/// Longest run of missing bars inside a day that keeps its room on the axis; longer ones are collapsed, as nights are.
const WIDEST_GAP: i64 = 60;

/// A place on the time axis: a bar's, or an empty one where a bar is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    pub time: DateTime<Utc>,
    /// Index of its bar.
    pub bar: Option<usize>,
}

/// Which grid of the chart a line is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// `None`: closes.
    pub study: Option<Study>,
    /// Which of the study's values; of closes 0 are the chart's own, from 1 on those of the symbols compared with.
    pub value: usize,
    /// 0 for prices, from 2 on for the panes.
    pub grid: usize,
}

/// The newest bar, which still moves.
#[derive(Clone, Debug, PartialEq)]
pub struct Forming {
    pub candle: Candle,
    pub volume: i64,
    /// One for each of [`Plot::lines`].
    pub values: Vec<Option<f64>>,
}

/// One chart's content.
#[derive(Clone, Debug)]
pub struct Plot {
    pub timeframe: Timeframe,
    pub look: Look,
    /// Of the times on the axis.
    pub zone: Zone,
    pub bars: Vec<Bar>,
    pub slots: Vec<Slot>,
    /// As they are drawn, one per bar; the last one is the forming bar's as it was when the plot was built.
    pub candles: Vec<Candle>,
    pub lines: Vec<Line>,
    /// How often anything but the forming bar changed.
    pub built: u64,
    /// Values of each study at each bar.
    values: Vec<Vec<Values>>,
    /// Closes of each symbol compared with at each bar.
    others: Vec<Vec<Option<f64>>>,
    /// The studies and the candles before the forming bar.
    runs: Vec<Run>,
    heikin_ashi: HeikinAshi,
    /// What of the series this was built from.
    settled: u64,
}

impl Plot {
    pub fn new(series: &Series, timeframe: Timeframe, look: Look) -> Self {
        let bars = series.bars.clone();
        let mut plot = Self {
            timeframe,
            zone: Zone::default(),
            slots: slots(&bars, timeframe),
            candles: Vec::with_capacity(bars.len()),
            lines: lines(&look),
            built: 0,
            values: vec![Vec::with_capacity(bars.len()); look.studies.len()],
            others: vec![Vec::new(); look.others.len()],
            runs: look.studies.iter().map(|study| study.start(timeframe)).collect(),
            heikin_ashi: HeikinAshi::default(),
            settled: series.settled,
            bars,
            look,
        };
        if let Some((forming, closed)) = plot.bars.split_last() {
            for bar in closed {
                let candle = plot.heikin_ashi.push(bar);
                plot.candles.push(if plot.look.kind == Kind::HeikinAshi { candle } else { bar.into() });
                for (run, values) in plot.runs.iter_mut().zip(&mut plot.values) {
                    values.push(run.push(bar));
                }
            }
            let forming = *forming;
            plot.step(&forming);
        }
        plot
    }

    /// Follows the series. Returns whether anything visible changed.
    pub fn follow(&mut self, series: &Series, timeframe: Timeframe, look: &Look) -> bool {
        let same = self.settled == series.settled
            && self.bars.len() == series.bars.len()
            && self.timeframe == timeframe
            && self.look == *look;
        match (self.bars.last_mut(), series.bars.last()) {
            (Some(known), Some(now)) if same && known.time == now.time => {
                if *known == *now {
                    return false;
                }
                *known = *now;
                self.candles.pop();
                for values in &mut self.values {
                    values.pop();
                }
                self.step(now);
            }
            (None, None) if same => return false,
            _ => {
                let built = self.built + 1;
                *self = Self { built, zone: self.zone, ..Self::new(series, timeframe, look.clone()) };
            }
        }
        true
    }

    /// Shows another series, whose bars may be as many and as new.
    pub fn renew(&mut self, series: &Series, timeframe: Timeframe, look: &Look) {
        let built = self.built + 1;
        *self = Self { built, zone: self.zone, ..Self::new(series, timeframe, look.clone()) };
    }

    /// The first and the last place that show a time, and whether the bars reach back to its beginning. `None`: there are no
    /// bars.
    pub fn frame(&self, span: Span) -> (Option<(usize, usize)>, bool) {
        let Some(newest) = self.bars.last().map(|bar| bar.time) else { return (None, true) };
        let (from, to) = match span {
            Span::Live(None) | Span::Replay { .. } => {
                let places = self.slots.len();
                return (Some((places.saturating_sub(super::options::IN_VIEW), places - 1)), true);
            }
            Span::Live(Some(range)) => (range.start(newest), DateTime::<Utc>::MAX_UTC),
            Span::Between { from, to } => (from, to),
        };
        let first = self.slots.partition_point(|slot| slot.time < from);
        let last = self.slots.partition_point(|slot| slot.time < to).saturating_sub(1);
        let whole = span.is_live().then(|| self.bars.first().is_some_and(|bar| bar.time <= from));
        (Some((first.min(last), last)), whole.unwrap_or(true))
    }

    /// Takes in the bars of the symbols compared with, in the order of the look. Returns whether anything visible changed.
    pub fn compare(&mut self, bars_of: impl Fn(&Symbol, &[Bar]) -> Vec<Option<f64>>) -> bool {
        let now: Vec<_> = self.look.others.iter().map(|symbol| bars_of(symbol, &self.bars)).collect();
        if now == self.others {
            return false;
        }
        let closed = self.bars.len().saturating_sub(1);
        let same = |(now, before): (&Vec<_>, &Vec<_>)| now.len() == before.len() && now[..closed] == before[..closed];
        self.built += u64::from(!now.iter().zip(&self.others).all(same));
        self.others = now;
        true
    }

    /// Takes in the forming bar, which may change again.
    fn step(&mut self, bar: &Bar) {
        let heikin_ashi = self.look.kind == Kind::HeikinAshi;
        self.candles.push(if heikin_ashi { self.heikin_ashi.peek(bar) } else { bar.into() });
        for (run, values) in self.runs.iter().zip(&mut self.values) {
            values.push(run.peek(bar));
        }
    }

    /// A line's value at a bar.
    pub fn value(&self, line: Line, bar: usize) -> Option<f64> {
        match line.study {
            None if line.value == 0 => self.bars.get(bar).and_then(|bar| bar.close.to_f64()),
            None => self.others.get(line.value - 1)?.get(bar).copied().flatten(),
            Some(study) => {
                let place = self.look.studies.iter().position(|known| *known == study)?;
                self.values.get(place)?.get(bar)?.get(line.value).copied().flatten()
            }
        }
    }

    /// What the studies say at a bar, in the order of the look.
    pub fn readings(&self, bar: usize) -> Vec<(Study, Values)> {
        let at = |values: &Vec<Values>| values.get(bar).copied().unwrap_or_default();
        self.look.studies.iter().copied().zip(self.values.iter().map(at)).collect()
    }

    /// The newest bar.
    pub fn forming(&self) -> Option<Forming> {
        let last = self.bars.len().checked_sub(1)?;
        Some(Forming {
            candle: *self.candles.get(last)?,
            volume: self.bars.get(last)?.volume,
            values: self.lines.iter().map(|line| self.value(*line, last)).collect(),
        })
    }

    /// Index of the bar that starts then.
    pub fn bar_at(&self, time: DateTime<Utc>) -> Option<usize> {
        self.bars.binary_search_by_key(&time, |bar| bar.time).ok()
    }

    /// Index of the place on the axis.
    pub fn slot_at(&self, time: DateTime<Utc>) -> Option<usize> {
        self.slots.binary_search_by_key(&time, |slot| slot.time).ok()
    }
}

/// Closes of other bars at the times of `bars`, both in time order; `None` where there is no such bar.
pub fn closes_at(bars: &[Bar], others: &[Bar]) -> Vec<Option<f64>> {
    let mut others = others.iter().peekable();
    let close = |bar: &Bar| {
        while others.next_if(|other| other.time < bar.time).is_some() {}
        others.peek().filter(|other| other.time == bar.time).and_then(|other| other.close.to_f64())
    };
    bars.iter().map(close).collect()
}

fn lines(look: &Look) -> Vec<Line> {
    let mut lines = Vec::new();
    if !look.kind.is_candles() {
        lines.push(Line { study: None, value: 0, grid: 0 });
    }
    lines.extend((1..=look.others.len()).map(|value| Line { study: None, value, grid: 0 }));
    let mut pane = 1;
    for &study in &look.studies {
        let grid = if study.over_prices() {
            0
        } else {
            pane += 1;
            pane
        };
        lines.extend((0..study.lines().len()).map(|value| Line { study: Some(study), value, grid }));
    }
    lines
}

/// The places of bars in time order. Where bars of one day are missing their places stay empty; nights are collapsed.
fn slots(bars: &[Bar], timeframe: Timeframe) -> Vec<Slot> {
    let mut slots: Vec<Slot> = Vec::with_capacity(bars.len());
    let step = timeframe.duration();
    let day = |time: DateTime<Utc>| time.with_timezone(&EXCHANGE_ZONE).date_naive();
    for (index, bar) in bars.iter().enumerate() {
        if let Some(last) = slots.last().copied() {
            let gap = bar.time - last.time;
            let intraday = timeframe.is_intraday() && gap > step && gap <= step * WIDEST_GAP as i32;
            if intraday && day(last.time) == day(bar.time) {
                let mut time = last.time + step;
                while time < bar.time {
                    slots.push(Slot { time, bar: None });
                    time += step;
                }
            }
        }
        slots.push(Slot { time: bar.time, bar: Some(index) });
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::Decimal;

    fn bar(minute: i64, close: i64) -> Bar {
        let close = Decimal::new(close, 2);
        let time = DateTime::from_timestamp(1_705_415_400 + minute * 60, 0).unwrap();
        Bar { time, open: close, high: close, low: close, close, volume: 1 }
    }

    fn series(bars: Vec<Bar>) -> Series {
        let mut series = Series::default();
        series.seed(bars);
        series
    }

    fn look(studies: &str) -> Look {
        Look::read(None, None, Some(studies))
    }

    #[test]
    fn missing_bars_keep_their_places_and_a_night_has_none() {
        let plot = Plot::new(&series(vec![bar(0, 1), bar(3, 2), bar(1_440, 3)]), Timeframe::MINUTE_1, Look::default());
        let bars: Vec<_> = plot.slots.iter().map(|slot| slot.bar).collect();
        assert_eq!(bars, [Some(0), None, None, Some(1), Some(2)]);
        assert_eq!(plot.slot_at(bar(2, 0).time), Some(2));
        assert_eq!(plot.bar_at(bar(2, 0).time), None);
    }

    #[test]
    fn the_forming_bar_moves_by_one_step_and_a_closed_one_builds_anew() {
        let mut series = series((0..40).map(|minute| bar(minute, 100 + minute % 7)).collect());
        let look = look("sma5,bb,rsi,macd,vwap");
        let mut plot = Plot::new(&series, Timeframe::MINUTE_1, look.clone());
        assert!(!plot.follow(&series, Timeframe::MINUTE_1, &look));

        *series.bars.last_mut().unwrap() = bar(39, 180);
        assert!(plot.follow(&series, Timeframe::MINUTE_1, &look));
        assert_eq!(plot.built, 0);
        let anew = Plot::new(&series, Timeframe::MINUTE_1, look.clone());
        assert_eq!(plot.forming(), anew.forming());
        assert_eq!(plot.readings(39), anew.readings(39));

        series.bars.push(bar(40, 90));
        assert!(plot.follow(&series, Timeframe::MINUTE_1, &look));
        assert_eq!(plot.built, 1);
        assert_eq!(plot.forming(), Plot::new(&series, Timeframe::MINUTE_1, look).forming());
    }

    #[test]
    fn panes_come_below_volume_and_a_line_chart_has_a_line_of_closes() {
        let look = Look::read(Some("line"), None, Some("sma,macd,rsi"));
        let plot = Plot::new(&series(vec![bar(0, 1)]), Timeframe::MINUTE_1, look);
        let grids: Vec<_> = plot.lines.iter().map(|line| line.grid).collect();
        assert_eq!(grids, [0, 0, 2, 2, 2, 3]);
        assert_eq!(plot.forming().unwrap().values[0], Some(0.01));
    }

    #[test]
    fn symbols_compared_with_stand_at_the_same_times_and_their_newest_close_builds_nothing_anew() {
        let look = look("sma5").comparing(Some("MSFT"));
        let mut plot = Plot::new(&series((0..4).map(|minute| bar(minute, 100)).collect()), Timeframe::MINUTE_1, look);
        assert_eq!(
            plot.lines.iter().map(|line| (line.study.is_none(), line.value)).collect::<Vec<_>>(),
            [(true, 1), (false, 0)]
        );
        let mut others = vec![bar(-1, 1), bar(0, 200), bar(2, 210), bar(3, 220), bar(9, 1)];
        assert!(plot.compare(|_, bars| closes_at(bars, &others)));
        let values: Vec<_> = (0..4).map(|bar| plot.value(plot.lines[0], bar)).collect();
        assert_eq!((values, plot.built), (vec![Some(2.0), None, Some(2.1), Some(2.2)], 1));
        assert!(!plot.compare(|_, bars| closes_at(bars, &others)));
        others[3] = bar(3, 230);
        assert!(plot.compare(|_, bars| closes_at(bars, &others)));
        assert_eq!((plot.forming().unwrap().values[0], plot.built), (Some(2.3), 1));
        others[1] = bar(0, 190);
        assert!(plot.compare(|_, bars| closes_at(bars, &others)));
        assert_eq!(plot.built, 2);
    }

    #[test]
    fn another_series_is_shown_even_when_it_is_as_long_and_as_new() {
        let (one, other) = (series(vec![bar(0, 1), bar(1, 2)]), series(vec![bar(0, 5), bar(1, 2)]));
        let mut plot = Plot::new(&one, Timeframe::MINUTE_1, Look::default());
        plot.renew(&other, Timeframe::MINUTE_1, &Look::default());
        assert_eq!((plot.bars[0], plot.built), (bar(0, 5), 1));
    }

    #[test]
    fn a_time_is_framed_by_its_first_and_last_place() {
        let plot =
            Plot::new(&series((0..300).map(|minute| bar(minute, 1)).collect()), Timeframe::MINUTE_1, Look::default());
        let frame = |query: &str| {
            let pairs: Vec<_> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
            plot.frame(Span::read(|key| pairs.iter().find(|(of, _)| *of == key).map(|(_, value)| (*value).to_owned())))
        };
        assert_eq!(frame(""), (Some((180, 299)), true));
        assert_eq!(frame("range=1h"), (Some((239, 299)), true));
        assert_eq!(frame("range=1w"), (Some((0, 299)), false), "older bars are to be asked for");
        assert_eq!(frame("from=2024-01-16T14:40Z&to=2024-01-16T14:50Z"), (Some((10, 19)), true));
        assert_eq!(frame("from=2023-01-16T14:40Z&to=2023-01-16T14:50Z").0, Some((0, 0)));
    }

    #[test]
    fn no_bars_are_no_trouble() {
        let mut plot = Plot::new(&Series::default(), Timeframe::MINUTE_1, look("bb,macd"));
        assert_eq!(plot.forming(), None);
        assert!(!plot.follow(&Series::default(), Timeframe::MINUTE_1, &look("bb,macd")));
    }
}
