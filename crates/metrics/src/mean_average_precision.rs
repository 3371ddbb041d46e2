//! Mean average precision of videos with several labels: MMAction2's `mean_average_precision`.
//!
//! The mean is over the classes that occur as a label. The average precision of a class is the sum, over thresholds from the
//! highest probability down, of the recall that a threshold gains times the precision at it. Equal probabilities are one
//! threshold.

use crate::metric::{Metric, mean};
use pipe_schemas::Rule;
use pipe_schemas::tables::{Labelling, PredictionRow};
use std::cmp::Ordering;

pub(crate) const METRIC: Metric = Metric {
    name: "mean_average_precision",
    labelling: Labelling::MultiLabel,
    rule: Rule::Greater,
    compute: mean_average_precision,
};

fn mean_average_precision(predictions: &[PredictionRow]) -> f64 {
    let num_classes = predictions.first().map_or(0, |row| row.probabilities.len());
    let classes = 0..num_classes as u32;
    let precisions: Vec<f64> = classes.filter_map(|class| average_precision(predictions, class)).collect();
    mean(precisions.iter().copied(), precisions.len())
}

/// Returns the average precision of a class; `None` if no video has it as a label.
fn average_precision(predictions: &[PredictionRow], class: u32) -> Option<f64> {
    let answer = |row: &PredictionRow| {
        let probability = row.probabilities.get(class as usize).copied().unwrap_or(0.0);
        (probability, row.class_indices().any(|class_index| class_index == class))
    };
    let mut answers: Vec<(f32, bool)> = predictions.iter().map(answer).collect();
    answers.sort_by(|a, b| b.0.total_cmp(&a.0));
    let num_labelled = |answers: &[(f32, bool)]| answers.iter().filter(|(_, labelled)| *labelled).count();
    let total = num_labelled(&answers);
    let (mut num_above, mut num_correct, mut sum) = (0, 0, 0.0);
    for equal in answers.chunk_by(|a, b| a.0.partial_cmp(&b.0).is_some_and(Ordering::is_eq)) {
        let gained = num_labelled(equal);
        (num_above, num_correct) = (num_above + equal.len(), num_correct + gained);
        sum += gained as f64 / total as f64 * (num_correct as f64 / num_above as f64);
    }
    (total > 0).then_some(sum)
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
        let found: Vec<_> = (0..4).map(|class| average_precision(&rows(), class)).collect();
        assert_eq!(found, [Some(0.5 + 1.0 / 3.0), Some(0.5), None, Some(0.5)]);
        let expect = (0.5 + 1.0 / 3.0 + 0.5 + 0.5) / 3.0;
        assert!((mean_average_precision(&rows()) - expect).abs() < 1e-12);
    }
}
