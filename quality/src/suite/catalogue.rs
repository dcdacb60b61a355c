//! Every expectation of Great Expectations' core (1.24), and what becomes of it here.

/// What an expectation looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each record by itself: runs in the stream as well as over the table.
    Record,
    /// The table as a whole.
    Table,
}

/// One expectation of the core.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub kind: &'static str,
    pub scope: Scope,
    /// Why it cannot be run here; `None` when it can.
    pub refused: Option<&'static str>,
}

const fn record(kind: &'static str) -> Known {
    Known { kind, scope: Scope::Record, refused: None }
}

const fn table(kind: &'static str) -> Known {
    Known { kind, scope: Scope::Table, refused: None }
}

const fn refused(kind: &'static str, scope: Scope, reason: &'static str) -> Known {
    Known { kind, scope, refused: Some(reason) }
}

const REMOVED: &str = "Great Expectations itself no longer implements it";
const OTHER_SOURCE: &str =
    "it compares with another data source, which only Great Expectations' own configuration knows";

/// Every expectation of the core, in alphabetical order.
pub const KNOWN: &[Known] = &[
    refused("expect_column_bootstrapped_ks_test_p_value_to_be_greater_than", Scope::Table, REMOVED),
    refused("expect_column_chisquare_test_p_value_to_be_greater_than", Scope::Table, REMOVED),
    table("expect_column_distinct_values_to_be_in_set"),
    table("expect_column_distinct_values_to_contain_set"),
    table("expect_column_distinct_values_to_equal_set"),
    table("expect_column_kl_divergence_to_be_less_than"),
    table("expect_column_max_to_be_between"),
    table("expect_column_mean_to_be_between"),
    table("expect_column_median_to_be_between"),
    table("expect_column_min_to_be_between"),
    table("expect_column_most_common_value_to_be_in_set"),
    refused("expect_column_pair_cramers_phi_value_to_be_less_than", Scope::Table, REMOVED),
    record("expect_column_pair_values_a_to_be_greater_than_b"),
    record("expect_column_pair_values_to_be_equal"),
    record("expect_column_pair_values_to_be_in_set"),
    refused("expect_column_parameterized_distribution_ks_test_p_value_to_be_greater_than", Scope::Table, REMOVED),
    table("expect_column_proportion_of_non_null_values_to_be_between"),
    table("expect_column_proportion_of_unique_values_to_be_between"),
    table("expect_column_quantile_values_to_be_between"),
    table("expect_column_stdev_to_be_between"),
    table("expect_column_sum_to_be_between"),
    table("expect_column_to_exist"),
    table("expect_column_type_to_be"),
    table("expect_column_unique_value_count_to_be_between"),
    record("expect_column_value_lengths_to_be_between"),
    record("expect_column_value_lengths_to_equal"),
    table("expect_column_value_z_scores_to_be_less_than"),
    record("expect_column_values_to_be_between"),
    refused(
        "expect_column_values_to_be_dateutil_parseable",
        Scope::Record,
        "what Python's dateutil guesses cannot be told from outside it; use expect_column_values_to_match_strftime_format",
    ),
    table("expect_column_values_to_be_decreasing"),
    record("expect_column_values_to_be_in_set"),
    record("expect_column_values_to_be_in_type_list"),
    table("expect_column_values_to_be_increasing"),
    record("expect_column_values_to_be_json_parseable"),
    record("expect_column_values_to_be_null"),
    record("expect_column_values_to_be_of_type"),
    table("expect_column_values_to_be_unique"),
    refused("expect_column_values_to_match_json_schema", Scope::Record, "no column of a bar holds JSON documents"),
    record("expect_column_values_to_match_like_pattern"),
    record("expect_column_values_to_match_like_pattern_list"),
    record("expect_column_values_to_match_regex"),
    record("expect_column_values_to_match_regex_list"),
    record("expect_column_values_to_match_strftime_format"),
    record("expect_column_values_to_not_be_in_set"),
    record("expect_column_values_to_not_be_null"),
    table("expect_column_values_to_not_be_outliers"),
    record("expect_column_values_to_not_match_like_pattern"),
    record("expect_column_values_to_not_match_like_pattern_list"),
    record("expect_column_values_to_not_match_regex"),
    record("expect_column_values_to_not_match_regex_list"),
    table("expect_compound_columns_to_be_unique"),
    record("expect_multicolumn_sum_to_equal"),
    record("expect_multicolumn_values_to_be_equal"),
    record("expect_multicolumn_values_to_be_unique"),
    refused("expect_query_results_to_match_comparison", Scope::Table, OTHER_SOURCE),
    record("expect_select_column_values_to_be_unique_within_record"),
    table("expect_table_column_count_to_be_between"),
    table("expect_table_column_count_to_equal"),
    table("expect_table_columns_to_match_ordered_list"),
    table("expect_table_columns_to_match_set"),
    table("expect_table_row_count_to_be_between"),
    table("expect_table_row_count_to_equal"),
    table("expect_table_row_count_to_equal_other_table"),
    table("unexpected_rows_expectation"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_sorted_and_names_nothing_twice() {
        assert!(KNOWN.windows(2).all(|pair| pair[0].kind < pair[1].kind));
    }
}
