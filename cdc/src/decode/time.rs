//! Instants in every form that `time.precision.mode` gives them.

use super::schema::Fraction;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, Utc};

/// 0001-01-01T00:00:00Z and 10000-01-01T00:00:00Z, in seconds: what lies outside is a sentinel such as Postgres'
/// `-infinity`, not a time.
const FIRST_SECOND: i64 = -62_135_596_800;
const END_SECOND: i64 = 253_402_300_800;

/// An integer time stamp. Without a schema its magnitude tells the unit: below `10^14` (year 5138 in milliseconds, 1973 in
/// microseconds) milliseconds, below `10^17` microseconds, else nanoseconds. `None` when it is outside years 1 to 9999.
pub(super) fn instant(stamp: i64, fraction: Option<Fraction>) -> Option<DateTime<Utc>> {
    let fraction = fraction.unwrap_or(match stamp.unsigned_abs() {
        0..100_000_000_000_000 => Fraction::Millis,
        100_000_000_000_000..100_000_000_000_000_000 => Fraction::Micros,
        _ => Fraction::Nanos,
    });
    let per_second = per_second(fraction);
    let seconds = stamp.div_euclid(per_second);
    let nanos = stamp.rem_euclid(per_second) * (1_000_000_000 / per_second);
    if !(FIRST_SECOND..END_SECOND).contains(&seconds) {
        return None;
    }
    DateTime::from_timestamp(seconds, u32::try_from(nanos).ok()?)
}

/// Midnight of a day since the epoch.
pub(super) fn midnight(days: i64) -> Option<DateTime<Utc>> {
    instant(days.checked_mul(86_400_000)?, Some(Fraction::Millis))
}

/// ISO 8601 text: an instant with any offset, a wall time (taken as UTC, as Debezium does) or a date, which may end in
/// `Z` (`2024-01-15Z`).
pub(super) fn parse_instant(text: &str) -> Option<DateTime<Utc>> {
    let parsed = DateTime::parse_from_rfc3339(text).map(|instant| instant.to_utc()).ok().or_else(|| {
        let wall = text.strip_suffix('Z').unwrap_or(text);
        let date = NaiveDate::parse_from_str(wall, "%Y-%m-%d").ok().map(|date| date.and_time(NaiveTime::MIN));
        let wall = date
            .or_else(|| NaiveDateTime::parse_from_str(wall, "%Y-%m-%dT%H:%M:%S%.f").ok())
            .or_else(|| NaiveDateTime::parse_from_str(wall, "%Y-%m-%d %H:%M:%S%.f").ok());
        wall.map(|wall| wall.and_utc())
    })?;
    (FIRST_SECOND..END_SECOND).contains(&parsed.timestamp()).then_some(parsed)
}

/// An instant as people read it, with as many decimals as it needs.
pub(super) fn readable_instant(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A time of day, `None` when it is not one: MySQL's TIME goes from -838 to 838 hours.
pub(super) fn readable_time_of_day(stamp: i64, fraction: Fraction) -> Option<String> {
    let per_second = per_second(fraction);
    let seconds = u32::try_from(stamp.div_euclid(per_second)).ok()?;
    let nanos = u32::try_from(stamp.rem_euclid(per_second) * (1_000_000_000 / per_second)).ok()?;
    NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos).map(|time| time.to_string())
}

fn per_second(fraction: Fraction) -> i64 {
    match fraction {
        Fraction::Millis => 1_000,
        Fraction::Micros => 1_000_000,
        Fraction::Nanos => 1_000_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(instant: Option<DateTime<Utc>>) -> Option<String> {
        instant.map(readable_instant)
    }

    #[test]
    fn bare_stamps_tell_their_unit_by_magnitude() {
        for stamp in [1_705_311_000_000, 1_705_311_000_000_000, 1_705_311_000_000_000_000] {
            assert_eq!(text(instant(stamp, None)).as_deref(), Some("2024-01-15T09:30:00Z"), "{stamp}");
        }
        assert_eq!(text(instant(0, None)).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(text(instant(-1000, None)).as_deref(), Some("1969-12-31T23:59:59Z"));
    }

    #[test]
    fn a_schema_overrules_the_magnitude() {
        assert_eq!(text(instant(1_000_000, Some(Fraction::Micros))).as_deref(), Some("1970-01-01T00:00:01Z"));
        assert_eq!(
            text(instant(253_402_300_799_999_999, Some(Fraction::Micros))).as_deref(),
            Some("9999-12-31T23:59:59.999999Z")
        );
        assert_eq!(text(midnight(19_737)).as_deref(), Some("2024-01-15T00:00:00Z"));
    }

    #[test]
    fn iso_text_is_read_with_and_without_time_and_zone() {
        for (iso, expected) in [
            ("2024-01-15Z", "2024-01-15T00:00:00Z"),
            ("2024-01-15", "2024-01-15T00:00:00Z"),
            ("2024-01-15T09:30:00Z", "2024-01-15T09:30:00Z"),
            ("2024-01-15T09:30:00.123456Z", "2024-01-15T09:30:00.123456Z"),
            ("2024-01-15T11:30:00+02:00", "2024-01-15T09:30:00Z"),
            ("2024-01-15T09:30:00", "2024-01-15T09:30:00Z"),
            ("2024-01-15 09:30:00.5", "2024-01-15T09:30:00.500Z"),
        ] {
            assert_eq!(text(parse_instant(iso)).as_deref(), Some(expected), "{iso}");
        }
    }

    #[test]
    fn sentinels_and_nonsense_are_no_instants() {
        for iso in ["", "infinity", "-290308-12-21T19:59:27.6Z", "-5877611-06-21Z", "09:30:00Z", "2024-13-01Z"] {
            assert_eq!(parse_instant(iso), None, "{iso}");
        }
        assert_eq!(instant(-9_223_372_036_832_400_000, Some(Fraction::Micros)), None);
        assert_eq!(instant(i64::MIN, Some(Fraction::Millis)), None);
        assert_eq!(midnight(i64::MAX), None);
    }

    #[test]
    fn times_of_day_are_readable_and_durations_are_not_taken_for_them() {
        assert_eq!(readable_time_of_day(34_200_123_456, Fraction::Micros).as_deref(), Some("09:30:00.123456"));
        assert_eq!(readable_time_of_day(-43_200_000_000, Fraction::Micros), None);
        assert_eq!(readable_time_of_day(3_020_399_000_000, Fraction::Micros), None);
    }
}
