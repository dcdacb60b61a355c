//! What a feed did, as its last lines say it.

use super::gaps::Gap;
use super::target::Written;
use indicatif::HumanCount;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Gaps that are named one by one.
const MOST_GAPS: usize = 20;
/// Reasons that are told apart; what comes after them is counted under one.
const MOST_REASONS: usize = 50;
const OTHER: &str = "other reasons";

/// Sums of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bars that were read, those included that are refused.
    pub read: u64,
    pub written: Written,
    /// Bars, trades or lines that were not taken, by reason; with the first of them, for people.
    pub refused: BTreeMap<String, (u64, String)>,
    /// The first gaps.
    pub gaps: Vec<Gap>,
    /// Minutes in all gaps.
    pub missing: u64,
    /// Gaps that are not named.
    pub more_gaps: u64,
    /// Times that a connection was lost and made again: to the source database, and to the vendor.
    pub reconnects: (u32, u32),
    pub took: Duration,
}

impl Tally {
    /// Counts something that was not taken.
    pub(super) fn refuse(&mut self, reason: &str, example: impl FnOnce() -> String) {
        self.refuse_many(reason, 1, example);
    }

    pub(super) fn refuse_many(&mut self, reason: &str, count: u64, example: impl FnOnce() -> String) {
        if count == 0 {
            return;
        }
        let known = self.refused.contains_key(reason) || self.refused.len() < MOST_REASONS;
        let reason = if known { reason } else { OTHER };
        self.refused.entry(reason.to_owned()).or_insert_with(|| (0, example())).0 += count;
    }

    /// Adds what another part of the feed has read and refused.
    pub(super) fn add_read(&mut self, other: Self) {
        self.read += other.read;
        for (reason, (count, example)) in other.refused {
            self.refuse_many(&reason, count, || example);
        }
        // What is named below is counted there.
        self.missing += other.missing - other.gaps.iter().map(|gap| gap.minutes).sum::<u64>();
        self.more_gaps += other.more_gaps;
        for gap in other.gaps {
            self.miss(gap);
        }
    }

    pub(super) fn miss(&mut self, gap: Gap) {
        self.missing += gap.minutes;
        if self.gaps.len() < MOST_GAPS {
            self.gaps.push(gap);
        } else {
            self.more_gaps += 1;
        }
    }

    /// How many were not taken.
    pub fn refused(&self) -> u64 {
        self.refused.values().map(|(count, _)| count).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Written { inserted, corrected, duplicates } = self.written;
        let seconds = self.took.as_secs_f64();
        let rate = if seconds > 0.0 { self.read as f64 / seconds } else { 0.0 };
        write!(
            f,
            "{} read, {} written, {} corrected, {} duplicates, {} refused; {seconds:.1} s, {rate:.0} bars/s; \
             reconnects: {} to the database, {} to the vendor",
            HumanCount(self.read),
            HumanCount(inserted),
            HumanCount(corrected),
            HumanCount(duplicates),
            HumanCount(self.refused()),
            self.reconnects.0,
            self.reconnects.1,
        )?;
        for (reason, (count, example)) in &self.refused {
            write!(f, "\nrefused: {} {reason}; the first: {example}", HumanCount(*count))?;
        }
        if self.missing > 0 || !self.gaps.is_empty() {
            let gaps = self.gaps.len() as u64 + self.more_gaps;
            write!(f, "\ngaps: {} with {} minutes of sessions", HumanCount(gaps), HumanCount(self.missing))?;
        }
        for gap in &self.gaps {
            write!(f, "\ngap: {gap}")?;
        }
        if self.more_gaps > 0 {
            write!(f, "\ngap: … and {} more", HumanCount(self.more_gaps))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_what_was_refused_and_what_is_missing() {
        let mut tally = Tally { read: 12_000, took: Duration::from_secs(2), ..Tally::default() };
        tally.written = Written { inserted: 11_000, corrected: 1, duplicates: 900 };
        tally.refuse("envelope", || "bars.csv, line 3: low 2 is above open 1".to_owned());
        tally.refuse("envelope", || panic!("one example is enough"));
        tally.miss(Gap {
            symbol: Some("AMZN".parse().unwrap()),
            from: "2024-01-16T14:31:00Z".parse().unwrap(),
            to: "2024-01-16T14:33:00Z".parse().unwrap(),
            minutes: 2,
        });
        assert_eq!(
            tally.to_string(),
            "12,000 read, 11,000 written, 1 corrected, 900 duplicates, 2 refused; 2.0 s, 6000 bars/s; reconnects: 0 to the \
             database, 0 to the vendor\n\
             refused: 2 envelope; the first: bars.csv, line 3: low 2 is above open 1\n\
             gaps: 1 with 2 minutes of sessions\n\
             gap: AMZN, 2024-01-16T14:31:00Z to 2024-01-16T14:33:00Z, 2 minutes of a session"
        );
    }

    #[test]
    fn reasons_and_gaps_are_bounded() {
        let mut tally = Tally::default();
        for n in 0..1_000 {
            tally.refuse(&format!("reason {n}"), || "x".to_owned());
            let time = "2024-01-16T14:31:00Z".parse().unwrap();
            tally.miss(Gap { symbol: None, from: time, to: time, minutes: 1 });
        }
        assert_eq!(tally.refused.len(), MOST_REASONS + 1);
        assert_eq!((tally.refused(), tally.missing), (1_000, 1_000));
        assert_eq!(tally.gaps.len() as u64 + tally.more_gaps, 1_000);
    }
}
