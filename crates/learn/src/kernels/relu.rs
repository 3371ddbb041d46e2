//! The kernel of [`Relu`](pipe_graph::ops::relu::Relu).

use super::call::Call;
use tch::{TchError, Tensor};

pub(super) fn forward(call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    x.f_relu()
}
