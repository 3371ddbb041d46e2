//! The kernel of [`Conv`].

use super::call::Call;
use super::precision::Precision;
use crate::convert::dims;
use pipe_graph::ops::conv::Conv;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Low;

pub(super) fn forward(op: &Conv, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let (weight, bias) = (call.param("weight")?, call.optional("bias"));
    let (stride, padding, dilation) = (dims(&op.stride), dims(&op.padding), vec![1; op.stride.len()]);
    let groups = op.groups as i64;
    if stride.len() == 2 {
        x.f_conv2d(weight, bias, stride, padding, dilation, groups)
    } else {
        channels_last(x)?.f_conv3d(weight, bias, stride, padding, dilation, groups)
    }
}

/// Closes the gaps in memory between the positions of a clip whose channels are its last axis in memory, such as a part of the tokens of
/// a transformer. libtorch would otherwise make them the first axis, for which its depthwise convolutions are several times slower.
fn channels_last(x: &Tensor) -> Result<Tensor, TchError> {
    if x.stride()[1] != 1 {
        return Ok(x.shallow_clone());
    }
    x.f_permute([0, 2, 3, 4, 1])?.f_contiguous()?.f_permute([0, 4, 1, 2, 3])
}
