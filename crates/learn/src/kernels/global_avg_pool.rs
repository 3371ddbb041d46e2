//! The kernel of [`GlobalAvgPool`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::global_avg_pool::GlobalAvgPool;
use tch::{Kind, TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Single;

pub(super) fn forward(_op: &GlobalAvgPool, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let axes: Vec<i64> = (2..x.dim() as i64).collect();
    x.f_mean_dim(axes, false, None::<Kind>)
}
