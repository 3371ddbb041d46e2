//! Binary cross-entropy of videos with several labels: the mean over videos and classes of `-ln p` where the class is a label of
//! the video, and of `-ln (1 - p)` where it is not, in nats.

use crate::cross_entropy::negative_log;
use crate::metric::{Compute, MeanOver, Metric, mean};
use pipe_schemas::Rule;
use pipe_schemas::evaluation::MetricName;
use pipe_schemas::tables::{Labelling, PredictionRow};

pub(crate) const METRIC: Metric = Metric {
    name: "loss",
    group: MetricName::Loss,
    labelling: Labelling::MultiLabel,
    rule: Rule::Less,
    mean_over: MeanOver::Videos,
    compute: Compute::Mean(binary_cross_entropy),
};

fn binary_cross_entropy(row: &PredictionRow) -> f64 {
    let of_class = |(class, probability): (u32, &f32)| {
        let labelled = row.class_indices().any(|class_index| class_index == class);
        negative_log(if labelled { f64::from(*probability) } else { 1.0 - f64::from(*probability) })
    };
    mean((0..).zip(&row.probabilities).map(of_class), row.probabilities.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mean_average_precision::tests::rows;

    #[test]
    fn each_class_is_a_question_of_its_own() {
        let correct = [[0.9, 0.8, 0.5, 0.9], [0.2, 0.6, 0.6, 0.3], [0.7, 0.4, 0.1, 0.2]].concat();
        let expect = -correct.iter().map(|probability: &f64| probability.ln()).sum::<f64>() / 12.0;
        let found = METRIC.value(&rows());
        assert!((found - expect).abs() < 1e-6, "{found}, not {expect}");
    }
}
