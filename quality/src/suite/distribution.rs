//! Expected distributions of a column, and how far an observed one is from them.

use super::table::same;
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

/// How the values of a column are expected to be distributed. Weights are parts of 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Distribution {
    /// Single values with their weights. `holdout` is the weight that those get which are not among them, all together.
    Values { values: Vec<(Value, f64)>, holdout: f64 },
    /// Bins between edges, which are one more than the weights and ascend; a bin holds its lower edge, the last one both.
    Bins { edges: Vec<Decimal>, weights: Vec<f64>, tails: [f64; 2] },
}

/// How many values lie in each bin, below the first and above the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    pub below: u64,
    pub bins: Vec<u64>,
    pub above: u64,
}

/// An argument and what is wrong with it.
type Wrong = (&'static str, String);

const PARTITION: &str = "partition_object";
const TAIL: &str = "tail_weight_holdout";
const INTERNAL: &str = "internal_weight_holdout";

impl Distribution {
    /// Reads the arguments of `expect_column_kl_divergence_to_be_less_than`.
    pub(super) fn read(kwargs: &Map<String, Value>) -> Result<Self, Wrong> {
        let given = |name: &str| kwargs.get(name).filter(|value| !value.is_null());
        let partition = given(PARTITION).and_then(Value::as_object).ok_or_else(|| {
            (PARTITION, "expected values or bins with weights; without, the column is compared with itself".to_owned())
        })?;
        let holdout = |name: &'static str| match given(name).map_or(Some(0.0), Value::as_f64) {
            Some(part) if (0.0..=1.0).contains(&part) => Ok(part),
            _ => Err((name, "expected 0 to 1".to_owned())),
        };
        let (tail, internal) = (holdout(TAIL)?, holdout(INTERNAL)?);
        let invalid = |message: &str| (PARTITION, message.to_owned());
        let weights = numbers(partition, "weights")?.ok_or_else(|| invalid("has no `weights`"))?;
        let tails = numbers(partition, "tail_weights")?.unwrap_or_default();
        let sum: f64 = weights.iter().chain(&tails).sum();
        if weights.iter().chain(&tails).any(|weight| *weight < 0.0) || (sum - 1.0).abs() > 1e-5 {
            return Err(invalid("its weights must be 0 or more and add up to 1"));
        }
        if let Some(values) = partition.get("values").and_then(Value::as_array) {
            if internal > 0.0 {
                return Err((INTERNAL, "is for bins; single values have none between them".into()));
            }
            if values.len() != weights.len() {
                return Err(invalid("as many values as weights are needed"));
            }
            return Ok(Self::Values { values: values.iter().cloned().zip(weights).collect(), holdout: tail });
        }
        let edges = partition.get("bins").and_then(Value::as_array);
        let edges = edges.ok_or_else(|| invalid("has neither `values` nor `bins`"))?;
        let edges: Option<Vec<Decimal>> = edges.iter().map(super::value::decimal).collect();
        let edges = edges.ok_or_else(|| invalid("the edges of bins must be finite numbers"))?;
        if edges.len() != weights.len() + 1 || edges.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(invalid("bins need one edge more than weights, in ascending order"));
        }
        if given("bucketize_data") == Some(&Value::Bool(false)) {
            return Err(("bucketize_data", "bins are for data that are put into them".into()));
        }
        let tails = match tails[..] {
            [] => [tail / 2.0, tail / 2.0],
            [below, above] if tail == 0.0 => [below, above],
            [_, _] => return Err((TAIL, "must be 0 where the partition has tail_weights".into())),
            _ => return Err(invalid("tail_weights are two")),
        };
        let empty = weights.iter().filter(|weight| **weight == 0.0).count();
        let weights = weights.iter().map(|weight| match *weight {
            0.0 if internal > 0.0 => internal / empty as f64,
            weight => weight * (1.0 - tail - internal),
        });
        Ok(Self::Bins { weights: weights.collect(), edges, tails })
    }

    /// The divergence from this distribution of values with their counts, and both distributions as Great Expectations
    /// shows them; `None` where it is infinite or where there are no values. `found` is asked for values only.
    pub(super) fn over_values(&self, found: &[(Value, u64)]) -> Option<(Option<f64>, Value)> {
        let Self::Values { values, holdout } = self else { return None };
        let total = found.iter().map(|(_, count)| *count).sum::<u64>() as f64;
        let observed =
            |value: &Value| found.iter().find(|(other, _)| same(value, other)).map_or(0, |(_, count)| *count);
        let surplus: Vec<&(Value, u64)> =
            found.iter().filter(|(value, _)| !values.iter().any(|(other, _)| same(other, value))).collect();
        let scale = if surplus.is_empty() { 1.0 } else { 1.0 - holdout };
        let known = values.iter().map(|(value, weight)| (value, observed(value), weight * scale));
        let others = surplus.iter().map(|(value, count)| (value, *count, holdout / surplus.len() as f64));
        let all: Vec<(&Value, f64, f64)> =
            known.chain(others).map(|(value, count, expected)| (value, count as f64 / total, expected)).collect();
        let (names, [observed, expected]) = (all.iter().map(|(value, ..)| *value).collect::<Vec<_>>(), both(&all));
        let details = json!({
            "observed_partition": {"values": names, "weights": observed},
            "expected_partition": {"values": names, "weights": expected},
        });
        Some((divergence(&observed, &expected), details))
    }

    /// As [`Self::over_values`], of values in bins.
    pub(super) fn over_bins(&self, found: &Histogram) -> Option<(Option<f64>, Value)> {
        let Self::Bins { edges, weights, tails } = self else { return None };
        let total = (found.below + found.above + found.bins.iter().sum::<u64>()) as f64;
        let part = |count: u64| count as f64 / total;
        let bins: Vec<f64> = found.bins.iter().map(|count| part(*count)).collect();
        let observed = [&[part(found.below)], &bins[..], &[part(found.above)]].concat();
        let expected = [&tails[..1], &weights[..], &tails[1..]].concat();
        let edges: Vec<Value> = edges.iter().map(|edge| super::value::number_json(*edge)).collect();
        let details = json!({
            "observed_partition":
                {"bins": edges, "weights": bins, "tail_weights": [part(found.below), part(found.above)]},
            "expected_partition": {"bins": edges, "weights": weights, "tail_weights": tails},
        });
        Some((divergence(&observed, &expected), details))
    }
}

fn both<T>(all: &[(T, f64, f64)]) -> [Vec<f64>; 2] {
    [all.iter().map(|(_, observed, _)| *observed).collect(), all.iter().map(|(.., expected)| *expected).collect()]
}

fn numbers(of: &Map<String, Value>, name: &str) -> Result<Option<Vec<f64>>, Wrong> {
    let Some(value) = of.get(name) else { return Ok(None) };
    let numbers = value.as_array().and_then(|values| values.iter().map(Value::as_f64).collect());
    numbers.map(Some).ok_or_else(|| (PARTITION, format!("its `{name}` must be numbers")))
}

/// The Kullback–Leibler divergence Σ p·ln(p/q) of the observed distribution p from the expected q, both brought to a sum of
/// 1 (as `scipy.stats.entropy` does); `None` when it is infinite, because something is there that was not expected at all,
/// or when there is nothing.
fn divergence(observed: &[f64], expected: &[f64]) -> Option<f64> {
    let (p, q): (f64, f64) = (observed.iter().sum(), expected.iter().sum());
    let terms = observed.iter().zip(expected).map(|(observed, expected)| (observed / p, expected / q));
    let sum: f64 = terms.map(|(p, q)| if p == 0.0 { 0.0 } else { p * (p / q).ln() }).sum();
    sum.is_finite().then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kwargs: Value) -> Result<Distribution, Wrong> {
        Distribution::read(kwargs.as_object().expect("an object"))
    }

    #[test]
    fn the_same_distribution_diverges_by_nothing_and_an_unexpected_value_without_bounds() {
        let half = read(json!({PARTITION: {"values": ["a", "b"], "weights": [0.5, 0.5]}})).expect("it is right");
        let of = |found: &[(&str, u64)]| {
            let found: Vec<(Value, u64)> = found.iter().map(|(value, count)| ((*value).into(), *count)).collect();
            half.over_values(&found).expect("values").0
        };
        assert_eq!(of(&[("a", 4), ("b", 4)]), Some(0.0));
        // By hand: 0.75·ln(0.75/0.5) + 0.25·ln(0.25/0.5).
        assert!((of(&[("a", 3), ("b", 1)]).expect("finite") - 0.130_812_035_941_137).abs() < 1e-12);
        assert_eq!(of(&[("a", 3), ("c", 1)]), None);
        assert_eq!(of(&[]), None, "nothing has no distribution");
    }

    #[test]
    fn a_holdout_is_what_unexpected_values_and_tails_may_have() {
        let held = read(json!({PARTITION: {"values": ["a"], "weights": [1.0]}, TAIL: 0.5})).expect("it is right");
        let (divergence, _) = held.over_values(&[("a".into(), 1), ("b".into(), 1)]).expect("values");
        assert_eq!(divergence, Some(0.0));
        let bins = json!({"bins": [0, 1, 2], "weights": [1.0, 0.0]});
        let bins = read(json!({PARTITION: bins, TAIL: 0.2, INTERNAL: 0.1})).expect("it is right");
        let found = Histogram { below: 1, bins: vec![7, 1], above: 1 };
        let (divergence, _) = bins.over_bins(&found).expect("bins");
        assert!(divergence.expect("finite").abs() < 1e-12);
    }

    #[test]
    fn what_is_no_distribution_is_refused_by_the_name_of_its_argument() {
        for (kwargs, argument) in [
            (json!({}), PARTITION),
            (json!({PARTITION: {"values": ["a"], "weights": [0.5]}}), PARTITION),
            (json!({PARTITION: {"values": ["a", "b"], "weights": [1.0]}}), PARTITION),
            (json!({PARTITION: {"bins": [1, 0], "weights": [1.0]}}), PARTITION),
            (json!({PARTITION: {"bins": [0, null], "weights": [1.0]}}), PARTITION),
            (json!({PARTITION: {"values": ["a"], "weights": [1.0]}, TAIL: 2}), TAIL),
            (json!({PARTITION: {"values": ["a"], "weights": [1.0]}, INTERNAL: 0.1}), INTERNAL),
        ] {
            assert_eq!(read(kwargs.clone()).expect_err("wrong").0, argument, "{kwargs}");
        }
    }
}
