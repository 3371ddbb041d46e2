//! The kernel of [`GlobalAvgPool`](pipe_graph::ops::global_avg_pool::GlobalAvgPool).

use super::call::Call;
use tch::{Kind, TchError, Tensor};

pub(super) fn forward(call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let axes: Vec<i64> = (2..x.dim() as i64).collect();
    x.f_mean_dim(axes, false, None::<Kind>)
}
