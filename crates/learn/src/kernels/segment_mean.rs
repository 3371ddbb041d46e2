//! The kernel of [`SegmentMean`](pipe_graph::ops::segment_mean::SegmentMean).

use super::call::Call;
use tch::{Kind, TchError, Tensor};

pub(super) fn forward(call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let frames = call.input_shapes.first().map_or(1, |shape| shape.per_sample) as i64;
    x.f_reshape([-1, frames, x.size()[1]])?.f_mean_dim([1].as_slice(), false, None::<Kind>)
}
