//! [`Metric`], the list of all metrics, and [`measure`], which computes them.

use crate::{binary_cross_entropy, cross_entropy, mean_average_precision, mean_class_accuracy, top_k};
use pipe_schemas::Rule;
use pipe_schemas::stages::evaluate::Figures;
use pipe_schemas::tables::{Labelling, PredictionRow};

/// Every metric, in the order in which they are written.
pub const ALL: &[Metric] = &[
    top_k::TOP1,
    top_k::TOP5,
    mean_class_accuracy::METRIC,
    mean_average_precision::METRIC,
    cross_entropy::METRIC,
    binary_cross_entropy::METRIC,
];

/// A number that says how far predictions agree with labels.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The key in `metrics.json`. After `val_` it is a column of the training log. Metrics for different labellings may share
    /// a name.
    pub name: &'static str,
    /// The labelling that the metric is defined for.
    pub labelling: Labelling,
    /// Which values are better.
    pub rule: Rule,
    /// Computes the value. The list may be empty, in which case the value is 0.
    pub compute: fn(&[PredictionRow]) -> f64,
}

/// Computes all metrics that are defined for `labelling`. `predictions` has one row per video.
pub fn measure(predictions: &[PredictionRow], labelling: Labelling) -> Figures {
    let defined = ALL.iter().filter(|metric| metric.labelling == labelling);
    let values = defined.map(|metric| (metric.name.to_owned(), (metric.compute)(predictions))).collect();
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

    #[test]
    fn names_are_unique_per_labelling() {
        for labelling in [Labelling::SingleLabel, Labelling::MultiLabel] {
            let names = || ALL.iter().filter(move |metric| metric.labelling == labelling).map(|metric| metric.name);
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
        for labelling in [Labelling::SingleLabel, Labelling::MultiLabel] {
            let found = measure(&[], labelling);
            assert!(found.values.iter().all(|(_, value)| *value == 0.0), "{found:?}");
            assert_eq!(found.num_videos, 0);
        }
    }
}
