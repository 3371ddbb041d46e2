//! The kernel of [`Roll`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::roll::Roll;
use tch::{TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Any;

pub(super) fn forward(op: &Roll, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let (axes, shifts): (Vec<i64>, Vec<i64>) = op.shifts.iter().map(|(axis, shift)| (*axis as i64 + 1, *shift)).unzip();
    // Without axes, libtorch would roll all values as one axis.
    if axes.is_empty() { Ok(x.shallow_clone()) } else { x.f_roll(shifts, axes) }
}
