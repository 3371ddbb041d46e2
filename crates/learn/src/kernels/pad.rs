//! The kernel of [`Pad`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::pad::Pad;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(op: &Pad, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    // libtorch counts pairs of paddings from the last axis.
    let pads: Vec<i64> = op.after.iter().rev().flat_map(|after| [0, *after as i64]).collect();
    x.f_constant_pad_nd(pads)
}
