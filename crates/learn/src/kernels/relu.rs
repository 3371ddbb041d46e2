//! The kernel of [`Relu`].

use super::call::Call;
use pipe_graph::ops::relu::Relu;
use tch::{TchError, Tensor};

pub(super) fn forward(_op: &Relu, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    x.f_relu()
}
