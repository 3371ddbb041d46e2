//! The kernel of [`Concat`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::concat::Concat;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(op: &Concat, call: &Call<'_>) -> Result<Tensor, TchError> {
    Tensor::f_cat(&call.inputs, op.axis as i64 + 1)
}
