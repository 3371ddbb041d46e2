//! The kernel of [`LayerNorm`].

use super::call::Call;
use pipe_graph::ops::layer_norm::LayerNorm;
use tch::{TchError, Tensor};

pub(super) fn forward(op: &LayerNorm, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let weight = call.param("weight")?;
    x.f_layer_norm(weight.size(), Some(weight), call.optional("bias"), op.eps, false)
}
