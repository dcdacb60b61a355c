//! Volume-weighted average price.

use super::float;
use crate::{Bar, EXCHANGE_ZONE, Timeframe, session_on};
use chrono::{DateTime, Days, NaiveTime, TimeDelta, TimeZone, Utc};

/// `Σ (typical price × volume) ÷ Σ volume` since the session's open, the typical price being `(high + low + close) ÷ 3`.
/// Starts anew with the bar that holds the open of the regular session in New York; what trades before the open has an
/// average of its own since midnight, so that no session is mixed with another.
#[derive(Clone, Copy, Debug)]
pub struct Vwap {
    timeframe: Timeframe,
    /// First instant of another average; `None` before the first bar.
    until: Option<DateTime<Utc>>,
    value: f64,
    volume: f64,
}

impl Vwap {
    pub fn new(timeframe: Timeframe) -> Self {
        Self { timeframe, until: None, value: 0.0, volume: 0.0 }
    }

    pub fn push(&mut self, bar: &Bar) -> Option<f64> {
        *self = self.next(bar);
        self.average()
    }

    /// `None` while nothing was traded, and for bars of a day or more, which hold whole sessions.
    pub fn peek(&self, bar: &Bar) -> Option<f64> {
        self.next(bar).average()
    }

    fn average(&self) -> Option<f64> {
        let intraday = self.timeframe.duration() < TimeDelta::days(1);
        (intraday && self.volume > 0.0).then(|| self.value / self.volume)
    }

    fn next(mut self, bar: &Bar) -> Self {
        if self.until.is_none_or(|until| bar.time >= until) {
            self.until = end_of_average(bar.time, self.timeframe);
            (self.value, self.volume) = (0.0, 0.0);
        }
        let typical = (float(bar.high) + float(bar.low) + float(bar.close)) / 3.0;
        let volume = bar.volume.max(0) as f64;
        self.value += typical * volume;
        self.volume += volume;
        self
    }
}

/// When the average that holds `time` ends: at the bar of this day's open, or else at the exchange's midnight.
fn end_of_average(time: DateTime<Utc>, timeframe: Timeframe) -> Option<DateTime<Utc>> {
    let date = time.with_timezone(&EXCHANGE_ZONE).date_naive();
    let open = session_on(date).map(|session| timeframe.bucket(session.open));
    if let Some(open) = open.filter(|open| time < *open) {
        return Some(open);
    }
    let midnight = date.checked_add_days(Days::new(1))?.and_time(NaiveTime::MIN);
    Some(EXCHANGE_ZONE.from_local_datetime(&midnight).earliest()?.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::Decimal;

    fn bar(time: &str, price: i64, volume: i64) -> Bar {
        let price = Decimal::from(price);
        Bar { time: time.parse().unwrap(), open: price, high: price, low: price, close: price, volume }
    }

    #[test]
    fn it_starts_anew_at_the_open_in_new_york_and_after_midnight() {
        let mut vwap = Vwap::new(Timeframe::MINUTE_1);
        assert_eq!(vwap.push(&bar("2024-01-16T14:00:00Z", 10, 1)), Some(10.0));
        assert_eq!(vwap.push(&bar("2024-01-16T14:29:00Z", 20, 1)), Some(15.0));
        assert_eq!(vwap.push(&bar("2024-01-16T14:30:00Z", 30, 1)), Some(30.0));
        assert_eq!(vwap.push(&bar("2024-01-16T20:59:00Z", 60, 2)), Some(50.0));
        assert_eq!(vwap.push(&bar("2024-01-17T14:29:00Z", 70, 1)), Some(70.0));
    }

    #[test]
    fn the_hour_that_holds_the_open_begins_the_session() {
        let mut vwap = Vwap::new(Timeframe::HOUR_1);
        assert_eq!(vwap.push(&bar("2024-01-16T13:00:00Z", 10, 1)), Some(10.0));
        assert_eq!(vwap.push(&bar("2024-01-16T14:00:00Z", 20, 1)), Some(20.0));
        assert_eq!(vwap.push(&bar("2024-01-16T15:00:00Z", 30, 1)), Some(25.0));
    }

    #[test]
    fn nothing_traded_has_no_average_and_days_have_none() {
        assert_eq!(Vwap::new(Timeframe::MINUTE_1).push(&bar("2024-01-16T14:30:00Z", 10, 0)), None);
        assert_eq!(Vwap::new(Timeframe::DAY_1).push(&bar("2024-01-16T05:00:00Z", 10, 5)), None);
    }
}
