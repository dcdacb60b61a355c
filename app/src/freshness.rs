//! What the status page shows: the answer of `GET /api/v1/freshness`, and how its numbers are put. Knows no clock.

use crate::{format, pipeline::duration};
use chrono::{DateTime, TimeDelta, Utc};
use market::wire::SourceKind;
use serde::{Deserialize, Serialize};

/// The page's address, and the API's.
pub const PATH: &str = "/status";
pub const API: &str = "/api/v1/freshness";

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub budget_ms: u32,
    pub to: DateTime<Utc>,
    pub source: SourceKind,
    /// The last hour, day, week and 30 days.
    pub windows: Vec<Span>,
    /// Of the last hour.
    pub minutes: Vec<Span>,
    /// Of the last day.
    pub hours: Vec<Span>,
}

/// Minutes taken together; those that are neither fresh nor late nor quiet were not measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub fresh: i64,
    pub late: i64,
    pub quiet: i64,
    pub changes: i64,
    pub in_budget: i64,
    pub worst_p99_us: Option<i64>,
    pub down_seconds: i64,
}

/// What a span comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody measured.
    Unknown,
    /// Nothing changed.
    Quiet,
    Fresh,
    /// Some of it was late.
    Late,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Quiet => "quiet",
            Self::Fresh => "fresh",
            Self::Late => "late",
        }
    }
}

impl Span {
    /// Any late minute makes it late.
    pub fn verdict(&self) -> Verdict {
        match (self.late, self.fresh, self.quiet) {
            (1.., ..) => Verdict::Late,
            (_, 1.., _) => Verdict::Fresh,
            (_, _, 1..) => Verdict::Quiet,
            _ => Verdict::Unknown,
        }
    }

    /// Minutes that nobody measured.
    pub fn unmeasured(&self) -> i64 {
        ((self.to - self.from).num_minutes() - self.fresh - self.late - self.quiet).max(0)
    }

    /// What its minutes were, in words.
    pub fn minutes(&self) -> String {
        format!(
            "{} min fresh, {} late, {} quiet, {} not measured",
            format::count(self.fresh),
            format::count(self.late),
            format::count(self.quiet),
            format::count(self.unmeasured())
        )
    }

    /// Of the minutes in which something changed or should have, those within the budget: `99.31 %`. Never rounded up to
    /// a hundred.
    pub fn share(&self) -> String {
        percent(self.fresh, self.fresh + self.late)
    }

    /// The same of changes.
    pub fn share_of_changes(&self) -> String {
        percent(self.in_budget, self.changes)
    }

    pub fn worst(&self) -> String {
        let worst = self.worst_p99_us.and_then(|micros| u64::try_from(micros).ok());
        worst.map_or_else(|| format::UNKNOWN.to_owned(), duration)
    }

    /// `the last hour`.
    pub fn name(&self) -> &'static str {
        match (self.to - self.from).num_hours() {
            ..=1 => "last hour",
            2..=24 => "last day",
            25..=168 => "last week",
            _ => "last 30 days",
        }
    }

    /// The whole in a sentence, for who does not see its colour.
    pub fn sentence(&self) -> String {
        let when = format::full_instant(self.from);
        match self.verdict() {
            Verdict::Unknown => format!("{when}: not measured"),
            Verdict::Quiet => format!("{when}: nothing changed"),
            Verdict::Fresh => {
                format!("{when}: within the budget, {} changes, p99 {}", format::count(self.changes), self.worst())
            }
            Verdict::Late => format!(
                "{when}: {} of {} changes within the budget, worst p99 {}, {} s without the pipeline",
                format::count(self.in_budget),
                format::count(self.changes),
                self.worst(),
                self.down_seconds
            ),
        }
    }
}

/// Rounded down to two decimals, so that 100 % is only said of all.
fn percent(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return format::UNKNOWN.to_owned();
    }
    let hundredths = i128::from(part) * 10_000 / i128::from(whole);
    if hundredths == 10_000 {
        "100\u{a0}%".to_owned()
    } else {
        format!("{}.{:02}\u{a0}%", hundredths / 100, hundredths % 100)
    }
}

/// `2 s`, `1.5 s`.
pub fn budget(milliseconds: u32) -> String {
    let delta = TimeDelta::milliseconds(milliseconds.into());
    if milliseconds.is_multiple_of(1_000) { format!("{}\u{a0}s", delta.num_seconds()) } else { format::seconds(delta) }
}

/// The content of the page: asked for by the server while it renders, carried in the page.
#[cfg(feature = "ssr")]
pub fn load() -> impl Future<Output = Result<History, String>> + Send {
    let backend = crate::initial::backend();
    async move { backend?.freshness().await.map_err(|unavailable| unavailable.0) }
}

/// In the browser the page is there with its content.
#[cfg(not(feature = "ssr"))]
pub fn load() -> impl Future<Output = Result<History, String>> + Send {
    std::future::ready(Err("The server has not been asked yet.".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(fresh: i64, late: i64, quiet: i64) -> Span {
        let from = DateTime::from_timestamp(1_705_415_400, 0).unwrap();
        let to = from + TimeDelta::hours(1);
        Span {
            from,
            to,
            fresh,
            late,
            quiet,
            changes: 300,
            in_budget: 299,
            worst_p99_us: Some(900_000),
            down_seconds: 0,
        }
    }

    #[test]
    fn a_hundred_percent_is_said_of_all_only() {
        assert_eq!(span(60, 0, 0).share(), "100\u{a0}%");
        assert_eq!(span(59, 1, 0).share(), "98.33\u{a0}%");
        assert_eq!(percent(99_999, 100_000), "99.99\u{a0}%");
        assert_eq!(span(0, 0, 60).share(), "—", "without changes there is no share");
    }

    #[test]
    fn what_was_not_measured_is_neither_good_nor_bad() {
        assert_eq!((span(0, 0, 0).verdict(), span(0, 0, 0).unmeasured()), (Verdict::Unknown, 60));
        assert_eq!((span(1, 0, 9).verdict(), span(1, 0, 9).unmeasured()), (Verdict::Fresh, 50));
        assert_eq!((span(0, 0, 9).verdict(), span(50, 1, 0).verdict()), (Verdict::Quiet, Verdict::Late));
    }

    #[test]
    fn a_budget_is_in_seconds() {
        assert_eq!((budget(2_000).as_str(), budget(1_500).as_str()), ("2\u{a0}s", "1.50\u{a0}s"));
    }
}
