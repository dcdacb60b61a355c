//! From trades to minutes. Knows no I/O; the clock comes in as an argument.
//!
//! A minute is told when it and a grace are over. A trade that comes later still changes its minute, which is then told
//! again, for as long as minutes are kept. A minute of which some trades may not have been heard, because the stream began
//! or broke within it, is never told: part of a bar is a wrong bar. Every trade counts the same: what a vendor's conditions
//! say (odd lots, trades out of sequence) is not looked at, so these bars can differ from the exchange's in high and low.

use super::vendor::Trade;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use market::{Bar, Symbol};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::BTreeMap;

/// For how long after its end a minute can still be changed.
const KEPT: TimeDelta = TimeDelta::minutes(15);
/// Minutes of symbols that are kept at most; the oldest go first.
const MOST: usize = 200_000;

/// What a trade was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    InTime,
    /// Its minute was told before and will be told again.
    Late,
    /// Its minute is not kept any more.
    TooLate,
    /// Other trades of its minute may not have been heard.
    OfPartOfAMinute,
    /// A price or a size that is not positive.
    Void,
}

/// Minutes in the making.
#[derive(Debug)]
pub(super) struct Minutes {
    grace: TimeDelta,
    /// Trades before this instant may not have been heard.
    heard_from: DateTime<Utc>,
    /// By start, then symbol.
    minutes: BTreeMap<(DateTime<Utc>, Symbol), Minute>,
}

#[derive(Debug)]
struct Minute {
    bar: Bar,
    volume: Decimal,
    /// When the trades were that the open and the close come from.
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    is_told: bool,
}

impl Minutes {
    /// Nothing was heard before `heard_from`; minutes are told `grace` after their end.
    pub(super) fn new(heard_from: DateTime<Utc>, grace: TimeDelta) -> Self {
        Self { grace, heard_from, minutes: BTreeMap::new() }
    }

    /// The stream broke at `from` and is whole again from `to` on. Minutes that were not over are lost.
    ///
    /// Returns how many.
    pub(super) fn interrupted(&mut self, from: DateTime<Utc>, to: DateTime<Utc>) -> usize {
        self.heard_from = to;
        let before = self.minutes.len();
        self.minutes.retain(|(start, _), _| *start + TimeDelta::minutes(1) <= from);
        before - self.minutes.len()
    }

    pub(super) fn hear(&mut self, trade: &Trade, now: DateTime<Utc>) -> Heard {
        let Trade { symbol, at, price, size } = trade;
        let start = at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(*at);
        if *price <= Decimal::ZERO || *size <= Decimal::ZERO {
            return Heard::Void;
        }
        let key = (start, symbol.clone());
        let Some(minute) = self.minutes.get_mut(&key) else {
            if start < self.heard_from {
                return Heard::OfPartOfAMinute;
            }
            if start + TimeDelta::minutes(1) + KEPT <= now {
                return Heard::TooLate;
            }
            let bar = Bar { time: start, open: *price, high: *price, low: *price, close: *price, volume: 0 };
            self.minutes.insert(key, Minute { bar, volume: *size, first: *at, last: *at, is_told: false });
            if self.minutes.len() > MOST {
                self.minutes.pop_first();
            }
            return if start + TimeDelta::minutes(1) + self.grace <= now { Heard::Late } else { Heard::InTime };
        };
        let was_told = std::mem::take(&mut minute.is_told);
        minute.volume = minute.volume.saturating_add(*size);
        minute.bar.high = minute.bar.high.max(*price);
        minute.bar.low = minute.bar.low.min(*price);
        // Of trades at the same instant, the first heard opens and the last heard closes.
        if *at < minute.first {
            (minute.first, minute.bar.open) = (*at, *price);
        }
        if *at >= minute.last {
            (minute.last, minute.bar.close) = (*at, *price);
        }
        if was_told { Heard::Late } else { Heard::InTime }
    }

    /// The minutes that are over, their grace included, and were not told as they are, oldest first.
    pub(super) fn over(&mut self, now: DateTime<Utc>) -> Vec<(Symbol, Bar)> {
        self.ended(now - self.grace, now)
    }

    /// The same without a grace: for the end, when nothing more will be heard.
    pub(super) fn over_now(&mut self, now: DateTime<Utc>) -> Vec<(Symbol, Bar)> {
        self.ended(now, now)
    }

    fn ended(&mut self, by: DateTime<Utc>, now: DateTime<Utc>) -> Vec<(Symbol, Bar)> {
        let ended = by - TimeDelta::minutes(1);
        let mut told = Vec::new();
        for ((start, symbol), minute) in &mut self.minutes {
            if *start > ended {
                break;
            }
            if !std::mem::replace(&mut minute.is_told, true) {
                let volume = minute.volume.round().to_i64().unwrap_or(i64::MAX);
                told.push((symbol.clone(), Bar { volume, ..minute.bar }));
            }
        }
        let forgotten = now - TimeDelta::minutes(1) - KEPT;
        self.minutes.retain(|(start, _), _| *start > forgotten);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2024-01-16T{text}Z").parse().unwrap()
    }

    fn trade(time: &str, price: &str, size: i64) -> Trade {
        Trade { symbol: "AMZN".parse().unwrap(), at: at(time), price: price.parse().unwrap(), size: size.into() }
    }

    fn minutes() -> Minutes {
        Minutes::new(at("14:31:00"), TimeDelta::seconds(5))
    }

    #[test]
    fn trades_of_a_minute_become_its_bar_whatever_order_they_come_in() {
        let mut minutes = minutes();
        for trade in [
            trade("14:31:20.5", "153.50", 10),
            trade("14:31:00.001", "153.42", 5),
            trade("14:31:59.999", "153.36", 1),
            trade("14:31:40", "153.27", 4),
            trade("14:32:00", "160", 7),
        ] {
            assert_eq!(minutes.hear(&trade, at("14:32:01")), Heard::InTime);
        }
        assert_eq!(minutes.over(at("14:32:04.9")), []);
        let told = minutes.over(at("14:32:05"));
        let (_, bar) = &told[0];
        assert_eq!(told.len(), 1);
        let prices = [bar.open, bar.high, bar.low, bar.close].map(|price| price.to_string());
        assert_eq!((prices.join(" ").as_str(), bar.volume), ("153.42 153.50 153.27 153.36", 20));
        assert_eq!(minutes.over(at("14:32:06")), [], "told once");
    }

    #[test]
    fn a_late_trade_tells_its_minute_again_until_it_is_too_late() {
        let mut minutes = minutes();
        minutes.hear(&trade("14:31:20", "10", 10), at("14:31:20"));
        assert_eq!(minutes.over(at("14:32:05")).len(), 1);
        assert_eq!(minutes.hear(&trade("14:31:50", "11", 1), at("14:33:00")), Heard::Late);
        let told = minutes.over(at("14:33:01"));
        assert_eq!((told[0].1.close, told[0].1.volume), (Decimal::from(11), 11));
        // Of a minute without any trade before.
        assert_eq!(minutes.hear(&trade("14:32:50", "11", 1), at("14:34:00")), Heard::Late);
        assert_eq!(minutes.over(at("14:34:01")).len(), 1);
        assert_eq!(minutes.over(at("14:47:00")), []);
        assert_eq!(minutes.hear(&trade("14:31:50", "12", 1), at("14:47:01")), Heard::TooLate);
        assert_eq!(minutes.hear(&trade("14:46:50", "0", 1), at("14:47:01")), Heard::Void);
    }

    #[test]
    fn part_of_a_minute_is_never_told() {
        let mut minutes = Minutes::new(at("14:31:30"), TimeDelta::seconds(5));
        assert_eq!(minutes.hear(&trade("14:31:40", "10", 1), at("14:31:40")), Heard::OfPartOfAMinute);
        minutes.hear(&trade("14:32:10", "10", 1), at("14:32:10"));
        minutes.hear(&trade("14:33:10", "10", 1), at("14:33:10"));
        assert_eq!(minutes.interrupted(at("14:33:20"), at("14:35:10")), 1);
        assert_eq!(minutes.hear(&trade("14:35:15", "10", 1), at("14:35:15")), Heard::OfPartOfAMinute);
        // The whole minute before the break is told, and may still be changed.
        assert_eq!(minutes.hear(&trade("14:32:30", "11", 1), at("14:35:16")), Heard::InTime);
        minutes.hear(&trade("14:36:15", "10", 1), at("14:36:15"));
        let starts: Vec<_> = minutes.over(at("14:37:05")).into_iter().map(|(_, bar)| bar.time).collect();
        assert_eq!(starts, [at("14:32:00"), at("14:36:00")]);
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_changes_no_bar(
            mut trades in prop::collection::vec((0_i64..180_000, 1_u32..1_000, 1_u32..100), 1..60), seed: u64,
        ) {
            // One trade per instant: of several, the first heard counts.
            trades.sort_by_key(|trade| trade.0);
            trades.dedup_by_key(|trade| trade.0);
            let all: Vec<Trade> = trades
                .iter()
                .map(|&(offset, price, size)| Trade {
                    symbol: "A".parse().unwrap(),
                    at: at("14:31:00") + TimeDelta::milliseconds(offset),
                    price: price.into(),
                    size: size.into(),
                })
                .collect();
            let mut shuffled = all.clone();
            shuffled.sort_by_key(|trade| trade.at.timestamp_millis().unsigned_abs().wrapping_mul(seed | 1));
            let told = |trades: &[Trade]| {
                let mut minutes = minutes();
                for trade in trades {
                    minutes.hear(trade, at("14:34:00"));
                }
                minutes.over(at("14:40:00"))
            };
            prop_assert_eq!(told(&all), told(&shuffled));
        }
    }
}
