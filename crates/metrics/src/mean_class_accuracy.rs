//! Mean class accuracy, MMAction2's: the mean over classes of the share of a class's videos that are predicted as it.
//!
//! The classes are those that occur as a label or as a prediction. A class that is predicted and never a label counts as 0, unlike in
//! [`balanced_accuracy`](crate::balanced_accuracy()): then one wrong prediction costs the more, the fewer classes have videos.

use crate::ConfusionMatrix;
use crate::confusion_matrix::ratio;
use crate::metric::{Compute, MeanOver, Metric, mean};
use pipe_schemas::Rule;
use pipe_schemas::evaluation::MetricName;
use pipe_schemas::tables::Labelling;

pub(crate) const METRIC: Metric = Metric {
    name: "mean_class_accuracy",
    group: MetricName::MeanClassAccuracy,
    labelling: Labelling::SingleLabel,
    rule: Rule::Greater,
    mean_over: MeanOver::PresentClasses,
    compute: Compute::Confusion(mean_class_accuracy),
};

/// Returns the mean over the classes that occur as a label or a prediction; 0 if there are none.
pub fn mean_class_accuracy(matrix: &ConfusionMatrix) -> f64 {
    let classes = matrix.present();
    mean(classes.iter().map(|class| ratio(matrix.num_correct(*class), matrix.num_labelled(*class))), classes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balanced_accuracy;

    fn check(pairs: &[(u32, u32)], expect: f64, balanced: f64) {
        let matrix = ConfusionMatrix::of(pairs.iter().copied(), 3).expect("classes");
        let found = (mean_class_accuracy(&matrix), balanced_accuracy(&matrix));
        assert!((found.0 - expect).abs() < 1e-12 && (found.1 - balanced).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn a_class_that_is_only_predicted_counts_as_zero_here_and_not_in_balanced_accuracy() {
        // Class 0: 1 of 2. Class 1: predicted once, never a label.
        check(&[(0, 0), (0, 1)], 0.25, 0.5);
    }

    #[test]
    fn rare_classes_weigh_as_much_as_frequent_ones() {
        // Class 0: 2 of 3. Class 1: 1 of 1.
        let expect = 0.5 * (2.0 / 3.0 + 1.0);
        check(&[(0, 0), (0, 0), (0, 1), (1, 1)], expect, expect);
    }
}
