//! Mean average precision over videos: MMAction2's `mmit_mean_average_precision`, the metric of Multi-Moments in Time.
//!
//! The mean is over videos, of the [`average_precision()`](crate::average_precision()) of the labels of a video among all classes. It is not defined for a video
//! without a label.

use crate::average_precision;
use crate::metric::{Compute, MeanOver, Metric};
use pipe_schemas::Rule;
use pipe_schemas::evaluation::MetricName;
use pipe_schemas::tables::{Labelling, PredictionRow};

pub(crate) const METRIC: Metric = Metric {
    name: "mmit_mean_average_precision",
    group: MetricName::MmitMeanAveragePrecision,
    labelling: Labelling::MultiLabel,
    rule: Rule::Greater,
    mean_over: MeanOver::Videos,
    compute: Compute::Mean(of_video),
};

fn of_video(row: &PredictionRow) -> f64 {
    let labelled = |class: u32| row.class_indices().any(|class_index| class_index == class);
    let scored = (0..).zip(&row.probabilities).map(|(class, probability)| (*probability, labelled(class)));
    average_precision(scored).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mean_average_precision::tests::rows;

    #[test]
    fn each_video_is_a_search_for_its_labels() {
        // Class 0 is first; classes 1 and 3 are at the second and fourth place; class 0 is third.
        let expect = (1.0 + (0.5 * 0.5 + 0.5 * 0.5) + 1.0 / 3.0) / 3.0;
        let found = METRIC.value(&rows());
        assert!((found - expect).abs() < 1e-12, "{found}");
    }
}
