//! What is to be said about bars beside their prices: revisions, and what the rules found.

use crate::format;
use chrono::{DateTime, Utc};
use market::{Severity, Timeframe, wire::Finding};
use std::collections::BTreeMap;

/// One thing to be said about a bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Of a finding; a revision has none.
    pub severity: Option<Severity>,
    /// A sentence or a few words, for people.
    pub text: String,
}

/// What is to be said, by the start of the bar; the worst first.
pub type Notes = BTreeMap<DateTime<Utc>, Vec<Note>>;

/// Collects it. `revised`: bars and when they were; findings are about minutes, and stand at the bar that holds theirs.
pub fn notes<'a>(
    revised: &BTreeMap<DateTime<Utc>, DateTime<Utc>>,
    findings: impl Iterator<Item = &'a Finding>,
    timeframe: Timeframe,
) -> Notes {
    let mut notes = Notes::new();
    for (&bar, &at) in revised {
        let text = format!("revised, committed {}", format::full_instant(at));
        notes.entry(bar).or_default().push(Note { severity: None, text });
    }
    for finding in findings {
        let note = Note { severity: Some(finding.severity), text: finding.text.clone() };
        notes.entry(timeframe.bucket(finding.time)).or_default().push(note);
    }
    for notes in notes.values_mut() {
        notes.sort_by_key(|note| std::cmp::Reverse(note.severity));
    }
    notes
}

/// The shape that stands for it, as on the canvas: shape first, colour last.
pub fn shape(note: &Note) -> &'static str {
    match note.severity {
        Some(Severity::Critical) => "■",
        Some(Severity::Warning) => "▲",
        Some(Severity::Info) => "●",
        None => "◇",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(minute: &str, severity: Severity) -> Finding {
        let time = minute.parse().unwrap();
        Finding {
            rule: "gap".to_owned(),
            severity,
            symbol: Some("AMZN".parse().unwrap()),
            time,
            observed: None,
            expected: None,
            text: severity.as_str().to_owned(),
            first_seen: time,
            count: 1,
            resolved_at: None,
        }
    }

    #[test]
    fn a_bar_has_the_notes_of_its_minutes_the_worst_first_and_its_revision_last() {
        let bar: DateTime<Utc> = "2024-01-16T14:30:00Z".parse().unwrap();
        let findings =
            [finding("2024-01-16T14:31:00Z", Severity::Info), finding("2024-01-16T14:34:00Z", Severity::Critical)];
        let revised = BTreeMap::from([(bar, "2024-01-16T15:00:00Z".parse().unwrap())]);
        let notes = notes(&revised, findings.iter(), Timeframe::MINUTE_5);
        let texts: Vec<_> = notes[&bar].iter().map(|note| note.text.as_str()).collect();
        assert_eq!(texts, ["critical", "info", "revised, committed 16 Jan 2024 10:00:00 EST"]);
    }
}
