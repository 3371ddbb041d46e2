//! The kernel of [`Expand`].

use super::call::Call;
use super::precision::Precision;
use crate::convert::dims;
use pipe_graph::ops::expand::Expand;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(_op: &Expand, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [table, like] = call.inputs()?;
    let rows = like.size()[0];
    table.f_expand(std::iter::once(rows).chain(dims(&call.node.shape.dims)).collect::<Vec<_>>(), false)
}
