//! Cohen's kappa, scikit-learn's `cohen_kappa_score`: how much more predictions agree with labels than if both were drawn independently.
//!
//! `1 - observed disagreements / expected disagreements`. It is not defined if all labels and predictions are of one class.

use crate::ConfusionMatrix;
use crate::metric::{Compute, MeanOver, Metric};
use pipe_schemas::Rule;
use pipe_schemas::evaluation::MetricName;
use pipe_schemas::tables::Labelling;

pub(crate) const METRIC: Metric = Metric {
    name: "cohen_kappa",
    group: MetricName::CohenKappa,
    labelling: Labelling::SingleLabel,
    rule: Rule::Greater,
    mean_over: MeanOver::Videos,
    compute: Compute::Confusion(cohen_kappa),
};

/// Returns a value of at most 1, and 0 for predictions by chance; NaN if all labels and predictions are of one class.
pub fn cohen_kappa(matrix: &ConfusionMatrix) -> f64 {
    let total = matrix.total() as f64;
    let classes = 0..matrix.num_classes();
    let agree: f64 =
        classes.map(|class| matrix.num_labelled(class) as f64 * matrix.num_predicted(class) as f64 / total).sum();
    let correct: u64 = (0..matrix.num_classes()).map(|class| matrix.num_correct(class)).sum();
    1.0 - (total - correct as f64) / (total - agree)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(u32, u32)], expect: f64) {
        let found = cohen_kappa(&ConfusionMatrix::of(pairs.iter().copied(), 3).expect("classes"));
        assert!((found - expect).abs() < 1e-12 || (found.is_nan() && expect.is_nan()), "{found}");
    }

    #[test]
    fn agreement_by_chance_is_zero() {
        check(&[(0, 0), (1, 1), (2, 2)], 1.0);
        check(&[(0, 0), (0, 1), (1, 0), (1, 1)], 0.0);
        check(&[(0, 1), (1, 0)], -1.0);
        // Observed 3 of 4; expected (2 * 3 + 2 * 1) / 4 = 2 of 4.
        check(&[(0, 0), (0, 0), (1, 0), (1, 1)], 0.5);
    }

    #[test]
    fn a_single_class_has_no_kappa() {
        check(&[(1, 1), (1, 1)], f64::NAN);
        check(&[], f64::NAN);
    }
}
