//! The rules that the bars of one symbol decide.

use super::{
    Found, Pack, PackRule, missing_between,
    robust::{middle, modified_z},
};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use market::{EXCHANGE_ZONE, Symbol};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use std::collections::VecDeque;

/// A stored row, as the rules look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackRow {
    pub time: DateTime<Utc>,
    pub open: Decimal,
    pub high: Decimal,
    pub low: Decimal,
    pub close: Decimal,
    /// Shares.
    pub volume: i64,
    /// When the source made the row, by its clock, and when it was received here.
    pub event_time: DateTime<Utc>,
    pub received_at: DateTime<Utc>,
}

impl PackRow {
    fn prices(&self) -> [Decimal; 4] {
        [self.open, self.high, self.low, self.close]
    }

    /// All four prices, when they are one.
    fn flat(&self) -> Option<Decimal> {
        let [open, others @ ..] = self.prices();
        others.iter().all(|price| *price == open).then_some(open)
    }

    fn says_the_same(&self, other: &Self) -> bool {
        self.prices() == other.prices() && self.volume == other.volume
    }
}

/// The smallest MAD of returns that is taken: a hundredth of a percent, about a tick of a stock of $100.
const LEAST_RETURN_MAD: f64 = 1e-4;
/// The smallest move that is worth a word: half a percent.
const LEAST_RETURN: f64 = 0.005;
/// The smallest MAD of the logarithm of volume that is taken.
const LEAST_VOLUME_MAD: f64 = 0.2;

/// Ratios of shares, new for old, that companies split and merge them by.
const SPLITS: [(u32, u32); 14] = [
    (2, 1),
    (3, 2),
    (3, 1),
    (4, 1),
    (5, 1),
    (10, 1),
    (20, 1),
    (1, 2),
    (2, 3),
    (1, 3),
    (1, 4),
    (1, 5),
    (1, 10),
    (1, 20),
];

/// Factors of a decimal point in the wrong place.
const SCALES: [(f64, &str); 4] =
    [(10.0, "10 times"), (100.0, "100 times"), (0.1, "a tenth of"), (0.01, "a hundredth of")];

/// What the rules find at the bars that start after `after`; the rows before are what they look back at.
///
/// `rows` are oldest first; of several of one minute the one that stands comes first. To judge a bar as it would be judged
/// among all rows, give [`Pack::context`] rows before it.
pub fn judge(symbol: &Symbol, rows: &[PackRow], after: Option<DateTime<Utc>>, pack: &Pack) -> Vec<Found> {
    let mut judging = Judging { symbol, pack, past: VecDeque::new(), capacity: pack.context(), found: Vec::new() };
    for minute in rows.chunk_by(|a, b| a.time == b.time) {
        let counts = after.is_none_or(|after| minute[0].time > after);
        judging.take(minute, counts);
    }
    judging.found
}

/// A bar that was looked at.
struct Past {
    row: PackRow,
    close: f64,
    /// Logarithm of the close over the close before, of the same day.
    change: Option<f64>,
    /// Logarithm of one more than the volume.
    volume: f64,
    day: NaiveDate,
    is_misplaced: bool,
}

struct Judging<'a> {
    symbol: &'a Symbol,
    pack: &'a Pack,
    /// Oldest first.
    past: VecDeque<Past>,
    capacity: usize,
    found: Vec<Found>,
}

fn utc(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl Judging<'_> {
    fn find(
        &mut self,
        rule: PackRule,
        time: DateTime<Utc>,
        observed: String,
        expected: impl Into<String>,
        text: String,
    ) {
        if self.pack.is_enabled(rule) {
            let severity = self.pack.severity(rule);
            self.found.push(Found {
                rule,
                severity,
                time,
                observed: Some(observed),
                expected: Some(expected.into()),
                text,
            });
        }
    }

    /// Looks at the rows of one minute, and judges them where it counts.
    fn take(&mut self, minute: &[PackRow], counts: bool) {
        let row = minute[0];
        let day = row.time.with_timezone(&EXCHANGE_ZONE).date_naive();
        let same_day = self.past.back().is_some_and(|past| past.day == day);
        let close = row.close.to_f64().filter(|close| *close > 0.0).unwrap_or(f64::NAN);
        let change = self.past.back().filter(|_| same_day).map(|past| (close / past.close).ln());
        let now = Past {
            row,
            close,
            change: change.filter(|change| change.is_finite()),
            volume: (row.volume.max(0) as f64).ln_1p(),
            day,
            is_misplaced: false,
        };
        let split = if same_day { None } else { self.split(&row) };
        let scale = if split.is_some() { None } else { self.scale(&now) };
        if counts {
            self.count_rows(minute);
            self.gap(&row);
            self.frozen(&now);
            self.clock(&row);
            self.unknown(&row, same_day);
            self.volume(&now);
            // The way back from a misplaced point says no more than the way there.
            let echo = self.past.back().is_some_and(|past| past.is_misplaced);
            match (&split, &scale) {
                (Some(split), _) => self.tell_split(&row, split),
                (None, Some(scale)) => self.tell_scale(&row, scale),
                (None, None) if !echo => self.change(&now),
                (None, None) => {}
            }
        }
        self.past.push_back(Past { is_misplaced: scale.is_some(), ..now });
        if self.past.len() > self.capacity {
            self.past.pop_front();
        }
    }

    fn count_rows(&mut self, minute: &[PackRow]) {
        let [stands, others @ ..] = minute else { return };
        if others.is_empty() {
            return;
        }
        let (symbol, time) = (self.symbol, stands.time);
        let differ = others.iter().filter(|other| !other.says_the_same(stands)).count();
        let observed = format!("{} rows", minute.len());
        if differ == 0 {
            let text = format!("{symbol} has {} rows for {}, all alike.", minute.len(), utc(time));
            self.find(PackRule::DuplicateIdentical, time, observed, "1 row", text);
        } else {
            let closes: Vec<String> = minute.iter().take(4).map(|row| row.close.normalize().to_string()).collect();
            let text = format!(
                "{symbol} has {} rows for {}, of which {differ} {} not like the one that stands: closes {}.",
                minute.len(),
                utc(time),
                if differ == 1 { "is" } else { "are" },
                closes.join(", ")
            );
            self.find(PackRule::DuplicateDifferent, time, observed, "1 row", text);
        }
    }

    fn gap(&mut self, row: &PackRow) {
        let Some(before) = self.past.back() else { return };
        let Some(missing) = missing_between(before.row.time, row.time) else { return };
        if (missing.minutes as f64) < self.pack.threshold(PackRule::Gap) {
            return;
        }
        let plural = |n: i64, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
        let more = if missing.or_more { "at least " } else { "" };
        let observed = format!("{more}{} missing", plural(missing.minutes, "minute"));
        let span = if missing.minutes == 1 {
            format!("at {}", utc(missing.first))
        } else {
            format!("from {} to {}", utc(missing.first), utc(missing.last))
        };
        let text = format!(
            "{} has no bar for {more}{} of {}, {span}.",
            self.symbol,
            plural(missing.minutes, "minute"),
            if missing.sessions == 1 { "a session".into() } else { format!("{} sessions", missing.sessions) },
        );
        self.find(PackRule::Gap, missing.first, observed, "a bar for each minute of a session", text);
    }

    /// A run of flat bars is told once, at the bar that makes it long enough.
    fn frozen(&mut self, now: &Past) {
        let (Some(price), window) = (now.row.flat(), self.pack.window(PackRule::FrozenPrice)) else { return };
        let run = self.past.iter().rev().take_while(|past| past.day == now.day && past.row.flat() == Some(price));
        if run.take(window).count() + 1 != window {
            return;
        }
        let (symbol, price) = (self.symbol, price.normalize());
        let text = format!("{symbol} stood still at {price} for {window} bars, up to {}.", utc(now.row.time));
        self.find(PackRule::FrozenPrice, now.row.time, format!("{window} bars at {price}"), "prices that move", text);
    }

    fn clock(&mut self, row: &PackRow) {
        let ahead = (row.event_time - row.received_at).as_seconds_f64();
        let tolerance = self.pack.threshold(PackRule::ClockSkew);
        if ahead <= tolerance {
            return;
        }
        let text = format!(
            "The source stamped {}'s bar of {} {ahead:.1} s after it was received here: one of the two clocks is wrong.",
            self.symbol,
            utc(row.time)
        );
        self.find(PackRule::ClockSkew, row.time, format!("{ahead:.1} s ahead"), format!("{tolerance} s at most"), text);
    }

    /// Told once a day, at its first bar.
    fn unknown(&mut self, row: &PackRow, same_day: bool) {
        let symbol = self.symbol;
        if same_day || !self.pack.is_enabled(PackRule::UnknownSymbol) || self.pack.symbols.contains(symbol) {
            return;
        }
        let text = format!("{symbol} has bars, and is none of the {} symbols configured.", self.pack.symbols.len());
        self.find(PackRule::UnknownSymbol, row.time, symbol.to_string(), "a configured symbol", text);
    }

    fn volume(&mut self, now: &Past) {
        let (window, k) = (self.pack.window(PackRule::VolumeOutlier), self.pack.threshold(PackRule::VolumeOutlier));
        let mut values: Vec<f64> = self.past.iter().rev().take(window).map(|past| past.volume).collect();
        if values.len() * 2 < window {
            return;
        }
        let Some(z) = modified_z(now.volume, &mut values, LEAST_VOLUME_MAD).filter(|z| *z > k) else { return };
        let text = format!(
            "{} traded {} shares at {}: {z:.0} on the modified z-score of the logarithm, against {} bars before.",
            self.symbol,
            now.row.volume,
            utc(now.row.time),
            values.len()
        );
        let observed = format!("{} shares, z {z:.1}", now.row.volume);
        self.find(PackRule::VolumeOutlier, now.row.time, observed, format!("z up to {k}"), text);
    }

    fn change(&mut self, now: &Past) {
        let (window, k) = (self.pack.window(PackRule::ReturnOutlier), self.pack.threshold(PackRule::ReturnOutlier));
        let Some(change) = now.change.filter(|change| change.abs() >= LEAST_RETURN) else { return };
        let before = self.past.iter().rev().take(window);
        let mut values: Vec<f64> = before.filter_map(|past| past.change).collect();
        if values.len() * 2 < window {
            return;
        }
        let Some(z) = modified_z(change, &mut values, LEAST_RETURN_MAD).filter(|z| *z > k) else { return };
        let percent = change.exp_m1() * 100.0;
        let text = format!(
            "{} moved by {percent:+.2} % in the minute of {}: {z:.0} on the modified z-score, against {} returns before.",
            self.symbol,
            utc(now.row.time),
            values.len()
        );
        self.find(
            PackRule::ReturnOutlier,
            now.row.time,
            format!("{percent:+.2} %, z {z:.1}"),
            format!("z up to {k}"),
            text,
        );
    }

    /// The split that would explain the first bar of a day.
    fn split(&self, row: &PackRow) -> Option<Split> {
        let before = self.past.back().filter(|past| !past.is_misplaced)?.close;
        let ratio = row.open.to_f64()? / before;
        let tolerance = self.pack.threshold(PackRule::SplitLike) / 100.0;
        let off = |(new, old): (u32, u32)| (ratio * f64::from(new) / f64::from(old) - 1.0).abs();
        let (new, old) = SPLITS.into_iter().min_by(|a, b| off(*a).total_cmp(&off(*b)))?;
        // One price of four at another height is no split.
        let whole = row.prices().iter().all(|price| {
            price
                .to_f64()
                .is_some_and(|price| (0.75..1.33).contains(&(price / before * f64::from(new) / f64::from(old))))
        });
        (off((new, old)) <= tolerance && whole).then_some(Split { new, old, before, ratio })
    }

    fn tell_split(&mut self, row: &PackRow, split: &Split) {
        let Split { new, old, before, ratio } = split;
        let text = format!(
            "{} opened at {} after a close of {before}: a ratio of {ratio:.3}, as after a split of {new}:{old}. Possibly a \
             corporate action; older bars are not adjusted.",
            self.symbol,
            row.open.normalize()
        );
        self.find(PackRule::SplitLike, row.time, format!("ratio {ratio:.3}"), "no jump between sessions", text);
    }

    /// The price that looks as if its point were misplaced.
    fn scale(&self, now: &Past) -> Option<Scale> {
        let window = self.pack.window(PackRule::ScaleError);
        let before = self.past.iter().rev().take(window);
        // The bars of the day, as long as there are any at the right height; else those of the day before.
        let of_day = before.clone().filter(|past| past.day == now.day && !past.is_misplaced);
        let mut closes: Vec<f64> = of_day.map(|past| past.close).collect();
        if closes.is_empty() {
            closes = before.clone().filter(|past| !past.is_misplaced).map(|past| past.close).collect();
        }
        if closes.is_empty() {
            closes = before.map(|past| past.close).collect(); // a level that stays is one
        }
        let reference = middle(&mut closes).filter(|reference| *reference > 0.0)?;
        let tolerance = self.pack.threshold(PackRule::ScaleError) / 100.0;
        let names = ["open", "high", "low", "close"];
        now.row.prices().iter().zip(names).find_map(|(price, column)| {
            let ratio = price.to_f64()? / reference;
            let (_, words) = SCALES.into_iter().find(|(scale, _)| (ratio / scale - 1.0).abs() <= tolerance)?;
            Some(Scale { column, price: *price, reference, words })
        })
    }

    fn tell_scale(&mut self, row: &PackRow, scale: &Scale) {
        let Scale { column, price, reference, words } = scale;
        let text = format!(
            "{}'s {column} of {} is {}, about {words} the {reference:.2} of the bars before: a misplaced decimal point?",
            self.symbol,
            utc(row.time),
            price.normalize()
        );
        let observed = format!("{column} {}", price.normalize());
        self.find(PackRule::ScaleError, row.time, observed, format!("about {reference:.2}"), text);
    }
}

struct Split {
    new: u32,
    old: u32,
    before: f64,
    ratio: f64,
}

struct Scale {
    column: &'static str,
    price: Decimal,
    reference: f64,
    words: &'static str,
}
