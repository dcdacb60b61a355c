//! What SQL says of a table is what the program says of its rows, record by record; and what is observed of the table as a
//! whole is what its rows come down to.

use crate::table::{Database, fill, odd_rows};
use chrono::Utc;
use quality::suite::{Evaluation, ExpectationResult, Suite};
use serde_json::{Value, json};
use server::store::validate::{Asset, Step, validate};

fn suite(expectations: &[(&str, Value)]) -> Suite {
    let expectations: Vec<Value> =
        expectations.iter().map(|(kind, kwargs)| json!({"type": kind, "kwargs": kwargs})).collect();
    Suite::parse(json!({"name": "odd", "expectations": expectations}).to_string().as_bytes()).unwrap()
}

/// Expectations about records, with arguments that fit, do not fit, or cannot be compared.
fn about_records() -> Vec<(&'static str, Value)> {
    let amzn = "col(\"symbol\") == \"AMZN\"";
    vec![
        ("expect_column_values_to_be_null", json!({"column": "close"})),
        ("expect_column_values_to_not_be_null", json!({"column": "close"})),
        ("expect_column_values_to_not_be_null", json!({"column": "close", "mostly": 0.8})),
        ("expect_column_values_to_not_be_null", json!({"column": "close", "row_condition": amzn})),
        ("expect_column_values_to_be_between", json!({"column": "open", "min_value": 150, "max_value": 152.5})),
        ("expect_column_values_to_be_between", json!({"column": "open", "min_value": "150", "strict_min": true})),
        ("expect_column_values_to_be_between", json!({"column": "open", "min_value": "a text"})),
        ("expect_column_values_to_be_between", json!({"column": "volume", "max_value": 5_000, "strict_max": true})),
        (
            "expect_column_values_to_be_between",
            json!({"column": "time", "min_value": "2024-01-16T14:35:00Z", "max_value": "2024-01-16 15:00:00"}),
        ),
        ("expect_column_values_to_be_between", json!({"column": "symbol", "min_value": "AAPM", "max_value": "z"})),
        ("expect_column_values_to_be_between", json!({"column": "symbol", "min_value": 3})),
        ("expect_column_values_to_be_in_set", json!({"column": "symbol", "value_set": ["AMZN", "it's", "a%b_c", 4]})),
        ("expect_column_values_to_be_in_set", json!({"column": "volume", "value_set": [0, "1000", 2000.0, null]})),
        ("expect_column_values_to_be_in_set", json!({"column": "close", "value_set": [150.0, "nothing"]})),
        ("expect_column_values_to_not_be_in_set", json!({"column": "symbol", "value_set": ["AMZN", "\u{0}"]})),
        ("expect_column_values_to_not_be_in_set", json!({"column": "symbol", "value_set": [1, 2]})),
        ("expect_column_values_to_be_of_type", json!({"column": "open", "type_": "FLOAT"})),
        ("expect_column_values_to_be_of_type", json!({"column": "volume", "type_": "TEXT"})),
        ("expect_column_values_to_be_in_type_list", json!({"column": "time", "type_list": ["TIMESTAMP", "DATE"]})),
        ("expect_column_value_lengths_to_be_between", json!({"column": "symbol", "min_value": 4, "max_value": 5})),
        ("expect_column_value_lengths_to_be_between", json!({"column": "symbol", "min_value": 4, "strict_min": true})),
        ("expect_column_value_lengths_to_equal", json!({"column": "close", "value": 8})),
        ("expect_column_value_lengths_to_equal", json!({"column": "volume", "value": 4})),
        ("expect_column_value_lengths_to_equal", json!({"column": "time", "value": 20})),
        ("expect_column_values_to_match_regex", json!({"column": "symbol", "regex": "^[A-Z]{4}$"})),
        ("expect_column_values_to_not_match_regex", json!({"column": "symbol", "regex": "[%_]"})),
        (
            "expect_column_values_to_match_regex_list",
            json!({"column": "symbol", "regex_list": ["^A", "L$"], "match_on": "all"}),
        ),
        ("expect_column_values_to_match_like_pattern", json!({"column": "symbol", "like_pattern": "A%"})),
        ("expect_column_values_to_not_match_like_pattern", json!({"column": "symbol", "like_pattern": "a\\%_\\_c"})),
        ("expect_column_values_to_be_json_parseable", json!({"column": "symbol"})),
        (
            "expect_column_values_to_match_strftime_format",
            json!({"column": "symbol", "strftime_format": "%Y-%m-%d %H:%M:%S"}),
        ),
        ("expect_column_pair_values_to_be_equal", json!({"column_A": "open", "column_B": "close"})),
        ("expect_column_pair_values_to_be_equal", json!({"column_A": "open", "column_B": "symbol"})),
        (
            "expect_column_pair_values_to_be_equal",
            json!({"column_A": "open", "column_B": "close", "ignore_row_if": "either_value_is_missing"}),
        ),
        (
            "expect_column_pair_values_to_be_equal",
            json!({"column_A": "open", "column_B": "high", "ignore_row_if": "neither"}),
        ),
        ("expect_column_pair_values_a_to_be_greater_than_b", json!({"column_A": "high", "column_B": "low"})),
        (
            "expect_column_pair_values_a_to_be_greater_than_b",
            json!({"column_A": "high", "column_B": "open", "or_equal": true, "ignore_row_if": "either_value_is_missing",
                "row_condition": "col(\"volume\") >= 2000 & col(\"time\").notNull() | col(\"symbol\") == \"it's\""}),
        ),
        ("expect_column_pair_values_a_to_be_greater_than_b", json!({"column_A": "event_time", "column_B": "time"})),
        ("expect_column_pair_values_a_to_be_greater_than_b", json!({"column_A": "symbol", "column_B": "time"})),
        (
            "expect_column_pair_values_to_be_in_set",
            json!({"column_A": "symbol", "column_B": "volume",
                "value_pairs_set": [["AMZN", 0], ["AMZN", null], ["AAPL", "1000"], [null, null]]}),
        ),
        (
            "expect_multicolumn_sum_to_equal",
            json!({"column_list": ["open", "volume"], "sum_total": 150, "ignore_row_if": "any_value_is_missing"}),
        ),
        ("expect_multicolumn_sum_to_equal", json!({"column_list": ["open", "symbol"], "sum_total": 150})),
        ("expect_multicolumn_values_to_be_equal", json!({"column_list": ["open", "high", "low"]})),
        ("expect_multicolumn_values_to_be_unique", json!({"column_list": ["open", "high", "close"]})),
        (
            "expect_select_column_values_to_be_unique_within_record",
            json!({"column_list": ["open", "high", "symbol"], "ignore_row_if": "never"}),
        ),
        (
            "expect_column_values_to_not_be_null",
            json!({"column": "open", "row_condition": {"type": "and", "conditions": [
                {"type": "comparison", "column": {"name": "symbol"}, "operator": "IN", "parameter": ["AMZN", "AAPL"]},
                {"type": "or", "conditions": [
                    {"type": "nullity", "column": {"name": "close"}, "is_null": true},
                    {"type": "comparison", "column": {"name": "symbol"}, "operator": "NOT_IN", "parameter": ["AAPL"]},
                    {"type": "comparison", "column": {"name": "nowhere"}, "operator": ">", "parameter": 1}]}]}}),
        ),
        ("expect_column_values_to_not_be_null", json!({"column": "nowhere"})),
        ("expect_column_values_to_match_regex", json!({"column": "nowhere", "regex": "."})),
        ("expect_column_pair_values_to_be_equal", json!({"column_A": "open", "column_B": "nowhere"})),
    ]
}

/// A result without its examples, which may be other ones: a table has no order.
fn essence(result: &ExpectationResult) -> Value {
    let mut json = result.to_json();
    let result = json["result"].as_object_mut().unwrap();
    // A table knows which of its columns name a row; records that come by have their keys.
    result.remove("unexpected_index_column_names");
    for key in ["partial_unexpected_list", "partial_unexpected_index_list", "partial_unexpected_counts"] {
        let count = result.get(key).and_then(Value::as_array).map(Vec::len);
        result.insert(key.into(), if key.ends_with("counts") { Value::Null } else { count.into() });
    }
    json
}

#[tokio::test]
async fn sql_says_of_a_table_what_the_program_says_of_its_rows() {
    let database = Database::start().await;
    let mut connection = database.connect().await;
    let rows = odd_rows(400);
    fill(&mut connection, "odd", &rows).await;
    let suite = suite(&about_records());
    let asset = Asset::describe(&mut connection, "odd").await.unwrap();
    assert_eq!(asset.key.as_deref(), Some("record_id"));
    let mut steps = Vec::new();
    let by_sql = validate(&mut connection, &asset, &suite, Utc::now(), |step| steps.push(step)).await.unwrap();

    let mut by_rows = Evaluation::new(&suite);
    for row in &rows {
        by_rows.add(row, Some(row.record_id));
    }
    let by_rows = by_rows.finish(|_| panic!("all are about records"));
    for (sql, rows) in by_sql.results.iter().zip(&by_rows) {
        assert_eq!(essence(sql), essence(rows), "{:?}", sql.expectation);
    }
    let unexpected =
        |result: &&ExpectationResult| result.result.get("unexpected_count").is_some_and(|count| count != 0);
    assert!(by_rows.iter().filter(unexpected).count() > 30, "the rows break most of the expectations");
    assert!(by_rows.iter().filter(|result| result.exception.is_none()).count() > 45);
    // Only what SQL cannot judge the same way was judged by rows.
    let by_row = steps.iter().find_map(|step| match step {
        Step::Rows { expectations, .. } => Some(*expectations),
        _ => None,
    });
    assert_eq!(by_row, Some(8));
}

#[tokio::test]
async fn a_table_as_a_whole_is_what_its_rows_come_down_to() {
    let database = Database::start().await;
    let mut connection = database.connect().await;
    fill(&mut connection, "odd", &odd_rows(400)).await;
    let every = json!({"min_value": -1e12, "max_value": 1e12});
    let of = |column: &str| {
        let mut kwargs = every.clone();
        kwargs["column"] = column.into();
        kwargs
    };
    let when_amzn = |mut kwargs: Value| {
        kwargs["row_condition"] = "col(\"symbol\") == \"AMZN\"".into();
        kwargs
    };
    let column_names = json!(["record_id", "time", "open", "high", "low", "close", "volume", "symbol", "event_time"]);
    // Expectation, what must be observed, by another way of asking.
    let cases: Vec<(&str, Value, &str)> = vec![
        ("expect_table_row_count_to_equal", json!({"value": 400}), "select to_json(count(*)) from odd"),
        (
            "expect_table_row_count_to_be_between",
            when_amzn(json!({"min_value": 1, "max_value": 399})),
            "select to_json(count(*)) from odd where symbol = 'AMZN'",
        ),
        (
            "expect_table_row_count_to_equal_other_table",
            json!({"other_table_name": "public.odd"}),
            "select json_build_object('self', count(*), 'other', count(*)) from odd",
        ),
        ("expect_table_column_count_to_equal", json!({"value": 9}), "select to_json(9)"),
        (
            "expect_table_columns_to_match_ordered_list",
            json!({"column_list": column_names}),
            "select json_agg(column_name order by ordinal_position) from information_schema.columns where table_name = 'odd'",
        ),
        (
            "expect_column_type_to_be",
            json!({"column": "open", "type_": "DECIMAL(12,4)"}),
            "select to_json('numeric'::text)",
        ),
        ("expect_column_min_to_be_between", of("open"), "select to_json(min(open)::float8) from odd"),
        ("expect_column_max_to_be_between", of("volume"), "select to_json(max(volume)) from odd"),
        ("expect_column_sum_to_be_between", of("volume"), "select to_json(sum(volume)) from odd"),
        ("expect_column_mean_to_be_between", of("open"), "select to_json(avg(open::float8)) from odd"),
        ("expect_column_stdev_to_be_between", of("open"), "select to_json(stddev_samp(open::float8)) from odd"),
        (
            "expect_column_median_to_be_between",
            of("close"),
            "select to_json(percentile_cont(0.5) within group (order by close::float8)) from odd",
        ),
        (
            "expect_column_mean_to_be_between",
            when_amzn(of("open")),
            "select to_json(avg(open::float8)) from odd where symbol = 'AMZN'",
        ),
        (
            "expect_column_max_to_be_between",
            json!({"column": "time", "min_value": "2024-01-16T15:00:00Z", "max_value": "2024-01-17"}),
            "select to_json(to_char(max(time) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')) from odd",
        ),
        ("expect_column_min_to_be_between", json!({"column": "symbol", "max_value": "A"}), "select to_json(''::text)"),
        (
            "expect_column_unique_value_count_to_be_between",
            of("symbol"),
            "select to_json(count(distinct symbol)) from odd",
        ),
        (
            "expect_column_proportion_of_unique_values_to_be_between",
            of("volume"),
            "select to_json(count(distinct volume)::float8 / count(volume)) from odd",
        ),
        (
            "expect_column_proportion_of_non_null_values_to_be_between",
            of("symbol"),
            "select to_json(count(symbol)::float8 / count(*)) from odd",
        ),
        (
            "expect_column_quantile_values_to_be_between",
            json!({"column": "open", "quantile_ranges": {"quantiles": [0.25, 0.5], "value_ranges": [[100, 200], [null, 200]]}}),
            "select json_build_object('quantiles', array[0.25, 0.5], 'values',
                (percentile_disc(array[0.25, 0.5]) within group (order by open))::float8[]) from odd",
        ),
        (
            "expect_column_distinct_values_to_contain_set",
            json!({"column": "volume", "value_set": [1000, 10000]}),
            "select json_agg(volume order by times desc, volume::text)
             from (select volume, count(*) as times from odd where volume is not null group by 1) counted",
        ),
        (
            "expect_column_most_common_value_to_be_in_set",
            json!({"column": "open", "value_set": [150], "row_condition": "col(\"record_id\") < 1"}),
            "select json_agg(150.0)",
        ),
    ];
    let suite = suite(&cases.iter().map(|(kind, kwargs, _)| (*kind, kwargs.clone())).collect::<Vec<_>>());
    let asset = Asset::describe(&mut connection, "odd").await.unwrap();
    let run = validate(&mut connection, &asset, &suite, Utc::now(), |_| {}).await.unwrap();
    for (result, (kind, _, sql)) in run.results.iter().zip(&cases) {
        let expected: Value = sqlx::query_scalar(*sql).fetch_one(&mut connection).await.unwrap();
        let observed = result.result.get("observed_value").unwrap_or(&Value::Null);
        assert!(is_close(observed, &expected), "{kind}: {observed}, must be {expected}; {:?}", result.exception);
        assert!(result.success, "{kind}: {observed}");
    }
    assert_eq!(run.meta["row_count"], 400);
}

#[tokio::test]
async fn values_that_rows_share_are_counted_and_shown() {
    let database = Database::start().await;
    let mut connection = database.connect().await;
    sqlx::raw_sql("create table pair (a integer, b text); insert into pair values (1, 'x'), (1, 'x'), (1, 'y'), (2, null), (2, null), (null, null)")
        .execute(&mut connection)
        .await
        .unwrap();
    let suite = suite(&[
        ("expect_column_values_to_be_unique", json!({"column": "a"})),
        ("expect_column_values_to_be_unique", json!({"column": "b", "mostly": 0.3})),
        ("expect_compound_columns_to_be_unique", json!({"column_list": ["a", "b"]})),
    ]);
    let asset = Asset::describe(&mut connection, "pair").await.unwrap();
    assert_eq!(asset.key, None);
    let run = validate(&mut connection, &asset, &suite, Utc::now(), |_| {}).await.unwrap();
    let counts = |at: usize| {
        let result = &run.results[at].result;
        ["element_count", "missing_count", "unexpected_count"].map(|key| result[key].as_u64().unwrap())
    };
    assert_eq!((counts(0), run.results[0].success), ([6, 1, 5], false));
    assert_eq!((counts(1), run.results[1].success), ([6, 3, 2], true));
    assert_eq!((counts(2), run.results[2].success), ([6, 1, 2], false), "null is not the same as null");
    assert_eq!(run.results[1].result["partial_unexpected_list"], json!(["x"]));
}

#[tokio::test]
async fn rows_are_held_against_the_other_rows() {
    let database = Database::start().await;
    let mut connection = database.connect().await;
    sqlx::raw_sql(
        "create table reading (id integer primary key, value integer, same integer, label text);
         insert into reading values (3, 12, 7, 'x'), (1, 10, 7, 'x'), (2, 11, 7, 'y'), (4, null, 7, 'x'), (5, 9, 7, 'x'), (6, 500, 7, 'z')",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let query = |text: &str| json!({"unexpected_rows_query": text});
    let suite = suite(&[
        ("expect_column_values_to_be_increasing", json!({"column": "value"})),
        ("expect_column_values_to_be_decreasing", json!({"column": "same", "strictly": true})),
        ("expect_column_values_to_not_be_outliers", json!({"column": "value"})),
        (
            "expect_column_value_z_scores_to_be_less_than",
            json!({"column": "same", "threshold": 0, "double_sided": true}),
        ),
        ("expect_column_values_to_not_be_outliers", json!({"column": "label"})),
        ("unexpected_rows_expectation", query("select id from {batch} where value > 100 order by id;")),
        ("unexpected_rows_expectation", query("select nothing from {batch}")),
        ("unexpected_rows_expectation", query("delete from {batch} returning id")),
        (
            "expect_column_kl_divergence_to_be_less_than",
            json!({"column": "label", "threshold": 9,
            "partition_object": {"values": ["x", "y"], "weights": [0.5, 0.5]}}),
        ),
        ("expect_table_row_count_to_equal", json!({"value": 6})),
    ]);
    let asset = Asset::describe(&mut connection, "reading").await.unwrap();
    let run = validate(&mut connection, &asset, &suite, Utc::now(), |_| {}).await.unwrap();
    let result = |at: usize| &run.results[at].result;
    assert_eq!(
        (&result(0)["partial_unexpected_list"], &result(0)["partial_unexpected_index_list"]),
        (&json!([9.0]), &json!([5])),
        "by the key, over the null"
    );
    assert_eq!((&result(0)["unexpected_count"], &result(0)["missing_count"]), (&json!(1), &json!(1)));
    assert_eq!(result(1)["unexpected_count"], 5, "the first has none before it");
    assert_eq!(result(2)["partial_unexpected_list"], json!([500.0]));
    assert!(run.results[3].success, "nothing is far from anything where all is the same");
    assert_eq!(run.results[4].exception.as_deref(), Some("label holds no numbers"));
    assert_eq!(
        (&result(5)["observed_value"], &result(5)["details"]),
        (&json!(1), &json!({"unexpected_rows": [{"id": 6}]}))
    );
    assert!(run.results[6].exception.as_ref().unwrap().contains("column \"nothing\" does not exist"));
    assert!(run.results[7].exception.is_some(), "it may only read");
    assert_eq!(
        (&result(8)["observed_value"], run.results[8].success),
        (&Value::Null, false),
        "z was not expected at all"
    );
    assert!(run.results[9].success, "what the database refused has not ended the run");
}

fn is_close(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| is_close(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len() && left.iter().all(|(key, value)| is_close(value, &right[key]))
        }
        _ => match (left.as_f64(), right.as_f64()) {
            (Some(left), Some(right)) => (left - right).abs() <= 1e-9 * left.abs().max(1.0),
            _ => left == right,
        },
    }
}
