//! The kernel of [`Mean`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::mean::Mean;
use tch::{Kind, TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Single;

pub(super) fn forward(op: &Mean, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let axes: Vec<i64> = op.axes.iter().map(|axis| *axis as i64 + 1).collect();
    x.f_mean_dim(axes, op.keepdims, None::<Kind>)
}
