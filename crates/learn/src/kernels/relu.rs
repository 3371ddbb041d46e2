//! The kernel of [`Relu`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::relu::Relu;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(_op: &Relu, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    x.f_relu()
}
