//! The rules that only the clock decides. Callers ask them for live sources only: in a replay the market's clock is not the
//! one on the wall.

use super::{Found, Pack, PackRule, robust::middle};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use market::{EXCHANGE_ZONE, Session, Symbol, session_on};

/// Days without a bar after which a symbol is taken for one that is no longer traded.
const FORGOTTEN: TimeDelta = TimeDelta::days(7);

fn seconds(seconds: f64) -> TimeDelta {
    TimeDelta::milliseconds((seconds * 1_000.0) as i64)
}

fn session_of(now: DateTime<Utc>) -> Option<Session> {
    session_on(now.with_timezone(&EXCHANGE_ZONE).date_naive())
        .filter(|session| session.open <= now && now < session.close)
}

/// Whether a symbol that should trade is silent: the exchange is in session, and neither since the open nor since the
/// newest bar (at minute `newest`, received at `received_at`) has anything come for longer than the threshold. It is found
/// at the first minute that has no bar, so that it is the same finding until a bar comes.
pub fn judge_silence(
    symbol: &Symbol,
    newest: DateTime<Utc>,
    received_at: DateTime<Utc>,
    now: DateTime<Utc>,
    pack: &Pack,
) -> Option<Found> {
    let rule = PackRule::Silence;
    let session = session_of(now).filter(|_| pack.is_enabled(rule))?;
    let limit = seconds(pack.threshold(rule));
    // A minute's bar can come when the minute is over.
    let due = session.open + TimeDelta::minutes(1);
    let silent = now - received_at.max(due);
    if silent <= limit || now - newest > FORGOTTEN {
        return None;
    }
    let time = session.open.max(newest + TimeDelta::minutes(1));
    Some(Found {
        rule,
        severity: pack.severity(rule),
        time,
        observed: Some("nothing received".into()),
        expected: Some(format!("a bar within {} s", limit.num_seconds())),
        text: format!(
            "{symbol} is silent: nothing since its bar of {}, although the exchange is in session.",
            newest.to_rfc3339_opts(SecondsFormat::Secs, true)
        ),
    })
}

/// Whether the newest bars of a symbol came late: the median of their delays, from the source's event to the commit, is
/// over the budget. The median, so that one straggler is no alarm. `delays` are reordered.
pub fn judge_freshness(
    symbol: &Symbol,
    newest: DateTime<Utc>,
    delays: &mut [f64],
    budget_seconds: f64,
    pack: &Pack,
) -> Option<Found> {
    let rule = PackRule::Freshness;
    let bars = delays.len();
    let delay = middle(delays).filter(|delay| pack.is_enabled(rule) && *delay > budget_seconds)?;
    Some(Found {
        rule,
        severity: pack.severity(rule),
        time: newest,
        observed: Some(format!("{delay:.1} s")),
        expected: Some(format!("{budget_seconds} s at most")),
        text: format!(
            "{symbol}'s newest {bars} bars were committed {delay:.1} s after the source made them (median); the budget is \
             {budget_seconds} s."
        ),
    })
}
