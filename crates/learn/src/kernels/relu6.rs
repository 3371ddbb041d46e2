//! The kernel of [`Relu6`](pipe_graph::ops::relu6::Relu6).

use super::call::Call;
use tch::{TchError, Tensor};

pub(super) fn forward(call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    x.f_relu6()
}
