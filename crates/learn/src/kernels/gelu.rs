//! The kernel of [`Gelu`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::gelu::Gelu;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(op: &Gelu, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    x.f_gelu(if op.tanh { "tanh" } else { "none" })
}
