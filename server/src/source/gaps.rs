//! Minutes of a session that nobody brought. Knows no I/O and no clock.

use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Utc};
use market::{EXCHANGE_ZONE, Symbol, session_on};
use std::collections::HashMap;
use std::fmt;

/// Minutes that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// `None`: of all symbols, because nobody was connected.
    pub symbol: Option<Symbol>,
    pub from: DateTime<Utc>,
    /// Not included.
    pub to: DateTime<Utc>,
    /// Minutes of regular sessions in it.
    pub minutes: u64,
}

impl Gap {
    /// The time in which nobody was connected: every minute that it touches.
    pub(super) fn of_outage(from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let minute = TimeDelta::minutes(1);
        let first = from.duration_trunc(minute).unwrap_or(from);
        let end = to.duration_trunc(minute).unwrap_or(to);
        let end = if end < to { end + minute } else { end };
        Self { symbol: None, from: first, to: end, minutes: session_minutes(first, end) }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        match &self.symbol {
            Some(symbol) => write!(f, "{symbol}")?,
            None => f.write_str("not connected")?,
        }
        write!(f, ", {} to {}, {} minutes of a session", time(self.from), time(self.to), self.minutes)
    }
}

/// Which minutes of its sessions a symbol has no bar for, between two bars of one day. What is missing before a day's first
/// bar or after its last is not judged: feeds differ in when their day begins.
#[derive(Debug, Default)]
pub(super) struct Gaps(HashMap<Symbol, DateTime<Utc>>);

impl Gaps {
    /// Takes bars in the order of time; a bar before the newest one is a correction and says nothing.
    pub(super) fn follow(&mut self, symbol: &Symbol, time: DateTime<Utc>) -> Option<Gap> {
        let last = match self.0.get_mut(symbol) {
            Some(last) if *last < time => std::mem::replace(last, time),
            Some(_) => return None,
            None => {
                self.0.insert(symbol.clone(), time);
                return None;
            }
        };
        between(symbol, last, time)
    }

    /// Takes bars in either order, each next to its neighbours.
    pub(super) fn neighbour(&mut self, symbol: &Symbol, time: DateTime<Utc>) -> Option<Gap> {
        let Some(last) = self.0.get_mut(symbol) else {
            self.0.insert(symbol.clone(), time);
            return None;
        };
        let last = std::mem::replace(last, time);
        between(symbol, last.min(time), last.max(time))
    }
}

fn between(symbol: &Symbol, earlier: DateTime<Utc>, later: DateTime<Utc>) -> Option<Gap> {
    let minute = TimeDelta::minutes(1);
    if later - earlier <= minute {
        return None;
    }
    let date = |time: DateTime<Utc>| time.with_timezone(&EXCHANGE_ZONE).date_naive();
    if later - earlier > TimeDelta::days(1) || date(earlier) != date(later) {
        return None;
    }
    let minutes = session_minutes(earlier + minute, later);
    (minutes > 0).then(|| Gap { symbol: Some(symbol.clone()), from: earlier + minute, to: later, minutes })
}

/// Minutes of regular sessions with `from ≤ minute < to`; a span of more than a month counts its first month.
fn session_minutes(from: DateTime<Utc>, to: DateTime<Utc>) -> u64 {
    let first = from.with_timezone(&EXCHANGE_ZONE).date_naive();
    let last = to.with_timezone(&EXCHANGE_ZONE).date_naive();
    let sessions = first.iter_days().take(31).take_while(|date| *date <= last).filter_map(session_on);
    let minutes: i64 =
        sessions.map(|session| (to.min(session.close) - from.max(session.open)).num_minutes().max(0)).sum();
    minutes.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_hole_within_a_session_is_a_gap_and_the_night_is_not() {
        let symbol: Symbol = "AMZN".parse().unwrap();
        let mut gaps = Gaps::default();
        for time in ["2024-01-16T20:57:00Z", "2024-01-16T20:58:00Z"] {
            assert_eq!(gaps.follow(&symbol, at(time)), None);
        }
        let gap = gaps.follow(&symbol, at("2024-01-16T21:30:00Z")).unwrap();
        // The session ends at 21:00 UTC: one minute of it is missing.
        assert_eq!((gap.from, gap.to, gap.minutes), (at("2024-01-16T20:59:00Z"), at("2024-01-16T21:30:00Z"), 1));
        assert_eq!(gaps.follow(&symbol, at("2024-01-17T14:30:00Z")), None);
        assert_eq!(gaps.follow(&symbol, at("2024-01-16T20:59:00Z")), None, "a correction");
        assert_eq!(gaps.follow(&symbol, at("2024-01-17T14:34:00Z")).unwrap().minutes, 3);
    }

    #[test]
    fn a_file_with_the_newest_line_first_has_the_same_gaps() {
        let symbol: Symbol = "AMZN".parse().unwrap();
        let mut gaps = Gaps::default();
        assert_eq!(gaps.neighbour(&symbol, at("2024-01-17T14:35:00Z")), None);
        assert_eq!(gaps.neighbour(&symbol, at("2024-01-17T14:34:00Z")), None);
        let gap = gaps.neighbour(&symbol, at("2024-01-17T14:31:00Z")).unwrap();
        assert_eq!((gap.from, gap.minutes), (at("2024-01-17T14:32:00Z"), 2));
    }

    #[test]
    fn an_outage_counts_every_minute_of_a_session_that_it_touches() {
        let gap = Gap::of_outage(at("2024-01-16T14:31:30Z"), at("2024-01-16T14:33:10Z"));
        assert_eq!((gap.from, gap.to, gap.minutes), (at("2024-01-16T14:31:00Z"), at("2024-01-16T14:34:00Z"), 3));
        // A weekend with a holiday after it.
        assert_eq!(Gap::of_outage(at("2024-01-13T00:00:00Z"), at("2024-01-16T14:30:00Z")).minutes, 0);
    }
}
