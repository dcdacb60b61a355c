//! What the rules found at bars, as far as the page was told.

use chrono::{DateTime, Utc};
use market::{Symbol, wire::Finding};

/// Findings kept; the oldest minutes give way.
const MOST: usize = 4_000;

/// Findings that hold, of all symbols that were looked at, in the order of [`key`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings(Vec<Finding>);

/// There is one finding for each.
fn key(finding: &Finding) -> (Option<&Symbol>, DateTime<Utc>, &str) {
    (finding.symbol.as_ref(), finding.time, &finding.rule)
}

impl Findings {
    /// Takes in what was told: new, told again, or resolved. Returns whether anything changed.
    pub fn take(&mut self, findings: impl IntoIterator<Item = Finding>) -> bool {
        let mut changed = false;
        for finding in findings.into_iter().filter(|finding| finding.symbol.is_some()) {
            let place = self.0.binary_search_by(|known| key(known).cmp(&key(&finding)));
            changed |= match (place, finding.resolved_at) {
                (Ok(place), Some(_)) => {
                    self.0.remove(place);
                    true
                }
                (Ok(place), None) => std::mem::replace(&mut self.0[place], finding.clone()) != finding,
                (Err(_), Some(_)) => false,
                (Err(place), None) => {
                    self.0.insert(place, finding);
                    true
                }
            };
        }
        while self.0.len() > MOST {
            let oldest = (0..self.0.len()).min_by_key(|&place| self.0[place].time);
            oldest.map(|oldest| self.0.remove(oldest));
        }
        changed
    }

    /// Those of one symbol, oldest minute first.
    pub fn of(&self, symbol: &Symbol) -> impl Iterator<Item = &Finding> {
        let first = self.0.partition_point(|finding| finding.symbol.as_ref() < Some(symbol));
        self.0[first..].iter().take_while(move |finding| finding.symbol.as_ref() == Some(symbol))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use market::Severity;

    #[test]
    fn a_finding_is_kept_until_it_is_resolved() {
        let at = "2024-01-16T14:32:00Z".parse().unwrap();
        let finding = Finding {
            rule: "gap".to_owned(),
            severity: Severity::Warning,
            symbol: Some("AMZN".parse().unwrap()),
            time: at,
            observed: None,
            expected: None,
            text: "AMZN has no bar.".to_owned(),
            first_seen: at,
            count: 1,
            resolved_at: None,
        };
        let mut findings = Findings::default();
        assert!(findings.take([finding.clone()]));
        assert!(!findings.take([finding.clone()]));
        assert_eq!(findings.of(&"AMZN".parse().unwrap()).count(), 1);
        assert_eq!(findings.of(&"AAPL".parse().unwrap()).count(), 0);
        assert!(findings.take([Finding { resolved_at: Some(at), ..finding }]));
        assert_eq!(findings.of(&"AMZN".parse().unwrap()).count(), 0);
    }
}
