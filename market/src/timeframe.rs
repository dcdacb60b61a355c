//! How long a bar lasts, and how longer bars are made of one-minute bars.
//!
//! **Where bars begin.** Minutes and hours start at multiples of their length since the epoch, in UTC: a bar of 4 h begins
//! at 12:00 or 16:00 UTC whatever daylight saving does, and a length that does not divide a day (7 m, 5 h) starts at
//! another time of each day. Days, weeks and months are the exchange's: they begin at midnight in New York, weeks on
//! Monday, months on the first, and several months at a multiple of them since January.

use crate::{Bar, session::EXCHANGE_ZONE};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What the length of a bar is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    #[default]
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

/// The length of a bar: 1 to 59 minutes, 1 to 23 hours, a day, a week, or 1, 2, 3, 4, 6 or 12 months. Written `5m`, `4h`,
/// `1d`, `1w`, `3mo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Timeframe {
    unit: Unit,
    count: u8,
}

/// The text names no timeframe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a timeframe: use 1m to 59m, 1h to 23h, 1d, 1w, or 1mo, 2mo, 3mo, 4mo, 6mo, 12mo")]
pub struct InvalidTimeframe(pub String);

impl Timeframe {
    pub const MINUTE_1: Self = Self { unit: Unit::Minute, count: 1 };
    pub const MINUTE_5: Self = Self { unit: Unit::Minute, count: 5 };
    pub const MINUTE_15: Self = Self { unit: Unit::Minute, count: 15 };
    pub const HOUR_1: Self = Self { unit: Unit::Hour, count: 1 };
    pub const DAY_1: Self = Self { unit: Unit::Day, count: 1 };
    pub const WEEK_1: Self = Self { unit: Unit::Week, count: 1 };
    pub const MONTH_1: Self = Self { unit: Unit::Month, count: 1 };

    /// The short list that the dashboard offers.
    pub const USUAL: [Self; 5] = [Self::MINUTE_1, Self::MINUTE_5, Self::MINUTE_15, Self::HOUR_1, Self::DAY_1];

    /// `None` when no bar is that long.
    pub fn new(count: u8, unit: Unit) -> Option<Self> {
        let exists = match unit {
            Unit::Minute => (1..=59).contains(&count),
            Unit::Hour => (1..=23).contains(&count),
            Unit::Day | Unit::Week => count == 1,
            Unit::Month => matches!(count, 1 | 2 | 3 | 4 | 6 | 12),
        };
        exists.then_some(Self { unit, count })
    }

    /// Every timeframe there is, shortest first.
    pub fn all() -> impl Iterator<Item = Self> {
        [Unit::Minute, Unit::Hour, Unit::Day, Unit::Week, Unit::Month]
            .into_iter()
            .flat_map(|unit| (1..=59).filter_map(move |count| Self::new(count, unit)))
    }

    pub fn unit(self) -> Unit {
        self.unit
    }

    pub fn count(self) -> u8 {
        self.count
    }

    /// Whether bars are shorter than a day, so that their start has a time of day.
    pub fn is_intraday(self) -> bool {
        matches!(self.unit, Unit::Minute | Unit::Hour)
    }

    /// Nominal length of one bar, of 30 days for a month. A day can be an hour shorter or longer when daylight saving
    /// changes; [`Self::bucket_end`] is exact.
    pub fn duration(self) -> TimeDelta {
        let one = match self.unit {
            Unit::Minute => TimeDelta::minutes(1),
            Unit::Hour => TimeDelta::hours(1),
            Unit::Day => TimeDelta::days(1),
            Unit::Week => TimeDelta::weeks(1),
            Unit::Month => TimeDelta::days(30),
        };
        one * i32::from(self.count)
    }

    /// Start of the bucket that holds `time`.
    pub fn bucket(self, time: DateTime<Utc>) -> DateTime<Utc> {
        if self.is_intraday() {
            let step = self.duration().num_seconds();
            let seconds = time.timestamp();
            return DateTime::from_timestamp(seconds - seconds.rem_euclid(step), 0).unwrap_or(time);
        }
        let first = self.first_day(time.with_timezone(&EXCHANGE_ZONE).date_naive());
        first.and_then(midnight).unwrap_or(time)
    }

    /// First instant after the bucket that starts at `bucket`.
    pub fn bucket_end(self, bucket: DateTime<Utc>) -> DateTime<Utc> {
        if self.is_intraday() {
            return bucket + self.duration();
        }
        let first = bucket.with_timezone(&EXCHANGE_ZONE).date_naive();
        let next = match self.unit {
            Unit::Week => first.checked_add_days(Days::new(7)),
            Unit::Month => first.checked_add_months(Months::new(self.count.into())),
            _ => first.succ_opt(),
        };
        next.and_then(midnight).unwrap_or(bucket + self.duration())
    }

    /// The exchange's calendar day on which the bucket of a day begins.
    fn first_day(self, day: NaiveDate) -> Option<NaiveDate> {
        match self.unit {
            Unit::Week => day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into())),
            Unit::Month => day.with_day(1)?.with_month0(day.month0() - day.month0() % u32::from(self.count)),
            _ => Some(day),
        }
    }
}

/// Midnight in New York; its clocks are never changed then.
fn midnight(day: NaiveDate) -> Option<DateTime<Utc>> {
    let midnight = EXCHANGE_ZONE.from_local_datetime(&day.and_time(NaiveTime::MIN)).earliest()?;
    Some(midnight.with_timezone(&Utc))
}

impl Default for Timeframe {
    fn default() -> Self {
        Self::MINUTE_1
    }
}

impl fmt::Display for Timeframe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.unit {
            Unit::Minute => "m",
            Unit::Hour => "h",
            Unit::Day => "d",
            Unit::Week => "w",
            Unit::Month => "mo",
        };
        write!(f, "{}{unit}", self.count)
    }
}

impl From<Timeframe> for String {
    fn from(timeframe: Timeframe) -> Self {
        timeframe.to_string()
    }
}

impl FromStr for Timeframe {
    type Err = InvalidTimeframe;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let unit = match unit {
            "m" => Some(Unit::Minute),
            "h" => Some(Unit::Hour),
            "d" => Some(Unit::Day),
            "w" => Some(Unit::Week),
            "mo" => Some(Unit::Month),
            _ => None,
        };
        // One spelling each: `05m` is none.
        let count = count.parse().ok().filter(|_| !count.starts_with('0'));
        count
            .zip(unit)
            .and_then(|(count, unit)| Self::new(count, unit))
            .ok_or_else(|| InvalidTimeframe(text.chars().take(40).collect()))
    }
}

impl TryFrom<String> for Timeframe {
    type Error = InvalidTimeframe;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Bars of `timeframe` made of shorter ones, which must be in time order: first open, highest high, lowest low, last
/// close, summed volume. Empty intervals make no bar.
pub fn aggregate(bars: impl IntoIterator<Item = Bar>, timeframe: Timeframe) -> Vec<Bar> {
    let mut result: Vec<Bar> = Vec::new();
    let mut end = DateTime::<Utc>::MIN_UTC;
    for bar in bars {
        match result.last_mut() {
            Some(last) if bar.time < end => {
                last.high = last.high.max(bar.high);
                last.low = last.low.min(bar.low);
                last.close = bar.close;
                last.volume = last.volume.saturating_add(bar.volume);
            }
            _ => {
                let time = timeframe.bucket(bar.time);
                end = timeframe.bucket_end(time);
                result.push(Bar { time, ..bar });
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::Decimal;

    fn bar(time: &str, open: i64, high: i64, low: i64, close: i64, volume: i64) -> Bar {
        Bar {
            time: time.parse().unwrap(),
            open: Decimal::new(open, 2),
            high: Decimal::new(high, 2),
            low: Decimal::new(low, 2),
            close: Decimal::new(close, 2),
            volume,
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn timeframe(text: &str) -> Timeframe {
        text.parse().unwrap()
    }

    #[test]
    fn five_minutes_take_first_open_last_close_and_the_extremes() {
        let bars = [
            bar("2024-01-16T14:30:00Z", 100, 110, 95, 105, 10),
            bar("2024-01-16T14:34:00Z", 105, 120, 101, 102, 20),
            bar("2024-01-16T14:35:00Z", 102, 103, 100, 101, 5),
        ];
        assert_eq!(
            aggregate(bars, Timeframe::MINUTE_5),
            [bar("2024-01-16T14:30:00Z", 100, 120, 95, 102, 30), bar("2024-01-16T14:35:00Z", 102, 103, 100, 101, 5)]
        );
    }

    #[test]
    fn a_day_is_the_exchange_day_also_when_daylight_saving_changes() {
        let day = Timeframe::DAY_1;
        assert_eq!(day.bucket(at("2024-01-16T01:00:00Z")), at("2024-01-15T05:00:00Z"));
        assert_eq!(day.bucket_end(at("2024-03-10T05:00:00Z")), at("2024-03-11T04:00:00Z"));
        assert_eq!(day.bucket_end(at("2024-11-03T04:00:00Z")), at("2024-11-04T05:00:00Z"));
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first_in_new_york() {
        for (name, time, start, end) in [
            ("1w", "2024-03-11T03:59:59Z", "2024-03-04T05:00:00Z", "2024-03-11T04:00:00Z"),
            ("1w", "2024-01-01T04:59:59Z", "2023-12-25T05:00:00Z", "2024-01-01T05:00:00Z"),
            ("1mo", "2024-03-01T04:59:59Z", "2024-02-01T05:00:00Z", "2024-03-01T05:00:00Z"),
            ("1mo", "2024-03-31T12:00:00Z", "2024-03-01T05:00:00Z", "2024-04-01T04:00:00Z"),
            ("3mo", "2024-12-31T23:00:00Z", "2024-10-01T04:00:00Z", "2025-01-01T05:00:00Z"),
            ("4mo", "2024-04-30T23:00:00Z", "2024-01-01T05:00:00Z", "2024-05-01T04:00:00Z"),
            ("12mo", "2024-02-29T12:00:00Z", "2024-01-01T05:00:00Z", "2025-01-01T05:00:00Z"),
            ("4h", "2024-07-16T13:30:00Z", "2024-07-16T12:00:00Z", "2024-07-16T16:00:00Z"),
        ] {
            let bucket = timeframe(name).bucket(at(time));
            assert_eq!(bucket, at(start), "{name} {time}");
            assert_eq!(timeframe(name).bucket_end(bucket), at(end), "{name} {time}");
        }
    }

    #[test]
    fn buckets_of_every_timeframe_follow_each_other_without_gap_or_overlap() {
        for timeframe in Timeframe::all() {
            // Both changes of daylight saving, a leap day and a turn of the year.
            let mut bucket = timeframe.bucket(at("2023-10-30T00:00:00Z"));
            let last = if timeframe.is_intraday() { at("2023-11-10T00:00:00Z") } else { at("2026-01-10T00:00:00Z") };
            while bucket < last {
                let end = timeframe.bucket_end(bucket);
                assert!(end > bucket, "{timeframe} {bucket}");
                assert_eq!(timeframe.bucket(bucket), bucket, "{timeframe}");
                assert_eq!(timeframe.bucket(end - TimeDelta::seconds(1)), bucket, "{timeframe}");
                assert_eq!(timeframe.bucket(end), end, "{timeframe}");
                bucket = end;
            }
        }
    }

    #[test]
    fn names_round_trip() {
        let all: Vec<Timeframe> = Timeframe::all().collect();
        assert_eq!(all.len(), 59 + 23 + 2 + 6);
        for timeframe in all {
            assert_eq!(timeframe.to_string().parse(), Ok(timeframe));
            assert_eq!(serde_json::to_value(timeframe).unwrap(), timeframe.to_string());
        }
        let usual: Vec<String> = Timeframe::USUAL.map(|timeframe| timeframe.to_string()).into();
        assert_eq!(usual, ["1m", "5m", "15m", "1h", "1d"]);
        for none in ["", "m", "0m", "60m", "05m", "+5m", "24h", "2d", "2w", "5mo", "1M", "1 m", "1y", "256m", "1mo "] {
            assert!(none.parse::<Timeframe>().is_err(), "{none:?}");
        }
    }
}
