//! The kernel of [`Linear`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::linear::Linear;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Low;

pub(super) fn forward(_op: &Linear, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    x.f_linear(call.param("weight")?, call.optional("bias"))
}
