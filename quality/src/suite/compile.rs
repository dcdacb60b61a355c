//! From the words of a suite to a check that can be run: arguments read, bounds checked, patterns compiled, once.

mod table;

use super::{
    Bounds, Check, ColumnRule, ColumnType, Condition, Expectation, IgnoreRow, KNOWN, RecordCheck, Rule, Unsupported,
    value::decimal,
};
use regex::{Regex, RegexBuilder};
use rust_decimal::Decimal;
use serde_json::{Map, Value};

/// What a compiled pattern may take, in bytes: a suite comes from outside.
const LARGEST_PATTERN: usize = 1 << 20;

impl Expectation {
    /// The check that it describes.
    ///
    /// # Errors
    /// It cannot be run here, and why not.
    pub fn compile(&self) -> Result<Check, Unsupported> {
        let known = KNOWN
            .iter()
            .find(|known| known.kind == self.kind)
            .ok_or_else(|| Unsupported::Unknown(self.kind.chars().take(120).collect()))?;
        if let Some(reason) = known.refused {
            return Err(Unsupported::Kind { kind: self.kind.clone(), reason });
        }
        let arguments = Arguments { kwargs: &self.kwargs };
        let condition = match self.kwargs.get("row_condition") {
            None | Some(Value::Null) => None,
            Some(value) => Some(Condition::parse(value).map_err(|message| wrong("row_condition", message))?),
        };
        Ok(Check { severity: self.severity, condition, rule: arguments.rule(&self.kind)? })
    }
}

fn wrong(argument: &str, message: impl Into<String>) -> Unsupported {
    Unsupported::Argument { argument: argument.to_owned(), message: message.into() }
}

/// The keyword arguments of one expectation, and how each kind reads them.
struct Arguments<'e> {
    kwargs: &'e Map<String, Value>,
}

impl Arguments<'_> {
    fn rule(&self, kind: &str) -> Result<Rule, Unsupported> {
        if let Some(check) = self.table(kind)? {
            return Ok(Rule::Table(check));
        }
        let check = match self.across_columns(kind)? {
            Some(check) => check,
            None => RecordCheck::Column { column: self.name("column")?, rule: self.column_rule(kind)? },
        };
        Ok(Rule::Records { check, mostly: self.mostly()? })
    }

    fn column_rule(&self, kind: &str) -> Result<ColumnRule, Unsupported> {
        Ok(match kind {
            "expect_column_values_to_be_null" => ColumnRule::Null,
            "expect_column_values_to_not_be_null" => ColumnRule::NotNull,
            "expect_column_values_to_be_between" => ColumnRule::Between(self.bounds()?.literal()),
            "expect_column_values_to_be_in_set" => ColumnRule::InSet(self.values("value_set")?.into()),
            "expect_column_values_to_not_be_in_set" => ColumnRule::NotInSet(self.values("value_set")?.into()),
            "expect_column_values_to_be_of_type" => ColumnRule::OfType(vec![self.column_type()?]),
            "expect_column_values_to_be_in_type_list" => ColumnRule::OfType(
                self.names("type_list")?.into_iter().map(|name| typed("type_list", name)).collect::<Result<_, _>>()?,
            ),
            "expect_column_value_lengths_to_be_between" => ColumnRule::Length(self.range(|name| self.whole(name))?),
            "expect_column_value_lengths_to_equal" => {
                let length = self.whole("value")?;
                ColumnRule::Length(Bounds::closed(Some(length), Some(length)))
            }
            "expect_column_values_to_match_regex" => {
                ColumnRule::Matches { patterns: vec![self.pattern("regex")?], all: true }
            }
            "expect_column_values_to_not_match_regex" => ColumnRule::MatchesNone(vec![self.pattern("regex")?]),
            "expect_column_values_to_match_regex_list" => {
                ColumnRule::Matches { patterns: self.patterns("regex_list", regex)?, all: self.match_on_all()? }
            }
            "expect_column_values_to_not_match_regex_list" => {
                ColumnRule::MatchesNone(self.patterns("regex_list", regex)?)
            }
            "expect_column_values_to_match_like_pattern" => {
                ColumnRule::Matches { patterns: vec![like("like_pattern", &self.name("like_pattern")?)?], all: true }
            }
            "expect_column_values_to_not_match_like_pattern" => {
                ColumnRule::MatchesNone(vec![like("like_pattern", &self.name("like_pattern")?)?])
            }
            "expect_column_values_to_match_like_pattern_list" => {
                ColumnRule::Matches { patterns: self.patterns("like_pattern_list", like)?, all: self.match_on_all()? }
            }
            "expect_column_values_to_not_match_like_pattern_list" => {
                ColumnRule::MatchesNone(self.patterns("like_pattern_list", like)?)
            }
            "expect_column_values_to_match_strftime_format" => ColumnRule::Strftime(self.name("strftime_format")?),
            "expect_column_values_to_be_json_parseable" => ColumnRule::Json,
            _ => return Err(Unsupported::Unknown(kind.to_owned())),
        })
    }

    fn across_columns(&self, kind: &str) -> Result<Option<RecordCheck>, Unsupported> {
        let pair = || Ok((self.name("column_A")?, self.name("column_B")?));
        Ok(Some(match kind {
            "expect_column_pair_values_to_be_equal" => {
                let ((a, b), ignore) = (pair()?, self.ignore("both_values_are_missing")?);
                RecordCheck::AllEqual { columns: vec![a, b], ignore }
            }
            "expect_column_pair_values_a_to_be_greater_than_b" => {
                let ((a, b), ignore) = (pair()?, self.ignore("both_values_are_missing")?);
                RecordCheck::PairGreater { a, b, or_equal: self.flag("or_equal")?, ignore }
            }
            "expect_column_pair_values_to_be_in_set" => {
                let ((a, b), ignore) = (pair()?, self.ignore("both_values_are_missing")?);
                let pairs = self.values("value_pairs_set")?.into_iter().map(|pair| match pair {
                    Value::Array(pair) => <[Value; 2]>::try_from(pair)
                        .map(|[a, b]| (a.into(), b.into()))
                        .map_err(|_| wrong("value_pairs_set", "each element must be a pair")),
                    _ => Err(wrong("value_pairs_set", "each element must be a pair")),
                });
                RecordCheck::PairInSet { a, b, pairs: pairs.collect::<Result<_, _>>()?, ignore }
            }
            "expect_multicolumn_sum_to_equal" => RecordCheck::SumEquals {
                columns: self.names("column_list")?,
                total: self.number("sum_total")?,
                ignore: self.ignore("all_values_are_missing")?,
            },
            "expect_multicolumn_values_to_be_equal" => RecordCheck::AllEqual {
                columns: self.names("column_list")?,
                ignore: self.ignore("all_values_are_missing")?,
            },
            "expect_select_column_values_to_be_unique_within_record" | "expect_multicolumn_values_to_be_unique" => {
                RecordCheck::AllDifferent {
                    columns: self.names("column_list")?,
                    ignore: self.ignore("all_values_are_missing")?,
                }
            }
            _ => return Ok(None),
        }))
    }

    fn given(&self, name: &str) -> Option<&Value> {
        self.kwargs.get(name).filter(|value| !value.is_null())
    }

    fn name(&self, name: &str) -> Result<String, Unsupported> {
        match self.given(name) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            Some(_) => Err(wrong(name, "expected a text")),
            None => Err(wrong(name, "is missing")),
        }
    }

    fn values(&self, name: &str) -> Result<Vec<Value>, Unsupported> {
        match self.given(name) {
            Some(Value::Array(values)) if !values.is_empty() => Ok(values.clone()),
            Some(_) => Err(wrong(name, "expected an array with at least one element")),
            None => Err(wrong(name, "is missing")),
        }
    }

    fn names(&self, name: &str) -> Result<Vec<String>, Unsupported> {
        let texts = self.values(name)?.into_iter().map(|value| match value {
            Value::String(text) => Ok(text),
            _ => Err(wrong(name, "expected texts")),
        });
        texts.collect()
    }

    fn number(&self, name: &str) -> Result<Decimal, Unsupported> {
        let value = self.given(name).ok_or_else(|| wrong(name, "is missing"))?;
        decimal(value).ok_or_else(|| wrong(name, "expected a number"))
    }

    fn whole(&self, name: &str) -> Result<u64, Unsupported> {
        let number = self.number(name)?;
        u64::try_from(number)
            .ok()
            .filter(|whole| Decimal::from(*whole) == number)
            .ok_or_else(|| wrong(name, "expected a whole number, 0 or more"))
    }

    fn flag(&self, name: &str) -> Result<bool, Unsupported> {
        match self.given(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(wrong(name, "expected true or false")),
        }
    }

    fn mostly(&self) -> Result<Decimal, Unsupported> {
        if self.given("mostly").is_none() {
            return Ok(Decimal::ONE);
        }
        let mostly = self.number("mostly")?;
        if (Decimal::ZERO..=Decimal::ONE).contains(&mostly) {
            Ok(mostly)
        } else {
            Err(wrong("mostly", "expected 0 to 1"))
        }
    }

    /// A range of which each end is read by `end`; an absent one is no bound.
    fn range<T>(&self, end: impl Fn(&str) -> Result<T, Unsupported>) -> Result<Bounds<T>, Unsupported> {
        let end = |name: &str| self.given(name).map(|_| end(name)).transpose();
        Ok(Bounds {
            min: end("min_value")?,
            max: end("max_value")?,
            strict_min: self.flag("strict_min")?,
            strict_max: self.flag("strict_max")?,
        })
    }

    /// Bounds in whatever the column holds: numbers, instants or texts.
    fn bounds(&self) -> Result<Bounds<Value>, Unsupported> {
        let bounds = self.range(|name| match self.given(name) {
            Some(value) if value.is_number() || value.is_string() => Ok(value.clone()),
            _ => Err(wrong("min_value", "expected numbers, times or texts")),
        })?;
        if bounds.min.is_none() && bounds.max.is_none() {
            return Err(wrong("min_value", "min_value and max_value are both missing"));
        }
        Ok(bounds)
    }

    fn numbers(&self) -> Result<Bounds<Decimal>, Unsupported> {
        self.range(|name| self.number(name))
    }

    fn column_type(&self) -> Result<(String, ColumnType), Unsupported> {
        typed("type_", self.name("type_")?)
    }

    fn pattern(&self, name: &str) -> Result<Regex, Unsupported> {
        regex(name, &self.name(name)?)
    }

    fn patterns(
        &self,
        name: &str,
        compile: fn(&str, &str) -> Result<Regex, Unsupported>,
    ) -> Result<Vec<Regex>, Unsupported> {
        self.names(name)?.iter().map(|pattern| compile(name, pattern)).collect()
    }

    fn match_on_all(&self) -> Result<bool, Unsupported> {
        match self.given("match_on").map(|value| value.as_str()) {
            None | Some(Some("any")) => Ok(false),
            Some(Some("all")) => Ok(true),
            Some(_) => Err(wrong("match_on", "expected any or all")),
        }
    }

    fn ignore(&self, default: &str) -> Result<IgnoreRow, Unsupported> {
        match self.given("ignore_row_if").map_or(Some(default), Value::as_str) {
            Some("both_values_are_missing" | "all_values_are_missing") => Ok(IgnoreRow::AllMissing),
            Some("either_value_is_missing" | "any_value_is_missing") => Ok(IgnoreRow::AnyMissing),
            Some("neither" | "never") => Ok(IgnoreRow::Never),
            _ => Err(wrong(
                "ignore_row_if",
                "expected both/all_values_are_missing, either/any_value_is_missing or never",
            )),
        }
    }
}

fn typed(argument: &str, name: String) -> Result<(String, ColumnType), Unsupported> {
    match ColumnType::named(&name) {
        Some(column_type) => Ok((name, column_type)),
        None => Err(wrong(argument, format!("{name:?} is no type that is known here"))),
    }
}

fn regex(argument: &str, pattern: &str) -> Result<Regex, Unsupported> {
    // What Python's engine can and this one cannot (look-around, back references) is refused with its reason.
    let compiled = RegexBuilder::new(pattern).size_limit(LARGEST_PATTERN).build();
    compiled.map_err(|error| wrong(argument, error.to_string()))
}

/// A LIKE pattern as a regular expression: `%` is any text, `_` any character, a backslash takes them literally.
fn like(argument: &str, pattern: &str) -> Result<Regex, Unsupported> {
    let mut text = String::from("(?s)^");
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '%' => text.push_str(".*"),
            '_' => text.push('.'),
            '\\' => text.push_str(&regex::escape(&characters.next().unwrap_or('\\').to_string())),
            other => text.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    text.push('$');
    regex(argument, &text)
}
