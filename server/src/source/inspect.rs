//! Whether a bar may be written: the same built-in rules that judge it again on its way out of Kafka. What they would
//! refuse there is better not written in the first place.

use chrono::{DateTime, TimeDelta, Utc};
use market::{Bar, StockRow, Symbol};
use quality::{Limits, Verdict, check_row};
use std::sync::Arc;

/// How far ahead of this machine's clock a bar may start.
const FUTURE_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// Judges bars one by one, without an allocation for those of one symbol that meet the rules.
#[derive(Debug, Default)]
pub(super) struct Inspector {
    row: StockRow,
}

impl Inspector {
    /// The code of the rule that a bar breaks, and what people should know.
    pub(super) fn refuses(&mut self, symbol: &Symbol, bar: &Bar, now: DateTime<Utc>) -> Option<(&'static str, String)> {
        if self.row.symbol.as_deref() != Some(symbol.as_str()) {
            self.row.symbol = Some(Arc::from(symbol.as_str()));
        }
        let row = &mut self.row;
        row.time = Some(bar.time);
        (row.open, row.high, row.low, row.close) = (Some(bar.open), Some(bar.high), Some(bar.low), Some(bar.close));
        row.volume = Some(bar.volume);
        match check_row(row, &Limits { now, future_tolerance: FUTURE_TOLERANCE }) {
            Verdict::Accepted | Verdict::Tagged(_) => None,
            Verdict::Rejected(violations) => {
                let worst =
                    violations.into_iter().find(|violation| violation.severity == quality::Severity::Critical)?;
                Some((worst.rule.code(), worst.message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::Decimal;

    #[test]
    fn a_bar_that_contradicts_itself_is_refused_with_the_rule_it_breaks() {
        let now: DateTime<Utc> = "2024-01-16T15:00:00Z".parse().unwrap();
        let price = Decimal::ONE_HUNDRED;
        let time = "2024-01-16T14:31:00Z".parse().unwrap();
        let mut bar = Bar { time, open: price, high: price, low: price, close: price, volume: 1 };
        let symbol = "AMZN".parse().unwrap();
        let mut inspector = Inspector::default();
        assert_eq!(inspector.refuses(&symbol, &bar, now), None);
        bar.high = Decimal::ONE;
        let (rule, message) = inspector.refuses(&symbol, &bar, now).unwrap();
        assert!(!rule.is_empty() && message.contains("100"), "{rule}: {message}");
        bar.high = price;
        bar.time = now + TimeDelta::hours(1);
        assert!(inspector.refuses(&symbol, &bar, now).is_some());
    }
}
