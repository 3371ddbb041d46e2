//! [`OptimizeError`]: why a network can't be optimised.

use pipe_schemas::tables::MissingCounts;

/// Why a network can't be optimised.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum OptimizeError {
    /// There are no training clips to measure values on.
    #[error("there are no training samples to calibrate with: {}", missing.why_no_samples("training"))]
    NoTrainingSamples {
        /// Why the videos of the training list have no samples.
        missing: MissingCounts,
    },
    /// The result of the ONNX file has another shape than the network's.
    #[error("the ONNX file returned {found:?} for {num_clips} clips and {num_classes} classes")]
    Shape { num_clips: usize, num_classes: usize, found: Vec<i64> },
    /// The ONNX file in 32 bits does not compute what libtorch computes.
    #[error(
        "the ONNX file differs from libtorch by {max_abs_diff:.1e} (at most {limit:.1e}; logits up to {max_abs_logit:.1}) on \
         {num_views} views"
    )]
    Parity { max_abs_diff: f64, max_abs_logit: f64, num_views: u64, limit: f64 },
    /// A weight is too large for float16.
    #[error("the tensor `{name}` has the value {value}, beyond the range of float16, 65,504")]
    Float16 { name: String, value: f32 },
}
