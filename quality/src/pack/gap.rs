//! Minutes of the exchange's sessions that have no bar.

use chrono::{DateTime, Days, DurationRound, TimeDelta, Utc};
use market::{EXCHANGE_ZONE, session_on};

/// Days that are looked through between two bars. Who was away for longer is told "more than".
const MOST_DAYS: u64 = 400;

/// Minutes of regular sessions between two bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Start of the first and of the last one.
    pub first: DateTime<Utc>,
    pub last: DateTime<Utc>,
    pub minutes: i64,
    /// Sessions that they belong to.
    pub sessions: u32,
    /// It was not counted to its end.
    pub or_more: bool,
}

/// The session minutes after the bar at `before` and before the one at `after`; `None` when there are none. Holidays, half
/// days and daylight saving are the exchange's: [`market::session_on`].
pub fn missing_between(before: DateTime<Utc>, after: DateTime<Utc>) -> Option<Missing> {
    let minute = TimeDelta::minutes(1);
    // Bars within a minute or from one to the next are the rule.
    if after - before <= minute {
        return None;
    }
    let from = before.duration_trunc(minute).ok()?.checked_add_signed(minute)?;
    let until = after.duration_trunc(minute).ok()?;
    let (mut day, end) =
        (from.with_timezone(&EXCHANGE_ZONE).date_naive(), until.with_timezone(&EXCHANGE_ZONE).date_naive());
    let stop = day.checked_add_days(Days::new(MOST_DAYS))?.min(end);
    let mut missing: Option<Missing> = None;
    while day <= stop {
        if let Some(session) = session_on(day) {
            let (first, close) = (session.open.max(from), session.close.min(until));
            let minutes = (close - first).num_minutes();
            if minutes > 0 {
                let last = close - minute;
                let all = missing.get_or_insert(Missing { first, last, minutes: 0, sessions: 0, or_more: false });
                all.minutes += minutes;
                all.sessions += 1;
                all.last = last;
            }
        }
        day = day.succ_opt()?;
    }
    missing.map(|missing| Missing { or_more: stop < end, ..missing })
}
