//! The kernel of [`Swish`].

use super::call::Call;
use pipe_graph::ops::swish::Swish;
use tch::{TchError, Tensor};

pub(super) fn forward(_op: &Swish, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    x.f_silu()
}
