//! Balanced accuracy, scikit-learn's `balanced_accuracy_score`: the mean recall of the classes with videos.

use crate::ConfusionMatrix;
use crate::confusion_matrix::ratio;
use crate::metric::{Compute, MeanOver, Metric, mean};
use pipe_schemas::Rule;
use pipe_schemas::evaluation::MetricName;
use pipe_schemas::tables::Labelling;

pub(crate) const METRIC: Metric = Metric {
    name: "balanced_accuracy",
    group: MetricName::BalancedAccuracy,
    labelling: Labelling::SingleLabel,
    rule: Rule::Greater,
    mean_over: MeanOver::LabelledClasses,
    compute: Compute::Confusion(balanced_accuracy),
};

/// Returns the mean recall of the classes that occur as a label; 0 if there are none.
pub fn balanced_accuracy(matrix: &ConfusionMatrix) -> f64 {
    let labelled = |class: &usize| matrix.num_labelled(*class) > 0;
    let classes: Vec<usize> = (0..matrix.num_classes()).filter(labelled).collect();
    mean(classes.iter().map(|class| ratio(matrix.num_correct(*class), matrix.num_labelled(*class))), classes.len())
}
