//! [`Metric`], the list of all metrics, and [`measure`], which computes them.

use crate::{
    ConfusionMatrix, balanced_accuracy, binary_cross_entropy, brier, calibration, cohen_kappa, cross_entropy, f1,
    label_sets, mean_average_precision, mean_class_accuracy, mmit_mean_average_precision, top_k,
};
use pipe_schemas::Rule;
use pipe_schemas::evaluation::MetricName;
use pipe_schemas::stages::evaluate::Figures;
use pipe_schemas::tables::{Labelling, PredictionRow};

/// The metrics that are also measured during training, in the order in which they are written.
pub const OF_TRAINING: &[Metric] = &[
    top_k::TOP1,
    top_k::TOP5,
    mean_class_accuracy::METRIC,
    mean_average_precision::METRIC,
    cross_entropy::METRIC,
    binary_cross_entropy::METRIC,
];

/// The metrics that only evaluations measure, in the order in which they are written, after those of [`OF_TRAINING`].
pub const OF_EVALUATIONS: &[Metric] = &[
    balanced_accuracy::METRIC,
    f1::MACRO_PRECISION,
    f1::MACRO_RECALL,
    f1::MACRO_F1,
    f1::WEIGHTED_F1,
    cohen_kappa::METRIC,
    brier::METRIC,
    calibration::ECE,
    calibration::MCE,
    mmit_mean_average_precision::METRIC,
    label_sets::MICRO_F1,
    label_sets::MACRO_F1,
    label_sets::SUBSET_ACCURACY,
];

/// A number that says how far predictions agree with labels.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The key in `metrics.json`. After `val_` it is a column of the training log. Metrics for different labellings may share
    /// a name.
    pub name: &'static str,
    /// The name by which users choose it, which may stand for several figures.
    pub group: MetricName,
    /// The labelling that the metric is defined for.
    pub labelling: Labelling,
    /// Which values are better.
    pub rule: Rule,
    /// What its denominator is.
    pub mean_over: MeanOver,
    /// Computes the value.
    pub compute: Compute,
}

/// What a metric is a mean over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeanOver {
    /// The evaluated videos.
    Videos,
    /// The classes that are a label of an evaluated video.
    LabelledClasses,
    /// The classes that are a label or the prediction of an evaluated video.
    PresentClasses,
    /// All classes of the network.
    AllClasses,
}

/// How a metric follows from predictions.
#[derive(Debug, Clone, Copy)]
pub enum Compute {
    /// The mean over videos of a value of each.
    Mean(fn(&PredictionRow) -> f64),
    /// A function of the confusion matrix.
    Confusion(fn(&ConfusionMatrix) -> f64),
    /// A function of all predictions together.
    All(fn(&[&PredictionRow]) -> f64),
    /// The same; drawing videos with replacement shifts it, so that it has no bootstrap interval.
    Biased(fn(&[&PredictionRow]) -> f64),
}

impl Metric {
    /// Returns the value of the predictions, one row per video. It is 0 if there are none, and NaN if it is not defined for them.
    pub fn value(&self, predictions: &[PredictionRow]) -> f64 {
        match self.compute {
            _ if predictions.is_empty() => 0.0,
            Compute::Mean(of_video) => mean(predictions.iter().map(of_video), predictions.len()),
            Compute::Confusion(of_matrix) => of_matrix(&ConfusionMatrix::of_rows(predictions)),
            Compute::All(of_all) | Compute::Biased(of_all) => of_all(&predictions.iter().collect::<Vec<_>>()),
        }
    }
}

/// Computes the metrics of [`OF_TRAINING`] that are defined for `labelling`. `predictions` has one row per video.
pub fn measure(predictions: &[PredictionRow], labelling: Labelling) -> Figures {
    let defined = OF_TRAINING.iter().filter(|metric| metric.labelling == labelling);
    let values = defined.map(|metric| (metric.name.to_owned(), metric.value(predictions))).collect();
    Figures { values, num_videos: predictions.len() as u64 }
}

/// Returns the mean of `values`, which are `count` in number; 0 if there are none.
pub(crate) fn mean(values: impl Iterator<Item = f64>, count: usize) -> f64 {
    values.sum::<f64>() / count.max(1) as f64
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A video with the label `class_index` and the given probabilities, averaged from three views.
    pub(crate) fn row(class_index: u32, probabilities: &[f32]) -> PredictionRow {
        let best = probabilities.iter().copied().fold(0.0, f32::max);
        PredictionRow {
            class_index,
            predicted_index: probabilities.iter().position(|value| *value >= best).expect("a class") as u32,
            num_views: 3,
            probabilities: probabilities.into(),
            ..PredictionRow::default()
        }
    }

    fn both() -> impl Iterator<Item = &'static Metric> {
        OF_TRAINING.iter().chain(OF_EVALUATIONS)
    }

    #[test]
    fn names_are_unique_per_labelling() {
        for labelling in [Labelling::SingleLabel, Labelling::MultiLabel] {
            let names = || both().filter(move |metric| metric.labelling == labelling).map(|metric| metric.name);
            assert_eq!(names().count(), names().collect::<BTreeSet<_>>().len(), "{labelling:?}");
        }
    }

    #[test]
    fn figures_state_their_denominator() {
        let rows = [row(0, &[0.9, 0.1]), row(0, &[0.1, 0.9])];
        let found = measure(&rows, Labelling::SingleLabel);
        let names: Vec<&str> = found.values.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["top1", "top5", "mean_class_accuracy", "loss"]);
        assert_eq!(found.num_videos, 2);
        let found = measure(&rows, Labelling::MultiLabel);
        let names: Vec<&str> = found.values.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["mean_average_precision", "loss"]);
    }

    #[test]
    fn no_videos_give_zeros() {
        for metric in both() {
            assert_eq!(metric.value(&[]).to_bits(), 0.0_f64.to_bits(), "{}", metric.name);
        }
        for labelling in [Labelling::SingleLabel, Labelling::MultiLabel] {
            let found = measure(&[], labelling);
            assert!(found.values.iter().all(|(_, value)| *value == 0.0), "{found:?}");
            assert_eq!(found.num_videos, 0);
        }
    }

    /// The order of the videos changes no metric, beyond rounding.
    #[test]
    fn the_order_of_videos_does_not_matter() {
        let probabilities = |at: u32| -> Vec<f32> {
            let scores: Vec<f32> = (0..4).map(|class| ((at * 31 + class * 17) % 23 + 1) as f32).collect();
            let sum: f32 = scores.iter().sum();
            scores.iter().map(|score| score / sum).collect()
        };
        let rows: Vec<PredictionRow> = (0..40).map(|at| row(at * 7 % 5 % 4, &probabilities(at))).collect();
        let backwards: Vec<PredictionRow> = rows.iter().rev().cloned().collect();
        for metric in both() {
            let (one, other) = (metric.value(&rows), metric.value(&backwards));
            assert!((one - other).abs() < 1e-12, "{}: {one} and {other}", metric.name);
        }
    }
}
