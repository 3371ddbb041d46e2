//! The kernel of [`Relu6`].

use super::call::Call;
use pipe_graph::ops::relu6::Relu6;
use tch::{TchError, Tensor};

pub(super) fn forward(_op: &Relu6, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    x.f_relu6()
}
