//! The kernel of [`Conv`].

use super::call::Call;
use super::precision::Precision;
use crate::convert::dims;
use crate::memory_format::{channels_last, is_contiguous};
use pipe_graph::ops::conv::Conv;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Low;

pub(super) fn forward(op: &Conv, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let (weight, bias) = (call.param("weight")?, call.optional("bias"));
    let (stride, padding, dilation) = (dims(&op.stride), dims(&op.padding), vec![1; op.stride.len()]);
    let groups = op.groups as i64;
    if stride.len() == 2 {
        return x.f_conv2d(weight, bias, stride, padding, dilation, groups);
    }
    let has_channels_last = x.stride()[1] == 1;
    let size: Vec<usize> = weight.size().into_iter().map(|dim| dim as usize).collect();
    if call.training.is_some() && has_channels_last && is_contiguous(op, &call.input_shapes[0].dims, &size) {
        return channels_last(&x.f_contiguous()?.f_conv3d(weight, bias, stride, padding, dilation, groups)?);
    }
    // Without gaps in memory, such as those of a part of the tokens of a transformer. libtorch would otherwise make the channels the
    // first axis, for which its depthwise convolutions are several times slower.
    let x = if has_channels_last { channels_last(x)? } else { x.shallow_clone() };
    x.f_conv3d(weight, bias, stride, padding, dilation, groups)
}
