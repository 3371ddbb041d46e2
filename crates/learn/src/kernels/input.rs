//! The kernel of [`Input`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::input::Input;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(_op: &Input, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [batch] = call.inputs()?;
    Ok(batch.shallow_clone())
}
