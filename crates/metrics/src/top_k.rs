//! Top-k accuracy: the share of videos with their label among the `k` classes of highest probability.
//!
//! MMAction2 lets the last of equal classes win here; this crate lets the first win, as everywhere. With fewer than `k`
//! classes the accuracy is 1.

use crate::metric::{Metric, mean};
use pipe_schemas::Rule;
use pipe_schemas::tables::{Labelling, PredictionRow};

pub(crate) const TOP1: Metric = Metric {
    name: "top1",
    labelling: Labelling::SingleLabel,
    rule: Rule::Greater,
    compute: |predictions| top_k(predictions, 1),
};

pub(crate) const TOP5: Metric = Metric { name: "top5", compute: |predictions| top_k(predictions, 5), ..TOP1 };

fn top_k(predictions: &[PredictionRow], k: usize) -> f64 {
    mean(predictions.iter().map(|row| f64::from(u8::from(rank(row) < k))), predictions.len())
}

/// Returns the number of classes that rank higher than the label.
fn rank(row: &PredictionRow) -> usize {
    let label = row.class_index as usize;
    let Some(probability) = row.probabilities.get(label) else { return usize::MAX };
    let higher =
        |(class, other): &(usize, &f32)| if *class < label { *other >= probability } else { *other > probability };
    row.probabilities.iter().enumerate().filter(higher).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::tests::row;

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
    fn a_label_outside_of_the_classes_is_never_among_the_highest() {
        assert!((TOP5.compute)(&[row(2, &[0.5, 0.5])]).abs() < 1e-12);
    }

    #[test]
    fn top5_counts_five_classes() {
        let rows = [row(5, &[0.3, 0.25, 0.2, 0.1, 0.1, 0.05]), row(4, &[0.3, 0.25, 0.2, 0.1, 0.1, 0.05])];
        assert_eq!(((TOP1.compute)(&rows), (TOP5.compute)(&rows)), (0.0, 0.5));
    }
}
