//! What a suite really checks, as opposed to what its author may believe.

use super::{
    Aggregate, Bounds, Check, ColumnRule, Expectation, RecordCheck, Suite, TableCheck, Unsupported, check::Rule,
    value::decimal,
};
use rust_decimal::Decimal;
use serde_json::Value;
use std::borrow::Borrow;
use std::fmt;

/// Something worth knowing about a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which expectation, counted from 0; `None`: the suite.
    pub expectation: Option<usize>,
    /// A stable name of the kind of finding.
    pub code: &'static str,
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expectation {
            Some(index) => write!(f, "expectations[{index}]: {} ({})", self.message, self.code),
            None => write!(f, "suite: {} ({})", self.message, self.code),
        }
    }
}

/// A bound as far out as this bounds nothing: more columns than any database can hold.
const MOST_COLUMNS: i64 = 1_600;

/// Looks at a suite that is meant for a table with these columns.
pub fn lint(suite: &Suite, columns: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut checks: Vec<(usize, Check)> = Vec::new();
    for (index, expectation) in suite.expectations.iter().enumerate() {
        let mut find = |code, message: String| findings.push(Finding { expectation: Some(index), code, message });
        match expectation.compile() {
            Err(error) => find("not_supported", unsupported(&error)),
            Ok(check) => {
                for column in named_columns(&check.rule) {
                    if !columns.contains(&column) {
                        find(
                            "unknown_column",
                            format!("column {column} does not exist; there are {}", columns.join(", ")),
                        );
                    }
                }
                single(&check, expectation, &mut find);
                checks.push((index, check));
            }
        }
        if suite.expectations[..index]
            .iter()
            .any(|other| other.kind == expectation.kind && other.kwargs == expectation.kwargs)
        {
            find("repeated", format!("{} stands here a second time with the same arguments", expectation.kind));
        }
    }
    whole(suite, &checks, &mut findings);
    findings.sort_by_key(|finding| finding.expectation.map_or(usize::MAX, |index| index));
    findings
}

fn unsupported(error: &Unsupported) -> String {
    format!("{error}; its result will say \"not supported\", it never passes in silence")
}

/// Findings that one expectation alone gives rise to.
fn single(check: &Check, expectation: &Expectation, find: &mut impl FnMut(&'static str, String)) {
    match &check.rule {
        Rule::Table(TableCheck::ColumnCount(bounds)) => {
            let huge = bounds.max.is_some_and(|max| max >= Decimal::from(MOST_COLUMNS));
            let any = bounds.min.is_none_or(|min| min <= Decimal::ONE);
            if huge || any {
                find(
                    "counts_columns",
                    "it counts columns, not rows: it is met by an empty table. To check that there is data, use \
                     expect_table_row_count_to_be_between with min_value 1"
                        .into(),
                );
            }
        }
        Rule::Table(TableCheck::RowCount(bounds))
            if bounds.min.is_none_or(|min| min.is_zero()) && bounds.max.is_none() =>
        {
            find("always_met", "every table meets it: there is no lower bound above 0 and no upper bound".into());
        }
        Rule::Table(TableCheck::Distribution { threshold: None, .. }) => {
            find("always_met", "it has no threshold: however far the distribution is off, it is met".into());
        }
        Rule::Table(TableCheck::NoRows(query)) if !query.names_table() => {
            find(
                "other_data",
                "its query does not say {batch}: it looks at other data than the suite is run on".into(),
            );
        }
        Rule::Table(TableCheck::Aggregate {
            aggregate: Aggregate::UniqueProportion | Aggregate::NonNullProportion,
            bounds,
            ..
        }) if encloses(bounds, Decimal::ZERO, Decimal::ONE) => {
            find("always_met", "a proportion is always 0 to 1".into());
        }
        Rule::Records { check: RecordCheck::Column { column, rule }, mostly } => {
            if mostly.is_zero() {
                find("always_met", "mostly is 0: it is met whatever the rows hold".into());
            }
            match rule {
                ColumnRule::NotNull if column == "record_id" => find(
                    "guaranteed",
                    "record_id is the primary key: the database itself refuses a null, so this can never fail".into(),
                ),
                ColumnRule::OfType(_) => find(
                    "type_of_column",
                    format!(
                        "the type of {column} belongs to the table, not to its rows: this fails for all rows or for none"
                    ),
                ),
                ColumnRule::Between(bounds) if contradicts(bounds) => {
                    find("never_met", format!("no value is {bounds}"));
                }
                ColumnRule::Between(_) | ColumnRule::InSet(_) | ColumnRule::Length(_) | ColumnRule::Matches { .. }
                    if *mostly == Decimal::ONE && expectation.kwargs.contains_key("mostly") =>
                {
                    find("mostly_one", "mostly is 1, which is what it is anyway".into());
                }
                _ => {}
            }
        }
        Rule::Table(TableCheck::Aggregate { bounds, .. }) if contradicts(bounds) => {
            find("never_met", format!("no value is {bounds}"));
        }
        _ => {}
    }
}

/// Findings that only the suite as a whole gives rise to.
fn whole(suite: &Suite, checks: &[(usize, Check)], findings: &mut Vec<Finding>) {
    let mut find = |code, message: &str| findings.push(Finding { expectation: None, code, message: message.into() });
    if suite.expectations.is_empty() {
        return find("empty", "it has no expectations, so it is met by anything");
    }
    let rows = checks.iter().any(|(_, check)| {
        matches!(&check.rule, Rule::Table(TableCheck::RowCount(bounds))
        if bounds.min.is_some_and(|min| min >= Decimal::ONE))
    });
    if !rows {
        find(
            "empty_table_passes",
            "nothing in it requires a row: an empty table meets every expectation about values. Add \
             expect_table_row_count_to_be_between with min_value 1",
        );
    }
    let prices = ["open", "high", "low", "close"];
    let judged = checks.iter().any(|(_, check)| {
        let presence = matches!(
            &check.rule,
            Rule::Table(TableCheck::ColumnExists { .. } | TableCheck::ColumnHasType { .. })
                | Rule::Records {
                    check: RecordCheck::Column { rule: ColumnRule::NotNull | ColumnRule::OfType(_), .. },
                    ..
                }
        );
        !presence && named_columns(&check.rule).iter().any(|column| prices.contains(column))
    });
    if !judged {
        find(
            "no_price_rule",
            "no expectation looks at the value of open, high, low or close: a price of 0 or −1 would pass",
        );
    }
}

/// The columns that a rule names, existing or not.
fn named_columns(rule: &Rule) -> Vec<&str> {
    match rule {
        Rule::Records { check, .. } => check.columns(),
        Rule::Table(check) => match check {
            TableCheck::ColumnExists { column, .. }
            | TableCheck::ColumnHasType { column, .. }
            | TableCheck::Aggregate { column, .. }
            | TableCheck::Quantiles { column, .. }
            | TableCheck::DistinctValues { column, .. }
            | TableCheck::MostCommonValue { column, .. }
            | TableCheck::Near { column, .. }
            | TableCheck::Ordered { column, .. }
            | TableCheck::Distribution { column, .. } => vec![column],
            TableCheck::Unique { columns, .. }
            | TableCheck::Columns(columns)
            | TableCheck::ColumnSet { columns, .. } => columns.iter().map(String::as_str).collect(),
            TableCheck::RowCount(_)
            | TableCheck::RowCountEqualsTable(_)
            | TableCheck::ColumnCount(_)
            | TableCheck::NoRows(_) => Vec::new(),
        },
    }
}

fn ends<V: Borrow<Value>>(bounds: &Bounds<V>) -> (Option<Decimal>, Option<Decimal>) {
    let end = |end: &Option<V>| end.as_ref().and_then(|end| decimal(end.borrow()));
    (end(&bounds.min), end(&bounds.max))
}

fn encloses(bounds: &Bounds<Value>, low: Decimal, high: Decimal) -> bool {
    let (min, max) = ends(bounds);
    min.is_none_or(|min| min < low || (min == low && !bounds.strict_min))
        && max.is_none_or(|max| max > high || (max == high && !bounds.strict_max))
}

fn contradicts<V: Borrow<Value>>(bounds: &Bounds<V>) -> bool {
    match ends(bounds) {
        (Some(min), Some(max)) => min > max || (min == max && (bounds.strict_min || bounds.strict_max)),
        _ => false,
    }
}
