//! [`criterion`]: what training minimises.
//!
//! To add a loss, write `losses/NAME.rs` with `impl Criterion for` its parameters in `pipe_schemas::losses`, and add it to
//! [`criterion`].

mod bce_with_logits;
mod cross_entropy;

use pipe_clips::Batch;
use pipe_schemas::losses::Loss;
use tch::{TchError, Tensor};

/// A loss.
pub(crate) trait Criterion {
    /// Returns the loss of a batch, a scalar.
    ///
    /// # Shapes
    /// - `logits`: `[N, K]`
    fn loss(&self, logits: &Tensor, batch: &Batch) -> Result<Tensor, TchError>;
}

/// Returns the implementation of a loss.
pub(crate) fn criterion(loss: &Loss) -> &dyn Criterion {
    match loss {
        Loss::CrossEntropyLoss(params) => params,
        Loss::BCELossWithLogits(params) => params,
    }
}
