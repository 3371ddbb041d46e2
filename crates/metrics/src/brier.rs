//! Brier score: the mean over videos of the squared distance between the probabilities and those of a prediction that is certain of the label,
//! `sum over classes of (p - y)^2`; from 0 to 2.

use crate::metric::{Compute, MeanOver, Metric, mean};
use pipe_schemas::Rule;
use pipe_schemas::evaluation::MetricName;
use pipe_schemas::tables::{Labelling, PredictionRow};

pub(crate) const METRIC: Metric = Metric {
    name: "brier",
    group: MetricName::Brier,
    labelling: Labelling::SingleLabel,
    rule: Rule::Less,
    mean_over: MeanOver::Videos,
    compute: Compute::Mean(|row: &PredictionRow| {
        distance(row.probabilities.iter().map(|probability| f64::from(*probability)), row.class_index)
    }),
};

/// Returns the mean over videos.
///
/// # Shapes
/// - `probabilities`: `[N, K]`; `labels`: `[N]`
pub fn brier(probabilities: &[Vec<f64>], labels: &[u32]) -> f64 {
    let distances = probabilities.iter().zip(labels).map(|(row, label)| distance(row.iter().copied(), *label));
    mean(distances, labels.len())
}

fn distance(probabilities: impl Iterator<Item = f64>, label: u32) -> f64 {
    (0..).zip(probabilities).map(|(class, p): (u32, f64)| (p - f64::from(u8::from(class == label))).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::tests::row;

    #[test]
    fn the_score_is_from_zero_to_two() {
        let check = |label, probabilities: &[f32], expect: f64| {
            assert!((METRIC.value(&[row(label, probabilities)]) - expect).abs() < 1e-6);
        };
        check(0, &[1.0, 0.0], 0.0);
        check(1, &[1.0, 0.0], 2.0);
        check(0, &[0.5, 0.25, 0.25], 0.375);
        assert!((brier(&[vec![0.5, 0.5], vec![1.0, 0.0]], &[0, 0]) - 0.25).abs() < 1e-12);
    }
}
