//! A past day, played: its minutes become the messages that the live stream would have sent. Knows no socket, no screen
//! and no clock: whoever plays says how much time has passed.

use chrono::{DateTime, TimeDelta, Utc};
use market::{
    Bar, Symbol, Timeframe, aggregate,
    wire::{Record, ServerMessage},
};

/// A minute's bar is told when the minute is over.
const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// One symbol's day on tape. `seq` of its messages counts the minutes that were told.
#[derive(Clone, Debug, PartialEq)]
pub struct Tape {
    pub symbol: Symbol,
    pub timeframe: Timeframe,
    /// Bars of the timeframe that were over before the day, oldest first.
    pub history: Vec<Bar>,
    /// The day's bars of a minute, oldest first.
    pub minutes: Vec<Bar>,
}

impl Tape {
    /// How many of the day's minutes are over at an instant.
    pub fn told_at(&self, at: DateTime<Utc>) -> usize {
        self.minutes.partition_point(|bar| bar.time + MINUTE <= at)
    }

    /// The symbol as it was when so many minutes were told.
    pub fn snap(&self, told: usize) -> ServerMessage {
        let day = aggregate(self.minutes.iter().take(told).copied(), self.timeframe);
        let bars = self.history.iter().copied().chain(day).collect();
        let (symbol, timeframe) = (self.symbol.clone(), self.timeframe);
        ServerMessage::Snap { symbol, timeframe, seq: told as i64, bars, stats: None }
    }

    /// What was told since; `None` when nothing was.
    pub fn delta(&self, before: usize, told: usize) -> Option<ServerMessage> {
        let minutes = self.minutes.get(before..told).filter(|minutes| !minutes.is_empty())?;
        let mut records: Vec<Record> = Vec::new();
        for (index, minute) in minutes.iter().enumerate() {
            let bucket = self.timeframe.bucket(minute.time);
            let known = &self.minutes[..=before + index];
            let of_bucket = &known[known.partition_point(|bar| bar.time < bucket)..];
            let told_at = minute.time + MINUTE;
            for bar in aggregate(of_bucket.iter().copied(), self.timeframe) {
                records.push(Record::Bar { bar, event_time: told_at, committed_at: told_at });
            }
        }
        let (symbol, timeframe) = (self.symbol.clone(), self.timeframe);
        Some(ServerMessage::Delta { symbol, timeframe, prev: before as i64, seq: told as i64, records })
    }
}

/// Where a replay is, and how it goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Player {
    tapes: Vec<Tape>,
    /// Minutes of each tape that were told.
    told: Vec<usize>,
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
    pub at: DateTime<Utc>,
    pub playing: bool,
}

impl Player {
    /// A day that is looked at from `at` on; `None` when it has no bars.
    pub fn new(tapes: Vec<Tape>, at: DateTime<Utc>) -> Option<Self> {
        let start = tapes.iter().filter_map(|tape| tape.minutes.first()).map(|bar| bar.time).min()?;
        let end = tapes.iter().filter_map(|tape| tape.minutes.last()).map(|bar| bar.time + MINUTE).max()?;
        let told = vec![0; tapes.len()];
        let mut player = Self { tapes, told, start, end, at: start, playing: false };
        player.at = at.clamp(start, end);
        Some(player)
    }

    /// Everything as it was where the replay is.
    pub fn snaps(&mut self) -> Vec<ServerMessage> {
        self.told = self.tapes.iter().map(|tape| tape.told_at(self.at)).collect();
        self.tapes.iter().zip(&self.told).map(|(tape, &told)| tape.snap(told)).collect()
    }

    /// Goes to an instant of the day, back or forth.
    pub fn seek(&mut self, at: DateTime<Utc>) -> Vec<ServerMessage> {
        self.at = at.clamp(self.start, self.end);
        self.snaps()
    }

    /// Goes on by so much of the day's time, and stops at its end.
    pub fn advance(&mut self, by: TimeDelta) -> Vec<ServerMessage> {
        self.at = (self.at + by).min(self.end);
        self.playing &= self.at < self.end;
        let mut messages = Vec::new();
        for (tape, told) in self.tapes.iter().zip(&mut self.told) {
            let now = tape.told_at(self.at);
            messages.extend(tape.delta(*told, now));
            *told = now.max(*told);
        }
        messages
    }

    pub fn is_over(&self) -> bool {
        self.at >= self.end
    }

    /// Minutes from the start of the day to where the replay is, and to its end: what a scrub bar shows.
    pub fn minutes(&self) -> (i64, i64) {
        ((self.at - self.start).num_minutes(), (self.end - self.start).num_minutes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{Outcome, Series};
    use rust_decimal::Decimal;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_705_415_400 + minute * 60, 0).unwrap()
    }

    fn bar(minute: i64, close: i64) -> Bar {
        let price = |value| Decimal::new(value, 2);
        Bar {
            time: at(minute),
            open: price(close - 1),
            high: price(close + 2),
            low: price(close - 3),
            close: price(close),
            volume: 10,
        }
    }

    fn tape(timeframe: Timeframe, minutes: &[i64]) -> Tape {
        Tape {
            symbol: "AMZN".parse().unwrap(),
            timeframe,
            history: aggregate((-9_030..-9_000).map(|minute| bar(minute, 100)), timeframe),
            minutes: minutes.iter().map(|&minute| bar(minute, 100 + minute * 7 % 13)).collect(),
        }
    }

    fn apply(series: &mut Series, message: ServerMessage) {
        match message {
            ServerMessage::Snap { seq, bars, .. } => series.snap(seq, bars),
            ServerMessage::Delta { prev, seq, records, .. } => {
                assert_eq!(series.delta(prev, seq, &records, at(0)), Outcome::Applied);
            }
            other => panic!("a tape has no {other:?}"),
        }
    }

    #[test]
    fn what_was_played_bar_by_bar_is_what_a_jump_shows() {
        let minutes = [0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 14, 15, 16];
        for timeframe in [Timeframe::MINUTE_1, Timeframe::MINUTE_5, Timeframe::HOUR_1, Timeframe::DAY_1] {
            for step in 1..=4 {
                let tape = tape(timeframe, &minutes);
                let mut player = Player::new(vec![tape.clone()], at(-60)).unwrap();
                let mut series = Series::default();
                player.snaps().into_iter().for_each(|message| apply(&mut series, message));
                player.playing = true;
                while player.playing {
                    player
                        .advance(TimeDelta::minutes(step))
                        .into_iter()
                        .for_each(|message| apply(&mut series, message));
                    let mut jumped = Series::default();
                    apply(&mut jumped, tape.snap(tape.told_at(player.at)));
                    assert_eq!(series.bars, jumped.bars, "{timeframe} by {step} at {}", player.at);
                }
                assert_eq!((player.at, player.is_over()), (at(17), true));
            }
        }
    }

    #[test]
    fn a_minute_is_told_when_it_is_over_and_never_before() {
        let mut player = Player::new(vec![tape(Timeframe::MINUTE_1, &[0, 1, 2])], at(0)).unwrap();
        player.snaps();
        assert!(player.advance(TimeDelta::seconds(59)).is_empty());
        assert_eq!(player.advance(TimeDelta::seconds(1)).len(), 1);
        assert!(player.advance(TimeDelta::seconds(59)).is_empty());
    }

    #[test]
    fn a_jump_back_forgets_what_came_later_and_playing_goes_on_from_there() {
        let mut player = Player::new(vec![tape(Timeframe::MINUTE_1, &[0, 1, 2, 3])], at(4)).unwrap();
        let mut series = Series::default();
        player.snaps().into_iter().for_each(|message| apply(&mut series, message));
        assert_eq!(series.bars.last().map(|bar| bar.time), Some(at(3)));
        player.seek(at(1)).into_iter().for_each(|message| apply(&mut series, message));
        assert_eq!(series.bars.last().map(|bar| bar.time), Some(at(0)));
        player.playing = true;
        player.advance(TimeDelta::minutes(2)).into_iter().for_each(|message| apply(&mut series, message));
        assert_eq!(series.bars.last().map(|bar| bar.time), Some(at(2)));
        assert_eq!(player.minutes(), (3, 4));
    }

    #[test]
    fn a_day_without_bars_cannot_be_played_and_symbols_may_begin_apart() {
        assert_eq!(Player::new(vec![tape(Timeframe::MINUTE_1, &[])], at(0)), None);
        let late = Tape { symbol: "AAPL".parse().unwrap(), ..tape(Timeframe::MINUTE_1, &[7, 8]) };
        let mut player = Player::new(vec![tape(Timeframe::MINUTE_1, &[0, 1]), late], at(0)).unwrap();
        assert_eq!((player.start, player.end), (at(0), at(9)));
        player.snaps();
        assert_eq!(player.advance(TimeDelta::minutes(9)).len(), 2);
    }
}
