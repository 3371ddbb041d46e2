//! The kernel of [`Input`](pipe_graph::ops::input::Input).

use super::call::Call;
use tch::{TchError, Tensor};

pub(super) fn forward(call: &Call<'_>) -> Result<Tensor, TchError> {
    let [batch] = call.inputs()?;
    Ok(batch.shallow_clone())
}
