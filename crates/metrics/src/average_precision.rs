//! [`average_precision`]: the area below the steps of precision over recall, without interpolation.
//!
//! It is the sum, over thresholds from the highest score down, of the recall that a threshold gains times the precision at it. Equal scores
//! are one threshold. scikit-learn's `average_precision_score` and MMAction2's `mean_average_precision` compute it; they differ only where
//! nothing is to be found: 0 in scikit-learn, left out in MMAction2.

use std::cmp::Ordering;

/// Returns the average precision of scores, each with whether it belongs to what is to be found; `None` if none does.
pub fn average_precision<T: PartialOrd + Copy>(scored: impl IntoIterator<Item = (T, bool)>) -> Option<f64> {
    let mut scored: Vec<(T, bool)> = scored.into_iter().collect();
    scored.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(Ordering::Equal));
    let num_wanted = |part: &[(T, bool)]| part.iter().filter(|(_, wanted)| *wanted).count();
    let total = num_wanted(&scored);
    let (mut num_above, mut num_found, mut sum) = (0, 0, 0.0);
    for equal in scored.chunk_by(|a, b| a.0.partial_cmp(&b.0) == Some(Ordering::Equal)) {
        let gained = num_wanted(equal);
        (num_above, num_found) = (num_above + equal.len(), num_found + gained);
        sum += gained as f64 / total as f64 * (num_found as f64 / num_above as f64);
    }
    (total > 0).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(scored: &[(f64, bool)], expect: Option<f64>) {
        let found = average_precision(scored.iter().copied());
        let near = found.zip(expect).is_some_and(|(found, expect)| (found - expect).abs() < 1e-12);
        assert!(near || found == expect, "{found:?}, not {expect:?}");
    }

    #[test]
    fn equal_scores_are_one_threshold() {
        check(&[(0.9, true), (0.8, false), (0.7, true)], Some(0.5 + 0.5 * 2.0 / 3.0));
        check(&[(0.5, true), (0.5, false)], Some(0.5));
        check(&[(0.5, false), (0.5, true)], Some(0.5));
        check(&[(0.1, true), (0.9, false)], Some(0.5));
        check(&[(0.1, false)], None);
        check(&[], None);
    }
}
