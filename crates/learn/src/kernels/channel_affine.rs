//! The kernel of [`ChannelAffine`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::channel_affine::ChannelAffine;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(op: &ChannelAffine, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let shape: Vec<i64> = (1..x.dim() as i64).map(|axis| if axis == 1 { -1 } else { 1 }).collect();
    let constants = |values: &[f64]| {
        Tensor::f_from_slice(values)?.f_to_kind(x.kind())?.f_to_device(x.device())?.f_view(shape.as_slice())
    };
    x.f_mul(&constants(&op.scale)?)?.f_add(&constants(&op.offset)?)
}
