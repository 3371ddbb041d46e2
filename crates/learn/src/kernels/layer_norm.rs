//! The kernel of [`LayerNorm`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::layer_norm::LayerNorm;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Single;

pub(super) fn forward(op: &LayerNorm, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let weight = call.param("weight")?;
    x.f_layer_norm(weight.size(), Some(weight), call.optional("bias"), op.eps, false)
}
