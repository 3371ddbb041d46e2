//! The kernel of [`Slice`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::slice::Slice;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(op: &Slice, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let axis = (op.axis + call.node.shape.batch_axes()) as i64;
    x.f_slice(axis, op.start as i64, op.end as i64, op.step as i64)
}
