//! The binary COPY format of Postgres (`PGCOPY`), as far as our tables need it.
//!
//! Source: PostgreSQL documentation, "COPY, File Formats, Binary Format"; numeric as in `numeric_recv`.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

/// Microseconds from the Unix epoch to Postgres's, 2000-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Rows being encoded for one COPY.
pub struct CopyBuffer {
    bytes: Vec<u8>,
}

impl CopyBuffer {
    pub fn with_capacity(bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(bytes + 32);
        buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
        buffer.extend_from_slice(&[0; 8]); // no flags, no header extension
        Self { bytes: buffer }
    }

    /// Starts a row of `columns` columns.
    pub fn row(&mut self, columns: i16) {
        self.bytes.extend_from_slice(&columns.to_be_bytes());
    }

    fn field(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(&i32::try_from(value.len()).unwrap_or(i32::MAX).to_be_bytes());
        self.bytes.extend_from_slice(value);
    }

    pub fn int2(&mut self, value: i16) {
        self.field(&value.to_be_bytes());
    }

    pub fn int4(&mut self, value: i32) {
        self.field(&value.to_be_bytes());
    }

    pub fn int8(&mut self, value: i64) {
        self.field(&value.to_be_bytes());
    }

    /// The one-byte type `"char"`.
    pub fn char(&mut self, value: u8) {
        self.field(&[value]);
    }

    pub fn timestamptz(&mut self, value: DateTime<Utc>) {
        self.int8(value.timestamp_micros() - POSTGRES_EPOCH_MICROS);
    }

    pub fn null(&mut self) {
        self.bytes.extend_from_slice(&(-1_i32).to_be_bytes());
    }

    /// Digits in base 10,000 around the decimal point: `weight` is the power of the first, `dscale` the decimal places
    /// to show.
    pub fn numeric(&mut self, value: Decimal) {
        let scale = value.scale();
        let mut mantissa = value.mantissa().unsigned_abs();
        // Align the decimal point with a base-10,000 digit.
        let fraction_digits = scale.div_ceil(4);
        let shift = 10_u128.pow(fraction_digits * 4 - scale);
        let mut digits = [0_u16; 16]; // 96 bits are 29 decimal digits; with the shift at most 9 groups
        let mut count = 0;
        // The shift can push a 96-bit mantissa past 2^96 but never past 2^128.
        mantissa *= shift;
        while mantissa > 0 {
            digits[count] = (mantissa % 10_000) as u16;
            mantissa /= 10_000;
            count += 1;
        }
        let weight = count as i32 - fraction_digits as i32 - 1;
        let trailing = digits[..count].iter().take_while(|digit| **digit == 0).count();
        let sent = count - trailing;
        let sign: u16 = if value.is_sign_negative() && count > 0 { 0x4000 } else { 0 };
        self.bytes.extend_from_slice(&(8 + 2 * sent as i32).to_be_bytes());
        self.bytes.extend_from_slice(&(sent as u16).to_be_bytes());
        self.bytes.extend_from_slice(&(if sent == 0 { 0 } else { weight as i16 }).to_be_bytes());
        self.bytes.extend_from_slice(&sign.to_be_bytes());
        self.bytes.extend_from_slice(&(scale as u16).to_be_bytes());
        for digit in digits[trailing..count].iter().rev() {
            self.bytes.extend_from_slice(&digit.to_be_bytes());
        }
    }

    /// The finished file.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&(-1_i16).to_be_bytes());
        self.bytes
    }
}
