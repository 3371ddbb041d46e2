//! The kernel of [`Rotary`].

use super::call::Call;
use super::precision::Precision;
use pipe_graph::ops::rotary::{Rotary, RotaryTables};
use tch::{TchError, Tensor};

/// Angles of late positions have more digits than 16 bits.
pub(super) const PRECISION: Precision = Precision::Single;

pub(super) fn forward(op: &Rotary, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [x] = call.inputs()?;
    let size = x.size();
    let [_, tokens, channels] = *size.as_slice() else { return Err(TchError::Shape("expected [M, L, D]".into())) };
    let (heads, width) = (op.heads as i64, channels / op.heads as i64);
    let RotaryTables { partner, cos, sin } = op.tables(tokens as usize, width as usize);
    let table = |values: &[f32]| {
        Tensor::f_from_slice(values)?.f_to_kind(x.kind())?.f_to_device(x.device())?.f_view([tokens, 1, width])
    };
    let x = x.f_view([-1, tokens, heads, width])?;
    let partners = x.f_index_select(-1, &Tensor::f_from_slice(&partner)?.f_to_device(x.device())?)?;
    x.f_mul(&table(&cos)?)?.f_add(&partners.f_mul(&table(&sin)?)?)?.f_view(size.as_slice())
}
