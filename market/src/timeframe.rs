//! How long a bar lasts, and how longer bars are made of one-minute bars.

use crate::{Bar, session::EXCHANGE_ZONE};
use chrono::{DateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The length of a bar. Intraday buckets start at multiples of their length since the epoch (UTC); a daily bucket is
/// the exchange's calendar day and starts at its midnight in New York.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timeframe {
    #[default]
    #[serde(rename = "1m")]
    Minute1,
    #[serde(rename = "5m")]
    Minute5,
    #[serde(rename = "15m")]
    Minute15,
    #[serde(rename = "1h")]
    Hour1,
    #[serde(rename = "1d")]
    Day1,
}

/// The text names no timeframe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a timeframe: use 1m, 5m, 15m, 1h or 1d")]
pub struct InvalidTimeframe(pub String);

impl Timeframe {
    pub const ALL: [Self; 5] = [Self::Minute1, Self::Minute5, Self::Minute15, Self::Hour1, Self::Day1];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute1 => "1m",
            Self::Minute5 => "5m",
            Self::Minute15 => "15m",
            Self::Hour1 => "1h",
            Self::Day1 => "1d",
        }
    }

    /// Nominal length of one bar. A daily bucket can be an hour shorter or longer when daylight saving changes.
    pub fn duration(self) -> TimeDelta {
        TimeDelta::minutes(match self {
            Self::Minute1 => 1,
            Self::Minute5 => 5,
            Self::Minute15 => 15,
            Self::Hour1 => 60,
            Self::Day1 => 24 * 60,
        })
    }

    /// Start of the bucket that holds `time`.
    pub fn bucket(self, time: DateTime<Utc>) -> DateTime<Utc> {
        if self == Self::Day1 {
            let local = time.with_timezone(&EXCHANGE_ZONE);
            return EXCHANGE_ZONE
                .from_local_datetime(&local.date_naive().and_time(NaiveTime::MIN))
                .earliest()
                .map_or(time, |midnight| midnight.with_timezone(&Utc));
        }
        let step = self.duration().num_seconds();
        let seconds = time.timestamp();
        DateTime::from_timestamp(seconds - seconds.rem_euclid(step), 0).unwrap_or(time)
    }

    /// First instant after the bucket that starts at `bucket`.
    pub fn bucket_end(self, bucket: DateTime<Utc>) -> DateTime<Utc> {
        if self == Self::Day1 {
            // 25 hours later is always inside the next calendar day, whatever daylight saving does.
            return self.bucket(bucket + TimeDelta::hours(25));
        }
        bucket + self.duration()
    }
}

impl fmt::Display for Timeframe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Timeframe {
    type Err = InvalidTimeframe;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|timeframe| timeframe.as_str() == text)
            .ok_or_else(|| InvalidTimeframe(text.chars().take(40).collect()))
    }
}

/// Bars of `timeframe` made of shorter ones, which must be in time order: first open, highest high, lowest low, last
/// close, summed volume. Empty intervals make no bar.
pub fn aggregate(bars: impl IntoIterator<Item = Bar>, timeframe: Timeframe) -> Vec<Bar> {
    let mut result: Vec<Bar> = Vec::new();
    for bar in bars {
        let bucket = timeframe.bucket(bar.time);
        match result.last_mut() {
            Some(last) if last.time == bucket => {
                last.high = last.high.max(bar.high);
                last.low = last.low.min(bar.low);
                last.close = bar.close;
                last.volume = last.volume.saturating_add(bar.volume);
            }
            _ => result.push(Bar { time: bucket, ..bar }),
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

    #[test]
    fn five_minutes_take_first_open_last_close_and_the_extremes() {
        let bars = [
            bar("2024-01-16T14:30:00Z", 100, 110, 95, 105, 10),
            bar("2024-01-16T14:34:00Z", 105, 120, 101, 102, 20),
            bar("2024-01-16T14:35:00Z", 102, 103, 100, 101, 5),
        ];
        assert_eq!(
            aggregate(bars, Timeframe::Minute5),
            [bar("2024-01-16T14:30:00Z", 100, 120, 95, 102, 30), bar("2024-01-16T14:35:00Z", 102, 103, 100, 101, 5)]
        );
    }

    #[test]
    fn a_day_is_the_exchange_day_also_when_daylight_saving_changes() {
        let day = Timeframe::Day1;
        let winter: DateTime<Utc> = "2024-01-16T01:00:00Z".parse().unwrap();
        assert_eq!(day.bucket(winter).to_rfc3339(), "2024-01-15T05:00:00+00:00");
        let spring: DateTime<Utc> = "2024-03-10T05:00:00Z".parse().unwrap();
        assert_eq!(day.bucket_end(spring).to_rfc3339(), "2024-03-11T04:00:00+00:00");
        let autumn: DateTime<Utc> = "2024-11-03T04:00:00Z".parse().unwrap();
        assert_eq!(day.bucket_end(autumn).to_rfc3339(), "2024-11-04T05:00:00+00:00");
    }

    #[test]
    fn names_round_trip() {
        for timeframe in Timeframe::ALL {
            assert_eq!(timeframe.as_str().parse::<Timeframe>().unwrap(), timeframe);
            assert_eq!(serde_json::to_value(timeframe).unwrap(), timeframe.as_str());
        }
        assert!("2m".parse::<Timeframe>().is_err());
    }
}
