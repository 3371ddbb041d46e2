//! The kernel of [`Attention`].

use super::call::Call;
use crate::convert::dims;
use pipe_graph::ops::attention::Attention;
use tch::{TchError, Tensor};

pub(super) fn forward(op: &Attention, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [query, key, value, biases @ ..] = call.inputs.as_slice() else {
        return Err(TchError::Shape(format!("expected 3 inputs, found {}", call.inputs.len())));
    };
    let channels = *query.size().last().unwrap_or(&1) as usize;
    let [q, k, v] = [query, key, value].map(|x| split_heads(x, op.heads as i64));
    let (q, k, v) = (q?, k?, v?);
    let bias = sum_of_biases(op, call, biases)?;
    let (dropout, is_causal, groups) = (0.0, false, false);
    let y = Tensor::f_scaled_dot_product_attention(&q, &k, &v, bias, dropout, is_causal, op.scale(channels), groups)?;
    let rows = query.size()[0];
    y.f_transpose(1, 2)?.f_reshape(std::iter::once(rows).chain(dims(&call.node.shape.dims)).collect::<Vec<_>>())
}

/// Returns `[M, …, L, D]` as `[M * …, heads, L, d]`: the fused kernels take four axes.
fn split_heads(x: &Tensor, heads: i64) -> Result<Tensor, TchError> {
    let size = x.size();
    let [.., tokens, channels] = size.as_slice() else { return Err(TchError::Shape("tokens have two axes".into())) };
    x.f_reshape([-1, *tokens, heads, channels / heads])?.f_transpose(1, 2)
}

/// Returns the sum of all biases, with axes that broadcast to `[M * …, heads, Q, K]`.
fn sum_of_biases(op: &Attention, call: &Call<'_>, biases: &[&Tensor]) -> Result<Option<Tensor>, TchError> {
    let Some((first, rest)) = biases.split_first() else { return Ok(None) };
    let mut sum = first.shallow_clone();
    for bias in rest {
        sum = sum.f_add(bias)?;
    }
    let sequences = call.node.shape.dims.len() - 2;
    if sequences == 0 || sum.dim() <= 3 {
        return Ok(Some(sum));
    }
    let query = call.inputs[0].size();
    let (rows, last) = (&query[..=sequences], &sum.size()[sum.dim() - 2..]);
    let heads = [op.heads as i64];
    let sum = sum.f_expand([rows, &heads, last].concat(), false)?;
    Ok(Some(sum.f_reshape([&[-1], heads.as_slice(), last].concat())?))
}
