//! The kernel of [`Reshape`].

use super::call::Call;
use super::precision::Precision;
use crate::convert::dims;
use pipe_graph::ops::reshape::Reshape;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(_op: &Reshape, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let shape = &call.node.shape;
    let batch = (!shape.is_table()).then_some(-1);
    x.f_reshape(batch.into_iter().chain(dims(&shape.dims)).collect::<Vec<i64>>())
}
