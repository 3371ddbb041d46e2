//! Cross-entropy of videos with one label: the mean over videos of `-ln p`, in nats, with `p` the probability of the label.
//!
//! A probability below `f32::MIN_POSITIVE` counts as that, so that the value stays finite. scikit-learn's [`log_loss`] limits probabilities
//! of 64 bits to `2.2e-16`.

use crate::metric::{Compute, MeanOver, Metric, mean};
use pipe_schemas::Rule;
use pipe_schemas::evaluation::MetricName;
use pipe_schemas::tables::{Labelling, PredictionRow};

pub(crate) const METRIC: Metric = Metric {
    name: "loss",
    group: MetricName::Loss,
    labelling: Labelling::SingleLabel,
    rule: Rule::Less,
    mean_over: MeanOver::Videos,
    compute: Compute::Mean(cross_entropy),
};

fn cross_entropy(row: &PredictionRow) -> f64 {
    negative_log(row.probabilities.get(row.class_index as usize).map_or(0.0, |probability| f64::from(*probability)))
}

/// Returns `-ln probability`.
pub(crate) fn negative_log(probability: f64) -> f64 {
    -probability.max(f64::from(f32::MIN_POSITIVE)).ln()
}

/// Returns scikit-learn's `log_loss`: the mean of `-ln p`, with `p` limited to the range from epsilon to 1 - epsilon.
///
/// # Shapes
/// - `probabilities`: `[N, K]`; `labels`: `[N]`, below `K`
pub fn log_loss(probabilities: &[Vec<f64>], labels: &[u32]) -> f64 {
    let of_video = |(row, label): (&Vec<f64>, &u32)| {
        let probability = row.get(*label as usize).copied().unwrap_or(0.0);
        -probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
    };
    mean(probabilities.iter().zip(labels).map(of_video), labels.len())
}

/// Returns the mean cross-entropy of the softmax of logits divided by `temperature`, with no limit of probabilities.
///
/// # Shapes
/// - `logits`: `[N, K]`; `labels`: `[N]`, below `K`
pub fn negative_log_likelihood(logits: &[Vec<f64>], labels: &[u32], temperature: f64) -> f64 {
    let of_video = |(row, label): (&Vec<f64>, &u32)| {
        let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|logit| ((logit - highest) / temperature).exp()).sum();
        sum.ln() - row.get(*label as usize).map_or(f64::NEG_INFINITY, |logit| (logit - highest) / temperature)
    };
    mean(logits.iter().zip(labels).map(of_video), labels.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::tests::row;

    #[test]
    fn the_logarithm_is_natural() {
        let found = METRIC.value(&[row(0, &[0.9, 0.1]), row(0, &[0.1, 0.9])]);
        assert!((found - (-(0.9f64.ln()) - 0.1f64.ln()) / 2.0).abs() < 1e-6);
    }

    #[test]
    fn a_probability_of_zero_has_a_finite_loss() {
        let found = METRIC.value(&[row(1, &[1.0, 0.0])]);
        assert!((found - 87.336_544).abs() < 1e-5, "{found}");
        let found = log_loss(&[vec![1.0, 0.0]], &[1]);
        assert!((found - 36.043_653_389_117_15).abs() < 1e-9, "{found}");
    }

    #[test]
    fn the_likelihood_of_logits_is_that_of_their_softmax() {
        let logits = [vec![3f64.ln(), 0.0], vec![0.0, 0.0]];
        let found = negative_log_likelihood(&logits, &[0, 1], 1.0);
        assert!((found + f64::midpoint(0.75f64.ln(), 0.5f64.ln())).abs() < 1e-12, "{found}");
        let large = negative_log_likelihood(&[vec![2000.0, 0.0]], &[1], 2.0);
        assert!((large - 1000.0).abs() < 1e-9, "{large}");
    }
}
