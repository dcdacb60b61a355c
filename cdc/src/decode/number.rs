//! Exact numbers from JSON text, decimal strings and Connect's base64. Knows neither columns nor schemas.

use base64::{Engine, engine::general_purpose::STANDARD};
use rust_decimal::Decimal;

/// Most digits that a [`Number`] keeps; `10^37` times anything it multiplies by still fits a `u128`.
const MAX_DIGITS: u32 = 37;

/// `± mantissa · 10^exponent`, exactly as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    negative: bool,
    mantissa: u128,
    exponent: i32,
    /// Digits after the first [`MAX_DIGITS`] were dropped, and not all of them were zero.
    inexact: bool,
}

impl Number {
    /// A JSON number, or the text of a decimal (`135.1800`, `-0.0001`, `1E+3`). `None` when it is neither, which
    /// includes `NaN` and `Infinity`.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        // Prices and volumes have few digits: a 64-bit mantissa serves nearly always.
        let mut short = 0_u64;
        let mut fraction = 0_i32;
        let mut digits = 0_usize;
        let mut seen_point = false;
        if rest.len() <= 19 {
            let mut plain = true;
            for byte in rest {
                match byte {
                    b'0'..=b'9' => {
                        short = short * 10 + u64::from(byte - b'0');
                        digits += 1;
                        fraction += i32::from(seen_point);
                    }
                    b'.' if !seen_point => seen_point = true,
                    _ => {
                        plain = false;
                        break;
                    }
                }
            }
            if plain {
                let number = Self { negative, mantissa: u128::from(short), exponent: -fraction, inexact: false };
                return (digits > 0).then_some(number);
            }
        }
        Self::parse_long(negative, rest)
    }

    fn parse_long(negative: bool, rest: &[u8]) -> Option<Self> {
        let (significand, power) = match rest.iter().position(|byte| matches!(byte, b'e' | b'E')) {
            Some(at) => (&rest[..at], parse_power(&rest[at + 1..])?),
            None => (rest, 0),
        };
        let (mut mantissa, mut kept, mut exponent) = (0_u128, 0_u32, 0_i64);
        let (mut seen_point, mut seen_digit, mut inexact) = (false, false, false);
        for byte in significand {
            match byte {
                b'0'..=b'9' => {
                    seen_digit = true;
                    if kept < MAX_DIGITS {
                        mantissa = mantissa * 10 + u128::from(byte - b'0');
                        kept += u32::from(mantissa != 0);
                        exponent -= i64::from(seen_point);
                    } else {
                        inexact |= *byte != b'0';
                        exponent += i64::from(!seen_point);
                    }
                }
                b'.' if !seen_point => seen_point = true,
                _ => return None,
            }
        }
        let exponent = exponent.saturating_add(power).clamp(i64::from(i32::MIN / 2), i64::from(i32::MAX / 2));
        seen_digit.then_some(Self { negative, mantissa, exponent: exponent as i32, inexact })
    }

    /// Connect's `Decimal`: base64 of an unscaled big-endian two's-complement integer. `None` when it is not base64 or
    /// more than 16 bytes long.
    pub fn from_base64(text: &str, scale: i32) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        let first = *bytes.first()?;
        if bytes.len() > 16 {
            return None;
        }
        let fill = if first & 0x80 == 0 { 0 } else { 0xff };
        let mut wide = [fill; 16];
        wide[16 - bytes.len()..].copy_from_slice(&bytes);
        let unscaled = i128::from_be_bytes(wide);
        Some(Self {
            negative: unscaled < 0,
            mantissa: unscaled.unsigned_abs(),
            exponent: scale.checked_neg()?,
            inexact: false,
        })
    }

    /// The value as a [`Decimal`], or `None` when it does not fit one without loss. The scale written is kept.
    pub fn exact(&self) -> Option<Decimal> {
        if self.inexact {
            return None;
        }
        if self.mantissa == 0 {
            return Some(Decimal::new(0, u32::try_from(-self.exponent).unwrap_or(0).min(Decimal::MAX_SCALE)));
        }
        let (mut mantissa, mut exponent) = (self.mantissa, self.exponent);
        if exponent > 0 {
            mantissa = mantissa.checked_mul(power_of_ten(exponent)?)?;
            exponent = 0;
        }
        while mantissa.is_multiple_of(10) && (exponent < -(Decimal::MAX_SCALE as i32) || mantissa >> 96 != 0) {
            mantissa /= 10;
            exponent += 1;
        }
        self.decimal(mantissa, u32::try_from(exponent.checked_neg()?).ok()?)
    }

    /// The value rounded half away from zero to `places` decimals, or `None` when it does not fit a [`Decimal`].
    pub fn rounded(&self, places: u32) -> Option<Decimal> {
        let (mantissa, _) = self.shifted(places as i32)?;
        self.decimal(mantissa, places)
    }

    /// The value rounded half away from zero to an integer, and whether that changed it. `None` when it does not fit.
    pub fn whole(&self) -> Option<(i64, bool)> {
        let (mantissa, lossy) = self.shifted(0)?;
        let signed = i128::try_from(mantissa).ok()?;
        let whole = i64::try_from(if self.negative { -signed } else { signed }).ok()?;
        Some((whole, lossy))
    }

    /// The value in plain notation, every digit as given.
    pub fn plain(&self) -> String {
        let sign = if self.negative && self.mantissa != 0 { "-" } else { "" };
        let digits = self.mantissa.to_string();
        let places = self.exponent.unsigned_abs() as usize;
        if places > 400 {
            return format!("{sign}{digits}E{}", self.exponent);
        }
        if self.exponent >= 0 {
            return format!("{sign}{digits}{}", "0".repeat(if self.mantissa == 0 { 0 } else { places }));
        }
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        format!("{sign}{whole}.{fraction}")
    }

    /// `mantissa · 10^(exponent + places)`, rounded half away from zero, and whether rounding changed it.
    fn shifted(&self, places: i32) -> Option<(u128, bool)> {
        let shift = self.exponent.saturating_add(places);
        if self.mantissa == 0 {
            return Some((0, self.inexact));
        }
        if shift >= 0 {
            return Some((self.mantissa.checked_mul(power_of_ten(shift)?)?, self.inexact));
        }
        let Some(divisor) = power_of_ten(-shift) else {
            return Some((0, true));
        };
        // 128-bit division is slow, and almost never needed.
        let (quotient, rest) = match (u64::try_from(self.mantissa), u64::try_from(divisor)) {
            (Ok(mantissa), Ok(divisor)) => (u128::from(mantissa / divisor), u128::from(mantissa % divisor)),
            _ => (self.mantissa / divisor, self.mantissa % divisor),
        };
        Some((quotient + u128::from(rest >= divisor - rest), rest != 0 || self.inexact))
    }

    fn decimal(&self, mantissa: u128, scale: u32) -> Option<Decimal> {
        if mantissa >> 96 != 0 || scale > Decimal::MAX_SCALE {
            return None;
        }
        let (low, middle, high) = (mantissa as u32, (mantissa >> 32) as u32, (mantissa >> 64) as u32);
        Some(Decimal::from_parts(low, middle, high, self.negative && mantissa != 0, scale))
    }
}

/// The power in `1E<power>`, saturated far outside of what any type holds.
fn parse_power(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut power = 0_i64;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        power = (power * 10 + i64::from(byte - b'0')).min(i64::from(i32::MAX));
    }
    Some(if negative { -power } else { power })
}

fn power_of_ten(power: i32) -> Option<u128> {
    const SHORT: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];
    match SHORT.get(usize::try_from(power).ok()?) {
        Some(short) => Some(u128::from(*short)),
        None => 10_u128.checked_pow(power.unsigned_abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::dec;

    fn rounded(text: &str) -> Option<Decimal> {
        Number::parse(text).and_then(|number| number.rounded(4))
    }

    #[test]
    fn float_text_of_any_version_is_rounded_to_four_places() {
        for (text, price) in [
            ("135.18", dec!(135.1800)),
            ("135.17999267578125", dec!(135.1800)),
            ("93.45999908447266", dec!(93.4600)),
            ("1.2345678E7", dec!(12345678.0000)),
            ("-1.5E-10", dec!(0)),
            ("1.00005", dec!(1.0001)),
            ("-1.00005", dec!(-1.0001)),
            ("1e-2147483648", dec!(0)),
            ("0e999999999999", dec!(0)),
        ] {
            assert_eq!(rounded(text), Some(price), "{text}");
        }
        assert_eq!(rounded("135.18").map(|price| price.to_string()).as_deref(), Some("135.1800"));
    }

    #[test]
    fn what_no_decimal_holds_is_refused() {
        for text in ["3.4E38", "1e400", "1e99999999999999999999", "79228162514264337593543950336"] {
            assert_eq!(rounded(text), None, "{text}");
            assert_eq!(Number::parse(text).and_then(|number| number.exact()), None, "{text}");
        }
        for text in ["", "-", ".", "NaN", "Infinity", "1.2.3", "1e", "e5", "0x10", "1_000", "１"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn decimals_stay_exact_with_their_scale() {
        let exact = |text: &str| Number::parse(text).and_then(|number| number.exact()).map(|price| price.to_string());
        assert_eq!(exact("135.1800").as_deref(), Some("135.1800"));
        assert_eq!(exact("-0.0001").as_deref(), Some("-0.0001"));
        assert_eq!(exact("1E+3").as_deref(), Some("1000"));
        assert_eq!(exact("0.00000000000000000000000000000000010"), None);
        assert_eq!(exact("12345678901234567890.0123456789"), None, "30 digits");
        assert_eq!(exact("12345678901234567890.0123456700").as_deref(), Some("12345678901234567890.012345670"));
    }

    #[test]
    fn base64_is_a_signed_big_endian_integer() {
        let plain = |text, scale| Number::from_base64(text, scale).map(|number| number.plain());
        assert_eq!(plain("FKB4", 4).as_deref(), Some("135.1800"));
        assert_eq!(plain("/w==", 4).as_deref(), Some("-0.0001"));
        assert_eq!(plain("AA==", 4).as_deref(), Some("0.0000"));
        assert_eq!(plain("AQ==", 0).as_deref(), Some("1"));
        assert_eq!(plain("AP//////////", 0).as_deref(), Some("18446744073709551615"));
        assert_eq!(plain("AY7pD/bDc+DuDATVFQ==", 10).as_deref(), Some("12345678901234567890.0123456789"));
        assert_eq!(plain("", 4), None);
        assert_eq!(plain("!", 4), None);
        assert_eq!(plain("AAAAAAAAAAAAAAAAAAAAAAA=", 4), None, "17 bytes");
    }

    #[test]
    fn volumes_are_rounded_half_away_from_zero() {
        let whole = |text: &str| Number::parse(text).and_then(|number| number.whole());
        assert_eq!(whole("18250.0"), Some((18250, false)));
        assert_eq!(whole("135.18"), Some((135, true)));
        assert_eq!(whole("0.5"), Some((1, true)));
        assert_eq!(whole("-0.5"), Some((-1, true)));
        assert_eq!(whole("1.2345678E7"), Some((12_345_678, false)));
        assert_eq!(whole("9223372036854775807"), Some((i64::MAX, false)));
        assert_eq!(whole("-9223372036854775808"), Some((i64::MIN, false)));
        assert_eq!(whole("9223372036854775808"), None);
    }

    proptest! {
        #[test]
        fn any_decimal_survives_its_own_text(mantissa in any::<i64>(), scale in 0_u32..=28) {
            let value = Decimal::new(mantissa, scale);
            prop_assert_eq!(Number::parse(&value.to_string()).and_then(|number| number.exact()), Some(value));
        }

        #[test]
        fn rounding_agrees_with_the_decimal_library(mantissa in any::<i64>(), scale in 0_u32..=12) {
            let value = Decimal::new(mantissa, scale);
            let expected = value.round_dp_with_strategy(4, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
            prop_assert_eq!(rounded(&value.to_string()), Some(expected));
        }

        #[test]
        fn no_text_breaks_it(text in "[-+0-9.eE]{0,60}") {
            if let Some(number) = Number::parse(&text) {
                let _ = (number.exact(), number.rounded(4), number.whole(), number.plain());
            }
        }
    }
}
