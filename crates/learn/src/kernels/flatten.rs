//! The kernel of [`Flatten`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::flatten::Flatten;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(_op: &Flatten, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    x.f_flatten(1, -1)
}
