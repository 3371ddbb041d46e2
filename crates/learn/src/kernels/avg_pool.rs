//! The kernel of [`AvgPool`].

use super::call::Call;
use super::precision::Precision;
use crate::convert::dims;
use pipe_graph::ops::avg_pool::AvgPool;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Single;

pub(super) fn forward(op: &AvgPool, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let (kernel, stride, padding) = (dims(&op.kernel), dims(&op.stride), dims(&op.padding));
    let (ceil_mode, count_include_pad) = (false, true);
    if kernel.len() == 2 {
        x.f_avg_pool2d(kernel, stride, padding, ceil_mode, count_include_pad, None::<i64>)
    } else {
        x.f_avg_pool3d(kernel, stride, padding, ceil_mode, count_include_pad, None::<i64>)
    }
}
