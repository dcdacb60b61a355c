//! Bars as columns, for data frames: Arrow's IPC stream and Parquet.
//!
//! Prices stay exact: every answer has them as `decimal128(38, 18)`, so that pages can be put together. That is 20 digits
//! before the point and 18 behind it; a price with more of them is refused, never rounded.

use arrow_array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use market::{Bar, Symbol};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::properties::WriterProperties,
};
use rust_decimal::Decimal;
use std::sync::Arc;

/// Digits of a price, and those of them behind the point.
const PRECISION: u8 = 38;
const SCALE: u8 = 18;
/// The columns that are prices.
const PRICES: [&str; 4] = ["open", "high", "low", "close"];

/// Why bars have no columns.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("a price has more than 20 digits before or 18 behind the point, which no column holds exactly")]
    TooManyDigits,
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
}

/// An Arrow IPC stream with one batch.
///
/// # Errors
/// A price has more digits than a column.
pub fn write_stream(symbol: &Symbol, bars: &[Bar]) -> Result<Vec<u8>, WriteError> {
    let batch = batch(symbol, bars)?;
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

/// A Parquet file with one row group.
///
/// # Errors
/// A price has more digits than a column.
pub fn write_parquet(symbol: &Symbol, bars: &[Bar]) -> Result<Vec<u8>, WriteError> {
    let batch = batch(symbol, bars)?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

fn batch(symbol: &Symbol, bars: &[Bar]) -> Result<RecordBatch, WriteError> {
    let column = |name, kind| Field::new(name, kind, false);
    let mut fields = vec![
        column("symbol", DataType::Utf8),
        column("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
    ];
    fields.extend(PRICES.map(|name| column(name, DataType::Decimal128(PRECISION, SCALE as i8))));
    fields.push(column("volume", DataType::Int64));

    let times = bars.iter().map(|bar| bar.time.timestamp_micros());
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(bars.iter().map(|_| symbol.as_str()))),
        Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC")),
    ];
    for price in [|bar: &Bar| bar.open, |bar: &Bar| bar.high, |bar: &Bar| bar.low, |bar: &Bar| bar.close] {
        let units: Vec<i128> =
            bars.iter().map(|bar| units(price(bar))).collect::<Option<_>>().ok_or(WriteError::TooManyDigits)?;
        let prices = Decimal128Array::from_iter_values(units).with_precision_and_scale(PRECISION, SCALE as i8)?;
        columns.push(Arc::new(prices));
    }
    columns.push(Arc::new(Int64Array::from_iter_values(bars.iter().map(|bar| bar.volume))));
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// A price as a whole number of 10⁻¹⁸; `None`: it has too many digits.
fn units(price: Decimal) -> Option<i128> {
    let price = price.normalize();
    let zeros = u32::from(SCALE).checked_sub(price.scale())?;
    let units = price.mantissa().checked_mul(10_i128.pow(zeros))?;
    (units.unsigned_abs() < 10_u128.pow(PRECISION.into())).then_some(units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{
        Array,
        cast::AsArray,
        types::{Decimal128Type, Int64Type, TimestampMicrosecondType},
    };
    use arrow_ipc::reader::StreamReader;
    use bytes::Bytes;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    fn bar(time: &str, prices: [&str; 4], volume: i64) -> Bar {
        let [open, high, low, close] = prices.map(|price| price.parse().unwrap());
        Bar { time: time.parse().unwrap(), open, high, low, close, volume }
    }

    /// Reads what was written, from either format, and makes the bars of it again.
    fn read(batches: impl Iterator<Item = RecordBatch>) -> Vec<(String, Bar)> {
        let mut found = Vec::new();
        for batch in batches {
            let names: Vec<_> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
            assert_eq!(names, ["symbol", "time", "open", "high", "low", "close", "volume"]);
            let times = batch.column(1).as_primitive::<TimestampMicrosecondType>();
            assert_eq!(times.data_type(), &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
            let price = |column: usize, row| {
                let prices = batch.column(column).as_primitive::<Decimal128Type>();
                Decimal::from_i128_with_scale(prices.value(row) / 10_i128.pow(8), 10)
            };
            for row in 0..batch.num_rows() {
                let time = chrono::DateTime::from_timestamp_micros(times.value(row)).unwrap();
                let [open, high, low, close] = [2, 3, 4, 5].map(|column| price(column, row));
                let volume = batch.column(6).as_primitive::<Int64Type>().value(row);
                found.push((
                    batch.column(0).as_string::<i32>().value(row).to_owned(),
                    Bar { time, open, high, low, close, volume },
                ));
            }
        }
        found
    }

    #[test]
    fn bars_read_back_exactly_from_both() {
        let symbol: Symbol = "CL".parse().unwrap();
        let bars = [
            bar("2024-01-16T14:31:00Z", ["-37.63", "1.2300", "-40", "0"], 7),
            bar(
                "1969-12-31T23:59:59.999999Z",
                ["600000.0001", "99999999999.9999999999", "0.0000000001", "1"],
                i64::MAX,
            ),
        ];
        for some in [&bars[..], &bars[..0]] {
            let expected: Vec<_> = some.iter().map(|bar| ("CL".to_owned(), *bar)).collect();
            let stream = write_stream(&symbol, some).unwrap();
            let reader = StreamReader::try_new(stream.as_slice(), None).unwrap();
            assert_eq!(read(reader.map(Result::unwrap)), expected);
            let file = Bytes::from(write_parquet(&symbol, some).unwrap());
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
            assert_eq!(read(reader.map(Result::unwrap)), expected);
        }
    }

    #[test]
    fn a_price_is_exact_or_refused() {
        for (price, expected) in [
            ("0", Some(0)),
            ("1", Some(10_i128.pow(18))),
            ("-0.000000000000000001", Some(-1)),
            ("0.0000000000000000010", Some(1)),
            ("0.0000000000000000001", None),
            ("99999999999999999999", Some((10_i128.pow(20) - 1) * 10_i128.pow(18))),
            ("100000000000000000000", None),
            ("-79228162514264337593543950335", None),
        ] {
            assert_eq!(units(price.parse().unwrap()), expected, "{price}");
        }
    }
}
