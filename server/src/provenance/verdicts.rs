//! What every rule says of a row: the built-in rules of a row, the expectations of the suites that its record was held to, and
//! the rules over several bars. Nothing is said to hold that was not asked.

use crate::{
    pipeline::{RecordSuites, limits_at},
    store::{FindingFilter, MinuteRow, ReadError, Store},
};
use chrono::{DateTime, TimeDelta, Utc};
use market::{
    Severity, StockRow, Symbol,
    provenance::{RuleOrigin, RuleVerdict},
    wire::Finding,
};
use quality::{
    Rule, check_row,
    pack::{Documented, Pack, PackRule, catalogue},
    suite::Gate,
};

/// Stands for tags of a row that could not be told apart any more.
const MORE: &str = "suite:more";
/// Findings of one minute that are told.
const FINDINGS: u32 = 100;

/// The verdicts on the minute whose row is shown, and of one without a row what was found there. `seq`: the newest change of
/// the minute, as far as the change log still has it.
///
/// # Errors
/// Postgres does not answer.
pub(super) async fn verdicts(
    store: &Store,
    pack: &Pack,
    symbol: &Symbol,
    time: DateTime<Utc>,
    row: Option<&MinuteRow>,
    seq: Option<i64>,
) -> Result<Vec<RuleVerdict>, ReadError> {
    let filter = FindingFilter {
        symbol: Some(symbol.clone()),
        from: Some(time),
        to: Some(time + TimeDelta::minutes(1)),
        resolved: true,
        ..FindingFilter::default()
    };
    let findings: Vec<Finding> =
        store.findings(&filter, FINDINGS).await?.into_iter().map(|(_, finding)| finding).collect();
    let Some(row) = row else {
        return Ok(findings.iter().filter_map(found_at).collect());
    };
    let set = store.suites_at(&row.row.place).await?;
    let suites = match set.map(|set| RecordSuites::read(&set)) {
        None => RecordSuites::default(),
        Some(Ok(suites)) => suites,
        Some(Err(error)) => {
            tracing::warn!(%error, "a set of suites that judged a record cannot be read any more");
            RecordSuites::default()
        }
    };
    let judged = match seq {
        Some(seq) => store.judged_to().await? >= seq,
        None => false,
    };
    let mut verdicts = of_row(symbol, row);
    verdicts.extend(of_suites(&suites, &row.suite_tags));
    verdicts.extend(of_bars(pack, &findings, judged));
    Ok(verdicts)
}

/// What each built-in rule said of the row when it came, and what it would find now where it was broken.
fn of_row(symbol: &Symbol, row: &MinuteRow) -> Vec<RuleVerdict> {
    let bar = row.row.bar;
    let stock = StockRow {
        record_id: row.row.record_id,
        time: Some(bar.time),
        open: Some(bar.open),
        high: Some(bar.high),
        low: Some(bar.low),
        close: Some(bar.close),
        volume: Some(bar.volume),
        symbol: Some(symbol.as_str().into()),
        ..StockRow::default()
    };
    let today = check_row(&stock, &limits_at(row.row.received_at));
    let found = |rule: Rule| {
        let found = today.violations().iter().find(|violation| violation.rule == rule);
        found.map(|violation| violation.message.clone())
    };
    let verdict = |rule: Rule| {
        let passed = !row.rules.contains(rule);
        RuleVerdict {
            origin: RuleOrigin::Row,
            code: rule.code().to_owned(),
            rule: rule.description().to_owned(),
            severity: rule.severity(),
            passed: Some(passed),
            found: if passed { None } else { found(rule) },
        }
    };
    Rule::ALL.into_iter().map(verdict).collect()
}

/// What the suites expected of the record, and which of that it did not meet. A record that misses a critical expectation has
/// no row, and a missed one of severity info is only counted, so that no row knows of it.
fn of_suites(suites: &RecordSuites, tags: &[String]) -> Vec<RuleVerdict> {
    let are_known = tags.iter().all(|tag| tag != MORE);
    let verdict = |gate: &Gate| {
        let passed = match gate.severity {
            Severity::Info => None,
            Severity::Warning if tags.iter().any(|tag| **tag == *gate.code) => Some(false),
            Severity::Warning => are_known.then_some(true),
            Severity::Critical => Some(true),
        };
        let found = match (passed, gate.severity) {
            (Some(_), _) => None,
            (None, Severity::Info) => Some("Only counted: no row says whether it met this.".to_owned()),
            (None, _) => Some("Its tags were one too many to be told apart.".to_owned()),
        };
        let (code, rule) = (gate.code.to_string(), gate.sentence());
        RuleVerdict { origin: RuleOrigin::Suite, code, rule, severity: gate.severity, passed, found }
    };
    let gates: Vec<&Gate> = suites.list().iter().flat_map(|stream| stream.gates()).collect();
    // Of suites that are not known any more, the tags are.
    let others = tags.iter().filter(|tag| *tag != MORE && gates.iter().all(|gate| *gate.code != ***tag));
    let others = others.map(|tag| RuleVerdict {
        origin: RuleOrigin::Suite,
        code: tag.clone(),
        rule: "An expectation of a suite that judged the record.".to_owned(),
        severity: Severity::Warning,
        passed: Some(false),
        found: None,
    });
    gates.iter().map(|gate| verdict(gate)).chain(others).collect()
}

/// What the rules over several bars say of the minute. Those that bars or their arrival decide are told as passed once the
/// minute's newest change was looked at (`judged`); the others are told when they found something.
fn of_bars(pack: &Pack, findings: &[Finding], judged: bool) -> Vec<RuleVerdict> {
    let decided = |rule: PackRule| rule == PackRule::OutOfOrder || PackRule::OF_BARS.contains(&rule);
    let verdict = |rule: PackRule| {
        if let Some(finding) = findings.iter().find(|finding| finding.rule == rule.code()) {
            return found_at(finding);
        }
        let asked = decided(rule) && pack.is_enabled(rule);
        asked.then(|| RuleVerdict {
            origin: RuleOrigin::Bars,
            code: rule.code().to_owned(),
            rule: meaning(rule.code()),
            severity: pack.severity(rule),
            passed: judged.then_some(true),
            found: (!judged).then(|| "Not known: not judged yet, or so long ago that no change is left.".to_owned()),
        })
    };
    PackRule::ALL.into_iter().filter_map(verdict).collect()
}

/// A finding as a verdict; one that no longer holds has passed, and says what it was.
fn found_at(finding: &Finding) -> Option<RuleVerdict> {
    let Finding { rule, severity, text, resolved_at, .. } = finding;
    PackRule::from_code(rule)?;
    let found = match resolved_at {
        None => text.clone(),
        Some(at) => format!("{text} Resolved {}.", at.format("%F %T UTC")),
    };
    Some(RuleVerdict {
        origin: RuleOrigin::Bars,
        code: rule.clone(),
        rule: meaning(rule),
        severity: *severity,
        passed: Some(resolved_at.is_some()),
        found: Some(found),
    })
}

/// What a rule looks for.
fn meaning(code: &str) -> String {
    let documented = catalogue().into_iter().find(|documented: &Documented| documented.code == code);
    documented.map(|documented| documented.meaning.to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quality::suite::Suite;

    fn suites() -> RecordSuites {
        let of = |column: &str, severity: &str| {
            serde_json::json!({
                "type": "expect_column_values_to_not_be_null", "severity": severity, "kwargs": { "column": column }
            })
        };
        let document = serde_json::json!({
            "name": "bars", "expectations": [of("close", "critical"), of("open", "warning"), of("volume", "info")]
        });
        RecordSuites::new([Suite::parse(document.to_string().as_bytes()).unwrap()])
    }

    fn told(verdicts: &[RuleVerdict]) -> Vec<(&str, Option<bool>)> {
        verdicts.iter().map(|verdict| (verdict.code.as_str(), verdict.passed)).collect()
    }

    #[test]
    fn a_row_that_is_there_met_what_is_critical_and_says_nothing_of_what_is_only_counted() {
        let code = |column: &str| format!("suite:bars:expect_column_values_to_not_be_null:{column}");
        let verdicts = of_suites(&suites(), &[]);
        assert_eq!(
            told(&verdicts),
            [(&*code("close"), Some(true)), (&*code("open"), Some(true)), (&*code("volume"), None)]
        );
        let tagged = of_suites(&suites(), &[code("open"), "suite:gone:x".to_owned()]);
        assert_eq!(tagged[1].passed, Some(false));
        assert_eq!(told(&tagged[3..]), [("suite:gone:x", Some(false))]);
        assert_eq!(of_suites(&suites(), &[MORE.to_owned()])[1].passed, None);
    }

    #[test]
    fn what_was_not_judged_has_not_passed() {
        let pack = Pack::default();
        let finding = Finding {
            rule: "gap".to_owned(),
            severity: Severity::Warning,
            symbol: None,
            time: DateTime::UNIX_EPOCH,
            observed: None,
            expected: None,
            text: "A minute is missing.".to_owned(),
            first_seen: DateTime::UNIX_EPOCH,
            count: 1,
            resolved_at: None,
        };
        let verdict = |found: &Finding, judged| {
            let verdicts = of_bars(&pack, std::slice::from_ref(found), judged);
            let of = |code: &str| verdicts.iter().find(|verdict| verdict.code == code).map(|verdict| verdict.passed);
            (of("gap"), of("frozen_price"), of("silence"))
        };
        assert_eq!(verdict(&finding, false), (Some(Some(false)), Some(None), None));
        assert_eq!(verdict(&finding, true), (Some(Some(false)), Some(Some(true)), None), "the clock's is of no minute");
        let resolved = Finding { resolved_at: Some(DateTime::UNIX_EPOCH), ..finding };
        assert_eq!(verdict(&resolved, true).0, Some(Some(true)));
    }
}
