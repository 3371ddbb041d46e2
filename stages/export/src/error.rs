//! [`ExportError`]: why a network was not exported.

/// Why a network was not exported.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant says what its fields are")]
pub enum ExportError {
    /// The logits of both runtimes differ by more than the tolerance.
    #[error(
        "the exported network differs from libtorch: a logit by {max_abs_diff:.3e} (limit {limit:.3e}), with logits up to \
         {max_abs_logit:.3e}, on {num_views} views"
    )]
    Parity {
        max_abs_diff: f64,
        max_abs_logit: f64,
        num_views: u64,
        /// The largest difference that passes.
        limit: f64,
    },
    /// The names of Hugging Face do not fit the network.
    #[error("the tensors can't be renamed for transformers")]
    Layout(#[source] pipe_models::LayoutError),
    /// A tensor has no place in the network of transformers.
    #[error("the tensors can't be renamed for transformers")]
    Names(#[source] pipe_models::ExportError),
    /// The output of the exported network has an unexpected shape.
    #[error("the exported network returns logits of shape {found:?}, expected [{num_clips}, {num_classes}]")]
    Shape {
        /// `N`.
        num_clips: usize,
        /// `K`.
        num_classes: usize,
        found: Vec<i64>,
    },
}
