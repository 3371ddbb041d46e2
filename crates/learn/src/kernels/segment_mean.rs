//! The kernel of [`SegmentMean`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::segment_mean::SegmentMean;
use tch::{Kind, TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Single;

pub(super) fn forward(_op: &SegmentMean, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let frames = call.input_shapes.first().map_or(1, |shape| shape.per_sample) as i64;
    x.f_reshape([-1, frames, x.size()[1]])?.f_mean_dim([1].as_slice(), false, None::<Kind>)
}
