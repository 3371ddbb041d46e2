//! [`metrics`]: how often the network is right.

use pipe_schemas::stages::evaluate::Metrics;
use pipe_schemas::tables::PredictionRow;
use std::collections::BTreeMap;

/// Returns the metrics of `predictions`, one row a video or segment.
///
/// Of classes with equal probabilities the first ranks higher (MMAction2 lets the last win in its top-k, the first in its
/// mean class accuracy). With fewer than five classes, top-5 is always 1.
pub fn metrics(predictions: &[PredictionRow], num_missing: u64) -> Metrics {
    let num_videos = predictions.len();
    let share = |right: usize| right as f64 / num_videos.max(1) as f64;
    let among = |k: usize| share(predictions.iter().filter(|row| rank(row) < k).count());
    let loss = |row: &PredictionRow| {
        let probability = row.probabilities.get(row.class_index as usize).copied().unwrap_or(0.0);
        -f64::from(probability.max(f32::MIN_POSITIVE)).ln()
    };
    Metrics {
        top1: among(1),
        top5: among(5),
        mean_class_accuracy: mean_class_accuracy(predictions),
        loss: predictions.iter().map(loss).sum::<f64>() / num_videos.max(1) as f64,
        num_videos: num_videos as u64,
        num_missing,
        num_views: predictions.iter().map(|row| u64::from(row.num_views)).sum(),
        num_classes: predictions.first().map_or(0, |row| row.probabilities.len() as u64),
    }
}

/// Returns how many classes rank higher than the right one.
fn rank(row: &PredictionRow) -> usize {
    let target = row.class_index as usize;
    let Some(probability) = row.probabilities.get(target) else { return usize::MAX };
    let higher = |(class, other): &(usize, &f32)| *other > probability || (*other == probability && *class < target);
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
            predicted_index: probabilities.iter().position(|value| *value == best).expect("a class") as u32,
            num_views: 3,
            probabilities: probabilities.into(),
            ..PredictionRow::default()
        }
    }

    #[test]
    fn a_class_that_is_only_predicted_lowers_the_mean() {
        let rows = [row(0, &[0.9, 0.1]), row(0, &[0.1, 0.9])];
        let found = metrics(&rows, 1);
        assert!((found.mean_class_accuracy - 0.25).abs() < 1e-12);
        assert!((found.top1 - 0.5).abs() < 1e-12);
        assert!((found.top5 - 1.0).abs() < 1e-12);
        assert!((found.loss - (-(0.9f64.ln()) - 0.1f64.ln()) / 2.0).abs() < 1e-6);
        assert_eq!((found.num_videos, found.num_missing, found.num_views, found.num_classes), (2, 1, 6, 2));
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
        let found = metrics(&rows, 0);
        assert!((found.top5 - 0.5).abs() < 1e-12, "{}", found.top5);
        assert!(found.top1.abs() < 1e-12);
    }
}
