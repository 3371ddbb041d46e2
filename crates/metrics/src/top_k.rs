//! Top-k accuracy: the share of videos with their label among the `k` classes of highest probability: MMAction2's `top_k_accuracy`.
//!
//! MMAction2 lets the last of equal classes win; the metrics of this crate let the first win, as everywhere, so that the accuracy is that
//! of the predicted classes. [`is_among_highest`] has both. With `k` classes or fewer the accuracy is 1.

use crate::metric::{Compute, MeanOver, Metric};
use pipe_schemas::Rule;
use pipe_schemas::evaluation::MetricName;
use pipe_schemas::tables::{Labelling, PredictionRow};

pub(crate) const TOP1: Metric = Metric {
    name: "top1",
    group: MetricName::TopKAccuracy,
    labelling: Labelling::SingleLabel,
    rule: Rule::Greater,
    mean_over: MeanOver::Videos,
    compute: Compute::Mean(top_k::<1>),
};

pub(crate) const TOP5: Metric = Metric { name: "top5", compute: Compute::Mean(top_k::<5>), ..TOP1 };

/// Returns the metric for a `k` from 1 to 10.
pub fn top_k_metric(k: u32) -> Option<Metric> {
    let (name, compute): (&str, fn(&PredictionRow) -> f64) = match k {
        1 => return Some(TOP1),
        2 => ("top2", top_k::<2>),
        3 => ("top3", top_k::<3>),
        4 => ("top4", top_k::<4>),
        5 => return Some(TOP5),
        6 => ("top6", top_k::<6>),
        7 => ("top7", top_k::<7>),
        8 => ("top8", top_k::<8>),
        9 => ("top9", top_k::<9>),
        10 => ("top10", top_k::<10>),
        _ => return None,
    };
    Some(Metric { name, compute: Compute::Mean(compute), ..TOP1 })
}

fn top_k<const K: usize>(row: &PredictionRow) -> f64 {
    f64::from(u8::from(is_among_highest(&row.probabilities, row.class_index as usize, K, Ties::FirstWins)))
}

/// Which of equal scores ranks higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ties {
    /// That of the lower class.
    FirstWins,
    /// That of the higher class: the last `k` of a stable ascending sort.
    LastWins,
}

/// Returns whether fewer than `k` classes rank higher than `label`. A label that is not a class is never among the highest.
pub fn is_among_highest<T: PartialOrd>(scores: &[T], label: usize, k: usize, ties: Ties) -> bool {
    let Some(score) = scores.get(label) else { return false };
    let is_higher = |(class, other): &(usize, &T)| {
        let wins_tie = match ties {
            Ties::FirstWins => *class < label,
            Ties::LastWins => *class > label,
        };
        *other > score || (wins_tie && *other == score)
    };
    scores.iter().enumerate().filter(is_higher).count() < k
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::tests::row;

    #[track_caller]
    fn check_rank(label: usize, scores: &[f32], ties: Ties, expect: usize) {
        assert!(is_among_highest(scores, label, expect + 1, ties), "{expect} classes rank higher");
        assert!(!is_among_highest(scores, label, expect, ties), "{expect} classes rank higher");
    }

    #[test]
    fn of_equal_classes_the_first_or_the_last_ranks_higher() {
        check_rank(0, &[0.5, 0.5], Ties::FirstWins, 0);
        check_rank(1, &[0.5, 0.5], Ties::FirstWins, 1);
        check_rank(0, &[0.5, 0.5], Ties::LastWins, 1);
        check_rank(1, &[0.5, 0.5], Ties::LastWins, 0);
        check_rank(5, &[0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4], Ties::FirstWins, 6);
        check_rank(2, &[0.4, 0.3, 0.2, 0.1], Ties::FirstWins, 2);
    }

    #[test]
    fn a_label_outside_of_the_classes_is_never_among_the_highest() {
        assert!(TOP5.value(&[row(2, &[0.5, 0.5])]).abs() < 1e-12);
    }

    #[test]
    fn top5_counts_five_classes() {
        let rows = [row(5, &[0.3, 0.25, 0.2, 0.1, 0.1, 0.05]), row(4, &[0.3, 0.25, 0.2, 0.1, 0.1, 0.05])];
        let value = |k| top_k_metric(k).expect("a metric").value(&rows);
        assert_eq!((value(1), value(4), value(5), value(6)), (0.0, 0.0, 0.5, 1.0));
    }

    #[test]
    fn names_say_which_k() {
        for k in 1..=10 {
            assert_eq!(top_k_metric(k).expect("a metric").name, format!("top{k}"));
        }
        assert!(top_k_metric(0).is_none() && top_k_metric(11).is_none());
    }
}
