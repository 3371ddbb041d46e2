//! The kernel of [`Mul`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::mul::Mul;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(_op: &Mul, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [left, right] = call.inputs()?;
    left.f_mul(right)
}
