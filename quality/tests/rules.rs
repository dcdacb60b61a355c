//! The edges of every rule of the built-in pack.

use chrono::{DateTime, TimeDelta, Utc};
use market::StockRow;
use quality::{Limits, Rule, Severity, Verdict, check_row};
use rust_decimal::{Decimal, dec};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("the instant is well-formed")
}

fn limits() -> Limits {
    Limits { now: at("2024-01-16T20:00:00Z"), future_tolerance: TimeDelta::minutes(5) }
}

fn row() -> StockRow {
    StockRow {
        record_id: 1,
        time: Some(at("2024-01-16T14:31:00Z")),
        open: Some(dec!(153.42)),
        high: Some(dec!(153.50)),
        low: Some(dec!(153.27)),
        close: Some(dec!(153.36)),
        volume: Some(18250),
        volume_fractional: false,
        symbol: Some("AMZN".into()),
        event_time: Some(at("2024-01-16T14:32:00Z")),
    }
}

fn check(row: &StockRow) -> Verdict {
    check_row(row, &limits())
}

fn found(row: &StockRow) -> Vec<(Rule, &'static str)> {
    let verdict = check(row);
    verdict
        .violations()
        .iter()
        .map(|violation| (violation.rule, violation.column.expect("every rule names its column")))
        .collect()
}

#[test]
fn a_good_row_is_accepted() {
    assert_eq!(check(&row()), Verdict::Accepted);
}

#[test]
fn a_good_row_is_accepted_without_a_single_allocation() {
    let row = row();
    assert_eq!(check(&row), Verdict::Accepted);
    let allocations = allocation_counter::measure(|| assert_eq!(check(&row), Verdict::Accepted));
    assert_eq!(allocations.count_total, 0);
}

#[test]
fn a_row_without_an_event_time_is_accepted() {
    assert_eq!(check(&StockRow { event_time: None, ..row() }), Verdict::Accepted);
}

#[test]
fn every_missing_column_is_named() {
    let missing = [
        ("time", StockRow { time: None, ..row() }),
        ("open", StockRow { open: None, ..row() }),
        ("high", StockRow { high: None, ..row() }),
        ("low", StockRow { low: None, ..row() }),
        ("close", StockRow { close: None, ..row() }),
        ("volume", StockRow { volume: None, ..row() }),
        ("symbol", StockRow { symbol: None, ..row() }),
    ];
    for (column, row) in missing {
        assert_eq!(found(&row), [(Rule::Complete, column)]);
        assert!(matches!(check(&row), Verdict::Rejected(_)));
    }
    let empty = StockRow::default();
    assert_eq!(found(&empty).len(), 7);
    assert_eq!(check(&empty).violations()[1].message, "open is null or missing; expected a value");
}

#[test]
fn open_and_close_may_touch_low_and_high() {
    let flat = StockRow {
        open: Some(dec!(5)),
        high: Some(dec!(5.00)),
        low: Some(dec!(5.0)),
        close: Some(dec!(5.000)),
        ..row()
    };
    assert_eq!(check(&flat), Verdict::Accepted);
}

#[test]
fn a_price_outside_the_envelope_is_rejected_with_both_values() {
    for (row, column, message) in [
        (
            StockRow { open: Some(dec!(153.51)), ..row() },
            "open",
            "open 153.51 is above high 153.50; expected low ≤ open, close ≤ high",
        ),
        (
            StockRow { close: Some(dec!(153.2699)), ..row() },
            "close",
            "close 153.2699 is below low 153.27; expected low ≤ open, close ≤ high",
        ),
    ] {
        let Verdict::Rejected(violations) = check(&row) else { panic!("{column} was let through") };
        assert_eq!(violations.len(), 1);
        assert_eq!((violations[0].rule, violations[0].column), (Rule::Envelope, Some(column)));
        assert_eq!(violations[0].message, message);
    }
}

#[test]
fn high_below_low_is_rejected_also_when_open_and_close_are_missing() {
    let row = StockRow { open: None, close: None, high: Some(dec!(1)), low: Some(dec!(1.01)), ..row() };
    assert_eq!(found(&row), [(Rule::Complete, "open"), (Rule::Envelope, "high"), (Rule::Complete, "close")]);
}

#[test]
fn a_price_must_be_above_zero() {
    let least = Some(dec!(0.0000000001));
    assert_eq!(check(&StockRow { open: least, high: least, low: least, close: least, ..row() }), Verdict::Accepted);
    for price in [dec!(0), dec!(-0.00), dec!(-0.01)] {
        let low = StockRow { low: Some(price), ..row() };
        assert_eq!(found(&low), [(Rule::PositivePrice, "low")]);
    }
}

#[test]
fn a_price_must_fit_the_store() {
    let all = |price: Decimal| StockRow {
        open: Some(price),
        high: Some(price),
        low: Some(price),
        close: Some(price),
        ..row()
    };
    for good in [dec!(99999999999999), dec!(99999999999999.9999999999), dec!(1.000000000000)] {
        assert_eq!(check(&all(good)), Verdict::Accepted, "{good}");
    }
    for bad in [dec!(100000000000000), dec!(100000000000000.00), dec!(0.00000000001), Decimal::MAX] {
        let rules = found(&all(bad));
        assert_eq!(rules.len(), 4, "{bad}");
        assert!(rules.iter().all(|(rule, _)| *rule == Rule::PriceRange), "{bad}");
    }
}

#[test]
fn volume_may_be_zero_but_not_negative() {
    assert_eq!(check(&StockRow { volume: Some(0), ..row() }), Verdict::Accepted);
    let negative = StockRow { volume: Some(-1), ..row() };
    assert_eq!(found(&negative), [(Rule::VolumeNotNegative, "volume")]);
    assert!(matches!(check(&negative), Verdict::Rejected(_)));
}

#[test]
fn a_fractional_volume_is_a_warning() {
    let row = StockRow { volume_fractional: true, ..row() };
    let Verdict::Tagged(violations) = check(&row) else { panic!("not tagged") };
    assert_eq!((violations[0].rule, violations[0].severity), (Rule::VolumeIntegral, Severity::Warning));
    assert_eq!(violations[0].message, "volume is a fraction, kept as 18250; expected a whole number");
}

#[test]
fn a_bar_off_the_minute_is_a_warning() {
    for time in ["2024-01-16T14:31:01Z", "2024-01-16T14:31:00.000001Z", "2024-01-16T14:31:59Z"] {
        let row = StockRow { time: Some(at(time)), ..row() };
        let Verdict::Tagged(violations) = check(&row) else { panic!("{time} was not tagged") };
        assert_eq!((violations[0].rule, violations[0].severity), (Rule::WholeMinute, Severity::Warning));
    }
}

#[test]
fn a_minute_outside_the_session_is_information_in_extended_hours_and_a_warning_when_closed() {
    let verdict = |time: &str| check(&StockRow { time: Some(at(time)), ..row() });
    assert_eq!(verdict("2024-01-16T14:30:00Z"), Verdict::Accepted);
    assert_eq!(verdict("2024-01-12T20:59:00Z"), Verdict::Accepted);
    for (time, severity) in [
        ("2024-01-16T14:29:00Z", Severity::Info),
        ("2024-01-12T21:00:00Z", Severity::Info),
        ("2024-01-12T09:00:00Z", Severity::Info),
        ("2024-01-12T08:59:00Z", Severity::Warning),
        ("2024-01-13T15:00:00Z", Severity::Warning), // a Saturday
        ("2024-01-15T15:00:00Z", Severity::Warning), // Martin Luther King Jr. Day
        ("2023-11-24T18:00:00Z", Severity::Info),    // a half day, after its close
    ] {
        let Verdict::Tagged(violations) = verdict(time) else { panic!("{time} was not tagged") };
        assert_eq!((violations[0].rule, violations[0].severity), (Rule::SessionMinute, severity), "{time}");
    }
}

#[test]
fn the_future_begins_after_the_tolerance() {
    let verdict = |time: &str| check(&StockRow { time: Some(at(time)), ..row() });
    assert_eq!(verdict("2024-01-16T20:05:00Z"), Verdict::Accepted);
    let late = StockRow { time: Some(at("2024-01-16T20:06:00Z")), ..row() };
    assert_eq!(found(&late), [(Rule::NotInFuture, "time")]);
    assert_eq!(
        check(&late).violations()[0].message,
        "time 2024-01-16T20:06:00Z; expected 2024-01-16T20:05:00Z at the latest"
    );
}

#[test]
fn a_tolerance_beyond_the_end_of_time_lets_everything_pass() {
    let limits = Limits { future_tolerance: TimeDelta::MAX, ..limits() };
    let verdict = check_row(&StockRow { time: Some(DateTime::<Utc>::MAX_UTC), ..row() }, &limits);
    assert!(matches!(verdict, Verdict::Tagged(_)));
}

#[test]
fn what_is_no_ticker_is_rejected_and_shown_shortened_and_escaped() {
    for text in ["", "amzn", "AMZN ", "ABCDEFGHIJKLMNOP", "Ä", "A\0"] {
        assert_eq!(found(&StockRow { symbol: Some(text.into()), ..row() }), [(Rule::SymbolPattern, "symbol")]);
    }
    let long = StockRow { symbol: Some("\u{1}".repeat(10_000).into()), ..row() };
    let verdict = check(&long);
    assert!(verdict.violations()[0].message.len() < 400);
    assert!(verdict.violations()[0].message.starts_with(r#"symbol "\u{1}\u{1}"#));
}

#[test]
fn a_rejected_row_carries_its_warnings_too() {
    let row =
        StockRow { symbol: Some("".into()), volume_fractional: true, time: Some(at("2024-01-13T15:00:30Z")), ..row() };
    let verdict = check(&row);
    assert!(matches!(verdict, Verdict::Rejected(_)));
    assert_eq!(verdict.rules().codes(), ["volume_integral", "whole_minute", "session_minute", "symbol_pattern"]);
    let columns: Vec<_> = verdict.violations().iter().filter_map(|violation| violation.column).collect();
    assert_eq!(columns, ["time", "time", "volume", "symbol"]);
}
