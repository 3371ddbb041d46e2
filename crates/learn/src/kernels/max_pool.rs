//! The kernel of [`MaxPool`].

use super::call::Call;
use super::precision::Precision;
use crate::convert::dims;
use pipe_graph::ops::max_pool::MaxPool;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(op: &MaxPool, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let (kernel, stride, padding) = (dims(&op.kernel), dims(&op.stride), dims(&op.padding));
    let (dilation, ceil_mode) = (vec![1; kernel.len()], false);
    if kernel.len() == 2 {
        x.f_max_pool2d(kernel, stride, padding, dilation, ceil_mode)
    } else {
        x.f_max_pool3d(kernel, stride, padding, dilation, ceil_mode)
    }
}
