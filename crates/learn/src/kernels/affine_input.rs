//! The kernel of [`AffineInput`].

use super::call::Call;
use pipe_graph::ops::affine_input::AffineInput;
use tch::{TchError, Tensor};

pub(super) fn forward(op: &AffineInput, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let mut size = vec![1; x.dim()];
    size[1] = -1;
    let per_channel = |values: &[f64]| {
        Tensor::f_from_slice(values)?.f_to_kind(x.kind())?.f_to_device(x.device())?.f_view(size.as_slice())
    };
    x.f_mul(&per_channel(&op.scale)?)?.f_add(&per_channel(&op.offset)?)
}
