//! The kernel of [`Linear`](pipe_graph::ops::linear::Linear).

use super::call::Call;
use tch::{TchError, Tensor};

pub(super) fn forward(call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    x.f_linear(call.param("weight")?, call.optional("bias"))
}
