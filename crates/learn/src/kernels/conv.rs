//! The kernel of [`Conv`].

use super::call::Call;
use crate::convert::dims;
use pipe_graph::ops::conv::Conv;
use tch::{TchError, Tensor};

pub(super) fn forward(op: &Conv, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let (weight, bias) = (call.param("weight")?, call.optional("bias"));
    let (stride, padding, dilation) = (dims(&op.stride), dims(&op.padding), vec![1; op.stride.len()]);
    let groups = op.groups as i64;
    if stride.len() == 2 {
        x.f_conv2d(weight, bias, stride, padding, dilation, groups)
    } else {
        x.f_conv3d(weight, bias, stride, padding, dilation, groups)
    }
}
