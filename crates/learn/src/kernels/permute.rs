//! The kernel of [`Permute`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::permute::Permute;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(op: &Permute, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let batch = call.node.shape.batch_axes();
    x.f_permute((0..batch).chain(op.axes.iter().map(|axis| axis + batch)).map(|axis| axis as i64).collect::<Vec<_>>())
}
