//! Mean class accuracy: the mean over classes of the share of a class's videos that are predicted as it.
//!
//! The classes are those with videos. MMAction2 also counts a class without videos that is predicted, as 0: then one wrong
//! prediction costs the more, the fewer classes have videos.

use crate::metric::{Metric, mean};
use pipe_schemas::Rule;
use pipe_schemas::tables::{Labelling, PredictionRow};
use std::collections::BTreeMap;

pub(crate) const METRIC: Metric = Metric {
    name: "mean_class_accuracy",
    labelling: Labelling::SingleLabel,
    rule: Rule::Greater,
    compute: mean_class_accuracy,
};

fn mean_class_accuracy(predictions: &[PredictionRow]) -> f64 {
    let mut classes: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    for row in predictions {
        let (num_correct, num_videos) = classes.entry(row.class_index).or_default();
        *num_correct += usize::from(row.predicted_index == row.class_index);
        *num_videos += 1;
    }
    let accuracy = |(num_correct, num_videos): &(usize, usize)| *num_correct as f64 / *num_videos as f64;
    mean(classes.values().map(accuracy), classes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::tests::row;

    #[test]
    fn a_class_without_videos_does_not_count() {
        // Class 0: 1 of 2. Class 1: predicted once, never a label.
        let found = mean_class_accuracy(&[row(0, &[0.9, 0.1]), row(0, &[0.1, 0.9])]);
        assert!((found - 0.5).abs() < 1e-12, "{found}");
    }

    #[test]
    fn rare_classes_weigh_as_much_as_frequent_ones() {
        // Class 0: 2 of 3. Class 1: 1 of 1.
        let rows = [row(0, &[0.9, 0.1]), row(0, &[0.8, 0.2]), row(0, &[0.1, 0.9]), row(1, &[0.1, 0.9])];
        assert!((mean_class_accuracy(&rows) - 0.5 * (2.0 / 3.0 + 1.0)).abs() < 1e-12);
    }
}
