//! Sets of labels: what a network predicts for a video with several labels are the classes with a probability of at least one half. F1 and
//! the share of exact sets, as scikit-learn's `f1_score` and `accuracy_score` compute them for indicator matrices.

use crate::class_report::{ClassReport, Counts, average};
use crate::metric::{Compute, MeanOver, Metric, mean};
use pipe_schemas::Rule;
use pipe_schemas::evaluation::MetricName;
use pipe_schemas::tables::{Labelling, PredictionRow};

/// A class with at least this probability is predicted.
pub const THRESHOLD: f64 = 0.5;

pub(crate) const MICRO_F1: Metric = Metric {
    name: "micro_f1",
    group: MetricName::F1,
    labelling: Labelling::MultiLabel,
    rule: Rule::Greater,
    mean_over: MeanOver::Videos,
    compute: Compute::All(|rows| LabelSets::of_rows(rows).report().micro.f1),
};

pub(crate) const MACRO_F1: Metric = Metric {
    name: "macro_f1",
    mean_over: MeanOver::AllClasses,
    compute: Compute::All(|rows| LabelSets::of_rows(rows).report().macro_average.f1),
    ..MICRO_F1
};

pub(crate) const SUBSET_ACCURACY: Metric = Metric {
    name: "subset_accuracy",
    compute: Compute::All(|rows| LabelSets::of_rows(rows).subset_accuracy()),
    ..MICRO_F1
};

/// The labels and the predicted classes of videos.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelSets {
    num_classes: usize,
    /// `[N, K]`: for each video and class, whether it is a label, and whether it is predicted.
    videos: Vec<Vec<(bool, bool)>>,
}

impl LabelSets {
    /// Compares labels with scores, of which those of at least [`THRESHOLD`] are predictions.
    ///
    /// # Shapes
    /// - `labels`, `scores`: `[N, K]`
    pub fn new(labels: &[Vec<bool>], scores: &[Vec<f64>]) -> Self {
        let video = |(labels, scores): (&Vec<bool>, &Vec<f64>)| -> Vec<(bool, bool)> {
            labels.iter().zip(scores).map(|(label, score)| (*label, *score >= THRESHOLD)).collect()
        };
        let videos: Vec<_> = labels.iter().zip(scores).map(video).collect();
        Self { num_classes: videos.first().map_or(0, Vec::len), videos }
    }

    /// Returns those of predictions.
    pub fn of_rows(rows: &[&PredictionRow]) -> Self {
        let video = |row: &&PredictionRow| -> Vec<(bool, bool)> {
            let label = |class: u32| row.class_indices().any(|class_index| class_index == class);
            let of_class = |(class, p): (u32, &f32)| (label(class), f64::from(*p) >= THRESHOLD);
            (0..).zip(&row.probabilities).map(of_class).collect()
        };
        let videos: Vec<_> = rows.iter().map(video).collect();
        Self { num_classes: videos.first().map_or(0, Vec::len), videos }
    }

    /// Returns precision, recall and F1 of all classes.
    pub fn report(&self) -> ClassReport {
        let of_class = |class: usize| {
            (class, Counts::sum(self.videos.iter().filter_map(|video| video.get(class)).map(|pair| counts(*pair))))
        };
        let of_video = |video: &Vec<(bool, bool)>| Counts::sum(video.iter().map(|pair| counts(*pair))).scores();
        let of_classes: Vec<_> = (0..self.num_classes).map(of_class).collect();
        let samples = average(self.videos.iter().map(|video| (of_video(video), 1.0)));
        ClassReport { samples: Some(samples), ..ClassReport::of_counts(&of_classes) }
    }

    /// Returns the share of videos for which exactly the labels are predicted; 0 if there are none.
    pub fn subset_accuracy(&self) -> f64 {
        let is_exact = |video: &Vec<(bool, bool)>| video.iter().all(|(label, predicted)| label == predicted);
        mean(self.videos.iter().map(|video| f64::from(u8::from(is_exact(video)))), self.videos.len())
    }
}

fn counts((label, predicted): (bool, bool)) -> Counts {
    Counts { correct: u64::from(label && predicted), predicted: u64::from(predicted), labelled: u64::from(label) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mean_average_precision::tests::rows;

    #[test]
    fn classes_of_at_least_one_half_are_predicted() {
        // Labels {0}, {1, 3}, {0}; predicted {0, 2}, {0, 1}, {0, 1, 2, 3}.
        let rows = rows();
        let sets = LabelSets::of_rows(&rows.iter().collect::<Vec<_>>());
        let report = sets.report();
        let f1: Vec<f64> = report.classes.iter().map(|row| row.scores.f1).collect();
        assert_eq!(f1, [4.0 / 5.0, 2.0 / 3.0, 0.0, 0.0]);
        assert!((MICRO_F1.value(&rows) - 6.0 / 12.0).abs() < 1e-12);
        assert!((MACRO_F1.value(&rows) - (0.8 + 2.0 / 3.0) / 4.0).abs() < 1e-12);
        let samples = report.samples.expect("several labels");
        assert!((samples.precision - (0.5 + 0.5 + 0.25) / 3.0).abs() < 1e-12, "{samples:?}");
        assert!((samples.recall - (1.0 + 0.5 + 1.0) / 3.0).abs() < 1e-12, "{samples:?}");
        assert!(SUBSET_ACCURACY.value(&rows).abs() < 1e-12);
        let exact = LabelSets::new(&[vec![true, false], vec![true, true]], &[vec![0.5, 0.49], vec![0.9, 0.1]]);
        assert!((exact.subset_accuracy() - 0.5).abs() < 1e-12);
    }

    /// What scikit-learn 1.9.1 prints for these sets.
    #[test]
    fn the_text_has_lines_for_the_averages_over_counts_and_videos() {
        let sets = LabelSets::new(&[vec![true, false], vec![true, true]], &[vec![0.5, 0.49], vec![0.9, 0.1]]);
        let expect = "              precision    recall  f1-score   support\n\n           a       1.00      1.00      1.00         2\n           b       0.00      0.00      0.00         1\n\n   micro avg       1.00      0.67      0.80         3\n   macro avg       0.50      0.50      0.50         3\nweighted avg       0.67      0.67      0.67         3\n samples avg       1.00      0.75      0.83         3\n";
        assert_eq!(sets.report().text(|class| ["a", "b"][class].to_owned(), 2), expect);
    }
}
