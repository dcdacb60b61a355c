//! Results in the form of Great Expectations' own result JSON (`result_format` SUMMARY).

use super::{Cell, ColumnRule, Expectation, Met, Reading, Record, RecordCheck, Unsupported};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use std::sync::Arc;

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
    /// Columns whose values name a record; without any, its primary key does.
    index: Arc<[String]>,
    partial_index: Vec<Value>,
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
            index: Arc::default(),
            partial_index: Vec::new(),
            no_column: None,
        }
    }

    /// Names the unexpected records by the values of these columns, as Great Expectations does with
    /// `unexpected_index_column_names`.
    #[must_use]
    pub fn indexed_by(self, columns: Arc<[String]>) -> Self {
        Self { index: columns, ..self }
    }

    /// The same as after so many records, which somebody else has counted. `examples`: unexpected values with what names
    /// their records, the first [`PARTIAL`] of them.
    #[must_use]
    pub fn counted(
        mut self,
        elements: u64,
        missing: u64,
        unexpected: u64,
        examples: Vec<(Value, Option<Value>)>,
    ) -> Self {
        (self.elements, self.missing, self.unexpected) = (elements, missing, unexpected);
        self.partial_index = examples.iter().filter_map(|(_, name)| name.clone()).collect();
        self.partial = examples.into_iter().map(|(value, _)| value).collect();
        self
    }

    /// The columns that a record is named by, after those that the check looks at.
    pub fn named_by<'a>(check: &'a RecordCheck, index: &'a [String]) -> Vec<&'a str> {
        let mut columns = check.columns();
        columns.extend(index.iter().map(String::as_str).filter(|column| !check.columns().contains(column)));
        columns
    }

    /// Takes one record; `key` is its primary key, if it has one, and names it where no columns do.
    pub fn add(&mut self, record: &impl Record, key: Option<i64>) -> Met {
        let met = self.check.judge(record);
        self.count(met, record, key);
        met
    }

    /// What is counted.
    pub fn check(&self) -> &RecordCheck {
        &self.check
    }

    /// Takes one record that has been judged.
    pub fn count(&mut self, met: Met, record: &impl Record, key: Option<i64>) {
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
                    let name = if self.index.is_empty() { key.map(Value::from) } else { Some(self.name(record)) };
                    self.partial_index.extend(name);
                }
            }
        }
    }

    fn value(&self, record: &impl Record) -> Value {
        let mut values =
            self.check.columns().into_iter().map(|column| record.cell(column).as_ref().map_or(Value::Null, Cell::json));
        if self.check.is_of_one_column() { values.next().unwrap_or_default() } else { values.collect() }
    }

    fn name(&self, record: &impl Record) -> Value {
        let value = |column: &str| record.cell(column).as_ref().map_or(Value::Null, Cell::json);
        let columns = Self::named_by(&self.check, &self.index);
        Value::Object(columns.into_iter().map(|column| (column.to_owned(), value(column))).collect())
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
        if !self.index.is_empty() {
            result.insert("unexpected_index_column_names".into(), json!(&self.index[..]));
        }
        result.insert("partial_unexpected_index_list".into(), self.partial_index.clone().into());
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
        self.severity.as_str()
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

    /// The unexpected values that the result shows, each with what names its record: columns and their values, `key` for a
    /// primary key alone, and nothing where that is not known of every one.
    pub fn unexpected(&self) -> impl Iterator<Item = (&Value, Vec<(&str, &Value)>)> {
        let list = |name: &str| self.result.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let (values, names) = (list("partial_unexpected_list"), list("partial_unexpected_index_list"));
        let columns = list("unexpected_index_column_names");
        let name = move |at: usize| match names.get(at).filter(|_| names.len() == values.len()) {
            None => Vec::new(),
            Some(Value::Object(row)) => {
                let columns = columns.iter().filter_map(Value::as_str);
                columns.filter_map(|column| Some((column, row.get(column)?))).collect()
            }
            Some(key) => vec![("key", key)],
        };
        values.iter().enumerate().map(move |(at, value)| (value, name(at)))
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
        config.insert("severity".into(), severity.as_str().into());
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
