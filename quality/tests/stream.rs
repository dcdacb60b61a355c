//! Suites in a stream: what single records and windows are held to, and that a good record costs no allocation.

use chrono::{DateTime, Utc};
use market::StockRow;
use proptest::prelude::*;
use quality::{
    Severity,
    suite::{Cell, Evaluation, Literal, Met, Set, StreamSuite, Suite},
};
use rust_decimal::{Decimal, dec};
use serde_json::{Value, json};
use std::cmp::Ordering;

fn suite(expectations: Value) -> StreamSuite {
    let document = json!({"name": "live bars", "expectations": expectations}).to_string();
    StreamSuite::new(Suite::parse(document.as_bytes()).expect("a suite"))
}

fn row() -> StockRow {
    StockRow {
        record_id: 7,
        time: Some("2024-01-16T14:31:00Z".parse().expect("an instant")),
        open: Some(dec!(153.42)),
        high: Some(dec!(154)),
        low: Some(dec!(153.1)),
        close: Some(dec!(153.5)),
        volume: Some(18_250),
        volume_fractional: false,
        symbol: Some("AMZN".into()),
        event_time: Some("2024-01-16T14:32:00Z".parse().expect("an instant")),
    }
}

/// Ten expectations of the kinds that people write about bars, and a few that look at numbers and times as texts.
fn everyday() -> StreamSuite {
    let symbols: Vec<String> = (0..500).map(|n| format!("S{n}")).chain(["AMZN".to_owned()]).collect();
    suite(json!([
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "close"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "close", "min_value": 0.01, "max_value": 1e6}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "volume", "min_value": 0, "max_value": 1_000_000_000}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "time", "min_value": "2000-01-01"}},
        {"type": "expect_column_pair_values_a_to_be_greater_than_b",
         "kwargs": {"column_A": "high", "column_B": "low", "or_equal": true}},
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "symbol", "value_set": symbols}},
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "symbol", "regex": "^[A-Z][A-Z0-9.-]{0,14}$"}},
        {"type": "expect_column_value_lengths_to_be_between", "kwargs": {"column": "symbol", "max_value": 15}},
        {"type": "expect_column_values_to_be_of_type", "kwargs": {"column": "volume", "type_": "BIGINT"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "open", "max_value": 400,
            "row_condition": "col(\"symbol\") == \"AMZN\" & col(\"close\") < 400"}},
        {"type": "expect_multicolumn_values_to_be_unique", "kwargs": {"column_list": ["record_id", "volume", "high"]}},
        {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "close", "regex": "^\\d+(\\.\\d+)?$"}},
        {"type": "expect_column_values_to_match_strftime_format",
         "kwargs": {"column": "time", "strftime_format": "%Y-%m-%dT%H:%M:%SZ"}},
    ]))
}

#[test]
fn a_record_that_meets_everything_costs_no_allocation() {
    let (suite, row) = (everyday(), row());
    assert!(suite.left_out().is_empty());
    let mut evaluation = suite.fresh().clone();
    let each = |evaluation: &mut Evaluation| {
        let mut met = 0;
        evaluation.add_seeing(&row, Some(7), |_, judged| met += u32::from(judged == Met::Yes));
        assert_eq!(met, 13);
    };
    // The engine of the regular expressions makes room for itself once.
    each(&mut evaluation);
    let allocations = allocation_counter::measure(|| each(&mut evaluation));
    assert_eq!(allocations.count_total, 0);
    let seen = allocation_counter::measure(|| evaluation.see(&row, |_, judged| assert_eq!(judged, Met::Yes)));
    assert_eq!(seen.count_total, 0);
}

#[test]
fn an_unmet_expectation_names_suite_expectation_column_and_value() {
    let suite = suite(json!([
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "close", "max_value": 100}, "severity": "warning"},
        {"type": "expect_column_pair_values_a_to_be_greater_than_b", "kwargs": {"column_A": "low", "column_B": "high"}},
    ]));
    let unmet: Vec<_> = suite.gates().map(|gate| gate.unmet(&row())).collect();
    assert_eq!(&*unmet[0].code, "suite:live_bars:expect_column_values_to_be_between:close");
    assert_eq!(
        unmet[0].message,
        "close 153.5; suite live bars expects: close is at most 100 (expect_column_values_to_be_between)"
    );
    assert_eq!(&*unmet[1].code, "suite:live_bars:expect_column_pair_values_a_to_be_greater_than_b:low,high");
    assert!(unmet[1].message.starts_with("low 153.1, high 154; suite live bars expects: low is above high"));
    assert_eq!([unmet[0].severity, unmet[1].severity], [Severity::Warning, Severity::Critical]);
}

#[test]
fn what_no_single_record_is_held_to_is_left_out_by_name() {
    let suite = suite(json!([
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "close"}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "close", "mostly": 0.9}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "price"}},
        {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "close", "min_value": 1}},
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "record_id"}},
        {"type": "expect_column_values_to_be_increasing", "kwargs": {"column": "time"}},
    ]));
    assert_eq!(suite.gates().count(), 1);
    let left_out: Vec<_> =
        suite.left_out().iter().map(|left| (left.place, left.of_windows, left.to_string())).collect();
    let places: Vec<_> = left_out.iter().map(|(place, of_windows, _)| (*place, *of_windows)).collect();
    assert_eq!(places, [(1, true), (2, false), (3, true), (4, false), (5, false)]);
    assert!(left_out[0].2.starts_with("expect_column_values_to_not_be_null of close: mostly is below 1"));
    assert!(left_out[1].2.contains("no such column in the stream: price"));
    assert!(left_out[3].2.contains("needs the whole table"));
}

#[test]
fn a_window_judges_what_its_records_tell_and_refuses_the_rest_by_name() {
    let column = |kind: &str, kwargs: Value| json!({"type": kind, "kwargs": kwargs});
    let suite = suite(json!([
        column("expect_column_values_to_be_between", json!({"column": "close", "max_value": 12, "mostly": 0.6})),
        column("expect_table_row_count_to_be_between", json!({"min_value": 4, "max_value": 4})),
        column("expect_table_column_count_to_equal", json!({"value": 9})),
        column("expect_column_min_to_be_between", json!({"column": "close", "min_value": 10, "max_value": 10})),
        column("expect_column_max_to_be_between", json!({"column": "symbol", "min_value": "B", "max_value": "B"})),
        column("expect_column_mean_to_be_between", json!({"column": "close", "min_value": 12, "max_value": 12})),
        column("expect_column_sum_to_be_between", json!({"column": "volume", "min_value": 6, "max_value": 6})),
        column("expect_column_stdev_to_be_between", json!({"column": "close", "min_value": 2, "max_value": 2})),
        column(
            "expect_column_proportion_of_non_null_values_to_be_between",
            json!({"column": "close", "max_value": 0.75, "min_value": 0.75})
        ),
        column("expect_column_distinct_values_to_be_in_set", json!({"column": "symbol", "value_set": ["A"]})),
        column("expect_column_distinct_values_to_contain_set", json!({"column": "symbol", "value_set": ["A"]})),
        column("expect_column_values_to_be_unique", json!({"column": "record_id"})),
        column("expect_column_max_to_be_between", json!({"column": "price", "max_value": 1})),
        column("expect_table_row_count_to_equal", json!({"value": 2, "row_condition": "col(\"symbol\") == \"A\""})),
    ]));
    let mut evaluation = suite.fresh().clone();
    for (id, close, symbol) in
        [(1, Some(dec!(10)), "A"), (2, Some(dec!(12)), "B"), (3, Some(dec!(14)), "A"), (0, None, "B")]
    {
        let row = StockRow { record_id: id, close, volume: Some(id), symbol: Some(symbol.into()), ..row() };
        evaluation.add(&row, Some(id));
    }
    assert_eq!(evaluation.tables().count(), 0);
    let results = evaluation.finish(|place| panic!("{place} is somebody else's"));
    let success: Vec<bool> = results.iter().map(|result| result.success).collect();
    assert_eq!(
        success,
        [true, true, true, true, true, true, true, true, true, false, false, false, false, true],
        "{results:#?}"
    );
    assert_eq!(results[9].result["partial_unexpected_list"], json!(["B"]));
    let refused = |place: usize| results[place].exception.as_deref().unwrap_or_default();
    assert!(
        refused(10).starts_with("not supported: expect_column_distinct_values_to_contain_set needs the whole table")
    );
    assert!(refused(11).starts_with("not supported: expect_column_values_to_be_unique needs the whole table"));
    assert_eq!(refused(12), "there is no such column: price");
    assert_eq!(suite.fresh().clone().finish(|_| panic!("nobody's")).len(), 14, "the next window begins with nothing");
}

#[test]
fn a_suite_that_does_not_say_how_much_it_matters_is_told() {
    let json = br#"{"expectation_suite_name": "old", "expectations": [
        {"expectation_type": "expect_column_values_to_not_be_null", "kwargs": {"column": "close"}},
        {"expectation_type": "expect_column_values_to_not_be_null", "kwargs": {"column": "open"}, "severity": "info"}]}"#;
    let suite = Suite::parse_with(json, Severity::Warning).expect("a suite");
    let severities: Vec<_> = suite.expectations.iter().map(|expectation| expectation.severity).collect();
    assert_eq!(severities, [Severity::Warning, Severity::Info]);
    assert_eq!(Suite::parse(suite.to_json().to_string().as_bytes()), Ok(suite), "and says so from then on");
}

fn cell() -> impl Strategy<Value = (i64, Decimal, String, DateTime<Utc>)> {
    let time = (-62_135_596_800_i64..253_402_300_800, 0..1_000_000_000_u32)
        .prop_map(|(seconds, nanos)| DateTime::from_timestamp(seconds, nanos).expect("in range"));
    (any::<i64>(), (any::<i64>(), 0..15_u32).prop_map(|(n, scale)| Decimal::new(n, scale)), "[A-D0-3.]{0,3}", time)
}

proptest! {
    #[test]
    fn a_value_shown_is_the_value_written((integer, decimal, text, time) in cell()) {
        for cell in [Cell::Integer(integer), Cell::Decimal(decimal), Cell::Text(&text), Cell::Instant(time)] {
            prop_assert_eq!(cell.with_text(str::to_owned), cell.text().expect("not null").into_owned());
        }
    }

    #[test]
    fn a_set_holds_what_one_of_its_values_equals(
        (integer, decimal, text, time) in (-3_i64..4, (-30_i64..40, 0..2_u32), "[0-3.A]{0,2}", 0..4_i64),
        values in proptest::collection::vec(prop_oneof![
            (-3_i64..4).prop_map(Value::from), (-6_i64..7).prop_map(|n| json!(n as f64 / 2.0)), "[0-3.A]{0,2}".prop_map(Value::from),
            (0..4_i64).prop_map(|n| format!("1970-01-01 00:00:0{n}").into()), Just(Value::Null), Just(json!(true)),
        ], 0..5),
    ) {
        let set = Set::from(values.clone());
        let literals: Vec<Literal> = values.into_iter().map(Literal::from).collect();
        let time = DateTime::from_timestamp(time, 0).expect("in range");
        let decimal = Decimal::new(decimal.0, decimal.1);
        for cell in [Cell::Null, Cell::Integer(integer), Cell::Decimal(decimal), Cell::Text(&text), Cell::Instant(time)] {
            let one = literals.iter().any(|literal| cell.compare(literal) == Some(Ordering::Equal));
            prop_assert_eq!(set.holds(&cell), one, "{:?}", cell);
        }
    }
}
