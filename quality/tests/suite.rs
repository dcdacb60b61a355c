//! Expectation suites: both dialects, what is kept, what is refused, what a check says of a row.

use chrono::{TimeZone, Utc};
use market::StockRow;
use quality::{
    Severity,
    suite::{
        Cell, Column, ColumnType, Condition, Dialect, Evaluation, KNOWN, Met, Observed, Record, Rule, Suite,
        SuiteError, TableCheck, Unsupported, ValidationResult, lint,
    },
};
use rust_decimal::dec;
use serde_json::{Value, json};

const ZERO: &[u8] = include_bytes!("../../fixtures/suites/stock_0x.json");
const ONE: &[u8] = include_bytes!("../../fixtures/suites/bars_1x.json");
const COLUMNS: &[&str] = &["record_id", "time", "open", "high", "low", "close", "volume", "symbol", "event_time"];

fn document(json: &[u8]) -> Value {
    serde_json::from_slice(json).expect("the fixture is JSON")
}

fn one(kind: &str, kwargs: Value) -> quality::suite::Expectation {
    let suite = json!({"name": "t", "expectations": [{"type": kind, "kwargs": kwargs}]}).to_string();
    Suite::parse(suite.as_bytes()).expect("a suite").expectations.remove(0)
}

/// What a per-record expectation says of a row.
fn judged(kind: &str, kwargs: Value, row: &impl Record) -> Met {
    match one(kind, kwargs).compile().expect("it can be run").rule {
        Rule::Records { check, .. } => check.judge(row),
        Rule::Table(check) => panic!("{check} is not about records"),
    }
}

fn row() -> StockRow {
    StockRow {
        record_id: 7,
        time: Some(Utc.with_ymd_and_hms(2024, 1, 16, 14, 31, 0).unwrap()),
        open: Some(dec!(153.42)),
        high: Some(dec!(154)),
        low: Some(dec!(153.4)),
        close: None,
        volume: Some(18_250),
        symbol: Some("AMZN".into()),
        ..StockRow::default()
    }
}

#[test]
fn both_dialects_are_read_and_written_back_with_every_key() {
    for (json, dialect, name) in [(ZERO, Dialect::Zero, "stock.ingest"), (ONE, Dialect::One, "bars")] {
        let suite = Suite::parse(json).unwrap();
        assert_eq!((suite.dialect, suite.name.as_str()), (dialect, name));
        assert_eq!(suite.to_json(), document(json));
    }
}

#[test]
fn severity_is_critical_where_a_file_does_not_say() {
    let severities = |json| Suite::parse(json).unwrap().expectations.iter().map(|e| e.severity).collect::<Vec<_>>();
    assert!(severities(ZERO).iter().all(|severity| *severity == Severity::Critical));
    assert_eq!(severities(ONE)[3], Severity::Warning);
    assert_eq!(severities(ONE)[5], Severity::Info);
}

#[test]
fn a_migration_keeps_in_meta_what_the_newer_dialect_refuses() {
    let migrated = Suite::parse(ZERO).unwrap().migrate();
    let json = migrated.to_json();
    assert_eq!(json["name"], "stock.ingest");
    assert_eq!(json["expectations"][0]["type"], "expect_table_column_count_to_be_between");
    assert_eq!(json["expectations"][0]["severity"], "critical");
    assert_eq!(json["expectations"][1]["id"], "7c1f");
    let keys: Vec<_> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["expectations", "meta", "name"]);
    assert_eq!(
        json["meta"]["migrated_from"],
        json!({"data_asset_type": "Dataset", "great_expectations_version": "0.15.50", "our_own_key": {"kept": true}})
    );
    assert_eq!(Suite::parse(json.to_string().as_bytes()).unwrap(), migrated);
    assert_eq!(migrated.clone().migrate(), migrated, "a second migration changes nothing");
}

#[test]
fn every_mistake_of_a_broken_suite_is_named_at_once() {
    let broken = json!({"name": 7, "expectations": [
        {"kwargs": {}},
        {"type": "expect_column_to_exist", "kwargs": []},
        {"type": "expect_column_to_exist", "severity": "fatal"},
        3,
    ]});
    let Err(SuiteError::Form(mistakes)) = Suite::parse(broken.to_string().as_bytes()) else { panic!("it was read") };
    let places: Vec<_> = mistakes.iter().map(|mistake| mistake.at.as_str()).collect();
    assert_eq!(
        places,
        ["name", "expectations[0].type", "expectations[1].kwargs", "expectations[2].severity", "expectations[3]"]
    );
    assert!(matches!(Suite::parse(b"{"), Err(SuiteError::Json(_))));
    assert!(matches!(Suite::parse(br#"{"a":1}"#), Err(SuiteError::Form(_))));
}

#[test]
fn what_cannot_be_run_is_refused_by_name() {
    let refusal = |kind, kwargs| one(kind, kwargs).compile().expect_err("refused");
    assert_eq!(refusal("expect_magic", json!({})), Unsupported::Unknown("expect_magic".into()));
    for known in KNOWN.iter().filter(|known| known.refused.is_some()) {
        assert!(matches!(refusal(known.kind, json!({"column": "close"})), Unsupported::Kind { .. }), "{}", known.kind);
    }
    for (kind, kwargs, argument) in [
        ("expect_column_values_to_match_regex", json!({"column": "symbol", "regex": "(?=A)"}), "regex"),
        ("expect_column_values_to_be_between", json!({"column": "close"}), "min_value"),
        ("expect_column_values_to_not_be_null", json!({"column": "close", "mostly": 1.5}), "mostly"),
        ("expect_column_values_to_not_be_null", json!({}), "column"),
        ("expect_column_values_to_be_of_type", json!({"column": "time", "type_": "POLYGON"}), "type_"),
        ("expect_column_values_to_not_be_null", json!({"column": "close", "row_condition": "x > 1"}), "row_condition"),
        ("expect_column_values_to_not_be_outliers", json!({"column": "close", "method": "guess"}), "method"),
        ("expect_column_kl_divergence_to_be_less_than", json!({"column": "close"}), "partition_object"),
        (
            "unexpected_rows_expectation",
            json!({"unexpected_rows_query": "select * from {table}"}),
            "unexpected_rows_query",
        ),
    ] {
        let Unsupported::Argument { argument: found, .. } = refusal(kind, kwargs) else { panic!("{kind}") };
        assert_eq!(found, argument, "{kind}");
    }
}

#[test]
fn every_other_expectation_of_the_core_can_be_run() {
    let kwargs = json!({
        "column": "close", "column_A": "high", "column_B": "low", "column_list": ["open", "close"],
        "column_set": ["open"], "min_value": 1, "max_value": 2, "value": 3, "value_set": [1], "value_pairs_set": [[1, 2]],
        "type_": "NUMERIC", "type_list": ["NUMERIC"], "regex": "a", "regex_list": ["a"], "like_pattern": "a%",
        "like_pattern_list": ["a_"], "strftime_format": "%Y", "sum_total": 5, "other_table_name": "other",
        "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[1, null]]}, "threshold": 3,
        "partition_object": {"values": [1], "weights": [1]}, "unexpected_rows_query": "select * from {batch} where false",
    });
    let mut runs = 0;
    for known in KNOWN.iter().filter(|known| known.refused.is_none()) {
        let check = one(known.kind, kwargs.clone()).compile().unwrap_or_else(|error| panic!("{}: {error}", known.kind));
        let about_records = matches!(check.rule, Rule::Records { .. });
        assert_eq!(about_records, known.scope == quality::suite::Scope::Record, "{}", known.kind);
        assert!(check.to_string().ends_with('.'), "{check}");
        runs += 1;
    }
    assert_eq!(runs, 57);
}

#[test]
fn values_are_judged_by_what_they_are_and_nulls_are_missing() {
    let row = row();
    let between = |column: &str, min: Value, max: Value| {
        judged(
            "expect_column_values_to_be_between",
            json!({"column": column, "min_value": min, "max_value": max}),
            &row,
        )
    };
    assert_eq!(between("open", json!(153.42), json!(153.42)), Met::Yes);
    assert_eq!(between("open", json!("153.43"), Value::Null), Met::No);
    assert_eq!(between("close", json!(0), Value::Null), Met::Missing);
    assert_eq!(between("price", json!(0), Value::Null), Met::NoColumn);
    assert_eq!(between("time", json!("2024-01-16"), json!("2024-01-17T00:00:00Z")), Met::Yes);
    assert_eq!(between("symbol", json!(1), Value::Null), Met::No, "a text is not between numbers");
    let strict = json!({"column": "volume", "min_value": 18250, "strict_min": true});
    assert_eq!(judged("expect_column_values_to_be_between", strict, &row), Met::No);
    for (kind, kwargs, met) in [
        ("expect_column_values_to_not_be_null", json!({"column": "close"}), Met::No),
        ("expect_column_values_to_be_null", json!({"column": "close"}), Met::Yes),
        ("expect_column_values_to_be_in_set", json!({"column": "symbol", "value_set": ["AAPL", "AMZN"]}), Met::Yes),
        ("expect_column_values_to_not_be_in_set", json!({"column": "volume", "value_set": [18250.0]}), Met::No),
        ("expect_column_values_to_be_of_type", json!({"column": "time", "type_": "TIMESTAMP"}), Met::Yes),
        ("expect_column_values_to_be_of_type", json!({"column": "open", "type_": "FLOAT"}), Met::Yes),
        ("expect_column_values_to_be_in_type_list", json!({"column": "volume", "type_list": ["TEXT"]}), Met::No),
        ("expect_column_value_lengths_to_equal", json!({"column": "symbol", "value": 4}), Met::Yes),
        ("expect_column_value_lengths_to_be_between", json!({"column": "symbol", "max_value": 3}), Met::No),
        ("expect_column_values_to_match_regex", json!({"column": "symbol", "regex": "MZ"}), Met::Yes),
        (
            "expect_column_values_to_not_match_regex_list",
            json!({"column": "symbol", "regex_list": ["^B", "N$"]}),
            Met::No,
        ),
        ("expect_column_values_to_match_like_pattern", json!({"column": "symbol", "like_pattern": "A_Z%"}), Met::Yes),
        ("expect_column_values_to_match_like_pattern", json!({"column": "symbol", "like_pattern": "MZ"}), Met::No),
        ("expect_column_values_to_be_json_parseable", json!({"column": "symbol"}), Met::No),
        ("expect_column_pair_values_a_to_be_greater_than_b", json!({"column_A": "high", "column_B": "open"}), Met::Yes),
        ("expect_column_pair_values_to_be_equal", json!({"column_A": "close", "column_B": "open"}), Met::No),
        (
            "expect_column_pair_values_to_be_equal",
            json!({"column_A": "close", "column_B": "open", "ignore_row_if": "either_value_is_missing"}),
            Met::Missing,
        ),
        ("expect_multicolumn_sum_to_equal", json!({"column_list": ["high", "low"], "sum_total": 307.4}), Met::Yes),
        (
            "expect_select_column_values_to_be_unique_within_record",
            json!({"column_list": ["high", "low", "open"]}),
            Met::Yes,
        ),
        ("expect_multicolumn_values_to_be_equal", json!({"column_list": ["high", "low"]}), Met::No),
    ] {
        assert_eq!(judged(kind, kwargs, &row), met, "{kind}");
    }
}

#[test]
fn conditions_choose_rows_in_both_written_forms() {
    let row = row();
    for (condition, holds) in [
        (json!("col(\"symbol\") == \"AMZN\""), true),
        (json!("col('symbol') == 'A & B' | col('volume') >= 18250"), true),
        (json!("col(\"close\").notNull()"), false),
        (json!("col(\"symbol\") != \"AMZN\" & col(\"volume\") > 1"), false),
        (json!({"type": "comparison", "column": {"name": "volume"}, "operator": "<", "parameter": 1}), false),
        (json!({"type": "nullity", "column": {"name": "close"}, "is_null": true}), true),
        (json!({"type": "comparison", "column": {"name": "symbol"}, "operator": "IN", "parameter": ["AMZN"]}), true),
        (
            json!({"type": "or", "conditions": [
            {"type": "nullity", "column": {"name": "open"}, "is_null": true},
            {"type": "comparison", "column": {"name": "symbol"}, "operator": "==", "parameter": "AMZN"}]}),
            true,
        ),
    ] {
        assert_eq!(Condition::parse(&condition).unwrap().holds(&row), holds, "{condition}");
    }
    for condition in [json!("symbol == 'AMZN'"), json!(3), json!("col(\"a\") ~ 1"), json!({"type": "xor"})] {
        assert!(Condition::parse(&condition).is_err(), "{condition}");
    }
}

#[test]
fn a_type_is_known_by_all_its_names() {
    for (name, expected) in [
        ("TIMESTAMP", ColumnType::Instant),
        ("DATETIME", ColumnType::Instant),
        ("timestamptz", ColumnType::Instant),
        ("datetime64[ns, UTC]", ColumnType::Instant),
        ("TimestampType", ColumnType::Instant),
        ("NUMERIC(12,4)", ColumnType::Decimal),
        ("Double precision", ColumnType::Float),
        ("BIGINT", ColumnType::Integer),
        ("VARCHAR(15)", ColumnType::Text),
        ("StringType", ColumnType::Text),
    ] {
        assert_eq!(ColumnType::named(name), Some(expected), "{name}");
    }
    assert_eq!(ColumnType::named("geometry"), None);
    assert_eq!(Cell::Null.column_type(), None);
}

#[test]
fn checks_read_as_sentences() {
    let sentences: Vec<_> = [ZERO, ONE]
        .into_iter()
        .flat_map(|json| Suite::parse(json).unwrap().expectations)
        .map(|expectation| expectation.compile().unwrap().to_string())
        .collect();
    assert_eq!(
        sentences,
        [
            "The number of columns is at least 1 and at most 10000000.",
            "record_id is never null.",
            "Column volume is there.",
            "time is never null.",
            "time is of type TIMESTAMP.",
            "The number of rows is at least 1.",
            "close is above 0.",
            "high is at least low.",
            "Where symbol is AMZN: volume is at least 0 and at most 50000000, in at least 99 % of the rows.",
            "symbol matches ^[A-Z][A-Z0-9.-]{0,14}$.",
            "No two rows have the same symbol, time.",
        ]
    );
}

#[test]
fn lint_says_what_a_suite_really_checks() {
    let codes = |json| {
        let findings = lint(&Suite::parse(json).unwrap(), COLUMNS);
        findings.iter().map(|finding| (finding.expectation, finding.code)).collect::<Vec<_>>()
    };
    assert_eq!(
        codes(ZERO),
        [
            (Some(0), "counts_columns"),
            (Some(1), "guaranteed"),
            (Some(4), "type_of_column"),
            (None, "empty_table_passes"),
            (None, "no_price_rule"),
        ]
    );
    assert_eq!(codes(ONE), []);
    let odd = json!({"name": "odd", "expectations": [
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "price", "min_value": 5, "max_value": 1}},
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 0}},
        {"type": "expect_column_values_to_be_dateutil_parseable", "kwargs": {"column": "time"}},
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 0}},
        {"type": "unexpected_rows_expectation", "kwargs": {"unexpected_rows_query": "select 1 where false"}},
    ]});
    assert_eq!(
        codes(odd.to_string().as_bytes()),
        [
            (Some(0), "unknown_column"),
            (Some(0), "never_met"),
            (Some(1), "always_met"),
            (Some(2), "not_supported"),
            (Some(3), "always_met"),
            (Some(3), "repeated"),
            (Some(4), "other_data"),
            (None, "empty_table_passes"),
            (None, "no_price_rule"),
        ]
    );
}

#[test]
fn a_suite_over_rows_gives_the_results_of_great_expectations() {
    let suite = Suite::parse(
        json!({"name": "t", "expectations": [
            {"type": "expect_column_values_to_be_between", "severity": "warning",
             "kwargs": {"column": "volume", "min_value": 0, "max_value": 10, "mostly": 0.9}},
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "volume"}},
            {"type": "expect_column_pair_values_a_to_be_greater_than_b", "kwargs": {"column_A": "volume", "column_B": "volume"}},
            {"type": "expect_column_values_to_be_between",
             "kwargs": {"column": "volume", "max_value": 2, "row_condition": "col(\"record_id\") < 2"}},
            {"type": "expect_column_values_to_be_dateutil_parseable", "kwargs": {"column": "volume"}},
            {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 4}},
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "price"}},
        ]})
        .to_string()
        .as_bytes(),
    )
    .unwrap();
    let mut evaluation = Evaluation::new(&suite);
    for (record_id, volume) in [(0, Some(1)), (1, Some(2)), (2, None), (3, Some(40))] {
        evaluation.add(&StockRow { record_id, volume, ..StockRow::default() }, Some(record_id));
    }
    let tables: Vec<_> = evaluation.tables().map(|(index, check)| (index, check.rule.clone())).collect();
    let [(5, Rule::Table(count))] = tables.as_slice() else { panic!("one check of the table") };
    let results = evaluation.finish(|_| count.judge(&Observed::Rows { here: 4, there: None }));
    let json: Vec<Value> = results.iter().map(|result| result.to_json()["result"].clone()).collect();
    assert_eq!(
        json[0],
        json!({"element_count": 4, "unexpected_count": 1, "unexpected_percent": 33.33333333333333,
            "partial_unexpected_list": [40], "missing_count": 1, "missing_percent": 25.0, "unexpected_percent_total": 25.0,
            "unexpected_percent_nonmissing": 33.33333333333333, "partial_unexpected_counts": [{"value": 40, "count": 1}],
            "partial_unexpected_index_list": [3]})
    );
    assert_eq!(
        json[1],
        json!({"element_count": 4, "unexpected_count": 1, "unexpected_percent": 25.0, "partial_unexpected_list": [null],
            "partial_unexpected_counts": [{"value": null, "count": 1}], "partial_unexpected_index_list": [2]})
    );
    assert_eq!(json[2]["partial_unexpected_list"], json!([[1, 1], [2, 2], [40, 40]]));
    assert_eq!((&json[3]["element_count"], results[3].success), (&json!(2), true));
    assert_eq!(json[5], json!({"observed_value": 4}));
    let success: Vec<bool> = results.iter().map(|result| result.success).collect();
    assert_eq!(success, [false, false, false, true, false, true, false]);
    assert!(results[4].exception.as_ref().unwrap().starts_with("not supported: expect_column_values_to_be_dateutil"));
    assert_eq!(results[6].exception.as_deref(), Some("there is no such column: price"));
    let run = ValidationResult { suite_name: suite.name, results, meta: serde_json::Map::new() };
    assert_eq!(run.to_json()["statistics"]["success_percent"], json!(28.57142857142857));
}

#[test]
fn no_rows_meet_what_is_expected_of_rows_but_not_what_is_expected_of_the_table() {
    let suite = Suite::parse(ONE).unwrap();
    let results = Evaluation::new(&suite).finish(|index| match suite.expectations[index].compile().unwrap().rule {
        Rule::Table(check @ TableCheck::RowCount(_)) => check.judge(&Observed::Rows { here: 0, there: None }),
        Rule::Table(check) => {
            check.judge(&Observed::Unexpected { elements: 0, missing: 0, unexpected: 0, examples: Vec::new() })
        }
        Rule::Records { .. } => Err("not asked for".into()),
    });
    let success: Vec<bool> = results.iter().map(|result| result.success).collect();
    assert_eq!(success, [false, true, true, true, true, true]);
}

fn column(name: &str, column_type: ColumnType, own_name: &str) -> Column {
    Column { name: name.into(), column_type, own_name: own_name.into() }
}

#[test]
fn observations_of_a_table_are_judged() {
    let judge = |kind: &str, kwargs: Value, observed: Observed| match one(kind, kwargs).compile().unwrap().rule {
        Rule::Table(check) => check.judge(&observed).map(|(success, _)| success),
        Rule::Records { .. } => panic!("{kind} is about records"),
    };
    let columns = || {
        Observed::Columns(vec![
            column("time", ColumnType::Instant, "timestamptz"),
            column("open", ColumnType::Decimal, "numeric"),
        ])
    };
    let distinct = || Observed::Distinct(vec![("AMZN".into(), 3), ("AAPL".into(), 3)]);
    for (kind, kwargs, observed, met) in [
        ("expect_table_columns_to_match_ordered_list", json!({"column_list": ["time", "open"]}), columns(), true),
        ("expect_table_columns_to_match_ordered_list", json!({"column_list": ["open", "time"]}), columns(), false),
        ("expect_table_columns_to_match_set", json!({"column_set": ["open", "time"]}), columns(), true),
        ("expect_table_columns_to_match_set", json!({"column_set": ["open"]}), columns(), false),
        ("expect_table_columns_to_match_set", json!({"column_set": ["open"], "exact_match": false}), columns(), true),
        ("expect_column_to_exist", json!({"column": "open", "column_index": 1}), columns(), true),
        ("expect_column_to_exist", json!({"column": "open", "column_index": 0}), columns(), false),
        ("expect_column_type_to_be", json!({"column": "time", "type_": "DATETIME"}), columns(), true),
        (
            "expect_column_max_to_be_between",
            json!({"column": "time", "max_value": "2024-01-17"}),
            Observed::Value("2024-01-16T20:00:00Z".into()),
            true,
        ),
        (
            "expect_column_mean_to_be_between",
            json!({"column": "open", "min_value": 1}),
            Observed::Value(Value::Null),
            false,
        ),
        (
            "expect_column_sum_to_be_between",
            json!({"column": "open", "max_value": 5, "strict_max": true}),
            Observed::Value(json!(5)),
            false,
        ),
        (
            "expect_column_distinct_values_to_be_in_set",
            json!({"column": "symbol", "value_set": ["AMZN"]}),
            distinct(),
            false,
        ),
        (
            "expect_column_distinct_values_to_contain_set",
            json!({"column": "symbol", "value_set": ["AMZN"]}),
            distinct(),
            true,
        ),
        (
            "expect_column_distinct_values_to_equal_set",
            json!({"column": "symbol", "value_set": ["AMZN", "AAPL"]}),
            distinct(),
            true,
        ),
        (
            "expect_column_most_common_value_to_be_in_set",
            json!({"column": "symbol", "value_set": ["AMZN"]}),
            distinct(),
            false,
        ),
        (
            "expect_column_most_common_value_to_be_in_set",
            json!({"column": "symbol", "value_set": ["AMZN"], "ties_okay": true}),
            distinct(),
            true,
        ),
        (
            "expect_column_values_to_be_unique",
            json!({"column": "record_id"}),
            Observed::Unexpected { elements: 4, missing: 0, unexpected: 2, examples: vec![] },
            false,
        ),
        (
            "expect_column_values_to_be_unique",
            json!({"column": "record_id", "mostly": 0.5}),
            Observed::Unexpected { elements: 4, missing: 0, unexpected: 2, examples: vec![] },
            true,
        ),
        (
            "expect_column_quantile_values_to_be_between",
            json!({"column": "close", "quantile_ranges": {"quantiles": [0.5, 0.9], "value_ranges": [[1, 2], [null, 9]]}}),
            Observed::Values(vec![json!(1.5), json!(10)]),
            false,
        ),
    ] {
        assert_eq!(judge(kind, kwargs, observed), Ok(met), "{kind}");
    }
    assert!(judge("expect_table_row_count_to_equal", json!({"value": 1}), columns()).is_err());
}
