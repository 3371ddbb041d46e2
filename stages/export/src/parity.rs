//! [`Comparison`]: the differences of two runtimes on the same clips.

use crate::ExportError;
use pipe_graph::onnx;
use pipe_schemas::stages::export::Parity;

/// The names of axes that may have other sizes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Axes {
    /// Those of the written file.
    pub(crate) written: Vec<String>,
    /// Those that the network allows.
    pub(crate) possible: Vec<String>,
}

/// The differences of two runtimes so far.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    num_test_views: u64,
    num_views: u64,
    num_agreeing: u64,
    max_abs_diff: f64,
    max_abs_logit: f64,
    max_rel_diff: f64,
}

impl Comparison {
    /// Returns a comparison on some of `num_test_views` views.
    pub(crate) fn of(num_test_views: u64) -> Self {
        Self { num_test_views, ..Self::default() }
    }

    /// Adds the logits of one view. A difference of NaN counts as infinite.
    pub(crate) fn add(&mut self, reference: &[f32], exported: &[f32]) {
        self.num_views += 1;
        self.num_agreeing += u64::from(argmax(reference) == argmax(exported));
        let (mut largest, mut difference) = (0.0_f64, 0.0_f64);
        for (a, b) in reference.iter().zip(exported) {
            let diff = f64::from((a - b).abs());
            difference = difference.max(if diff.is_nan() { f64::INFINITY } else { diff });
            largest = largest.max(f64::from(a.abs()));
        }
        self.max_abs_diff = self.max_abs_diff.max(difference);
        self.max_abs_logit = self.max_abs_logit.max(largest);
        // Logits of zero have no relative difference.
        let relative = if difference > 0.0 { difference / largest.max(f64::MIN_POSITIVE) } else { 0.0 };
        self.max_rel_diff = self.max_rel_diff.max(relative);
    }

    /// Returns the figures, or an error if a logit differs by more than `tolerance` times the largest logit (at least 1).
    pub(crate) fn finish(self, tolerance: f64, runtime: String, axes: Axes) -> Result<Parity, ExportError> {
        let Self { num_test_views, num_views, num_agreeing, max_abs_diff, max_abs_logit, max_rel_diff } = self;
        let limit = tolerance * max_abs_logit.max(1.0);
        if max_abs_diff > limit {
            return Err(ExportError::Parity { max_abs_diff, max_abs_logit, num_views, limit });
        }
        let top1_agreement = num_agreeing as f64 / num_views.max(1) as f64;
        Ok(Parity {
            num_views,
            num_test_views,
            max_abs_diff,
            max_abs_logit,
            max_rel_diff,
            top1_agreement,
            runtime,
            opset: onnx::OPSET_VERSION,
            dynamic_axes: axes.written,
            possible_dynamic_axes: axes.possible,
        })
    }
}

fn argmax(logits: &[f32]) -> Option<usize> {
    (0..logits.len()).reduce(|best, at| if logits[at] > logits[best] { at } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(exported: [f32; 2], tolerance: f64) -> Result<Parity, String> {
        let mut comparison = Comparison::of(7);
        comparison.add(&[4.0, -8.0], &[4.0, -8.0]);
        comparison.add(&[4.0, -8.0], &exported);
        comparison.finish(tolerance, "r".into(), Axes::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_limit_is_relative_to_the_largest_logit() {
        let parity = check([4.0, -8.5], 0.1).expect("passes");
        assert_eq!((parity.num_views, parity.max_abs_diff, parity.max_abs_logit), (2, 0.5, 8.0));
        assert_eq!((parity.num_test_views, parity.max_rel_diff), (7, 0.0625));
        assert!((parity.top1_agreement - 1.0).abs() < 1e-12);
        let error = check([4.0, -8.5], 0.01).expect_err("differs");
        assert_eq!(
            error,
            "the exported network differs from libtorch: a logit by 5.000e-1 (limit 8.000e-2), with logits up to 8.000e0, \
             on 2 views"
        );
    }

    #[test]
    fn nan_never_passes() {
        assert!(check([f32::NAN, 0.0], 1.0).is_err());
    }
}
