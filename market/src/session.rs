//! When the exchange is open: NYSE/Nasdaq regular sessions, holidays and half days, by the written rules of NYSE Rule
//! 7.2 and the tz database. One-off closures (mourning days, storms) are not known here.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::Tz;

/// The zone in which the exchange's day and session are defined.
pub const EXCHANGE_ZONE: Tz = chrono_tz::America::New_York;

/// The regular session of one trading day, as UTC instants: `open ≤ t < close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    pub open: DateTime<Utc>,
    pub close: DateTime<Utc>,
}

/// What the market is doing at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionPhase {
    /// Inside the regular session.
    Regular,
    /// A trading day's pre- or post-market, 04:00 to 20:00 in New York.
    Extended,
    /// Night, weekend or holiday.
    Closed,
}

fn nth(year: i32, month: u32, weekday: Weekday, n: u8) -> Option<NaiveDate> {
    NaiveDate::from_weekday_of_month_opt(year, month, weekday, n)
}

/// Easter Sunday by the anonymous Gregorian algorithm (Meeus, *Astronomical Algorithms*, chapter 8).
fn easter(year: i32) -> Option<NaiveDate> {
    let a = year % 19;
    let (b, c) = (year / 100, year % 100);
    let (d, e) = (b / 4, b % 4);
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15) % 30;
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let month = (h + l - 7 * m + 114) / 31;
    let day = (h + l - 7 * m + 114) % 31 + 1;
    NaiveDate::from_ymd_opt(year, month as u32, day as u32)
}

/// Whether a fixed-date holiday is kept on `date`: on the day itself, on Friday when it falls on a Saturday, on Monday
/// when it falls on a Sunday.
fn observes(date: NaiveDate, month: u32, day: u32) -> bool {
    let on = |d: Option<NaiveDate>| d.is_some_and(|d| (d.month(), d.day()) == (month, day));
    match date.weekday() {
        Weekday::Fri => on(Some(date)) || on(date.succ_opt()),
        Weekday::Mon => on(Some(date)) || on(date.pred_opt()),
        _ => on(Some(date)),
    }
}

fn is_holiday(date: NaiveDate) -> bool {
    let year = date.year();
    let is = |holiday: Option<NaiveDate>| holiday == Some(date);
    // New Year's Day on a Saturday is not made up for on the Friday: that would close the year's last trading day.
    let new_year = match date.weekday() {
        Weekday::Mon => date.month() == 1 && date.day() <= 2,
        _ => date.month() == 1 && date.day() == 1,
    };
    new_year
        || is(nth(year, 1, Weekday::Mon, 3)) // Martin Luther King Jr. Day
        || is(nth(year, 2, Weekday::Mon, 3)) // Washington's Birthday
        || is(easter(year).and_then(|sunday| sunday.checked_sub_days(Days::new(2)))) // Good Friday
        || is((25..=31).rev().find_map(|day| {
            NaiveDate::from_ymd_opt(year, 5, day).filter(|d| d.weekday() == Weekday::Mon)
        })) // Memorial Day
        || (year >= 2022 && observes(date, 6, 19)) // Juneteenth
        || observes(date, 7, 4) // Independence Day
        || is(nth(year, 9, Weekday::Mon, 1)) // Labor Day
        || is(nth(year, 11, Weekday::Thu, 4)) // Thanksgiving
        || observes(date, 12, 25) // Christmas
}

/// Days that close at 13:00: 3 July and Christmas Eve when they are trading days before the holiday itself, and the
/// Friday after Thanksgiving.
fn is_half_day(date: NaiveDate) -> bool {
    let before_friday = !matches!(date.weekday(), Weekday::Fri | Weekday::Sat | Weekday::Sun);
    (before_friday && ((date.month(), date.day()) == (7, 3) || (date.month(), date.day()) == (12, 24)))
        || nth(date.year(), 11, Weekday::Thu, 4).and_then(|thursday| thursday.succ_opt()) == Some(date)
}

fn instant(date: NaiveDate, hour: u32, minute: u32) -> Option<DateTime<Utc>> {
    let local = date.and_time(NaiveTime::from_hms_opt(hour, minute, 0)?);
    Some(EXCHANGE_ZONE.from_local_datetime(&local).earliest()?.with_timezone(&Utc))
}

/// The regular session on a calendar day of the exchange; `None` on weekends and holidays.
pub fn session_on(date: NaiveDate) -> Option<Session> {
    if matches!(date.weekday(), Weekday::Sat | Weekday::Sun) || is_holiday(date) {
        return None;
    }
    let close_hour = if is_half_day(date) { 13 } else { 16 };
    Some(Session { open: instant(date, 9, 30)?, close: instant(date, close_hour, 0)? })
}

/// What the market is doing at `time`.
pub fn phase_of(time: DateTime<Utc>) -> SessionPhase {
    let date = time.with_timezone(&EXCHANGE_ZONE).date_naive();
    let Some(session) = session_on(date) else {
        return SessionPhase::Closed;
    };
    if session.open <= time && time < session.close {
        return SessionPhase::Regular;
    }
    // 04:00 is 5 h 30 min before the open; 20:00 is 10 h 30 min after it.
    let extended = session.open - TimeDelta::minutes(330)..session.open + TimeDelta::minutes(630);
    if extended.contains(&time) { SessionPhase::Extended } else { SessionPhase::Closed }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn the_published_holidays_of_2024_to_2026_are_closed() {
        for day in [
            "2024-01-01",
            "2024-01-15",
            "2024-02-19",
            "2024-03-29",
            "2024-05-27",
            "2024-06-19",
            "2024-07-04",
            "2024-09-02",
            "2024-11-28",
            "2024-12-25",
            "2025-01-01",
            "2025-01-20",
            "2025-02-17",
            "2025-04-18",
            "2025-05-26",
            "2025-06-19",
            "2025-07-04",
            "2025-09-01",
            "2025-11-27",
            "2025-12-25",
            "2026-01-01",
            "2026-01-19",
            "2026-02-16",
            "2026-04-03",
            "2026-05-25",
            "2026-06-19",
            "2026-07-03",
            "2026-09-07",
            "2026-11-26",
            "2026-12-25",
        ] {
            assert_eq!(session_on(date(day)), None, "{day}");
        }
    }

    #[test]
    fn a_year_has_the_published_number_of_trading_days() {
        // By rule; in fact 2025 had one fewer, for the day of mourning on 9 January.
        for (year, days) in [(2021, 252), (2022, 251), (2023, 250), (2024, 252), (2025, 251)] {
            let count = date(&format!("{year}-01-01"))
                .iter_days()
                .take_while(|d| d.year() == year)
                .filter(|d| session_on(*d).is_some())
                .count();
            assert_eq!(count, days, "{year}");
        }
    }

    #[test]
    fn the_session_follows_daylight_saving() {
        let winter = session_on(date("2024-01-16")).unwrap();
        assert_eq!(winter.open.to_rfc3339(), "2024-01-16T14:30:00+00:00");
        assert_eq!(winter.close.to_rfc3339(), "2024-01-16T21:00:00+00:00");
        let summer = session_on(date("2024-07-16")).unwrap();
        assert_eq!(summer.open.to_rfc3339(), "2024-07-16T13:30:00+00:00");
    }

    #[test]
    fn half_days_close_at_one() {
        for day in ["2024-07-03", "2024-11-29", "2024-12-24", "2025-07-03", "2025-11-28", "2025-12-24", "2026-11-27"] {
            let session = session_on(date(day)).unwrap();
            assert_eq!(session.close - session.open, TimeDelta::minutes(210), "{day}");
        }
        assert_eq!(session_on(date("2026-07-02")).map(|s| s.close - s.open), Some(TimeDelta::minutes(390)));
    }

    #[test]
    fn phases_have_half_open_edges() {
        let at = |text: &str| phase_of(text.parse().unwrap());
        assert_eq!(at("2024-01-16T14:29:59Z"), SessionPhase::Extended);
        assert_eq!(at("2024-01-16T14:30:00Z"), SessionPhase::Regular);
        assert_eq!(at("2024-01-16T20:59:59Z"), SessionPhase::Regular);
        assert_eq!(at("2024-01-16T21:00:00Z"), SessionPhase::Extended);
        assert_eq!(at("2024-01-17T01:00:00Z"), SessionPhase::Closed);
        assert_eq!(at("2024-01-15T15:00:00Z"), SessionPhase::Closed);
    }
}
