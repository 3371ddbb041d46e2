//! The kernel of [`Swish`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::swish::Swish;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(_op: &Swish, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    x.f_silu()
}
