//! The kernel of [`Resize`].

use super::call::Call;
use super::precision::Precision;
use crate::convert::dims;
use pipe_graph::ops::resize::{Resize, ResizeMode};
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(op: &Resize, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let size = dims(&op.size);
    // [A0, …, C] to [1, C, A0, …] and back.
    let x = x.f_movedim_int(-1, 0)?.f_unsqueeze(0)?;
    let x = match (op.mode, size.len()) {
        (ResizeMode::Nearest, 1) => x.f_upsample_nearest1d(size, None),
        (ResizeMode::Nearest, 2) => x.f_upsample_nearest2d(size, None, None),
        (ResizeMode::Nearest, _) => x.f_upsample_nearest3d(size, None, None, None),
        (ResizeMode::Linear, 1) => x.f_upsample_linear1d(size, false, None),
        (ResizeMode::Linear, 2) => x.f_upsample_bilinear2d(size, false, None, None),
        (ResizeMode::Linear, _) => x.f_upsample_trilinear3d(size, false, None, None, None),
        (ResizeMode::Cubic, _) => x.f_upsample_bicubic2d(size, false, None, None),
    }?;
    x.f_squeeze_dim(0)?.f_movedim_int(0, -1)
}
