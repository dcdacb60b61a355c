//! Bars as Postgres sends them, read without a detour.
//!
//! sqlx reads a `numeric` into a list of digits, raises ten thousand to the power of each one's place, multiplies and adds in
//! 96 bits; that was most of what a page of bars cost. Here the digits are shifted into one integer.

use chrono::{DateTime, Utc};
use market::Bar;
use rust_decimal::Decimal;
use sqlx::{
    Decode, Postgres, Row,
    error::BoxDynError,
    postgres::{PgRow, PgValueFormat, PgValueRef},
};

/// A price, exactly as Postgres has it, its scale included.
struct Price(Decimal);

impl<'r> Decode<'r, Postgres> for Price {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let quick = match value.format() {
            PgValueFormat::Binary => price_of_binary(value.as_bytes()?),
            PgValueFormat::Text => None,
        };
        quick.map_or_else(|| <Decimal as Decode<Postgres>>::decode(value), Ok).map(Self)
    }
}

/// The start of a bar. Postgres sends microseconds since 2000; sqlx makes days and seconds of them, and an instant of those.
struct Start(DateTime<Utc>);

/// The year 2000, in microseconds since 1970.
const Y2K: i64 = 946_684_800_000_000;

impl<'r> Decode<'r, Postgres> for Start {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let quick = match value.format() {
            PgValueFormat::Binary => start_of_binary(value.as_bytes()?),
            PgValueFormat::Text => None,
        };
        quick.map_or_else(|| <DateTime<Utc> as Decode<Postgres>>::decode(value), Ok).map(Self)
    }
}

/// None of what is outside of the calendar, `infinity` for one.
fn start_of_binary(bytes: &[u8]) -> Option<DateTime<Utc>> {
    let micros = i64::from_be_bytes(*bytes.as_array()?);
    DateTime::from_timestamp_micros(micros.checked_add(Y2K)?)
}

/// A number of up to four digits to the base of ten thousand; of all others, sqlx knows what they are.
///
/// Postgres sends four numbers of 16 bits and then the digits: how many follow, the place of the first before the point, the
/// sign, and how many decimal places are shown.
fn price_of_binary(bytes: &[u8]) -> Option<Decimal> {
    let (head, digits) = bytes.split_first_chunk::<8>()?;
    let [count, weight, sign, scale] = [0, 2, 4, 6].map(|at| i16::from_be_bytes([head[at], head[at + 1]]));
    let (digits, []) = digits.as_chunks::<2>() else { return None };
    // Four decimal places in each digit behind the point; Postgres leaves out digits that are zero at the end.
    let places = i32::from(count) - 1 - i32::from(weight);
    if digits.len() != usize::try_from(count).ok()? || !(1..=4).contains(&count) || !(0..=12).contains(&scale) {
        return None;
    }
    let mut number = 0i64;
    for digit in digits {
        number = number * 10_000 + i64::from(u16::from_be_bytes(*digit));
    }
    let (shown, written) = (i32::from(scale), places * 4);
    // The last digit can have more decimal places than are shown: those are zeros.
    let (number, rest) = match written - shown {
        ..=0 => (number.checked_mul(10i64.checked_pow(shown.abs_diff(written))?)?, 0),
        1 => (number / 10, number % 10),
        2 => (number / 100, number % 100),
        3 => (number / 1000, number % 1000),
        _ => return None,
    };
    if rest != 0 {
        return None;
    }
    let number = match sign {
        0 => number,
        0x4000 => -number,
        _ => return None,
    };
    Decimal::try_new(number, u32::try_from(scale).ok()?).ok()
}

/// The bar in the six columns of a row from `first` on: time, open, high, low, close, volume.
///
/// That they are of the types `timestamptz`, `numeric` and `bigint` is for the statement to know: to ask that of each value
/// took longer than to read it.
///
/// # Errors
/// A price is none (`NaN`).
pub(super) fn read_bar(row: &PgRow, first: usize) -> Result<Bar, sqlx::Error> {
    let price = |column: usize| row.try_get_unchecked(first + column).map(|Price(price)| price);
    let Start(time) = row.try_get_unchecked(first)?;
    Ok(Bar {
        time,
        open: price(1)?,
        high: price(2)?,
        low: price(3)?,
        close: price(4)?,
        volume: row.try_get_unchecked(first + 5)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sqlx::{Encode, postgres::PgArgumentBuffer};

    /// A number as Postgres writes it.
    fn binary(number: Decimal) -> Vec<u8> {
        let mut buffer = PgArgumentBuffer::default();
        let _ = Encode::<Postgres>::encode(number, &mut buffer).unwrap();
        buffer.to_vec()
    }

    fn same(number: Decimal) -> Result<(), TestCaseError> {
        if let Some(read) = price_of_binary(&binary(number)) {
            prop_assert_eq!((read, read.scale()), (number, number.scale()));
        }
        Ok(())
    }

    #[test]
    fn prices_take_the_quick_way_and_keep_their_scale() {
        for text in
            ["0.01", "37.63", "-37.63", "246.40", "100", "100.00", "0.0001", "10000", "12345678.123456", "0.00010"]
        {
            let number: Decimal = text.parse().unwrap();
            assert_eq!(price_of_binary(&binary(number)).map(|read| read.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_plain_number_is_left_to_sqlx() {
        // NaN, infinity, and less than there should be.
        for bytes in [
            &[0, 0, 0, 0, 0xc0, 0, 0, 0][..],
            &[0, 1, 0, 0, 0xd0, 0, 0, 0, 0, 1],
            &[0, 2, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0, 1, 0, 0, 0, 0, 0, 0, 0],
            &[0, 1],
            &[],
        ] {
            assert_eq!(price_of_binary(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(number: i64, scale in 0u32..20) {
            same(Decimal::new(number, scale))?;
        }

        #[test]
        fn and_so_are_small_numbers(number in -2_000_000i64..2_000_000, scale in 0u32..13) {
            same(Decimal::new(number, scale))?;
        }

        #[test]
        fn instants_are_read_to_the_microsecond(micros in -60_000_000_000_000_000i64..250_000_000_000_000_000) {
            let time = DateTime::from_timestamp_micros(micros).unwrap();
            let mut buffer = PgArgumentBuffer::default();
            let _ = Encode::<Postgres>::encode(time, &mut buffer).unwrap();
            prop_assert_eq!(start_of_binary(&buffer), Some(time));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = start_of_binary(&bytes);
            let _ = price_of_binary(&bytes);
        }
    }
}
