//! Cross-entropy of videos with one label: the mean over videos of `-ln p`, in nats, with `p` the probability of the label.
//!
//! A probability below `f32::MIN_POSITIVE` counts as that, so that the value stays finite.

use crate::metric::{Metric, mean};
use pipe_schemas::Rule;
use pipe_schemas::tables::{Labelling, PredictionRow};

pub(crate) const METRIC: Metric =
    Metric { name: "loss", labelling: Labelling::SingleLabel, rule: Rule::Less, compute: cross_entropy };

fn cross_entropy(predictions: &[PredictionRow]) -> f64 {
    let of_label = |row: &PredictionRow| row.probabilities.get(row.class_index as usize).copied().unwrap_or(0.0);
    mean(predictions.iter().map(|row| negative_log(f64::from(of_label(row)))), predictions.len())
}

/// Returns `-ln probability`.
pub(crate) fn negative_log(probability: f64) -> f64 {
    -probability.max(f64::from(f32::MIN_POSITIVE)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::tests::row;

    #[test]
    fn the_logarithm_is_natural() {
        let found = cross_entropy(&[row(0, &[0.9, 0.1]), row(0, &[0.1, 0.9])]);
        assert!((found - (-(0.9f64.ln()) - 0.1f64.ln()) / 2.0).abs() < 1e-6);
    }

    #[test]
    fn a_probability_of_zero_has_a_finite_loss() {
        let found = cross_entropy(&[row(1, &[1.0, 0.0])]);
        assert!((found - 87.336_544).abs() < 1e-5, "{found}");
    }
}
