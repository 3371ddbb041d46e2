//! The kernel of [`DropPath`].

use super::call::Call;
use super::dropout::mask;
use super::precision::Precision;
use pipe_graph::ops::drop_path::DropPath;
use tch::{TchError, Tensor};

/// The factor of the kept values is not exact in 16 bits.
pub(super) const PRECISION: Precision = Precision::Single;

pub(super) fn forward(op: &DropPath, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let Some(step) = call.training.filter(|_| op.rate > 0.0) else { return Ok(x.shallow_clone()) };
    let rows = call.node.shape.per_sample.max(1) as i64;
    let samples = x.size()[0] / rows;
    let ones = vec![1; x.dim() - 1];
    let mask = mask(&[samples], op.rate, &call.node.name, step)?.f_repeat_interleave_self_int(rows, 0, None)?;
    x.f_mul(&mask.f_view([&[samples * rows], ones.as_slice()].concat().as_slice())?.f_to_device(x.device())?)
}
