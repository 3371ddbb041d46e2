//! The kernel of [`Add`](pipe_graph::ops::add::Add).

use super::call::Call;
use tch::{TchError, Tensor};

pub(super) fn forward(call: &Call<'_>) -> Result<Tensor, TchError> {
    let [left, right] = call.inputs()?;
    left.f_add(right)
}
