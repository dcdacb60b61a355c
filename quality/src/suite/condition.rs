//! Row conditions: which rows an expectation speaks of.

use super::{Cell, Literal, Record, Set};
use serde_json::Value;
use std::cmp::Ordering;

/// A condition on one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    Compare { column: String, comparison: Comparison, parameter: Literal },
    In { column: String, values: Set, negated: bool },
    Null { column: String, negated: bool },
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// An operator between a column and a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// The operator, as suites and SQL write it.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    fn named(sign: &str) -> Option<Self> {
        Some(match sign {
            "==" | "=" => Self::Equal,
            "!=" | "<>" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    const fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// How deep conditions may nest.
const MAX_DEPTH: usize = 16;

impl Condition {
    /// Reads a condition: the text form (`col("symbol") == "AMZN" & col("close").notNull()`) or the object form of 1.x.
    ///
    /// # Errors
    /// A sentence that says what is not understood.
    pub fn parse(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => parse_text(text),
            Value::Object(_) => parse_object(value, MAX_DEPTH),
            _ => Err("expected a text such as col(\"symbol\") == \"AMZN\", or an object".into()),
        }
    }

    /// Whether it holds for a row. Comparing with null never does, as in SQL.
    pub fn holds(&self, record: &impl Record) -> bool {
        match self {
            Self::Compare { column, comparison, parameter } => record
                .cell(column)
                .and_then(|cell| cell.compare(parameter))
                .is_some_and(|order| comparison.holds(order)),
            Self::In { column, values, negated } => match record.cell(column) {
                None | Some(Cell::Null) => false,
                Some(cell) => values.holds(&cell) != *negated,
            },
            Self::Null { column, negated } => record.cell(column).is_none_or(|cell| cell.is_null()) != *negated,
            Self::All(conditions) => conditions.iter().all(|condition| condition.holds(record)),
            Self::Any(conditions) => conditions.iter().any(|condition| condition.holds(record)),
        }
    }
}

fn parse_object(value: &Value, depth: usize) -> Result<Condition, String> {
    let depth = depth.checked_sub(1).ok_or("conditions are nested too deep")?;
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let column = || {
        let column = value.get("column").ok_or("a condition without a column")?;
        let name = column.as_str().or_else(|| column.get("name").and_then(Value::as_str));
        name.map(str::to_owned).ok_or("a condition without a column's name")
    };
    match text("type") {
        Some("comparison") => {
            let operator = text("operator").unwrap_or_default();
            let parameter = value.get("parameter").cloned().unwrap_or_default();
            if let "IN" | "in" | "NOT_IN" | "not_in" | "NOT IN" = operator {
                let Value::Array(values) = parameter else { return Err(format!("{operator} needs an array")) };
                let negated = !operator.eq_ignore_ascii_case("in");
                return Ok(Condition::In { column: column()?, values: values.into(), negated });
            }
            let comparison = Comparison::named(operator).ok_or_else(|| format!("unknown operator {operator:?}"))?;
            Ok(Condition::Compare { column: column()?, comparison, parameter: parameter.into() })
        }
        Some("nullity") => {
            let is_null = value.get("is_null").and_then(Value::as_bool).ok_or("nullity without is_null")?;
            Ok(Condition::Null { column: column()?, negated: !is_null })
        }
        Some(kind @ ("and" | "or")) => {
            let parts = value.get("conditions").and_then(Value::as_array).ok_or("conditions must be an array")?;
            let parts = parts.iter().map(|part| parse_object(part, depth)).collect::<Result<_, _>>()?;
            Ok(if kind == "and" { Condition::All(parts) } else { Condition::Any(parts) })
        }
        other => Err(format!("unknown condition {:?}", other.unwrap_or_default())),
    }
}

/// `col("a") == 1 & col("b").notNull()`: comparisons joined by `&`, which binds closer, and `|`.
fn parse_text(text: &str) -> Result<Condition, String> {
    let any: Vec<_> = split(text, '|')
        .into_iter()
        .map(|part| {
            let mut all = split(part, '&').into_iter().map(parse_comparison).collect::<Result<Vec<_>, _>>()?;
            Ok(if all.len() == 1 { all.swap_remove(0) } else { Condition::All(all) })
        })
        .collect::<Result<_, String>>()?;
    let mut any = any;
    Ok(if any.len() == 1 { any.swap_remove(0) } else { Condition::Any(any) })
}

/// Parts between separators that stand outside quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut start, mut quote) = (Vec::new(), 0, None);
    for (at, character) in text.char_indices() {
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if character == '"' || character == '\'' => quote = Some(character),
            None if character == separator => {
                parts.push(&text[start..at]);
                start = at + separator.len_utf8();
            }
            None => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn parse_comparison(text: &str) -> Result<Condition, String> {
    let text = text.trim();
    let unread = || format!("{text:?} is not understood; expected for instance col(\"symbol\") == \"AMZN\"");
    let inner = text.strip_prefix("col(").ok_or_else(unread)?;
    let (column, rest) = inner.split_once(')').ok_or_else(unread)?;
    let column = unquote(column.trim()).ok_or_else(unread)?.to_owned();
    let rest = rest.trim();
    match rest {
        ".notNull()" | ".notnull()" | ".is_not_null()" => return Ok(Condition::Null { column, negated: true }),
        ".isNull()" | ".isnull()" | ".is_null()" => return Ok(Condition::Null { column, negated: false }),
        _ => {}
    }
    let signs = rest.find(|character: char| !"=!<>".contains(character)).unwrap_or(rest.len());
    let (sign, parameter) = rest.split_at(signs);
    let comparison = Comparison::named(sign).ok_or_else(unread)?;
    let parameter = parameter.trim();
    let parameter: Value = match unquote(parameter) {
        Some(text) => text.into(),
        None => serde_json::from_str::<serde_json::Number>(parameter).map(Value::Number).map_err(|_| unread())?,
    };
    Ok(Condition::Compare { column, comparison, parameter: parameter.into() })
}

fn unquote(text: &str) -> Option<&str> {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote).filter(|inner| !inner.contains(quote));
    inner('"').or_else(|| inner('\''))
}
