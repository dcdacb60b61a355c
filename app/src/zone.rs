//! The zone in which a chart's times are written: the exchange's, or that of the reader's machine. Bars of a day or longer
//! belong to the exchange's calendar in either.

use crate::format::{date, day_of_year, full_date, time_of_day};
use chrono::{DateTime, FixedOffset, Offset, TimeZone, Utc};
use market::{EXCHANGE_ZONE, Timeframe};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Zone {
    #[default]
    Exchange,
    /// Only a browser knows it: on the server it is the exchange's.
    Local,
}

impl Zone {
    pub const ALL: [Self; 2] = [Self::Exchange, Self::Local];

    /// As in the link; the exchange's has none.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Exchange => None,
            Self::Local => Some("local"),
        }
    }

    pub fn parse(text: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|zone| zone.name().is_some() && zone.name() == text).unwrap_or_default()
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Exchange => "New York",
            Self::Local => "Local",
        }
    }

    fn offset(self, time: DateTime<Utc>) -> FixedOffset {
        match self {
            Self::Exchange => EXCHANGE_ZONE.offset_from_utc_datetime(&time.naive_utc()).fix(),
            Self::Local => local_offset(time),
        }
    }

    fn at(self, time: DateTime<Utc>) -> DateTime<FixedOffset> {
        time.with_timezone(&self.offset(time))
    }

    /// Bars of days have the exchange's dates.
    fn of(self, timeframe: Timeframe) -> Self {
        if timeframe.is_intraday() { self } else { Self::Exchange }
    }

    /// `EST`, `EDT`, or `UTC+01:00`.
    pub fn label(self, time: DateTime<Utc>) -> String {
        match self {
            Self::Exchange => time.with_timezone(&EXCHANGE_ZONE).offset().to_string(),
            Self::Local => format!("UTC{}", self.offset(time)),
        }
    }

    /// The name of a bar on the chart's axis: sortable and unique. The chart's glue makes `09:31` or `16 Jan` of it.
    pub fn category(self, time: DateTime<Utc>, timeframe: Timeframe) -> String {
        let local = self.of(timeframe).at(time);
        format!("{} {}", local.date_naive(), time_of_day(&local))
    }

    /// The start of a bar in full: `Tue 16 Jan 2024 09:31 EST`, or without time of day for daily bars.
    pub fn bar_time(self, time: DateTime<Utc>, timeframe: Timeframe) -> String {
        let local = self.of(timeframe).at(time);
        if timeframe.is_intraday() {
            format!("{} {} {}", full_date(&local), time_of_day(&local), self.label(time))
        } else {
            full_date(&local)
        }
    }

    /// The start of a bar in a table: `16 Jan 09:31`.
    pub fn short_bar_time(self, time: DateTime<Utc>, timeframe: Timeframe) -> String {
        let local = self.of(timeframe).at(time);
        if timeframe.is_intraday() { day_and_time(&local) } else { date(&local) }
    }

    /// `12 Jan 09:30 – 16 Jan 10:31 EST`.
    pub fn window(self, from: DateTime<Utc>, to: DateTime<Utc>, timeframe: Timeframe) -> String {
        let range = format!("{} – {}", self.short_bar_time(from, timeframe), self.short_bar_time(to, timeframe));
        if timeframe.is_intraday() { format!("{range} {}", self.label(to)) } else { range }
    }

    /// The same with years: `12 Jan 2024 09:30 – 16 Jan 2024 10:31 EST`.
    pub fn full_window(self, from: DateTime<Utc>, to: DateTime<Utc>, timeframe: Timeframe) -> String {
        let (from, local) = (self.of(timeframe).at(from), self.of(timeframe).at(to));
        if timeframe.is_intraday() {
            let text = |local| format!("{} {}", date(local), time_of_day(local));
            format!("{} – {} {}", text(&from), text(&local), self.label(to))
        } else {
            format!("{} – {}", date(&from), date(&local))
        }
    }

    /// The same in short, for a button: `12 Jan 09:30 – 16 Jan 10:31`, and of one day its date once.
    pub fn short_window(self, from: DateTime<Utc>, to: DateTime<Utc>) -> String {
        let (from, to) = (self.at(from), self.at(to));
        let end = if from.date_naive() == to.date_naive() { time_of_day(&to) } else { day_and_time(&to) };
        format!("{} – {end}", day_and_time(&from))
    }

    /// `10:31 EST`.
    pub fn time_of_day(self, time: DateTime<Utc>) -> String {
        format!("{} {}", time_of_day(&self.at(time)), self.label(time))
    }

    /// As an input of type `datetime-local` shows it: `2024-01-16T09:31`.
    pub fn field(self, time: DateTime<Utc>) -> String {
        let local = self.at(time);
        format!("{}T{}", local.date_naive(), time_of_day(&local))
    }

    /// Reads what such an input holds, with seconds or without; an hour that the clocks show twice is the earlier one.
    pub fn read_field(self, text: &str) -> Option<DateTime<Utc>> {
        let seconds = if text.len() > "2024-01-16T09:31".len() { "" } else { ":00" };
        let naive = format!("{text}{seconds}Z").parse::<DateTime<Utc>>().ok()?.naive_utc();
        match self {
            Self::Exchange => EXCHANGE_ZONE.from_local_datetime(&naive).earliest().map(|time| time.to_utc()),
            Self::Local => {
                // The offset then, by way of the offset at about that time.
                let about = naive.and_utc() - self.offset(naive.and_utc());
                Some(naive.and_utc() - self.offset(about))
            }
        }
    }
}

fn day_and_time(local: &DateTime<FixedOffset>) -> String {
    format!("{} {}", day_of_year(local), time_of_day(local))
}

#[cfg(feature = "hydrate")]
fn local_offset(time: DateTime<Utc>) -> FixedOffset {
    let minutes = js_sys::Date::new(&(time.timestamp_millis() as f64).into()).get_timezone_offset();
    FixedOffset::west_opt((minutes * 60.0) as i32).unwrap_or_else(|| Utc.fix())
}

#[cfg(not(feature = "hydrate"))]
fn local_offset(time: DateTime<Utc>) -> FixedOffset {
    Zone::Exchange.offset(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_field_says_the_exchanges_time_and_is_read_back() {
        for instant in ["2024-01-16T14:31:00Z", "2024-07-16T13:30:00Z"] {
            assert_eq!(Zone::Exchange.read_field(&Zone::Exchange.field(at(instant))), Some(at(instant)));
            assert_eq!(Zone::Local.read_field(&Zone::Local.field(at(instant))), Some(at(instant)));
        }
        assert_eq!(Zone::Exchange.field(at("2024-01-16T14:31:00Z")), "2024-01-16T09:31");
        assert_eq!(Zone::Exchange.read_field("2024-01-16T09:31:00"), Some(at("2024-01-16T14:31:00Z")));
        assert_eq!(Zone::Exchange.read_field("yesterday"), None);
    }

    #[test]
    fn bars_of_days_have_the_exchanges_date_in_every_zone() {
        let midnight = at("2024-01-16T05:00:00Z");
        for zone in Zone::ALL {
            assert_eq!(zone.category(midnight, Timeframe::DAY_1), "2024-01-16 00:00");
            assert_eq!(zone.bar_time(midnight, Timeframe::DAY_1), "Tue 16 Jan 2024");
        }
        let (from, to) = (at("2024-01-16T14:30:00Z"), at("2024-01-16T15:00:00Z"));
        assert_eq!(Zone::Exchange.short_window(from, to), "16 Jan 09:30 – 10:00");
        assert_eq!(Zone::Exchange.time_of_day(at("2024-07-16T13:30:00Z")), "09:30 EDT");
    }

    #[test]
    fn a_zone_is_in_the_link_by_name() {
        for zone in Zone::ALL {
            assert_eq!(Zone::parse(zone.name()), zone);
        }
        assert_eq!(Zone::parse(Some("mars")), Zone::Exchange);
    }
}
