//! [`ClassReport`]: precision, recall, F1 and support of each class, and their averages: scikit-learn's `precision_recall_fscore_support` and
//! `classification_report`.
//!
//! - precision = correct / predicted, recall = correct / labelled, F1 = 2 correct / (labelled + predicted); 0 where that is 0 / 0.
//! - *micro*: counts of all classes are summed before dividing. *macro*: the mean over classes. *weighted*: the mean weighted by support; the
//!   plain mean if no class has support.
//! - Support: the number of videos with the label.

mod text;

use crate::confusion_matrix::{ConfusionMatrix, ratio};

/// Precision, recall and F1 of a class, or an average of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Scores {
    /// The share of the predictions of the class that are correct.
    pub precision: f64,
    /// The share of the videos of the class that are predicted as it.
    pub recall: f64,
    /// The harmonic mean of both.
    pub f1: f64,
}

/// A row of the report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassScores {
    /// The class, from 0.
    pub class: usize,
    /// Its scores.
    pub scores: Scores,
    /// Number of videos that have it as a label.
    pub support: u64,
    /// Number of videos that it is predicted for.
    pub num_predicted: u64,
}

/// Precision, recall, F1 and support per class, and their averages.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassReport {
    /// The classes that the report is about, ascending.
    pub classes: Vec<ClassScores>,
    /// Of the counts of all these classes together.
    pub micro: Scores,
    /// The mean over these classes.
    pub macro_average: Scores,
    /// The mean over these classes, weighted by support.
    pub weighted: Scores,
    /// The mean over videos of the scores of its set of labels; for several labels per video only.
    pub samples: Option<Scores>,
    /// Whether `micro` is the accuracy: each video has one label, and the report is about every class that occurs.
    pub micro_is_accuracy: bool,
    /// The sum of all supports.
    pub support: u64,
}

/// Numbers of videos that the scores of a class are made of.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) correct: u64,
    pub(crate) predicted: u64,
    pub(crate) labelled: u64,
}

impl Counts {
    pub(crate) fn scores(self) -> Scores {
        let Self { correct, predicted, labelled } = self;
        Scores {
            precision: ratio(correct, predicted),
            recall: ratio(correct, labelled),
            f1: ratio(2 * correct, predicted + labelled),
        }
    }

    pub(crate) fn sum(counts: impl Iterator<Item = Self>) -> Self {
        counts.fold(Self::default(), |sum, one| Self {
            correct: sum.correct + one.correct,
            predicted: sum.predicted + one.predicted,
            labelled: sum.labelled + one.labelled,
        })
    }
}

impl ClassReport {
    /// Returns the report about all classes of the matrix, whether they occur or not.
    pub fn of_all(matrix: &ConfusionMatrix) -> Self {
        Self::of(matrix, &(0..matrix.num_classes()).collect::<Vec<_>>())
    }

    /// Returns the report about the classes that occur as a label or a prediction, as scikit-learn's default does.
    pub fn of_present(matrix: &ConfusionMatrix) -> Self {
        Self::of(matrix, &matrix.present())
    }

    fn of(matrix: &ConfusionMatrix, classes: &[usize]) -> Self {
        let counts = |class: &usize| Counts {
            correct: matrix.num_correct(*class),
            predicted: matrix.num_predicted(*class),
            labelled: matrix.num_labelled(*class),
        };
        let counts: Vec<(usize, Counts)> = classes.iter().map(|class| (*class, counts(class))).collect();
        Self { micro_is_accuracy: true, ..Self::of_counts(&counts) }
    }

    /// Returns the report of classes with these counts.
    pub(crate) fn of_counts(counts: &[(usize, Counts)]) -> Self {
        let row = |(class, counts): &(usize, Counts)| ClassScores {
            class: *class,
            scores: counts.scores(),
            support: counts.labelled,
            num_predicted: counts.predicted,
        };
        let classes: Vec<ClassScores> = counts.iter().map(row).collect();
        let support: u64 = classes.iter().map(|row| row.support).sum();
        let macro_average = average(classes.iter().map(|row| (row.scores, 1.0)));
        Self {
            micro: Counts::sum(counts.iter().map(|(_, counts)| *counts)).scores(),
            macro_average,
            weighted: if support == 0 {
                macro_average
            } else {
                average(classes.iter().map(|row| (row.scores, row.support as f64)))
            },
            samples: None,
            micro_is_accuracy: false,
            support,
            classes,
        }
    }
}

/// Returns the weighted mean; zeros if there is nothing.
pub(crate) fn average(scores: impl Iterator<Item = (Scores, f64)>) -> Scores {
    let (mut sum, mut total) = (Scores::default(), 0.0);
    for (one, weight) in scores {
        sum.precision += weight * one.precision;
        sum.recall += weight * one.recall;
        sum.f1 += weight * one.f1;
        total += weight;
    }
    if total > 0.0 {
        sum = Scores { precision: sum.precision / total, recall: sum.recall / total, f1: sum.f1 / total };
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Labels 0, 0 and predictions 0, 1 with three classes, by scikit-learn 1.9.1.
    fn matrix() -> ConfusionMatrix {
        ConfusionMatrix::of([(0, 0), (0, 1)], 3).expect("classes")
    }

    #[test]
    fn averages_depend_on_which_classes_the_report_is_about() {
        let all = ClassReport::of_all(&matrix());
        assert_eq!(all.classes.iter().map(|row| row.support).collect::<Vec<_>>(), [2, 0, 0]);
        let check = |found: Scores, precision: f64, recall: f64, f1: f64| {
            let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
            assert!(near(found.precision, precision) && near(found.recall, recall) && near(found.f1, f1), "{found:?}");
        };
        check(all.macro_average, 1.0 / 3.0, 0.5 / 3.0, 2.0 / 9.0);
        check(all.weighted, 1.0, 0.5, 2.0 / 3.0);
        check(all.micro, 0.5, 0.5, 0.5);
        let present = ClassReport::of_present(&matrix());
        assert_eq!(present.classes.iter().map(|row| row.class).collect::<Vec<_>>(), [0, 1]);
        check(present.macro_average, 0.5, 0.25, 1.0 / 3.0);
        check(present.weighted, 1.0, 0.5, 2.0 / 3.0);
    }

    #[test]
    fn no_videos_give_zeros() {
        let report = ClassReport::of_all(&ConfusionMatrix::new(2));
        assert_eq!((report.micro, report.weighted, report.support), (Scores::default(), Scores::default(), 0));
        assert!(ClassReport::of_present(&ConfusionMatrix::new(2)).classes.is_empty());
    }
}
