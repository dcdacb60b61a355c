//! Prices as Postgres sends them, read without a detour.
//!
//! sqlx reads a `numeric` into a list of digits, raises ten thousand to the power of each one's place, multiplies and adds in
//! 96 bits; that was most of what a page of bars cost. Here the digits are shifted into one integer.

use market::Bar;
use rust_decimal::Decimal;
use sqlx::{
    Decode, Postgres, Row, Type,
    error::BoxDynError,
    postgres::{PgRow, PgTypeInfo, PgValueFormat, PgValueRef},
};

/// A price, exactly as Postgres has it, its scale included.
struct Price(Decimal);

impl Type<Postgres> for Price {
    fn type_info() -> PgTypeInfo {
        <Decimal as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Price {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let quick = match value.format() {
            PgValueFormat::Binary => of_binary(value.as_bytes()?),
            PgValueFormat::Text => None,
        };
        quick.map_or_else(|| <Decimal as Decode<Postgres>>::decode(value), Ok).map(Self)
    }
}

/// A number of up to four digits to the base of ten thousand; of all others, sqlx knows what they are.
///
/// Postgres sends four numbers of 16 bits and then the digits: how many follow, the place of the first before the point, the
/// sign, and how many decimal places are shown.
fn of_binary(bytes: &[u8]) -> Option<Decimal> {
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
    let number = match u32::try_from(shown - written) {
        Ok(missing) => number.checked_mul(10i64.checked_pow(missing)?)?,
        // The last digit has more decimal places than are shown: those are zeros.
        Err(_) => {
            let unit = 10i64.checked_pow(u32::try_from(written - shown).ok()?)?;
            (number % unit == 0).then_some(number / unit)?
        }
    };
    let number = match sign {
        0 => number,
        0x4000 => -number,
        _ => return None,
    };
    Decimal::try_new(number, u32::try_from(scale).ok()?).ok()
}

/// The bar in the six columns of a row from `first` on: time, open, high, low, close, volume.
///
/// # Errors
/// The columns are others, or a price is none (`NaN`).
pub(super) fn read_bar(row: &PgRow, first: usize) -> Result<Bar, sqlx::Error> {
    let price = |column: usize| row.try_get(first + column).map(|Price(price)| price);
    Ok(Bar {
        time: row.try_get(first)?,
        open: price(1)?,
        high: price(2)?,
        low: price(3)?,
        close: price(4)?,
        volume: row.try_get(first + 5)?,
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
        if let Some(read) = of_binary(&binary(number)) {
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
            assert_eq!(of_binary(&binary(number)).map(|read| read.to_string()).as_deref(), Some(text));
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
            assert_eq!(of_binary(bytes), None, "{bytes:?}");
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
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = of_binary(&bytes);
        }
    }
}
