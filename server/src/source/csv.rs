//! Alpha-Vantage-style files of bars: `time,open,high,low,close,volume`, one line per minute, in either order.
//!
//! Times are wall time of the exchange unless they carry an offset. A line that cannot be read is reported and passed
//! over; whether a bar is plausible is not for this reader to say.

use ::csv::{ByteRecord, ReaderBuilder, Trim};
use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, TimeZone, Utc};
use market::{Bar, EXCHANGE_ZONE};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// How many lines are complained about one by one.
const MOST_COMPLAINTS: usize = 10;
const NAMES: [&str; 6] = ["time", "open", "high", "low", "close", "volume"];
/// Other headers of the time column.
const TIME_NAMES: [&str; 3] = ["timestamp", "datetime", "date"];
const TIME_FORMATS: [&str; 4] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"];

/// What was read of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CsvBars {
    /// Oldest first, one per time.
    pub bars: Vec<Bar>,
    /// Lines that are in none of the bars.
    pub skipped: usize,
    /// The first of them, each with file, line and reason.
    pub complaints: Vec<String>,
}

/// Why nothing could be read of a file.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    #[error("{path} could not be read")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error(
        "{path}, line 1: no column {column:?}; the columns are {found:?}, expected time,open,high,low,close,volume"
    )]
    NoColumn { path: PathBuf, column: &'static str, found: String },
    #[error("{path}: no line could be read as a bar{first}")]
    NoBars { path: PathBuf, first: String },
}

/// Reads a whole file.
///
/// # Errors
/// When it cannot be opened, lacks a column, or holds not a single bar.
pub fn read(path: &Path) -> Result<CsvBars, CsvError> {
    let file = File::open(path).map_err(|source| CsvError::Unreadable { path: path.to_owned(), source })?;
    parse(file, path)
}

/// Reads bars from any source; `path` is what messages call it.
///
/// # Errors
/// See [`read`].
pub fn parse(source: impl Read, path: &Path) -> Result<CsvBars, CsvError> {
    let mut lines = Lines::new(source, path)?;
    let mut read = CsvBars::default();
    // Bars with their line, so that of two for the same minute the first line's can be kept.
    let mut bars: Vec<(Bar, u64)> = Vec::new();
    while let Some((line, bar)) = lines.next_bar()? {
        match bar {
            Ok(bar) => bars.push((bar, line)),
            Err(reason) => read.complain(path, line, &reason),
        }
    }
    bars.sort_by_key(|(bar, line)| (bar.time, *line));
    for (bar, line) in bars {
        match read.bars.last() {
            Some(last) if last.time == bar.time => read.complain(path, line, "the time was there before"),
            _ => read.bars.push(bar),
        }
    }
    if read.bars.is_empty() {
        let first = read.complaints.first().map_or_else(String::new, |complaint| format!("; first: {complaint}"));
        return Err(CsvError::NoBars { path: path.to_owned(), first });
    }
    Ok(read)
}

/// The lines of a file, one by one, in its order: for files that do not fit into memory.
pub struct Lines<R> {
    reader: ::csv::Reader<R>,
    columns: Columns,
    record: ByteRecord,
    path: PathBuf,
}

impl Lines<File> {
    /// # Errors
    /// When the file cannot be opened or lacks a column.
    pub fn open(path: &Path) -> Result<Self, CsvError> {
        let file = File::open(path).map_err(|source| CsvError::Unreadable { path: path.to_owned(), source })?;
        Self::new(file, path)
    }
}

impl<R: Read> Lines<R> {
    fn new(source: R, path: &Path) -> Result<Self, CsvError> {
        let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::All).from_reader(source);
        let header = reader.byte_headers().map_err(|error| unreadable(path, error))?.clone();
        let columns = Columns::find(&header).map_err(|column| {
            let found: Vec<_> = header.iter().map(|name| String::from_utf8_lossy(name)).collect();
            CsvError::NoColumn { path: path.to_owned(), column, found: found.join(",").chars().take(200).collect() }
        })?;
        Ok(Self { reader, columns, record: ByteRecord::new(), path: path.to_owned() })
    }

    /// The number of the next line, and its bar or why it is none; `None` at the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    #[expect(clippy::type_complexity, reason = "an error of the file, the end of it, a line, an error of the line")]
    pub fn next_bar(&mut self) -> Result<Option<(u64, Result<Bar, String>)>, CsvError> {
        let is_there = self.reader.read_byte_record(&mut self.record).map_err(|error| unreadable(&self.path, error))?;
        let line = self.record.position().map_or(0, ::csv::Position::line);
        Ok(is_there.then(|| (line, self.columns.bar(&self.record))))
    }

    /// Bytes of the file that are read.
    pub fn bytes(&self) -> u64 {
        self.reader.position().byte()
    }
}

fn unreadable(path: &Path, error: ::csv::Error) -> CsvError {
    CsvError::Unreadable { path: path.to_owned(), source: error.into() }
}

impl CsvBars {
    fn complain(&mut self, path: &Path, line: u64, reason: &str) {
        self.skipped += 1;
        if self.complaints.len() < MOST_COMPLAINTS {
            self.complaints.push(format!("{}, line {line} skipped: {reason}", path.display()));
        }
    }
}

/// Which field of a line is which column, in the order of [`NAMES`].
struct Columns([usize; NAMES.len()]);

impl Columns {
    fn find(header: &ByteRecord) -> Result<Self, &'static str> {
        let names: Vec<String> = header
            .iter()
            .map(|name| {
                let name = String::from_utf8_lossy(name).trim_start_matches('\u{feff}').to_lowercase();
                // Alpha Vantage's JSON names, as some tools keep them: "1. open".
                name.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').trim().to_owned()
            })
            .collect();
        let place = |wanted: &str| names.iter().position(|name| name == wanted);
        let mut places = [0; NAMES.len()];
        for (slot, name) in places.iter_mut().zip(NAMES) {
            let other = || if name == "time" { TIME_NAMES.iter().find_map(|other| place(other)) } else { None };
            *slot = place(name).or_else(other).ok_or(name)?;
        }
        Ok(Self(places))
    }

    fn bar(&self, record: &ByteRecord) -> Result<Bar, String> {
        let field = |column: usize| -> Result<&str, String> {
            let bytes = record.get(self.0[column]).ok_or_else(|| format!("no {}", NAMES[column]))?;
            std::str::from_utf8(bytes).map_err(|_| format!("{} is no text", NAMES[column]))
        };
        let decimal = |column: usize| -> Result<Decimal, String> {
            let text = field(column)?;
            let number = Decimal::from_str(text).or_else(|_| Decimal::from_scientific(text));
            number.map_err(|_| format!("{} {} is no number", NAMES[column], shown(text)))
        };
        let volume = decimal(5)?;
        let volume = if volume.is_integer() { volume.to_i64() } else { None }
            .ok_or_else(|| format!("volume {volume} is no whole number"))?;
        Ok(Bar {
            time: parse_time(field(0)?)?,
            open: decimal(1)?,
            high: decimal(2)?,
            low: decimal(3)?,
            close: decimal(4)?,
            volume,
        })
    }
}

pub(super) fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    let usual = usual_time(text);
    if usual.is_none()
        && let Ok(time) = DateTime::parse_from_rfc3339(text)
    {
        return Ok(time.with_timezone(&Utc));
    }
    let local = usual
        .or_else(|| TIME_FORMATS.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok()))
        .ok_or_else(|| format!("time {} is none, expected 2024-01-16 09:31:00", shown(text)))?;
    match EXCHANGE_ZONE.from_local_datetime(&local) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => Ok(time.with_timezone(&Utc)),
        LocalResult::None => Err(format!("time {text} does not exist in New York: clocks went forward")),
    }
}

/// `2024-01-16 09:31:00`, as nearly every line has it, without the price of a format that is interpreted.
fn usual_time(text: &str) -> Option<NaiveDateTime> {
    let bytes = text.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    if bytes.len() != 19 || marks.iter().any(|&(place, mark)| bytes[place] != mark) {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0_u32, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
    };
    let date = NaiveDate::from_ymd_opt(number(0, 4)?.try_into().ok()?, number(5, 7)?, number(8, 10)?)?;
    date.and_hms_opt(number(11, 13)?, number(14, 16)?, number(17, 19)?)
}

fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse_text(text: &str) -> Result<CsvBars, CsvError> {
        parse(text.as_bytes(), Path::new("bars.csv"))
    }

    const HEADER: &str = "time,open,high,low,close,volume\n";

    #[test]
    fn newest_first_and_oldest_first_give_the_same_ascending_bars() {
        let lines = [
            "2024-01-16 09:31:00,153.42,153.50,153.27,153.36,18250\n",
            "2024-01-16 09:32:00,153.36,153.60,153.30,153.55,18987\n",
            "2024-07-16 09:31:00,193.01,193.10,192.90,193.05,20111\n",
        ];
        let oldest = parse_text(&(HEADER.to_owned() + &lines.concat())).unwrap();
        let newest = parse_text(&(HEADER.to_owned() + &lines.into_iter().rev().collect::<String>())).unwrap();
        assert_eq!(oldest, newest);
        assert_eq!(oldest.skipped, 0);
        let times: Vec<_> = oldest.bars.iter().map(|bar| bar.time.to_rfc3339()).collect();
        // Winter and summer differ by an hour from UTC.
        assert_eq!(times, ["2024-01-16T14:31:00+00:00", "2024-01-16T14:32:00+00:00", "2024-07-16T13:31:00+00:00"]);
        assert_eq!(oldest.bars[0].open.to_string(), "153.42");
        assert_eq!(oldest.bars[0].volume, 18250);
    }

    #[test]
    fn headers_vary() {
        for text in [
            "timestamp,open,high,low,close,volume\n2024-01-16 09:31:00,1,2,0.5,1.5,10\n",
            "\u{feff}Time,Open,High,Low,Close,Volume\r\n2024-01-16T09:31:00,1,2,0.5,1.5,10\r\n",
            "volume, close, low, high, open, datetime, extra\n10, 1.5, 0.5, 2, 1, 2024-01-16 09:31, x\n",
            "date,1. open,2. high,3. low,4. close,5. volume\n2024-01-16T14:31:00Z,1,2,5e-1,1.5,10.0\n",
        ] {
            let read = parse_text(text).unwrap();
            assert_eq!(read.bars.len(), 1, "{text}");
            assert_eq!(read.bars[0].time.to_rfc3339(), "2024-01-16T14:31:00+00:00");
            assert_eq!(read.bars[0].low, Decimal::new(5, 1));
            assert_eq!(read.bars[0].volume, 10);
        }
    }

    #[test]
    fn the_short_way_to_a_time_is_the_long_way_only_shorter() {
        for text in ["2024-01-16 09:31:00", "2024-02-29 23:59:59", "0001-01-01 00:00:00"] {
            let long = NaiveDateTime::parse_from_str(text, TIME_FORMATS[0]).unwrap();
            assert_eq!(usual_time(text), Some(long));
        }
        for text in [
            "2024-01-16T09:31:00",
            "2024-13-16 09:31:00",
            "2023-02-29 00:00:00",
            "2024-01-16 09:31:0x",
            "é24-01-16 09:31:00",
        ] {
            assert_eq!(usual_time(text), None, "{text}");
        }
    }

    #[test]
    fn bad_lines_are_named_and_skipped() {
        let text = HEADER.to_owned()
            + "2024-01-16 09:31:00,1,2,0.5,1.5,10\n"
            + "2024-01-16 09:32:00,1,2,x,1.5,10\n"
            + "2024-01-16 09:33:00,1,2\n"
            + "yesterday,1,2,0.5,1.5,10\n"
            + "2024-03-10 02:30:00,1,2,0.5,1.5,10\n"
            + "2024-01-16 09:34:00,1,2,0.5,1.5,1.5\n"
            + "2024-01-16 09:31:00,9,9,9,9,9\n";
        let read = parse_text(&text).unwrap();
        assert_eq!((read.bars.len(), read.skipped), (1, 6));
        assert_eq!(read.bars[0].open, Decimal::ONE);
        assert_eq!(read.complaints[0], "bars.csv, line 3 skipped: low \"x\" is no number");
        assert_eq!(read.complaints[1], "bars.csv, line 4 skipped: no volume");
        assert!(read.complaints[2].starts_with("bars.csv, line 5 skipped: time \"yesterday\""));
        assert!(read.complaints[3].contains("line 6 skipped") && read.complaints[3].contains("clocks went forward"));
        assert_eq!(read.complaints[5], "bars.csv, line 8 skipped: the time was there before");
    }

    #[test]
    fn a_file_of_something_else_is_refused_with_what_was_found() {
        let message = parse_text("{\"Note\": \"Thank you for using Alpha Vantage!\"}\n").unwrap_err().to_string();
        assert!(message.starts_with("bars.csv, line 1: no column \"time\""), "{message}");
        assert!(message.contains("Thank you"), "{message}");
        let message = parse_text(&(HEADER.to_owned() + "x,1,1,1,1,1\n")).unwrap_err().to_string();
        assert!(message.contains("no line could be read") && message.contains("line 2"), "{message}");
        assert!(parse_text("").is_err());
        let message = read(Path::new("/nonexistent/bars.csv")).unwrap_err().to_string();
        assert!(message.contains("/nonexistent/bars.csv"), "{message}");
    }

    proptest! {
        #[test]
        fn no_file_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), with_header: bool) {
            let mut file = if with_header { HEADER.as_bytes().to_vec() } else { Vec::new() };
            file.extend(bytes);
            if let Ok(read) = parse(file.as_slice(), Path::new("x")) {
                prop_assert!(read.bars.windows(2).all(|pair| pair[0].time < pair[1].time));
            }
        }
    }
}
