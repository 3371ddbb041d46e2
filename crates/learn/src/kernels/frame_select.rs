//! The kernel of [`FrameSelect`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::frame_select::FrameSelect;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(op: &FrameSelect, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let frames: Vec<i64> = op.frames.iter().map(|frame| *frame as i64).collect();
    x.f_index_select(2, &Tensor::f_from_slice(&frames)?.f_to_device(x.device())?)
}
