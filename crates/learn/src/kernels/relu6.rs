//! The kernel of [`Relu6`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::relu6::Relu6;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(_op: &Relu6, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    x.f_relu6()
}
