//! The kernel of [`Mul`].

use super::call::Call;
use pipe_graph::ops::mul::Mul;
use tch::{TchError, Tensor};

pub(super) fn forward(_op: &Mul, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [left, right] = call.inputs()?;
    left.f_mul(right)
}
