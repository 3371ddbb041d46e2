//! The kernel of [`FramesToBatch`].

use super::call::Call;
use super::precision::Precision;
use crate::convert::dims;
use pipe_graph::ops::frames_to_batch::FramesToBatch;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(_op: &FramesToBatch, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let shape = [vec![-1], dims(&call.node.shape.dims)].concat();
    x.f_permute([0, 2, 1, 3, 4])?.f_reshape(shape)
}
