//! Properties that hold for all labels and predictions.

use pipe_metrics::{
    ClassReport, ConfusionMatrix, Interval, McNemar, Normalise, average_precision, balanced_accuracy,
    mean_class_accuracy,
};
use proptest::prelude::*;

/// Up to 60 pairs of label and prediction, of 6 classes.
fn pairs() -> impl Strategy<Value = Vec<(u32, u32)>> {
    prop::collection::vec((0_u32..6, 0_u32..6), 1..60)
}

fn matrix(pairs: &[(u32, u32)]) -> ConfusionMatrix {
    ConfusionMatrix::of(pairs.iter().copied(), 6).expect("classes")
}

proptest! {
    #[test]
    fn rows_of_a_confusion_matrix_sum_to_the_support(pairs in pairs()) {
        let matrix = matrix(&pairs);
        let report = ClassReport::of_all(&matrix);
        let sums: Vec<u64> = matrix.rows().map(|row| row.iter().sum()).collect();
        prop_assert_eq!(sums, report.classes.iter().map(|row| row.support).collect::<Vec<_>>());
        prop_assert_eq!(report.support, pairs.len() as u64);
        for (row, support) in matrix.normalised(Normalise::True).chunks(6).zip(&report.classes) {
            let expect = if support.support == 0 { 0.0 } else { 1.0 };
            prop_assert!((row.iter().sum::<f64>() - expect).abs() < 1e-12);
        }
    }

    #[test]
    fn the_order_of_videos_does_not_matter(pairs in pairs(), by in 1_usize..60) {
        let mut other = pairs.clone();
        other.rotate_left(by % pairs.len());
        other.reverse();
        prop_assert_eq!(matrix(&pairs), matrix(&other));
    }

    #[test]
    fn the_weighted_recall_and_the_micro_average_are_the_accuracy(pairs in pairs()) {
        let matrix = matrix(&pairs);
        let report = ClassReport::of_present(&matrix);
        for value in [report.weighted.recall, report.micro.precision, report.micro.recall, report.micro.f1] {
            prop_assert!((value - matrix.accuracy()).abs() < 1e-12);
        }
        prop_assert!(mean_class_accuracy(&matrix) <= balanced_accuracy(&matrix) + 1e-12);
        prop_assert!((mean_class_accuracy(&matrix) - report.macro_average.recall).abs() < 1e-12);
    }

    #[test]
    fn average_precision_is_a_share_and_one_if_all_that_is_wanted_comes_first(
        scored in prop::collection::vec((0_u32..8, any::<bool>()), 1..40),
    ) {
        let found = average_precision(scored.iter().copied());
        prop_assert_eq!(found.is_some(), scored.iter().any(|(_, wanted)| *wanted));
        prop_assert!(found.is_none_or(|found| found > 0.0 && found <= 1.0 + 1e-12));
        let sorted = scored.iter().map(|(score, wanted)| (if *wanted { score + 8 } else { *score }, *wanted));
        prop_assert!(average_precision(sorted).is_none_or(|found| (found - 1.0).abs() < 1e-12));
    }

    #[test]
    fn an_interval_lies_within_the_values(values in prop::collection::vec(-1e3..1e3_f64, 1..50), confidence in 0.5..0.999_f64) {
        let found = Interval::of(values.iter().copied(), confidence).expect("values");
        let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(*value), high.max(*value)));
        prop_assert!(low <= found.low && found.low <= found.high && found.high <= high);
    }

    #[test]
    fn the_test_of_two_networks_does_not_depend_on_which_is_first(pairs in prop::collection::vec(any::<(bool, bool)>(), 0..200)) {
        let one = McNemar::of(pairs.iter().copied());
        let other = McNemar::of(pairs.iter().map(|(a, b)| (*b, *a)));
        prop_assert!((one.exact_p - other.exact_p).abs() < 1e-12 && (one.chi_squared - other.chi_squared).abs() < 1e-12);
        prop_assert!((0.0..=1.0).contains(&one.exact_p) && (0.0..=1.0).contains(&one.chi_squared_p));
    }
}
