//! [`metrics`]: how often the network is right.

use pipe_schemas::stages::evaluate::Metrics;
use pipe_schemas::tables::{Labelling, PredictionRow};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Returns the metrics of `predictions`, one row a video or segment.
///
/// Of classes with equal probabilities the first ranks higher (MMAction2 lets the last win in its top-k, the first in its
/// mean class accuracy). With fewer than five classes, top-5 is always 1.
pub fn metrics(predictions: &[PredictionRow], num_missing: u64, labelling: Labelling) -> Metrics {
    let num_videos = predictions.len();
    let single = labelling == Labelling::SingleLabel;
    let among = |k: usize| {
        let right = predictions.iter().filter(|row| rank(row) < k).count();
        single.then(|| right as f64 / num_videos.max(1) as f64)
    };
    let loss = if single { cross_entropy } else { binary_cross_entropy };
    Metrics {
        top1: among(1),
        top5: among(5),
        mean_class_accuracy: single.then(|| mean_class_accuracy(predictions)),
        mean_average_precision: (!single).then(|| mean_average_precision(predictions)),
        loss: predictions.iter().map(loss).sum::<f64>() / num_videos.max(1) as f64,
        num_videos: num_videos as u64,
        num_missing,
        num_views: predictions.iter().map(|row| u64::from(row.num_views)).sum(),
        num_classes: predictions.first().map_or(0, |row| row.probabilities.len() as u64),
    }
}

/// Returns the share of rows whose highest class is their label, or one of several.
pub fn top1(predictions: &[PredictionRow]) -> f64 {
    let right = |row: &&PredictionRow| row.class_indices().any(|class_index| class_index == row.predicted_index);
    predictions.iter().filter(right).count() as f64 / predictions.len().max(1) as f64
}

fn cross_entropy(row: &PredictionRow) -> f64 {
    surprise(f64::from(row.probabilities.get(row.class_index as usize).copied().unwrap_or(0.0)))
}

/// Returns the mean over the classes.
fn binary_cross_entropy(row: &PredictionRow) -> f64 {
    let of_class = |(class, probability): (u32, &f32)| {
        let labelled = row.class_indices().any(|class_index| class_index == class);
        surprise(if labelled { f64::from(*probability) } else { 1.0 - f64::from(*probability) })
    };
    (0..).zip(&row.probabilities).map(of_class).sum::<f64>() / row.probabilities.len().max(1) as f64
}

fn surprise(probability: f64) -> f64 {
    -probability.max(f64::from(f32::MIN_POSITIVE)).ln()
}

/// Returns the mean over the classes that occur as a label of their average precision: MMAction2's
/// `mean_average_precision`.
fn mean_average_precision(predictions: &[PredictionRow]) -> f64 {
    let num_classes = predictions.first().map_or(0, |row| row.probabilities.len());
    let classes = 0..num_classes as u32;
    let precisions: Vec<f64> = classes.filter_map(|class| average_precision(predictions, class)).collect();
    precisions.iter().sum::<f64>() / precisions.len().max(1) as f64
}

/// Returns the sum, over the thresholds from the highest probability down, of the recall that a threshold gains times the
/// precision at it. Equal probabilities are one threshold. `None` if no row has this label.
fn average_precision(predictions: &[PredictionRow], class: u32) -> Option<f64> {
    let answer = |row: &PredictionRow| {
        let probability = row.probabilities.get(class as usize).copied().unwrap_or(0.0);
        (probability, row.class_indices().any(|class_index| class_index == class))
    };
    let mut answers: Vec<(f32, bool)> = predictions.iter().map(answer).collect();
    answers.sort_by(|a, b| b.0.total_cmp(&a.0));
    let count = |answers: &[(f32, bool)]| answers.iter().filter(|(_, labelled)| *labelled).count();
    let all = count(&answers);
    let (mut seen, mut right, mut sum) = (0, 0, 0.0);
    for equal in answers.chunk_by(|a, b| a.0.partial_cmp(&b.0).is_some_and(Ordering::is_eq)) {
        let gained = count(equal);
        (seen, right) = (seen + equal.len(), right + gained);
        sum += gained as f64 / all as f64 * (right as f64 / seen as f64);
    }
    (all > 0).then_some(sum)
}

/// Returns how many classes rank higher than the right one; of equals the first does.
fn rank(row: &PredictionRow) -> usize {
    let target = row.class_index as usize;
    let Some(probability) = row.probabilities.get(target) else { return usize::MAX };
    let higher =
        |(class, other): &(usize, &f32)| if *class < target { *other >= probability } else { *other > probability };
    row.probabilities.iter().enumerate().filter(higher).count()
}

/// Returns the mean over the classes that occur, as label or as prediction, of the share of their videos found; a class
/// that is only predicted counts as 0, as in MMAction2.
fn mean_class_accuracy(predictions: &[PredictionRow]) -> f64 {
    let mut classes: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    for row in predictions {
        classes.entry(row.predicted_index).or_default();
        let (right, all) = classes.entry(row.class_index).or_default();
        *right += usize::from(row.predicted_index == row.class_index);
        *all += 1;
    }
    let sum: f64 = classes.values().map(|(right, all)| *right as f64 / (*all).max(1) as f64).sum();
    sum / classes.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(class_index: u32, probabilities: &[f32]) -> PredictionRow {
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
    fn a_class_that_is_only_predicted_lowers_the_mean() {
        let rows = [row(0, &[0.9, 0.1]), row(0, &[0.1, 0.9])];
        let found = metrics(&rows, 1, Labelling::SingleLabel);
        assert_eq!((found.top1, found.top5, found.mean_class_accuracy), (Some(0.5), Some(1.0), Some(0.25)));
        assert_eq!((top1(&rows), found.mean_average_precision), (0.5, None));
        assert!((found.loss - (-(0.9f64.ln()) - 0.1f64.ln()) / 2.0).abs() < 1e-6);
        assert_eq!((found.num_videos, found.num_missing, found.num_views, found.num_classes), (2, 1, 6, 2));
    }

    /// The values are those of MMAction2's `mean_average_precision` for these arrays.
    #[test]
    fn several_labels_are_measured_by_their_average_precision() {
        let labelled = |labels: &[u32], probabilities: &[f32]| {
            let row = row(labels[0], probabilities);
            PredictionRow { more_class_indices: labels[1..].to_vec(), ..row }
        };
        let rows = [
            labelled(&[0], &[0.9, 0.2, 0.5, 0.1]),
            labelled(&[1, 3], &[0.8, 0.6, 0.4, 0.3]),
            labelled(&[0], &[0.7, 0.6, 0.9, 0.8]),
        ];
        // Class 0: 1/2 * 1 + 1/2 * 2/3. Class 1: right at the second place of two equal ones. Class 3: at the second.
        let found: Vec<_> = (0..4).map(|class| average_precision(&rows, class)).collect();
        assert_eq!(found, [Some(0.5 + 1.0 / 3.0), Some(0.5), None, Some(0.5)]);
        let found = metrics(&rows, 0, Labelling::MultiLabel);
        let expect = (0.5 + 1.0 / 3.0 + 0.5 + 0.5) / 3.0;
        assert!((found.mean_average_precision.expect("several labels") - expect).abs() < 1e-12);
        assert_eq!((found.top1, found.top5, found.mean_class_accuracy), (None, None, None));
        assert!((top1(&rows) - 1.0 / 3.0).abs() < 1e-12);
        let logs = [[0.9, 0.8, 0.5, 0.9], [0.2, 0.6, 0.6, 0.3], [0.7, 0.4, 0.1, 0.2]].concat();
        let loss = -logs.iter().map(|probability: &f64| probability.ln()).sum::<f64>() / 12.0;
        assert!((found.loss - loss).abs() < 1e-6, "{} {loss}", found.loss);
    }

    fn check_rank(class_index: u32, probabilities: &[f32], expect: usize) {
        assert_eq!(rank(&row(class_index, probabilities)), expect);
    }

    #[test]
    fn of_equal_classes_the_first_ranks_higher() {
        check_rank(0, &[0.5, 0.5], 0);
        check_rank(1, &[0.5, 0.5], 1);
        check_rank(5, &[0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4], 6);
        check_rank(2, &[0.4, 0.3, 0.2, 0.1], 2);
    }

    #[test]
    fn top5_looks_at_five_classes() {
        let rows = [row(5, &[0.3, 0.25, 0.2, 0.1, 0.1, 0.05]), row(4, &[0.3, 0.25, 0.2, 0.1, 0.1, 0.05])];
        let found = metrics(&rows, 0, Labelling::SingleLabel);
        assert_eq!((found.top1, found.top5), (Some(0.0), Some(0.5)));
    }
}
