//! The kernel of [`Add`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::add::Add;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(_op: &Add, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [left, right] = call.inputs()?;
    left.f_add(right)
}
