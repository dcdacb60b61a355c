//! Expectation suites as Great Expectations writes them, in both of its dialects.
//!
//! A suite is read as it is, kept as it is (keys that nobody here knows survive a rewrite), and only then
//! [compiled](Expectation::compile): what cannot be checked is refused by name, and never passes in silence.
//!
//! This module knows no I/O: files, tables and schedules belong to others.

mod catalogue;
mod check;
mod compile;
mod condition;
mod distribution;
mod evaluation;
mod lint;
mod record;
mod result;
mod sentence;
pub mod sql;
mod stream;
mod table;
mod value;
mod window;

pub use catalogue::{KNOWN, Known, Scope};
pub use check::{
    Aggregate, Bounds, Check, ColumnRule, Fence, IgnoreRow, Query, RecordCheck, Rule, SetRule, TableCheck, Unsupported,
};
pub use condition::{Comparison, Condition};
pub use distribution::{Distribution, Histogram};
pub use evaluation::Evaluation;
pub use lint::{Finding, lint};
pub use record::{Met, Record};
pub use result::{ExpectationResult, PARTIAL, Tally, ValidationResult};
pub use sql::Column;
pub use stream::{Gate, LeftOut, StreamSuite, Unmet};
pub use table::Observed;
pub use value::{Cell, ColumnType, Literal, Set};

use crate::Severity;
use serde_json::{Map, Value};
use std::fmt;

/// Which Great Expectations wrote the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// 0.x: `expectation_suite_name`, `expectation_type`.
    Zero,
    /// 1.x: `name`, `type`, `severity`.
    One,
}

/// A suite: a name and its expectations, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Suite {
    pub name: String,
    pub dialect: Dialect,
    pub expectations: Vec<Expectation>,
    pub meta: Map<String, Value>,
    /// Every other key of the document.
    pub other: Map<String, Value>,
}

/// One expectation, not yet known to be checkable.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// `expect_column_values_to_not_be_null` …
    pub kind: String,
    pub kwargs: Map<String, Value>,
    /// How much it matters; [`Severity::Critical`] where the file does not say (so does Great Expectations 1.x).
    pub severity: Severity,
    pub meta: Map<String, Value>,
    /// Every other key of the expectation.
    pub other: Map<String, Value>,
}

/// What is wrong with a suite's form; each mistake names its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SuiteError {
    #[error("not JSON: {0}")]
    Json(String),
    #[error("not an expectation suite:{}", lines(.0))]
    Form(Vec<Mistake>),
}

/// A place in the document and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// `expectations[2].kwargs` …
    pub at: String,
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.message)
    }
}

fn lines(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect()
}

impl Suite {
    /// Reads a suite of either dialect.
    ///
    /// # Errors
    /// The bytes are not JSON, or not a suite: then every mistake is named.
    pub fn parse(json: &[u8]) -> Result<Self, SuiteError> {
        Self::parse_with(json, Severity::Critical)
    }

    /// Reads a suite of either dialect; what does not say how much it matters matters so much.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with(json: &[u8], unsaid: Severity) -> Result<Self, SuiteError> {
        let document = serde_json::from_slice(json).map_err(|error| SuiteError::Json(error.to_string()))?;
        let mut reading = Reading { unsaid, ..Reading::default() };
        let suite = reading.suite(document);
        match suite {
            Some(suite) if reading.mistakes.is_empty() => Ok(suite),
            _ => Err(SuiteError::Form(reading.mistakes)),
        }
    }

    /// The document in the suite's own dialect, with every key that was read. Keys come in alphabetical order, as Great
    /// Expectations writes them.
    pub fn to_json(&self) -> Value {
        let mut document = self.other.clone();
        let name = match self.dialect {
            Dialect::Zero => "expectation_suite_name",
            Dialect::One => "name",
        };
        document.insert(name.into(), self.name.clone().into());
        document.insert("meta".into(), self.meta.clone().into());
        let expectations = self.expectations.iter().map(|expectation| expectation.to_json(self.dialect));
        document.insert("expectations".into(), expectations.collect());
        document.into()
    }

    /// The same suite in the 1.x dialect, in a form that Great Expectations 1.24 loads: keys that it refuses are moved to
    /// `meta.migrated_from`, or dropped where they are null.
    pub fn migrate(mut self) -> Self {
        if self.dialect == Dialect::One {
            return self;
        }
        self.dialect = Dialect::One;
        if let Some(id) = self.other.remove("ge_cloud_id").filter(|id| !id.is_null()) {
            self.other.entry("id").or_insert(id);
        }
        keep_only(&mut self.other, &["id", "notes", "suite_parameters"], &mut self.meta);
        if let Some(version) = self.meta.remove("great_expectations_version") {
            let kept = self.meta.entry(MIGRATED_FROM).or_insert_with(|| Map::new().into());
            if let Value::Object(kept) = kept {
                kept.insert("great_expectations_version".into(), version);
            }
        }
        for expectation in &mut self.expectations {
            if let Some(id) = expectation.other.remove("ge_cloud_id").filter(|id| !id.is_null()) {
                expectation.other.entry("id").or_insert(id);
            }
            keep_only(&mut expectation.other, &["id", "notes", "description"], &mut expectation.meta);
        }
        self
    }
}

/// Where a migration keeps what the newer dialect has no place for.
const MIGRATED_FROM: &str = "migrated_from";

fn keep_only(keys: &mut Map<String, Value>, allowed: &[&str], meta: &mut Map<String, Value>) {
    let (kept, moved): (Map<_, _>, Map<_, _>) =
        std::mem::take(keys).into_iter().partition(|(key, _)| allowed.contains(&key.as_str()));
    *keys = kept;
    let moved: Map<_, _> = moved.into_iter().filter(|(_, value)| !value.is_null()).collect();
    if !moved.is_empty() {
        let target = meta.entry(MIGRATED_FROM).or_insert_with(|| Map::new().into());
        if let Value::Object(target) = target {
            target.extend(moved);
        }
    }
}

impl Expectation {
    /// The column it speaks of, when it is one.
    pub fn column(&self) -> Option<&str> {
        self.kwargs.get("column").and_then(Value::as_str)
    }

    fn to_json(&self, dialect: Dialect) -> Value {
        let mut object = self.other.clone();
        let kind = match dialect {
            Dialect::Zero => "expectation_type",
            Dialect::One => "type",
        };
        object.insert(kind.into(), self.kind.clone().into());
        object.insert("kwargs".into(), self.kwargs.clone().into());
        object.insert("meta".into(), self.meta.clone().into());
        if dialect == Dialect::One || self.severity != Severity::Critical {
            object.insert("severity".into(), self.severity.as_str().into());
        }
        object.into()
    }
}

struct Reading {
    mistakes: Vec<Mistake>,
    /// The severity of an expectation that has none.
    unsaid: Severity,
}

impl Default for Reading {
    fn default() -> Self {
        Self { mistakes: Vec::new(), unsaid: Severity::Critical }
    }
}

impl Reading {
    fn mistake(&mut self, at: impl Into<String>, message: impl Into<String>) {
        self.mistakes.push(Mistake { at: at.into(), message: message.into() });
    }

    fn suite(&mut self, document: Value) -> Option<Suite> {
        let Value::Object(mut other) = document else {
            self.mistake("document", format!("{}; expected an object", kind_of(&document)));
            return None;
        };
        let (dialect, name) = match (other.remove("name"), other.remove("expectation_suite_name")) {
            (Some(name), None) => (Dialect::One, name),
            (None, Some(name)) => (Dialect::Zero, name),
            (Some(_), Some(_)) => {
                self.mistake("document", "has both `name` (1.x) and `expectation_suite_name` (0.x); keep one");
                return None;
            }
            (None, None) => {
                self.mistake("document", "has neither `name` (1.x) nor `expectation_suite_name` (0.x)");
                return None;
            }
        };
        let name = match name {
            Value::String(name) if !name.trim().is_empty() => name,
            other => {
                self.mistake("name", format!("{}; expected a name", kind_of(&other)));
                String::new()
            }
        };
        let meta = self.object(other.remove("meta"), "meta");
        let expectations = match other.remove("expectations") {
            Some(Value::Array(expectations)) => expectations,
            found => {
                let found = found.as_ref().map_or("missing", kind_of);
                self.mistake("expectations", format!("{found}; expected an array"));
                Vec::new()
            }
        };
        let expectations = expectations
            .into_iter()
            .enumerate()
            .filter_map(|(index, value)| self.expectation(value, &format!("expectations[{index}]")))
            .collect();
        Some(Suite { name, dialect, expectations, meta, other })
    }

    fn expectation(&mut self, value: Value, at: &str) -> Option<Expectation> {
        let Value::Object(mut other) = value else {
            self.mistake(at, format!("{}; expected an object", kind_of(&value)));
            return None;
        };
        // Either name in either dialect: hand-edited files mix them, and the newer one counts.
        let (newer, older) = (other.remove("type"), other.remove("expectation_type"));
        let kind = match newer.or(older) {
            Some(Value::String(kind)) => kind,
            found => {
                let found = found.as_ref().map_or("missing", kind_of);
                self.mistake(format!("{at}.type"), format!("{found}; expected the name of an expectation"));
                return None;
            }
        };
        let kwargs = self.object(other.remove("kwargs"), &format!("{at}.kwargs"));
        let meta = self.object(other.remove("meta"), &format!("{at}.meta"));
        let severity = match other.remove("severity") {
            None | Some(Value::Null) => self.unsaid,
            Some(Value::String(name)) => match name.to_ascii_lowercase().as_str() {
                "critical" => Severity::Critical,
                "warning" => Severity::Warning,
                "info" => Severity::Info,
                _ => {
                    self.mistake(format!("{at}.severity"), format!("{name:?}; expected critical, warning or info"));
                    return None;
                }
            },
            Some(found) => {
                self.mistake(format!("{at}.severity"), format!("{}; expected a text", kind_of(&found)));
                return None;
            }
        };
        Some(Expectation { kind, kwargs, severity, meta, other })
    }

    fn object(&mut self, value: Option<Value>, at: &str) -> Map<String, Value> {
        match value {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(object)) => object,
            Some(found) => {
                self.mistake(at, format!("{}; expected an object", kind_of(&found)));
                Map::new()
            }
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
