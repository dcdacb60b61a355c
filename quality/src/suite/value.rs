//! Values of a row, and how they compare with the values a suite names.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use rust_decimal::{Decimal, prelude::FromPrimitive};
use serde_json::Value;
use std::{
    borrow::{Borrow, Cow},
    cmp::Ordering,
    collections::HashSet,
    fmt::{self, Write},
    ops::Deref,
    sync::Arc,
};

/// One value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'r> {
    Null,
    Integer(i64),
    Decimal(Decimal),
    Text(&'r str),
    Instant(DateTime<Utc>),
}

/// What kind of values a column holds, whatever the database calls the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnType {
    Integer,
    Decimal,
    Float,
    Text,
    Instant,
    Date,
    Boolean,
}

impl ColumnType {
    /// The type that a name stands for, in any of the dialects that suites are written in: SQL, SQLAlchemy, pandas, Spark,
    /// Python. Length and precision (`NUMERIC(12,4)`, `datetime(3)`) do not matter, nor does case.
    pub fn named(name: &str) -> Option<Self> {
        let base = name.split(['(', '[']).next().unwrap_or(name).trim().to_ascii_lowercase();
        let base = base.strip_suffix("type").unwrap_or(&base); // Spark: TimestampType
        Some(match base {
            "int" | "integer" | "bigint" | "smallint" | "tinyint" | "mediumint" | "int2" | "int4" | "int8"
            | "int16" | "int32" | "int64" | "long" | "short" | "serial" | "bigserial" | "big_integer"
            | "biginteger" | "smallinteger" => Self::Integer,
            "decimal" | "numeric" | "number" | "dec" => Self::Decimal,
            "float" | "double" | "double precision" | "double_precision" | "real" | "float4" | "float8" | "float32"
            | "float64" => Self::Float,
            "text" | "varchar" | "character varying" | "char" | "character" | "string" | "str" | "nvarchar"
            | "bpchar" | "tinytext" | "mediumtext" | "longtext" | "object" | "unicode" => Self::Text,
            "timestamp"
            | "timestamptz"
            | "datetime"
            | "datetime64"
            | "timestamp with time zone"
            | "timestamp without time zone"
            | "timestamp_ntz"
            | "timestampntz" => Self::Instant,
            "date" => Self::Date,
            "bool" | "boolean" => Self::Boolean,
            _ => return None,
        })
    }

    /// Whether a column of this type satisfies an expected one. A number is a number to pandas and Spark: a suite that
    /// means "a fraction" is met by DECIMAL and by FLOAT alike; whole numbers are told apart.
    pub fn satisfies(self, expected: Self) -> bool {
        self == expected || matches!((self, expected), (Self::Decimal, Self::Float) | (Self::Float, Self::Decimal))
    }
}

impl<'r> Cell<'r> {
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The type of a value; `None` for null.
    pub const fn column_type(&self) -> Option<ColumnType> {
        match self {
            Self::Null => None,
            Self::Integer(_) => Some(ColumnType::Integer),
            Self::Decimal(_) => Some(ColumnType::Decimal),
            Self::Text(_) => Some(ColumnType::Text),
            Self::Instant(_) => Some(ColumnType::Instant),
        }
    }

    /// The value as text, as regular expressions and lengths see it; `None` for null.
    pub fn text(&self) -> Option<Cow<'r, str>> {
        match self {
            Self::Null => None,
            Self::Integer(number) => Some(number.to_string().into()),
            Self::Decimal(number) => Some(number.normalize().to_string().into()),
            Self::Text(text) => Some((*text).into()),
            Self::Instant(time) => Some(time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true).into()),
        }
    }

    /// The value as JSON, as results show it. A decimal keeps its digits as text where a double would not.
    pub fn json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => (*number).into(),
            Self::Decimal(number) => number_json(*number),
            Self::Text(text) => (*text).into(),
            Self::Instant(_) => self.text().into(),
        }
    }

    /// Shows what [`text`](Self::text) gives, to whoever only looks at it: without an allocation. Null is an empty text.
    pub fn with_text<T>(&self, look: impl FnOnce(&str) -> T) -> T {
        let mut short = Short::default();
        let written = match self {
            Self::Null => return look(""),
            Self::Text(text) => return look(text),
            Self::Integer(number) => write!(short, "{number}"),
            Self::Decimal(number) => write!(short, "{}", number.normalize()),
            // Such a year has four digits, and then this is what RFC 3339 has.
            Self::Instant(time) if (0..=9_999).contains(&time.year()) => write!(short, "{time:?}"),
            Self::Instant(_) => Err(fmt::Error),
        };
        match written {
            Ok(()) => look(short.as_str()),
            Err(fmt::Error) => look(&self.text().unwrap_or_default()),
        }
    }

    /// Order against a value of the suite; `None` when they cannot be compared (other kinds, or null).
    pub fn compare(&self, expected: &Literal) -> Option<Ordering> {
        match self {
            Self::Null => None,
            Self::Integer(number) => Some(Decimal::from(*number).cmp(&expected.number?)),
            Self::Decimal(number) => Some(number.cmp(&expected.number?)),
            Self::Text(text) => Some((*text).cmp(expected.as_str()?)),
            Self::Instant(time) => Some(time.cmp(&expected.instant?)),
        }
    }

    /// Order between two values of one row; `None` when they cannot be compared.
    pub fn compare_cells(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            (Self::Instant(left), Self::Instant(right)) => Some(left.cmp(right)),
            (left, right) => Some(left.number()?.cmp(&right.number()?)),
        }
    }

    /// The value as a number, if it is one.
    pub fn number(&self) -> Option<Decimal> {
        match self {
            Self::Integer(number) => Some((*number).into()),
            Self::Decimal(number) => Some(*number),
            Self::Null | Self::Text(_) | Self::Instant(_) => None,
        }
    }
}

/// A number as JSON shows it: a double, or its digits as text where a double would not keep them.
pub(super) fn number_json(number: Decimal) -> Value {
    let text = number.normalize().to_string();
    match text.parse::<f64>() {
        Ok(double) if double.to_string() == text => {
            serde_json::Number::from_f64(double).map_or_else(|| text.clone().into(), Value::Number)
        }
        _ => text.into(),
    }
}

/// A value of the suite, read once in each way in which a cell may be compared with it. It shows as the JSON that it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    value: Value,
    number: Option<Decimal>,
    instant: Option<DateTime<Utc>>,
}

impl From<Value> for Literal {
    fn from(value: Value) -> Self {
        Self { number: decimal(&value), instant: instant(&value), value }
    }
}

impl Deref for Literal {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.value
    }
}

impl Borrow<Value> for Literal {
    fn borrow(&self) -> &Value {
        &self.value
    }
}

/// Values of the suite of which a cell may be one, looked up and not gone through. They show as the JSON that they are.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    values: Vec<Value>,
    lookup: Arc<Lookup>,
}

/// Values in each way in which a cell may be one of them.
#[derive(Debug, PartialEq)]
struct Lookup {
    texts: HashSet<String>,
    numbers: HashSet<Decimal>,
    instants: HashSet<DateTime<Utc>>,
}

impl Set {
    /// Whether the cell is one of them; null never is.
    pub fn holds(&self, cell: &Cell<'_>) -> bool {
        match cell {
            Cell::Null => false,
            Cell::Integer(number) => self.lookup.numbers.contains(&(*number).into()),
            Cell::Decimal(number) => self.lookup.numbers.contains(number),
            Cell::Text(text) => self.lookup.texts.contains(*text),
            Cell::Instant(time) => self.lookup.instants.contains(time),
        }
    }
}

impl From<Vec<Value>> for Set {
    fn from(values: Vec<Value>) -> Self {
        let lookup = Lookup {
            texts: values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            numbers: values.iter().filter_map(decimal).collect(),
            instants: values.iter().filter_map(instant).collect(),
        };
        Self { values, lookup: Arc::new(lookup) }
    }
}

impl Deref for Set {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.values
    }
}

/// A text that is short enough for the stack: any number and any time of a row.
struct Short {
    bytes: [u8; 48],
    length: usize,
}

impl Default for Short {
    fn default() -> Self {
        Self { bytes: [0; 48], length: 0 }
    }
}

impl Short {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

/// A number of the suite, also where it is written as text.
pub(super) fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(number) => {
            if let Some(whole) = number.as_i64() {
                return Some(whole.into());
            }
            let double = number.as_f64()?;
            // The shortest text that reads back as the double: what was written in the file.
            double.to_string().parse().ok().or_else(|| Decimal::from_f64(double))
        }
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// An instant of the suite: RFC 3339, or without a zone, which means UTC.
pub(super) fn instant(value: &Value) -> Option<DateTime<Utc>> {
    let text = value.as_str()?.trim();
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Some(time.and_utc());
        }
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|date| date.and_time(NaiveTime::MIN).and_utc())
}
