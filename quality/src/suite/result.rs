//! Results in the form of Great Expectations' own result JSON (`result_format` SUMMARY).

use super::{
    Cell, Check, ColumnRule, Condition, Expectation, Met, Reading, Record, RecordCheck, Suite, Unsupported,
    check::Rule, severity_name,
};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

/// Unexpected values that a result shows at most; it counts them all.
pub const PARTIAL: usize = 20;

/// What became of one expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectationResult {
    pub expectation: Expectation,
    pub success: bool,
    /// `element_count`, `unexpected_count`, `observed_value` … as Great Expectations names them.
    pub result: Map<String, Value>,
    /// Why it could not be evaluated. Then `success` is false: what was not checked has not passed.
    pub exception: Option<String>,
}

/// What became of a suite.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidationResult {
    pub suite_name: String,
    pub results: Vec<ExpectationResult>,
    /// What was validated and when: `run_id`, `active_batch_definition` …
    pub meta: Map<String, Value>,
}

/// Counts the records of one per-record check as they come, in constant memory.
#[derive(Clone, Debug)]
pub struct Tally {
    check: RecordCheck,
    mostly: Decimal,
    elements: u64,
    missing: u64,
    unexpected: u64,
    partial: Vec<Value>,
    partial_keys: Vec<i64>,
    /// A column that it needs and that does not exist.
    no_column: Option<String>,
}

impl Tally {
    pub fn new(check: RecordCheck, mostly: Decimal) -> Self {
        Self {
            check,
            mostly,
            elements: 0,
            missing: 0,
            unexpected: 0,
            partial: Vec::new(),
            partial_keys: Vec::new(),
            no_column: None,
        }
    }

    /// The same as after so many records, which somebody else has counted. `examples`: unexpected values with their
    /// primary keys, the first [`PARTIAL`] of them.
    #[must_use]
    pub fn counted(
        mut self,
        elements: u64,
        missing: u64,
        unexpected: u64,
        examples: Vec<(Value, Option<i64>)>,
    ) -> Self {
        (self.elements, self.missing, self.unexpected) = (elements, missing, unexpected);
        self.partial_keys = examples.iter().filter_map(|(_, key)| *key).collect();
        self.partial = examples.into_iter().map(|(value, _)| value).collect();
        self
    }

    /// Takes one record; `key` is its primary key, if it has one, for `partial_unexpected_index_list`.
    pub fn add(&mut self, record: &impl Record, key: Option<i64>) -> Met {
        let met = self.check.judge(record);
        self.elements += 1;
        match met {
            Met::Yes => {}
            Met::Missing => self.missing += 1,
            Met::NoColumn => {
                let columns = self.check.columns();
                self.no_column = columns.into_iter().find(|column| record.cell(column).is_none()).map(str::to_owned);
            }
            Met::No => {
                self.unexpected += 1;
                if self.partial.len() < PARTIAL {
                    self.partial.push(self.value(record));
                    self.partial_keys.extend(key);
                }
            }
        }
        met
    }

    fn value(&self, record: &impl Record) -> Value {
        let mut values =
            self.check.columns().into_iter().map(|column| record.cell(column).as_ref().map_or(Value::Null, Cell::json));
        if self.check.is_of_one_column() { values.next().unwrap_or_default() } else { values.collect() }
    }

    /// The result of the records so far. No record at all meets every expectation about records, as in Great Expectations.
    pub fn finish(&self, expectation: Expectation) -> ExpectationResult {
        if let Some(column) = &self.no_column {
            return expectation.failed(format!("there is no such column: {column}"));
        }
        // These two speak of nulls, so that nothing is missing to them.
        let about_nulls =
            matches!(self.check, RecordCheck::Column { rule: ColumnRule::Null | ColumnRule::NotNull, .. });
        let nonmissing = self.elements - self.missing;
        let success = is_mostly_met(nonmissing, self.unexpected, self.mostly);
        let missing = (!about_nulls).then_some(self.missing);
        let mut result = tallied(self.elements, missing, self.unexpected, &self.partial);
        result.insert("partial_unexpected_index_list".into(), self.partial_keys.clone().into());
        result.insert("partial_unexpected_counts".into(), counts(&self.partial));
        ExpectationResult { expectation, success, result, exception: None }
    }
}

/// Whether enough of `all` is left when `unexpected` is taken away; of nothing, everything is.
pub(super) fn is_mostly_met(all: u64, unexpected: u64, mostly: Decimal) -> bool {
    Decimal::from(all.saturating_sub(unexpected)) >= mostly * Decimal::from(all)
}

/// The counts of a result. `missing`: the nulls, for a check that does not speak of them.
pub(super) fn tallied(elements: u64, missing: Option<u64>, unexpected: u64, examples: &[Value]) -> Map<String, Value> {
    let nonmissing = elements.saturating_sub(missing.unwrap_or(0));
    let mut result = Map::new();
    result.insert("element_count".into(), elements.into());
    result.insert("unexpected_count".into(), unexpected.into());
    result.insert("unexpected_percent".into(), percent(unexpected, nonmissing));
    result.insert("partial_unexpected_list".into(), examples.into());
    if let Some(missing) = missing {
        result.insert("missing_count".into(), missing.into());
        result.insert("missing_percent".into(), percent(missing, elements));
        result.insert("unexpected_percent_total".into(), percent(unexpected, elements));
        result.insert("unexpected_percent_nonmissing".into(), percent(unexpected, nonmissing));
    }
    result
}

/// Part of a whole in percent; null for no part of nothing.
fn percent(part: u64, whole: u64) -> Value {
    if whole == 0 { Value::Null } else { (part as f64 / whole as f64 * 100.0).into() }
}

/// Each shown value with how often it is shown, the most frequent first.
fn counts(values: &[Value]) -> Value {
    let mut counts: Vec<(&Value, u64)> = Vec::new();
    for value in values {
        match counts.iter_mut().find(|(counted, _)| *counted == value) {
            Some((_, count)) => *count += 1,
            None => counts.push((value, 1)),
        }
    }
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts.into_iter().map(|(value, count)| json!({"value": value, "count": count})).collect()
}

/// Unexpected values that a line for people shows.
const FEW: usize = 3;
/// Characters of a value that a line for people shows.
const SHORT: usize = 160;

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(SHORT).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

impl Expectation {
    /// What it expects, as a sentence; its name when it cannot be run here.
    pub fn sentence(&self) -> String {
        self.compile().map_or_else(|_| self.kind.clone(), |check| check.to_string())
    }

    /// `critical`, `warning` or `info`.
    pub fn severity_name(&self) -> &'static str {
        severity_name(self.severity)
    }

    /// The result of an expectation that could not be evaluated.
    pub fn failed(self, reason: String) -> ExpectationResult {
        ExpectationResult { expectation: self, success: false, result: Map::new(), exception: Some(reason) }
    }

    /// The explicit "not supported" result.
    pub fn refused(self, reason: &Unsupported) -> ExpectationResult {
        self.failed(format!("not supported: {reason}"))
    }
}

impl ExpectationResult {
    /// What was found, in a line for people; `None` when there is nothing to tell.
    pub fn found(&self) -> Option<String> {
        if let Some(exception) = &self.exception {
            return Some(exception.clone());
        }
        let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if let Some(observed) = self.result.get("observed_value") {
            return Some(format!("observed {}", shorten(&shown(observed))));
        }
        let count = |name: &str| self.result.get(name).and_then(Value::as_u64);
        let (elements, unexpected) = (count("element_count")?, count("unexpected_count")?);
        let percent = self.result.get("unexpected_percent").and_then(Value::as_f64).unwrap_or(0.0);
        let mut text = format!("{unexpected} of {elements} unexpected ({percent:.2} %)");
        let examples = self.result.get("partial_unexpected_list").and_then(Value::as_array);
        let mut examples: Vec<String> = examples.into_iter().flatten().map(shown).collect();
        examples.dedup();
        examples.truncate(FEW);
        if !examples.is_empty() {
            text = format!("{text}: {}", shorten(&examples.join(", ")));
        }
        Some(text)
    }

    /// Reads what [`to_json`](Self::to_json) has written; `None` when it is something else.
    pub fn from_json(json: Value) -> Option<Self> {
        let Value::Object(mut json) = json else { return None };
        let mut reading = Reading::default();
        let expectation = reading.expectation(json.remove("expectation_config")?, "expectation_config")?;
        let Value::Object(result) = json.remove("result")? else { return None };
        let raised = json.get("exception_info").filter(|info| info["raised_exception"] == true);
        let exception = raised.map(|info| info["exception_message"].as_str().unwrap_or_default().to_owned());
        let success = json.get("success")?.as_bool()?;
        reading.mistakes.is_empty().then_some(Self { expectation, success, result, exception })
    }

    /// Great Expectations' form.
    pub fn to_json(&self) -> Value {
        let Expectation { kind, kwargs, severity, meta, .. } = &self.expectation;
        let mut config = self.expectation.other.clone();
        config.insert("type".into(), kind.clone().into());
        config.insert("kwargs".into(), kwargs.clone().into());
        config.insert("meta".into(), meta.clone().into());
        config.insert("severity".into(), severity_name(*severity).into());
        json!({
            "success": self.success,
            "expectation_config": config,
            "result": self.result,
            "meta": {},
            "exception_info": {
                "raised_exception": self.exception.is_some(),
                "exception_message": self.exception,
                "exception_traceback": null,
            },
        })
    }
}

impl ValidationResult {
    pub fn success(&self) -> bool {
        self.results.iter().all(|result| result.success)
    }

    /// Met expectations, and all of them.
    pub fn met(&self) -> (usize, usize) {
        (self.results.iter().filter(|result| result.success).count(), self.results.len())
    }

    /// Reads what [`to_json`](Self::to_json) has written; `None` when it is something else.
    pub fn from_json(json: Value) -> Option<Self> {
        let Value::Object(mut json) = json else { return None };
        let Some(Value::Array(results)) = json.remove("results") else { return None };
        let results = results.into_iter().map(ExpectationResult::from_json).collect::<Option<_>>()?;
        let meta = json.remove("meta").and_then(|meta| meta.as_object().cloned()).unwrap_or_default();
        Some(Self { suite_name: json.get("suite_name")?.as_str()?.to_owned(), results, meta })
    }

    /// Great Expectations' form.
    pub fn to_json(&self) -> Value {
        let (met, all) = self.met();
        let success_percent = percent(met as u64, all as u64);
        json!({
            "success": self.success(),
            "suite_name": self.suite_name,
            "suite_parameters": {},
            "statistics": {
                "evaluated_expectations": all,
                "successful_expectations": met,
                "unsuccessful_expectations": all - met,
                "success_percent": success_percent,
            },
            "meta": self.meta,
            "results": self.results.iter().map(ExpectationResult::to_json).collect::<Value>(),
            "id": null,
        })
    }
}

/// A suite under evaluation over records that come one after the other: the stream, a window of it, or a whole table.
/// Checks of the table as a whole are not its business; they are [left over](Self::tables).
#[derive(Clone, Debug)]
pub struct Evaluation {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    expectation: Expectation,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Records { tally: Tally, condition: Option<Condition> },
    Table(Check),
    Refused(Unsupported),
}

impl Evaluation {
    pub fn new(suite: &Suite) -> Self {
        let entries = suite.expectations.iter().map(|expectation| {
            let state = match expectation.compile() {
                Err(reason) => State::Refused(reason),
                Ok(Check { rule: Rule::Records { check, mostly }, condition, .. }) => {
                    State::Records { tally: Tally::new(check, mostly), condition }
                }
                Ok(check) => State::Table(check),
            };
            Entry { expectation: expectation.clone(), state }
        });
        Self { entries: entries.collect() }
    }

    /// Takes one record.
    pub fn add(&mut self, record: &impl Record, key: Option<i64>) {
        for entry in &mut self.entries {
            if let State::Records { tally, condition } = &mut entry.state
                && condition.as_ref().is_none_or(|condition| condition.holds(record))
            {
                tally.add(record, key);
            }
        }
    }

    /// The checks of the table as a whole, by their place in the suite.
    pub fn tables(&self) -> impl Iterator<Item = (usize, &Check)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| match &entry.state {
            State::Table(check) => Some((index, check)),
            State::Records { .. } | State::Refused(_) => None,
        })
    }

    /// The results in the suite's order. `table` answers for the checks of the table, by place: success and result, or
    /// why it could not be evaluated.
    pub fn finish(
        self,
        mut table: impl FnMut(usize) -> Result<(bool, Map<String, Value>), String>,
    ) -> Vec<ExpectationResult> {
        let finish = |(index, entry): (usize, Entry)| match entry.state {
            State::Records { tally, .. } => tally.finish(entry.expectation),
            State::Refused(reason) => entry.expectation.refused(&reason),
            State::Table(_) => match table(index) {
                Ok((success, result)) => {
                    ExpectationResult { expectation: entry.expectation, success, result, exception: None }
                }
                Err(reason) => entry.expectation.failed(reason),
            },
        };
        self.entries.into_iter().enumerate().map(finish).collect()
    }
}
