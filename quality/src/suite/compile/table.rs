//! Expectations about a table as a whole.

use super::{Arguments, wrong};
use crate::suite::{Aggregate, Bounds, Distribution, Fence, Query, SetRule, TableCheck, Unsupported, value::decimal};
use rust_decimal::Decimal;
use serde_json::Value;

impl Arguments<'_> {
    pub(super) fn table(&self, kind: &str) -> Result<Option<TableCheck>, Unsupported> {
        let aggregate = match kind {
            "expect_column_min_to_be_between" => Some(Aggregate::Min),
            "expect_column_max_to_be_between" => Some(Aggregate::Max),
            "expect_column_mean_to_be_between" => Some(Aggregate::Mean),
            "expect_column_median_to_be_between" => Some(Aggregate::Median),
            "expect_column_stdev_to_be_between" => Some(Aggregate::Stdev),
            "expect_column_sum_to_be_between" => Some(Aggregate::Sum),
            "expect_column_unique_value_count_to_be_between" => Some(Aggregate::UniqueCount),
            "expect_column_proportion_of_unique_values_to_be_between" => Some(Aggregate::UniqueProportion),
            "expect_column_proportion_of_non_null_values_to_be_between" => Some(Aggregate::NonNullProportion),
            _ => None,
        };
        if let Some(aggregate) = aggregate {
            let (column, bounds) = (self.name("column")?, self.bounds()?);
            return Ok(Some(TableCheck::Aggregate { column, aggregate, bounds }));
        }
        let distinct = match kind {
            "expect_column_distinct_values_to_be_in_set" => Some(SetRule::Within),
            "expect_column_distinct_values_to_contain_set" => Some(SetRule::Containing),
            "expect_column_distinct_values_to_equal_set" => Some(SetRule::Equal),
            _ => None,
        };
        if let Some(rule) = distinct {
            let (column, values) = (self.name("column")?, self.values("value_set")?);
            return Ok(Some(TableCheck::DistinctValues { column, values, rule }));
        }
        let exactly = |value: Decimal| Bounds::closed(Some(value), Some(value));
        Ok(Some(match kind {
            "expect_table_row_count_to_be_between" => TableCheck::RowCount(self.numbers()?),
            "expect_table_row_count_to_equal" => TableCheck::RowCount(exactly(self.number("value")?)),
            "expect_table_row_count_to_equal_other_table" => {
                TableCheck::RowCountEqualsTable(self.name("other_table_name")?)
            }
            "expect_table_column_count_to_be_between" => TableCheck::ColumnCount(self.numbers()?),
            "expect_table_column_count_to_equal" => TableCheck::ColumnCount(exactly(self.number("value")?)),
            "expect_table_columns_to_match_ordered_list" => TableCheck::Columns(self.names("column_list")?),
            "expect_table_columns_to_match_set" => TableCheck::ColumnSet {
                columns: self.names("column_set")?,
                exact: self.kwargs.get("exact_match").is_none_or(|exact| exact != &Value::Bool(false)),
            },
            "expect_column_to_exist" => TableCheck::ColumnExists {
                column: self.name("column")?,
                index: self.given("column_index").map(|_| self.whole("column_index")).transpose()?,
            },
            "expect_column_type_to_be" => {
                let (name, expected) = self.column_type()?;
                TableCheck::ColumnHasType { column: self.name("column")?, name, expected }
            }
            "expect_column_quantile_values_to_be_between" => {
                TableCheck::Quantiles { column: self.name("column")?, quantiles: self.quantiles()? }
            }
            "expect_column_most_common_value_to_be_in_set" => TableCheck::MostCommonValue {
                column: self.name("column")?,
                values: self.values("value_set")?,
                ties_okay: self.flag("ties_okay")?,
            },
            "expect_column_values_to_be_unique" => {
                TableCheck::Unique { columns: vec![self.name("column")?], mostly: self.mostly()? }
            }
            "expect_compound_columns_to_be_unique" => {
                TableCheck::Unique { columns: self.names("column_list")?, mostly: self.mostly()? }
            }
            "expect_column_value_z_scores_to_be_less_than" => {
                let (threshold, both_sides) = (self.number("threshold")?, self.both_sides()?);
                self.near(Fence::ZScore { threshold, both_sides })?
            }
            "expect_column_values_to_not_be_outliers" => {
                let multiplier = self.given("multiplier").map(|_| self.number("multiplier")).transpose()?;
                let multiplier = multiplier.unwrap_or(Decimal::new(15, 1));
                if multiplier.is_sign_negative() {
                    return Err(wrong("multiplier", "expected 0 or more"));
                }
                self.near(match self.given("method").map_or(Some("iqr"), Value::as_str) {
                    Some("iqr") => Fence::Quartiles(multiplier),
                    Some("std") => Fence::Deviations(multiplier),
                    _ => return Err(wrong("method", "expected iqr or std")),
                })?
            }
            "expect_column_values_to_be_increasing" | "expect_column_values_to_be_decreasing" => TableCheck::Ordered {
                column: self.name("column")?,
                descending: kind == "expect_column_values_to_be_decreasing",
                strictly: self.flag("strictly")?,
                mostly: self.mostly()?,
            },
            "expect_column_kl_divergence_to_be_less_than" => TableCheck::Distribution {
                column: self.name("column")?,
                expected: Distribution::read(self.kwargs).map_err(|(argument, message)| wrong(argument, message))?,
                threshold: self.threshold()?,
            },
            "unexpected_rows_expectation" => {
                const ARGUMENT: &str = "unexpected_rows_query";
                let query = Query::parse(&self.name(ARGUMENT)?).map_err(|message| wrong(ARGUMENT, message))?;
                TableCheck::NoRows(query)
            }
            _ => return Ok(None),
        }))
    }

    fn near(&self, fence: Fence) -> Result<TableCheck, Unsupported> {
        Ok(TableCheck::Near { column: self.name("column")?, fence, mostly: self.mostly()? })
    }

    fn both_sides(&self) -> Result<bool, Unsupported> {
        Ok(self.given("double_sided").is_none() || self.flag("double_sided")?)
    }

    fn threshold(&self) -> Result<Option<f64>, Unsupported> {
        match self.given("threshold").map(Value::as_f64) {
            None => Ok(None),
            Some(Some(threshold)) if threshold >= 0.0 => Ok(Some(threshold)),
            Some(_) => Err(wrong("threshold", "expected a number, 0 or more")),
        }
    }

    fn quantiles(&self) -> Result<Vec<(Decimal, Bounds<Value>)>, Unsupported> {
        const ARGUMENT: &str = "quantile_ranges";
        let ranges =
            self.given(ARGUMENT).and_then(Value::as_object).ok_or_else(|| wrong(ARGUMENT, "expected an object"))?;
        let list = |name: &str| {
            let found = ranges.get(name).and_then(Value::as_array);
            found.ok_or_else(|| wrong(ARGUMENT, format!("`{name}` must be an array")))
        };
        let (quantiles, ranges) = (list("quantiles")?, list("value_ranges")?);
        if quantiles.len() != ranges.len() || quantiles.is_empty() {
            return Err(wrong(ARGUMENT, "as many quantiles as ranges are needed, and at least one"));
        }
        let each = quantiles.iter().zip(ranges).map(|(quantile, range)| {
            let quantile = decimal(quantile).filter(|quantile| (Decimal::ZERO..=Decimal::ONE).contains(quantile));
            let quantile = quantile.ok_or_else(|| wrong(ARGUMENT, "a quantile is 0 to 1"))?;
            match range.as_array().map(Vec::as_slice) {
                Some([min, max]) => {
                    let end = |value: &Value| Some(value.clone()).filter(|value| !value.is_null());
                    Ok((quantile, Bounds::closed(end(min), end(max))))
                }
                _ => Err(wrong(ARGUMENT, "a range is [min, max]")),
            }
        });
        each.collect()
    }
}
