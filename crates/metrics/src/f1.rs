//! Precision, recall and F1 of videos with one label, as means over classes. The classes are those that occur as a label or as a prediction,
//! as in scikit-learn's `f1_score` with `average="macro"` or `"weighted"`; see [`ClassReport`].

use crate::ClassReport;
use crate::metric::{Compute, MeanOver, Metric};
use pipe_schemas::Rule;
use pipe_schemas::evaluation::MetricName;
use pipe_schemas::tables::Labelling;

pub(crate) const MACRO_PRECISION: Metric = Metric {
    name: "macro_precision",
    group: MetricName::F1,
    labelling: Labelling::SingleLabel,
    rule: Rule::Greater,
    mean_over: MeanOver::PresentClasses,
    compute: Compute::Confusion(|matrix| ClassReport::of_present(matrix).macro_average.precision),
};

pub(crate) const MACRO_RECALL: Metric = Metric {
    name: "macro_recall",
    compute: Compute::Confusion(|matrix| ClassReport::of_present(matrix).macro_average.recall),
    ..MACRO_PRECISION
};

pub(crate) const MACRO_F1: Metric = Metric {
    name: "macro_f1",
    compute: Compute::Confusion(|matrix| ClassReport::of_present(matrix).macro_average.f1),
    ..MACRO_PRECISION
};

pub(crate) const WEIGHTED_F1: Metric = Metric {
    name: "weighted_f1",
    mean_over: MeanOver::LabelledClasses,
    compute: Compute::Confusion(|matrix| ClassReport::of_present(matrix).weighted.f1),
    ..MACRO_PRECISION
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::tests::row;

    #[test]
    fn means_are_over_the_classes_that_occur() {
        // Labels 0, 0 and predictions 0, 1, of three classes: by scikit-learn 1.9.1.
        let rows = [row(0, &[0.9, 0.1, 0.0]), row(0, &[0.1, 0.9, 0.0])];
        let check = |metric: Metric, expect: f64| {
            let found = metric.value(&rows);
            assert!((found - expect).abs() < 1e-12, "{}: {found}", metric.name);
        };
        check(MACRO_PRECISION, 0.5);
        check(MACRO_RECALL, 0.25);
        check(MACRO_F1, 1.0 / 3.0);
        check(WEIGHTED_F1, 2.0 / 3.0);
    }
}
