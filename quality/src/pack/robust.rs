//! Statistics that a few wild values do not move.

/// The modified z-score `0.6745 · |x − median| / MAD` of Iglewicz and Hoaglin (*How to Detect and Handle Outliers*, ASQC
/// Quality Press 1993, chapter 3; also the NIST/SEMATECH e-Handbook, 1.3.5.17), where `MAD = median(|xᵢ − median|)`. The
/// factor makes it comparable with standard deviations of a normal distribution. `least` is the smallest MAD taken: prices
/// move in ticks, and the MAD of a calm hour is often 0. `values` are reordered.
///
/// `None` for no values.
pub(super) fn modified_z(x: f64, values: &mut [f64], least: f64) -> Option<f64> {
    let median = middle(values)?;
    values.iter_mut().for_each(|value| *value = (*value - median).abs());
    let deviation = middle(values)?.max(least);
    Some(0.6745 * (x - median).abs() / deviation)
}

/// The median; of an even number of values the mean of the middle two. `values` are reordered.
pub(super) fn middle(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let half = values.len() / 2;
    let is_odd = values.len() % 2 == 1;
    let (below, upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let upper = *upper;
    if is_odd {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_the_middle_two() {
        assert_eq!(middle(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(middle(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(middle(&mut []), None);
    }

    #[test]
    fn one_wild_value_does_not_hide_itself() {
        // The handbook's data: 2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3 have median 2.45 and MAD 0.15.
        let values = [2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3];
        let z = |x: f64| modified_z(x, &mut values.clone(), 0.0).unwrap();
        assert!((z(8.2) - 0.6745 * 5.75 / 0.15).abs() < 1e-9, "{}", z(8.2));
        assert!(z(2.1) < 3.5);
        assert!(modified_z(1.0, &mut [0.0; 9], 0.1).unwrap() < 6.8, "a MAD of 0 is taken as the least");
    }
}
