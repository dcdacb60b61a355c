//! One column's JSON text to its type, and the precise reason when it is not of that type.

use super::{number::Number, schema::Logical, time};
use crate::DecodeError;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

/// What Debezium sends for a TOAST column that an update did not touch, as text and as bytes.
const UNAVAILABLE: &str = "__debezium_unavailable_value";
const UNAVAILABLE_BASE64: &str = "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==";

/// Decimals of a price from a FLOAT column.
const PRICE_PLACES: u32 = 4;

/// One column as sent: its name, its JSON text and what the schema says of it.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    pub column: &'a str,
    pub text: &'a str,
    pub logical: &'a Logical,
}

/// A number, and whether it came as binary floating point, whose last digits mean nothing.
struct Numeric {
    number: Number,
    float: bool,
}

impl<'a> Cell<'a> {
    /// A price: rounded to four places when it came as a float, else exact.
    pub fn price(self) -> Result<Option<Decimal>, DecodeError> {
        let Some(Numeric { number, float }) = self.numeric()? else { return Ok(None) };
        let price = if float { number.rounded(PRICE_PLACES) } else { number.exact() };
        price.map(Some).ok_or_else(|| self.out_of_range())
    }

    /// A number of shares, rounded half away from zero, and whether that changed it.
    pub fn volume(self) -> Result<Option<(i64, bool)>, DecodeError> {
        let Some(Numeric { number, .. }) = self.numeric()? else { return Ok(None) };
        number.whole().map(Some).ok_or_else(|| self.out_of_range())
    }

    /// An integer.
    pub fn integer(self) -> Result<Option<i64>, DecodeError> {
        let Some(Numeric { number, .. }) = self.numeric()? else { return Ok(None) };
        match number.whole() {
            Some((whole, false)) => Ok(Some(whole)),
            Some((_, true)) => Err(self.wrong_type("an integer")),
            None => Err(self.out_of_range()),
        }
    }

    /// An instant.
    pub fn instant(self) -> Result<Option<DateTime<Utc>>, DecodeError> {
        match self.text.as_bytes().first() {
            Some(b'n') => Ok(None),
            Some(b'-' | b'0'..=b'9') => {
                let stamp = self.text.parse().or_else(|_| match Number::parse(self.text).and_then(|n| n.whole()) {
                    Some((whole, false)) => Ok(whole),
                    Some((_, true)) => Err(self.wrong_type("an instant")),
                    None => Err(self.out_of_range()),
                })?;
                let instant = match self.logical {
                    Logical::Days => time::midnight(stamp),
                    Logical::Instant(fraction) => time::instant(stamp, Some(*fraction)),
                    Logical::TimeOfDay(_) => return Err(self.wrong_type("an instant")),
                    _ => time::instant(stamp, None),
                };
                instant.map(Some).ok_or_else(|| self.out_of_range())
            }
            Some(b'"') => {
                let text = self.string()?;
                time::parse_instant(&text).map(Some).ok_or_else(|| self.wrong_type("an instant"))
            }
            _ => Err(self.wrong_type("an instant")),
        }
    }

    /// Text.
    pub fn text(self) -> Result<Option<Cow<'a, str>>, DecodeError> {
        match self.text.as_bytes().first() {
            Some(b'n') => Ok(None),
            Some(b'"') => self.string().map(Some),
            _ => Err(self.wrong_type("text")),
        }
    }

    /// The value as readable JSON: decimals as strings, times as RFC 3339, the rest as it is. What does not fit its own
    /// type (a date of -infinity, a decimal of 40 digits) also stays as it is: such columns are kept aside, not judged.
    pub fn readable(self) -> Result<Value, DecodeError> {
        let value = serde_json::from_str(self.text).map_err(|_| self.wrong_type("JSON that can be kept"))?;
        Ok(readable(self.logical, value))
    }

    /// The content of a JSON string.
    fn string(self) -> Result<Cow<'a, str>, DecodeError> {
        let inner = self.text.get(1..self.text.len().saturating_sub(1)).unwrap_or_default();
        let text = if inner.contains('\\') {
            Cow::Owned(serde_json::from_str(self.text).map_err(|_| self.wrong_type("text in Unicode"))?)
        } else {
            Cow::Borrowed(inner)
        };
        if text == UNAVAILABLE || text == UNAVAILABLE_BASE64 {
            return Err(DecodeError::UnavailableValue { column: shortened(self.column) });
        }
        Ok(text)
    }

    fn numeric(self) -> Result<Option<Numeric>, DecodeError> {
        match self.text.as_bytes().first() {
            Some(b'n') => Ok(None),
            Some(b'-' | b'0'..=b'9') => {
                let float = !matches!(self.logical, Logical::Integer);
                let number = Number::parse(self.text).ok_or_else(|| self.wrong_type("a number"))?;
                Ok(Some(Numeric { number, float }))
            }
            Some(b'"') => {
                let number = self.written_number(&self.string()?)?;
                Ok(Some(Numeric { number, float: false }))
            }
            Some(b'{') => {
                let number = self.variable_decimal().ok_or_else(|| self.wrong_type("a number"))?;
                Ok(Some(Numeric { number, float: false }))
            }
            _ => Err(self.wrong_type("a number")),
        }
    }

    /// A number inside a JSON string: a decimal's text, or base64 when the schema says so.
    ///
    /// Without a schema, text that is a number is one, although `1234` is also valid base64: a precise decimal whose
    /// base64 starts with a digit has its sign bit set, and no price, volume or key is negative.
    fn written_number(self, text: &str) -> Result<Number, DecodeError> {
        if let Logical::Decimal { scale } = self.logical {
            return Number::from_base64(text, *scale).ok_or_else(|| match STANDARD.decode(text) {
                Ok(bytes) if !bytes.is_empty() => self.out_of_range(),
                _ => self.wrong_type("a base64 decimal"),
            });
        }
        if let Some(number) = Number::parse(text) {
            return Ok(number);
        }
        let special = text.trim_start_matches(['-', '+']);
        if special.eq_ignore_ascii_case("nan") || special.eq_ignore_ascii_case("infinity") {
            return Err(self.wrong_type("a finite number"));
        }
        let undescribed = matches!(self.logical, Logical::Unknown | Logical::Bytes);
        if undescribed && STANDARD.decode(text).is_ok_and(|bytes| !bytes.is_empty()) {
            return Err(DecodeError::DecimalScaleUnknown { column: shortened(self.column) });
        }
        Err(self.wrong_type("a number"))
    }

    fn variable_decimal(self) -> Option<Number> {
        #[derive(Deserialize)]
        struct Variable<'a> {
            scale: i32,
            #[serde(borrow)]
            value: Cow<'a, str>,
        }
        let variable: Variable<'_> = serde_json::from_str(self.text).ok()?;
        Number::from_base64(&variable.value, variable.scale)
    }

    fn wrong_type(self, expected: &'static str) -> DecodeError {
        DecodeError::WrongType { column: shortened(self.column), expected, found: shortened(self.text) }
    }

    fn out_of_range(self) -> DecodeError {
        DecodeError::OutOfRange { column: shortened(self.column), value: shortened(self.text) }
    }
}

/// A value that is kept aside, made readable as far as its type allows.
pub(super) fn readable(logical: &Logical, value: Value) -> Value {
    let decoded = match (logical, &value) {
        (Logical::Decimal { scale }, Value::String(text)) => {
            Number::from_base64(text, *scale).map(|number| number.plain().into())
        }
        (Logical::VariableDecimal, Value::Object(parts)) => {
            let scale = parts.get("scale").and_then(Value::as_i64).and_then(|scale| i32::try_from(scale).ok());
            let text = parts.get("value").and_then(Value::as_str);
            let number = scale.zip(text).and_then(|(scale, text)| Number::from_base64(text, scale));
            number.map(|number| number.plain().into())
        }
        (Logical::Days, Value::Number(days)) => {
            days.as_i64().and_then(time::midnight).map(|midnight| midnight.date_naive().to_string().into())
        }
        (Logical::TimeOfDay(fraction), Value::Number(stamp)) => {
            stamp.as_i64().and_then(|stamp| time::readable_time_of_day(stamp, *fraction)).map(Value::from)
        }
        (Logical::Instant(fraction), Value::Number(stamp)) => stamp
            .as_i64()
            .and_then(|stamp| time::instant(stamp, Some(*fraction)))
            .map(|instant| time::readable_instant(instant).into()),
        (Logical::List(item), Value::Array(_)) => {
            let Value::Array(values) = value else { return value };
            return values.into_iter().map(|value| readable(item, value)).collect();
        }
        _ => None,
    };
    decoded.unwrap_or(value)
}

/// Enough of a value to recognise it.
pub(super) fn shortened(text: &str) -> String {
    excerpt(text, 80)
}

/// At most `longest` characters of a text.
pub(super) fn excerpt(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
