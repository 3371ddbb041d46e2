//! [`ExportError`]: why a network was not exported.

/// Why a network was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There are no test views to compare on.
    #[error("there are no test samples to compare the exported network on")]
    NoSamples,
    /// The two runtimes disagree.
    #[error(
        "the exported network differs from libtorch's: a logit by {max_abs_diff:.3e}, with logits up to {max_abs_logit:.3e}, on \
         {num_views} views; {limit:.3e} are allowed"
    )]
    Parity {
        /// The largest absolute difference of a logit.
        max_abs_diff: f64,
        /// The largest absolute logit of libtorch's.
        max_abs_logit: f64,
        /// Views compared.
        num_views: u64,
        /// The largest difference that passes.
        limit: f64,
    },
    /// The exported network answers with another shape.
    #[error("the exported network answers {num_clips} clips with {found:?}, not [{num_clips}, {num_classes}]")]
    Shape {
        /// `N`.
        num_clips: usize,
        /// `K`.
        num_classes: usize,
        /// Its shape.
        found: Vec<i64>,
    },
}
