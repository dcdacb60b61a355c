//! Which time the charts show: the newest bars as they come, a window of the past, or a past day that is played. Pure: what
//! a link says, and which bars are right for how much time.

use crate::{format, zone::Zone};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, SubsecRound, TimeDelta, TimeZone, Utc};
use market::{EXCHANGE_ZONE, Timeframe, session_on, wire::SymbolInfo};
use std::fmt;

/// Speeds of a replay, in multiples of real time.
pub const SPEEDS: [u32; 5] = [1, 10, 60, 300, 600];
/// The one that a link without a speed means.
pub const USUAL_SPEED: u32 = 60;

/// Most bars that a chart begins with when it chooses their length itself.
const MOST_AT_FIRST: i64 = 800;
/// Bars in view at which it chooses longer ones, and that shorter ones may come to when it chooses them.
const TOO_MANY: i64 = 1_200;
const FEW_ENOUGH: i64 = 500;

/// Minutes of a regular session, and sessions of a week.
const SESSION_MINUTES: i64 = 390;
const SESSIONS_PER_WEEK: i64 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Unit {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// So much time up to the newest bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Range {
    Last(Amount),
    All,
}

/// A count of hours, days, weeks, months or years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Amount {
    count: u16,
    unit: Unit,
}

impl Range {
    const fn last(count: u16, unit: Unit) -> Self {
        Self::Last(Amount { count, unit })
    }

    /// What the page offers.
    pub const QUICK: [Self; 9] = [
        Self::last(1, Unit::Hour),
        Self::last(4, Unit::Hour),
        Self::last(1, Unit::Day),
        Self::last(1, Unit::Week),
        Self::last(1, Unit::Month),
        Self::last(3, Unit::Month),
        Self::last(1, Unit::Year),
        Self::last(5, Unit::Year),
        Self::All,
    ];

    pub fn parse(text: &str) -> Option<Self> {
        if text == "max" {
            return Some(Self::All);
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at(digits);
        let unit = match unit {
            "h" => Unit::Hour,
            "d" => Unit::Day,
            "w" => Unit::Week,
            "mo" => Unit::Month,
            "y" => Unit::Year,
            _ => return None,
        };
        let count = count.parse().ok().filter(|&count| count > 0 && text.as_bytes()[0] != b'0')?;
        Some(Self::last(count, unit))
    }

    /// The shortest that holds so much.
    pub fn holding(length: TimeDelta) -> Self {
        let hours = (length.num_minutes() + 59).div_euclid(60).max(1);
        match u16::try_from(hours) {
            Ok(count) if hours <= 24 * 14 => Self::last(count, Unit::Hour),
            _ => Self::last(u16::try_from((hours + 23) / 24).unwrap_or(u16::MAX), Unit::Day),
        }
    }

    /// Where it begins, when the newest bar begins at `newest`.
    pub fn start(self, newest: DateTime<Utc>) -> DateTime<Utc> {
        let Self::Last(Amount { count, unit }) = self else { return DateTime::<Utc>::MIN_UTC };
        let day = newest.with_timezone(&EXCHANGE_ZONE).date_naive();
        let n = u32::from(count);
        let first = match unit {
            Unit::Hour => return newest - TimeDelta::hours(count.into()),
            Unit::Day => day.checked_sub_days(Days::new((n - 1).into())),
            Unit::Week => day.checked_sub_days(Days::new((n * 7).into())),
            Unit::Month => day.checked_sub_months(Months::new(n)),
            Unit::Year => day.checked_sub_months(Months::new(n * 12)),
        };
        first.and_then(midnight).unwrap_or(DateTime::<Utc>::MIN_UTC)
    }

    /// How long it is, about.
    fn length(self) -> TimeDelta {
        let Self::Last(Amount { count, unit }) = self else { return TimeDelta::weeks(52 * 20) };
        let one = match unit {
            Unit::Hour => TimeDelta::hours(1),
            Unit::Day => TimeDelta::days(1),
            Unit::Week => TimeDelta::weeks(1),
            Unit::Month => TimeDelta::days(30),
            Unit::Year => TimeDelta::days(365),
        };
        one * i32::from(count)
    }

    /// As people say it.
    pub fn title(self) -> String {
        let Self::Last(Amount { count, unit }) = self else { return "Everything".to_owned() };
        let unit = match unit {
            Unit::Hour => "hour",
            Unit::Day => "day",
            Unit::Week => "week",
            Unit::Month => "month",
            Unit::Year => "year",
        };
        if count == 1 { format!("Last {unit}") } else { format!("Last {count} {unit}s") }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Last(Amount { count, unit }) = self else { return f.write_str("max") };
        let unit = match unit {
            Unit::Hour => "h",
            Unit::Day => "d",
            Unit::Week => "w",
            Unit::Month => "mo",
            Unit::Year => "y",
        };
        write!(f, "{count}{unit}")
    }
}

/// The time that the charts show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Span {
    /// The newest bars, as they come. `None`: as many as are well seen.
    Live(Option<Range>),
    /// A window of the past: `from ≤ t < to`.
    Between { from: DateTime<Utc>, to: DateTime<Utc> },
    /// The exchange's day that holds `at` is played, first from there.
    Replay { at: DateTime<Utc>, speed: u32 },
}

impl Default for Span {
    fn default() -> Self {
        Self::Live(None)
    }
}

impl Span {
    /// Reads the query; what makes no sense is left out.
    pub fn read(value: impl Fn(&str) -> Option<String>) -> Self {
        if let Some(at) = value("replay").and_then(|text| read_day(&text).map(opening).or_else(|| read_instant(&text)))
        {
            let speed = value("speed").and_then(|text| text.parse().ok()).filter(|speed| SPEEDS.contains(speed));
            return Self::Replay { at, speed: speed.unwrap_or(USUAL_SPEED) };
        }
        let instant = |key: &str| value(key).and_then(|text| read_instant(&text));
        match (instant("from"), instant("to")) {
            (Some(from), Some(to)) if from < to => Self::Between { from, to },
            _ => Self::Live(value("range").and_then(|text| Range::parse(&text))),
        }
    }

    /// Writes what is not the default into a link.
    pub fn write(&self, link: &mut String) {
        use fmt::Write;
        // Writing to a String cannot fail.
        let _ = match *self {
            Self::Live(None) => Ok(()),
            Self::Live(Some(range)) => write!(link, "&range={range}"),
            Self::Between { from, to } => write!(link, "&from={}&to={}", format::minute(from), format::minute(to)),
            Self::Replay { at, speed } => {
                let day = day_of(at);
                let start = if at == opening(day) { at_day(day) } else { format::minute(at) };
                write!(link, "&replay={start}").and_then(|()| match speed {
                    USUAL_SPEED => Ok(()),
                    speed => write!(link, "&speed={speed}"),
                })
            }
        };
    }

    pub fn is_live(&self) -> bool {
        matches!(self, Self::Live(_))
    }

    pub fn is_replay(&self) -> bool {
        matches!(self, Self::Replay { .. })
    }

    /// Bars that are right for it.
    pub fn timeframe(&self) -> Timeframe {
        match *self {
            Self::Live(None) | Self::Replay { .. } => Timeframe::MINUTE_1,
            // The stream has no bars longer than a day.
            Self::Live(Some(range)) => streamed(timeframe_for(range.length())),
            Self::Between { from, to } => timeframe_for(to - from),
        }
    }

    /// As people say it.
    pub fn title(&self, zone: Zone) -> String {
        match *self {
            Self::Live(None) => "Newest bars".to_owned(),
            Self::Live(Some(range)) => range.title(),
            Self::Between { from, to } => zone.short_window(from, to),
            Self::Replay { at, .. } => format!("Replay of {}", format::date(&day_of(at))),
        }
    }

    /// The window before or after, by half its length; nothing else has one.
    pub fn moved(&self, later: bool) -> Option<Self> {
        let Self::Between { from, to } = *self else { return None };
        let by = if later { (to - from) / 2 } else { (from - to) / 2 };
        Some(Self::Between { from: minute(from + by), to: minute(to + by) })
    }

    /// The window with as much again around it.
    pub fn widened(&self) -> Option<Self> {
        let Self::Between { from, to } = *self else { return None };
        let by = (to - from) / 2;
        Some(Self::Between { from: minute(from - by), to: minute(to + by) })
    }
}

/// A timeframe that the live stream can send and a replay can play: no longer than a day.
pub fn streamed(timeframe: Timeframe) -> Timeframe {
    shorter(timeframe, Timeframe::DAY_1)
}

fn shorter(one: Timeframe, other: Timeframe) -> Timeframe {
    if other.duration() < one.duration() { other } else { one }
}

/// What a chart may choose, shortest first.
fn choices() -> impl DoubleEndedIterator<Item = Timeframe> {
    Timeframe::USUAL.into_iter().chain([Timeframe::WEEK_1, Timeframe::MONTH_1])
}

/// Bars that so much time has, about, with nights and weekends left out.
pub fn expected_bars(length: TimeDelta, timeframe: Timeframe) -> i64 {
    let sessions = (length.num_days() * SESSIONS_PER_WEEK / 7).max(1);
    match timeframe.duration() {
        step if timeframe.is_intraday() => {
            length.num_minutes().min(sessions * SESSION_MINUTES) / step.num_minutes().max(1)
        }
        step if step <= TimeDelta::days(1) => sessions,
        step => length.num_days() / step.num_days().max(1),
    }
}

/// The shortest bars of which a chart can begin with so much time.
pub fn timeframe_for(length: TimeDelta) -> Timeframe {
    choices().find(|&timeframe| expected_bars(length, timeframe) <= MOST_AT_FIRST).unwrap_or(Timeframe::MONTH_1)
}

/// Bars for so much time in view, when those shown are `now`: others only when `now` are many too many, or when shorter
/// ones are few, so that the choice does not flutter.
pub fn timeframe_for_view(length: TimeDelta, now: Timeframe) -> Timeframe {
    if expected_bars(length, now) > TOO_MANY {
        return timeframe_for(length);
    }
    let few = choices().find(|&timeframe| expected_bars(length, timeframe) <= FEW_ENOUGH);
    few.map_or(now, |few| shorter(few, now))
}

/// The exchange's day that holds the instant.
pub fn day_of(time: DateTime<Utc>) -> NaiveDate {
    time.with_timezone(&EXCHANGE_ZONE).date_naive()
}

/// The first and the first no more of a day of the exchange.
pub fn bounds(day: NaiveDate) -> (DateTime<Utc>, DateTime<Utc>) {
    let start = midnight(day).unwrap_or_default();
    (start, day.succ_opt().and_then(midnight).unwrap_or(start))
}

/// Where a replay of a day begins: when the session opens, or at midnight of a day without one.
pub fn opening(day: NaiveDate) -> DateTime<Utc> {
    session_on(day).map_or_else(|| bounds(day).0, |session| session.open)
}

/// `2024-01-16`, as a form's input writes it.
pub fn at_day(day: NaiveDate) -> String {
    day.to_string()
}

/// The day that is played when none is named: the newest trading day that is over, of those with bars.
pub fn day_to_replay(symbols: &[SymbolInfo]) -> Option<NaiveDate> {
    let first = day_of(symbols.iter().map(|info| info.first).min()?);
    let last = day_of(symbols.iter().map(|info| info.last).max()?);
    // Ten days always hold a session.
    let earlier = (1..=10).filter_map(|back| last.checked_sub_days(Days::new(back)));
    let before = earlier.take_while(|day| *day >= first).find(|day| session_on(*day).is_some());
    Some(before.unwrap_or(last))
}

fn minute(time: DateTime<Utc>) -> DateTime<Utc> {
    time - TimeDelta::seconds(time.timestamp().rem_euclid(60))
}

fn midnight(day: NaiveDate) -> Option<DateTime<Utc>> {
    let midnight = EXCHANGE_ZONE.from_local_datetime(&day.and_time(NaiveTime::MIN)).earliest()?;
    Some(midnight.with_timezone(&Utc))
}

/// A day of four digits of a year, as people and forms write it.
fn read_day(text: &str) -> Option<NaiveDate> {
    text.parse().ok().filter(|day: &NaiveDate| (1900..=2200).contains(&day.year()))
}

/// `2024-01-16T14:30Z`, any RFC 3339 instant, or without a zone the exchange's time or the start of its day.
fn read_instant(text: &str) -> Option<DateTime<Utc>> {
    let parsed = format::read_minute(text)
        .or_else(|| text.parse::<DateTime<Utc>>().ok().map(|time| time.trunc_subsecs(0)))
        .or_else(|| Zone::Exchange.read_field(text))
        .or_else(|| read_day(text).and_then(midnight))?;
    Some(minute(parsed)).filter(|time| (1900..=2200).contains(&time.year()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn read(query: &str) -> Span {
        let pairs: Vec<_> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        Span::read(|key| pairs.iter().find(|(of, _)| *of == key).map(|(_, value)| (*value).to_owned()))
    }

    fn written(span: Span) -> String {
        let mut link = String::new();
        span.write(&mut link);
        link
    }

    #[test]
    fn a_span_is_written_as_it_was_read() {
        for query in [
            "",
            "&range=1d",
            "&range=37h",
            "&range=max",
            "&from=2024-01-12T14:30Z&to=2024-01-16T21:00Z",
            "&replay=2024-01-16",
            "&replay=2024-01-16T15:04Z&speed=600",
        ] {
            assert_eq!(written(read(query)), query);
        }
    }

    #[test]
    fn nonsense_is_the_newest_bars() {
        for query in [
            "range=0d",
            "range=01d",
            "range=-1d",
            "range=99999999d",
            "from=2024-01-16&to=2024-01-12",
            "from=2024-01-16",
            "replay=soon",
            "replay=99999-01-01",
        ] {
            assert_eq!(read(query), Span::Live(None), "{query}");
        }
        assert_eq!(written(read("replay=2024-01-16&speed=7")), "&replay=2024-01-16");
    }

    #[test]
    fn a_form_without_a_zone_means_the_exchanges_time() {
        assert_eq!(
            read("from=2024-01-16T09:30&to=2024-01-17"),
            Span::Between { from: at("2024-01-16T14:30:00Z"), to: at("2024-01-17T05:00:00Z") }
        );
    }

    #[test]
    fn a_range_ends_at_the_newest_bar_and_its_days_are_the_exchanges() {
        let newest = at("2024-03-12T14:31:00Z");
        let start = |text: &str| Range::parse(text).unwrap().start(newest);
        assert_eq!(start("4h"), at("2024-03-12T10:31:00Z"));
        assert_eq!(start("1d"), at("2024-03-12T04:00:00Z"));
        assert_eq!(start("1w"), at("2024-03-05T05:00:00Z"), "the clocks changed in between");
        assert_eq!(start("1mo"), at("2024-02-12T05:00:00Z"));
        assert_eq!(start("max"), DateTime::<Utc>::MIN_UTC);
        assert_eq!(Range::holding(TimeDelta::minutes(61)).to_string(), "2h");
        assert_eq!(Range::holding(TimeDelta::days(90)).to_string(), "90d");
    }

    #[test]
    fn bars_are_as_long_as_the_time_asks_for() {
        let chosen = |text: &str| read(&format!("range={text}")).timeframe().to_string();
        assert_eq!(
            ["1h", "1d", "1w", "1mo", "3mo", "1y", "5y", "max"].map(chosen),
            ["1m", "1m", "5m", "15m", "1h", "1d", "1d", "1d"]
        );
        assert_eq!(timeframe_for(TimeDelta::days(365 * 10)), Timeframe::WEEK_1);
        assert_eq!(timeframe_for(TimeDelta::days(365 * 60)), Timeframe::MONTH_1);
    }

    #[test]
    fn zooming_a_little_changes_nothing_and_zooming_far_does() {
        let day = TimeDelta::days(1);
        assert_eq!(timeframe_for_view(day, Timeframe::MINUTE_1), Timeframe::MINUTE_1);
        assert_eq!(timeframe_for_view(day * 3, Timeframe::MINUTE_1), Timeframe::MINUTE_1);
        assert_eq!(timeframe_for_view(day * 7, Timeframe::MINUTE_1), Timeframe::MINUTE_5);
        assert_eq!(timeframe_for_view(day * 4, Timeframe::MINUTE_5), Timeframe::MINUTE_5);
        assert_eq!(timeframe_for_view(day, Timeframe::MINUTE_5), Timeframe::MINUTE_1);
        for length in 1..2_000 {
            for now in choices() {
                let next = timeframe_for_view(day * length, now);
                assert_eq!(timeframe_for_view(day * length, next), next, "{length} days of {now} do not flutter");
            }
        }
    }

    #[test]
    fn a_window_moves_by_half_and_widens_around_its_middle() {
        let span = read("from=2024-01-16T14:00Z&to=2024-01-16T16:00Z");
        assert_eq!(written(span.moved(true).unwrap()), "&from=2024-01-16T15:00Z&to=2024-01-16T17:00Z");
        assert_eq!(written(span.moved(false).unwrap()), "&from=2024-01-16T13:00Z&to=2024-01-16T15:00Z");
        assert_eq!(written(span.widened().unwrap()), "&from=2024-01-16T13:00Z&to=2024-01-16T17:00Z");
        assert_eq!(Span::Live(None).moved(true), None);
    }

    #[test]
    fn the_day_before_the_newest_is_played_unless_there_is_none() {
        let info = |first: &str, last: &str| SymbolInfo {
            symbol: "AMZN".parse().unwrap(),
            first: at(first),
            last: at(last),
            bars: 1,
            simulated: true,
        };
        let day = |first, last| day_to_replay(&[info(first, last)]).map(at_day);
        assert_eq!(
            day("2024-01-10T15:00:00Z", "2024-01-16T15:00:00Z").as_deref(),
            Some("2024-01-12"),
            "a holiday and a weekend"
        );
        assert_eq!(day("2024-01-16T15:00:00Z", "2024-01-16T16:00:00Z").as_deref(), Some("2024-01-16"));
        assert_eq!(day_to_replay(&[]), None);
    }
}
