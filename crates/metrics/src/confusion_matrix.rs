//! [`ConfusionMatrix`]: how often each class is predicted for each label. Precision, recall, accuracy per class and Cohen's kappa follow
//! from it.
//!
//! Rows are labels, columns are predictions, as in scikit-learn's `confusion_matrix`.

use pipe_schemas::tables::PredictionRow;

/// How often each class is predicted for each label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfusionMatrix {
    num_classes: usize,
    /// `[K, K]`, row by row.
    counts: Vec<u64>,
}

/// What a normalised confusion matrix is divided by, by scikit-learn's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalise {
    /// The number of videos with the label: rows sum to 1.
    True,
    /// The number of videos with the prediction: columns sum to 1.
    Pred,
    /// The number of videos.
    All,
}

impl ConfusionMatrix {
    /// Returns a matrix of zeros.
    pub fn new(num_classes: usize) -> Self {
        Self { num_classes, counts: vec![0; num_classes * num_classes] }
    }

    /// Counts pairs of label and prediction; `None` if one is not below `num_classes`.
    pub fn of(pairs: impl IntoIterator<Item = (u32, u32)>, num_classes: usize) -> Option<Self> {
        let mut matrix = Self::new(num_classes);
        pairs.into_iter().all(|(label, predicted)| matrix.add(label, predicted)).then_some(matrix)
    }

    /// Counts predictions of videos with one label. The classes are those of the probabilities, and any above that occur.
    pub fn of_rows<'a>(rows: impl IntoIterator<Item = &'a PredictionRow> + Clone) -> Self {
        let needed =
            |row: &PredictionRow| row.probabilities.len().max(row.class_index.max(row.predicted_index) as usize + 1);
        let mut matrix = Self::new(rows.clone().into_iter().map(needed).max().unwrap_or(0));
        for row in rows {
            matrix.add(row.class_index, row.predicted_index);
        }
        matrix
    }

    /// Counts a video; returns whether both are classes.
    fn add(&mut self, label: u32, predicted: u32) -> bool {
        let (label, predicted) = (label as usize, predicted as usize);
        let known = label < self.num_classes && predicted < self.num_classes;
        if known {
            self.counts[label * self.num_classes + predicted] += 1;
        }
        known
    }

    /// Returns `K`.
    pub fn num_classes(&self) -> usize {
        self.num_classes
    }

    /// Returns the number of videos with this label and this prediction.
    pub fn count(&self, label: usize, predicted: usize) -> u64 {
        self.counts[label * self.num_classes + predicted]
    }

    /// Returns the rows: for each label, the number of videos by prediction.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks(self.num_classes.max(1))
    }

    /// Returns the number of videos.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the number of videos with this label.
    pub fn num_labelled(&self, class: usize) -> u64 {
        self.counts[class * self.num_classes..(class + 1) * self.num_classes].iter().sum()
    }

    /// Returns the number of videos with this prediction.
    pub fn num_predicted(&self, class: usize) -> u64 {
        (0..self.num_classes).map(|label| self.count(label, class)).sum()
    }

    /// Returns the number of videos with this label that are predicted correctly.
    pub fn num_correct(&self, class: usize) -> u64 {
        self.count(class, class)
    }

    /// Returns the classes that occur as a label or as a prediction: those that scikit-learn and MMAction2 find in two lists.
    pub fn present(&self) -> Vec<usize> {
        (0..self.num_classes).filter(|class| self.num_labelled(*class) + self.num_predicted(*class) > 0).collect()
    }

    /// Returns the share of videos whose prediction is their label; 0 if there are none.
    pub fn accuracy(&self) -> f64 {
        let correct: u64 = (0..self.num_classes).map(|class| self.num_correct(class)).sum();
        ratio(correct, self.total())
    }

    /// Returns the matrix of these classes alone.
    #[must_use]
    pub fn of_classes(&self, classes: &[usize]) -> Self {
        let count = |label: usize| classes.iter().map(move |predicted| self.count(label, *predicted));
        Self { num_classes: classes.len(), counts: classes.iter().flat_map(|label| count(*label)).collect() }
    }

    /// Returns shares, `[K, K]` row by row. Where there are no videos to divide by, shares are 0, as in scikit-learn.
    pub fn normalised(&self, by: Normalise) -> Vec<f64> {
        let classes = 0..self.num_classes;
        let labelled: Vec<u64> = classes.clone().map(|class| self.num_labelled(class)).collect();
        let predicted: Vec<u64> = classes.map(|class| self.num_predicted(class)).collect();
        let total = self.total();
        let share = |(at, count): (usize, &u64)| {
            let (row, column) = (at / self.num_classes, at % self.num_classes);
            let all = match by {
                Normalise::True => labelled[row],
                Normalise::Pred => predicted[column],
                Normalise::All => total,
            };
            ratio(*count, all)
        };
        self.counts.iter().enumerate().map(share).collect()
    }
}

/// Returns a share; 0 if `whole` is 0.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> ConfusionMatrix {
        ConfusionMatrix::of([(0, 0), (0, 0), (0, 1), (1, 1), (2, 0)], 4).expect("classes")
    }

    #[test]
    fn rows_are_labels_and_sum_to_the_support() {
        let matrix = matrix();
        let rows: Vec<&[u64]> = matrix.rows().collect();
        assert_eq!(rows, [&[2, 1, 0, 0][..], &[0, 1, 0, 0], &[1, 0, 0, 0], &[0, 0, 0, 0]]);
        let support: Vec<u64> = (0..4).map(|class| matrix.num_labelled(class)).collect();
        assert_eq!(support, [3, 1, 1, 0]);
        assert_eq!((matrix.total(), matrix.present()), (5, vec![0, 1, 2]));
        assert!((matrix.accuracy() - 0.6).abs() < 1e-12);
    }

    #[test]
    fn shares_are_of_labels_predictions_or_all() {
        let check = |by, at: usize, expect: f64| {
            let found = matrix().normalised(by)[at];
            assert!((found - expect).abs() < 1e-12, "{by:?} {at}: {found}");
        };
        check(Normalise::True, 0, 2.0 / 3.0);
        check(Normalise::Pred, 0, 2.0 / 3.0);
        check(Normalise::Pred, 5, 0.5);
        check(Normalise::All, 0, 0.4);
        check(Normalise::True, 12, 0.0);
        check(Normalise::Pred, 2, 0.0);
    }

    #[test]
    fn a_label_that_is_not_a_class_is_refused() {
        assert_eq!(ConfusionMatrix::of([(0, 0), (2, 0)], 2), None);
        assert_eq!(ConfusionMatrix::of([(0, 2)], 2), None);
        assert_eq!(ConfusionMatrix::of([], 0).map(|matrix| (matrix.total(), matrix.rows().count())), Some((0, 0)));
    }

    #[test]
    fn a_part_of_the_classes_has_the_counts_of_the_whole() {
        let part = matrix().of_classes(&[0, 2]);
        assert_eq!(part.rows().collect::<Vec<_>>(), [&[2, 0][..], &[1, 0]]);
    }
}
