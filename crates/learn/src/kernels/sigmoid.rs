//! The kernel of [`Sigmoid`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::sigmoid::Sigmoid;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(_op: &Sigmoid, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    x.f_sigmoid()
}
