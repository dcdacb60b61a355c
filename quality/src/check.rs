//! The built-in pack as garde rules, and the verdict made of what they report.
//!
//! A row in which nothing is wrong costs no allocation: garde reports only failures, and only failures are formatted.

use crate::calendar::phase_at;
use crate::rule::{Limits, Rule, Verdict, Violation};
use chrono::{DateTime, SecondsFormat, Utc};
use garde::Validate;
use market::{SessionPhase, Severity, StockRow, Symbol};
use rust_decimal::Decimal;
use std::fmt;

/// The row's columns, each with its rules. A garde path is the column, a garde message starts with the rule's code.
#[derive(Validate)]
#[garde(context(Limits))]
struct Columns<'r> {
    #[garde(custom(complete), custom(whole_minute), custom(session_minute), custom(not_in_future))]
    time: Option<DateTime<Utc>>,
    #[garde(custom(complete), custom(positive), custom(in_range), custom(inside(self)))]
    open: Option<Decimal>,
    #[garde(custom(complete), custom(positive), custom(in_range), custom(not_below(self)))]
    high: Option<Decimal>,
    #[garde(custom(complete), custom(positive), custom(in_range))]
    low: Option<Decimal>,
    #[garde(custom(complete), custom(positive), custom(in_range), custom(inside(self)))]
    close: Option<Decimal>,
    #[garde(custom(complete), custom(not_negative), custom(integral(self)))]
    volume: Option<i64>,
    #[garde(skip)]
    volume_fractional: bool,
    #[garde(custom(complete), custom(ticker))]
    symbol: Option<&'r str>,
}

/// The verdict of the built-in pack on one row.
pub fn check_row(row: &StockRow, limits: &Limits) -> Verdict {
    let columns = Columns {
        time: row.time,
        open: row.open,
        high: row.high,
        low: row.low,
        close: row.close,
        volume: row.volume,
        volume_fractional: row.volume_fractional,
        symbol: row.symbol.as_deref(),
    };
    let Err(report) = columns.validate_with(limits) else {
        return Verdict::Accepted;
    };
    let mut violations: Vec<Violation> = report
        .iter()
        .filter_map(|(path, error)| {
            let (code, text) = error.message().split_once(SEPARATOR)?;
            let rule = Rule::from_code(code)?;
            let column = column(path)?;
            let message = format!("{column} {text}");
            Some(Violation { rule, severity: severity(rule, row), column: Some(column), message })
        })
        .collect();
    // The order in which garde visits the fields may differ from build to build.
    violations
        .sort_by_key(|violation| (COLUMNS.iter().position(|&column| Some(column) == violation.column), violation.rule));
    if violations.iter().any(|violation| violation.severity == Severity::Critical) {
        Verdict::Rejected(violations)
    } else {
        Verdict::Tagged(violations)
    }
}

/// The columns that have rules, as people expect them ordered.
const COLUMNS: [&str; 7] = ["time", "open", "high", "low", "close", "volume", "symbol"];

/// Between the code and the text of a garde message.
const SEPARATOR: &str = ": ";

fn broken(rule: Rule, text: fmt::Arguments<'_>) -> garde::Result {
    Err(garde::Error::new(format_args!("{rule}{SEPARATOR}{text}")))
}

fn severity(rule: Rule, row: &StockRow) -> Severity {
    match rule {
        Rule::SessionMinute if row.time.map(phase_at) == Some(SessionPhase::Extended) => Severity::Info,
        _ => rule.severity(),
    }
}

fn column(path: &garde::Path) -> Option<&'static str> {
    let path = path.to_string();
    COLUMNS.into_iter().find(|&column| column == path)
}

fn utc(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

fn complete<T>(value: &Option<T>, _: &Limits) -> garde::Result {
    match value {
        Some(_) => Ok(()),
        None => broken(Rule::Complete, format_args!("is null or missing; expected a value")),
    }
}

fn whole_minute(time: &Option<DateTime<Utc>>, _: &Limits) -> garde::Result {
    match time {
        Some(time) if time.timestamp().rem_euclid(60) != 0 || time.timestamp_subsec_nanos() != 0 => {
            broken(Rule::WholeMinute, format_args!("{}; expected a whole minute", utc(time)))
        }
        _ => Ok(()),
    }
}

fn session_minute(time: &Option<DateTime<Utc>>, _: &Limits) -> garde::Result {
    let Some(time) = time else { return Ok(()) };
    let found = match phase_at(*time) {
        SessionPhase::Regular => return Ok(()),
        SessionPhase::Extended => "in pre- or post-market hours",
        SessionPhase::Closed => "when the exchange is closed",
    };
    broken(Rule::SessionMinute, format_args!("{} is {found}; expected a minute of a regular session", utc(time)))
}

fn not_in_future(time: &Option<DateTime<Utc>>, limits: &Limits) -> garde::Result {
    let Some(time) = time else { return Ok(()) };
    match limits.now.checked_add_signed(limits.future_tolerance) {
        Some(latest) if *time > latest => {
            broken(Rule::NotInFuture, format_args!("{}; expected {} at the latest", utc(time), utc(&latest)))
        }
        _ => Ok(()),
    }
}

fn positive(price: &Option<Decimal>, _: &Limits) -> garde::Result {
    match price {
        Some(price) if price.is_sign_negative() || price.is_zero() => {
            broken(Rule::PositivePrice, format_args!("{price}; expected a price above 0"))
        }
        _ => Ok(()),
    }
}

/// Most decimal places of a price.
const PRICE_SCALE: u32 = 10;

/// 10^14 as the mantissa of a number with as many decimal places as the index.
const PRICE_LIMIT: [u128; PRICE_SCALE as usize + 1] = {
    let mut limits = [100_000_000_000_000; PRICE_SCALE as usize + 1];
    let mut scale = 1;
    while scale < limits.len() {
        limits[scale] = limits[scale - 1] * 10;
        scale += 1;
    }
    limits
};

fn in_range(price: &Option<Decimal>, _: &Limits) -> garde::Result {
    let Some(price) = price else { return Ok(()) };
    let trimmed = if price.scale() > PRICE_SCALE { price.normalize() } else { *price };
    match PRICE_LIMIT.get(trimmed.scale() as usize) {
        Some(&limit) if trimmed.mantissa().unsigned_abs() < limit => Ok(()),
        Some(_) => broken(Rule::PriceRange, format_args!("{price}; expected a price below 10^14")),
        None => broken(Rule::PriceRange, format_args!("{price}; expected at most {PRICE_SCALE} decimal places")),
    }
}

fn above(left: Decimal, right: Decimal) -> bool {
    // Prices of one source mostly share their scale, and then need no rescaling to be compared.
    if left.scale() == right.scale() { left.mantissa() > right.mantissa() } else { left > right }
}

/// Open and close against low and high.
fn inside<'c>(columns: &'c Columns<'_>) -> impl Fn(&Option<Decimal>, &Limits) -> garde::Result + 'c {
    |price, _| {
        let Some(price) = *price else { return Ok(()) };
        match (columns.low, columns.high) {
            (_, Some(high)) if above(price, high) => {
                broken(Rule::Envelope, format_args!("{price} is above high {high}; expected low ≤ open, close ≤ high"))
            }
            (Some(low), _) if above(low, price) => {
                broken(Rule::Envelope, format_args!("{price} is below low {low}; expected low ≤ open, close ≤ high"))
            }
            _ => Ok(()),
        }
    }
}

/// High against low.
fn not_below<'c>(columns: &'c Columns<'_>) -> impl Fn(&Option<Decimal>, &Limits) -> garde::Result + 'c {
    |high, _| match (columns.low, *high) {
        (Some(low), Some(high)) if above(low, high) => {
            broken(Rule::Envelope, format_args!("{high} is below low {low}; expected low ≤ high"))
        }
        _ => Ok(()),
    }
}

fn not_negative(volume: &Option<i64>, _: &Limits) -> garde::Result {
    match volume {
        Some(volume) if *volume < 0 => broken(Rule::VolumeNotNegative, format_args!("{volume}; expected 0 or more")),
        _ => Ok(()),
    }
}

fn integral<'c>(columns: &'c Columns<'_>) -> impl Fn(&Option<i64>, &Limits) -> garde::Result + 'c {
    |volume, _| match volume {
        Some(volume) if columns.volume_fractional => {
            broken(Rule::VolumeIntegral, format_args!("is a fraction, kept as {volume}; expected a whole number"))
        }
        _ => Ok(()),
    }
}

fn ticker(symbol: &Option<&str>, _: &Limits) -> garde::Result {
    match symbol {
        Some(symbol) if !Symbol::is_valid(symbol) => {
            let shown: String = symbol.chars().take(40).collect();
            broken(
                Rule::SymbolPattern,
                format_args!("{shown:?}; expected 1 to 15 characters, A-Z first, then A-Z, 0-9, '.' or '-'"),
            )
        }
        _ => Ok(()),
    }
}
