//! Mean average precision of videos with several labels: MMAction2's `mean_average_precision`.
//!
//! The mean is over the classes that occur as a label, of the [`average_precision()`](crate::average_precision()) of a class over all videos.

use crate::average_precision;
use crate::metric::{Compute, MeanOver, Metric, mean};
use pipe_schemas::Rule;
use pipe_schemas::evaluation::MetricName;
use pipe_schemas::tables::{Labelling, PredictionRow};

pub(crate) const METRIC: Metric = Metric {
    name: "mean_average_precision",
    group: MetricName::MeanAveragePrecision,
    labelling: Labelling::MultiLabel,
    rule: Rule::Greater,
    mean_over: MeanOver::LabelledClasses,
    compute: Compute::All(mean_average_precision),
};

fn mean_average_precision(predictions: &[&PredictionRow]) -> f64 {
    let precisions: Vec<f64> = average_precisions(predictions).into_iter().flatten().collect();
    mean(precisions.iter().copied(), precisions.len())
}

/// Returns the average precision of each class; `None` if no video has it as a label.
pub fn average_precisions(predictions: &[&PredictionRow]) -> Vec<Option<f64>> {
    let num_classes = predictions.first().map_or(0, |row| row.probabilities.len());
    let scored = |class: usize| {
        predictions.iter().map(move |row| {
            let labelled = row.class_indices().any(|class_index| class_index as usize == class);
            (row.probabilities.get(class).copied().unwrap_or(0.0), labelled)
        })
    };
    (0..num_classes).map(|class| average_precision(scored(class))).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::metric::tests::row;

    /// Three videos: of class 0, of classes 1 and 3, of class 0.
    pub(crate) fn rows() -> [PredictionRow; 3] {
        let labelled = |labels: &[u32], probabilities: &[f32]| PredictionRow {
            more_class_indices: labels[1..].to_vec(),
            ..row(labels[0], probabilities)
        };
        [
            labelled(&[0], &[0.9, 0.2, 0.5, 0.1]),
            labelled(&[1, 3], &[0.8, 0.6, 0.4, 0.3]),
            labelled(&[0], &[0.7, 0.6, 0.9, 0.8]),
        ]
    }

    /// The values are those of MMAction2's `mean_average_precision` for these arrays.
    #[test]
    fn classes_without_a_label_are_left_out() {
        // Class 0: 1/2 * 1 + 1/2 * 2/3. Class 1: found at the second place of two equal ones. Class 3: at the second.
        let rows = rows();
        let found = average_precisions(&rows.iter().collect::<Vec<_>>());
        assert_eq!(found, [Some(0.5 + 1.0 / 3.0), Some(0.5), None, Some(0.5)]);
        let expect = (0.5 + 1.0 / 3.0 + 0.5 + 0.5) / 3.0;
        assert!((METRIC.value(&rows) - expect).abs() < 1e-12);
    }
}
