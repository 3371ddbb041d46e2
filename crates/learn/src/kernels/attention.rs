//! The kernel of [`Attention`].

use super::call::Call;
use super::precision::Precision;
use crate::convert::dims;
use pipe_graph::ops::attention::Attention;
use tch::{Kind, TchError, Tensor};

pub(super) const PRECISION: Precision = Precision::Low;

pub(super) fn forward(op: &Attention, call: &Call<'_>) -> Result<Tensor, TchError> {
    let [query, key, value, biases @ ..] = call.inputs.as_slice() else {
        return Err(TchError::Shape(format!("expected 3 inputs, found {}", call.inputs.len())));
    };
    let size = query.size();
    let scale = op.scale(*size.last().unwrap_or(&1) as usize);
    let heads = op.heads as i64;
    // The mask of windows has 32 bits.
    let bias = sum(biases)?.map(|bias| bias.f_to_kind(query.kind())).transpose()?;
    let sequences = &size[1..size.len() - 2];
    let result: Vec<i64> = std::iter::once(size[0]).chain(dims(&call.node.shape.dims)).collect();
    // The fused kernels take four axes. Sequences are rows of the batch; if they have biases of their own, they are heads, so that the
    // biases are not repeated for each row.
    let bias_axes = bias.as_ref().map_or(0, Tensor::dim);
    if bias_axes <= 3 || sequences.is_empty() {
        let [q, k, v] = [query, key, value].map(|x| split_heads(x, heads));
        let bias = bias.map(|bias| if bias_axes == 3 { bias.f_unsqueeze(0) } else { Ok(bias) }).transpose()?;
        return attend(&q?, &k?, &v?, bias, scale)?.f_transpose(1, 2)?.f_reshape(result);
    }
    let rows = size[0];
    let bias = bias.map(|bias| fold_sequences(&bias, sequences, heads)).transpose()?;
    let all_heads = sequences.iter().product::<i64>() * heads;
    let fold = |x: &Tensor| {
        let x = split_heads(x, heads)?;
        let [tokens, channels] = [x.size()[2], x.size()[3]];
        x.f_reshape([rows, all_heads, tokens, channels])
    };
    let y = attend(&fold(query)?, &fold(key)?, &fold(value)?, bias, scale)?;
    let [tokens, channels] = [y.size()[2], y.size()[3]];
    y.f_reshape([-1, heads, tokens, channels])?.f_transpose(1, 2)?.f_reshape(result)
}

/// Returns how much each query takes of each key.
///
/// # Shapes
/// - `query`: `[M, …, Q, D]`, `key`: `[M, …, K, D]`; biases with axes that broadcast to the result
/// - returns: `[M, …, heads, Q, K]`; each row sums to 1
pub(crate) fn weights(op: &Attention, query: &Tensor, key: &Tensor, biases: &[&Tensor]) -> Result<Tensor, TchError> {
    let scale = op.scale(query.size().last().copied().unwrap_or(1) as usize);
    let by_head = |x: &Tensor| {
        let size = x.size();
        let [leading @ .., tokens, channels] = size.as_slice() else {
            return Err(TchError::Shape("tokens have two axes".into()));
        };
        let heads = op.heads as i64;
        x.f_reshape([leading, &[*tokens, heads, channels / heads]].concat())?.f_transpose(-3, -2)
    };
    let scores = by_head(query)?.f_matmul(&by_head(key)?.f_transpose(-2, -1)?)?.f_mul_scalar(scale)?;
    let scores = sum(biases)?.map_or(Ok(scores.shallow_clone()), |bias| scores.f_add(&bias))?;
    scores.f_softmax(-1, None::<Kind>)
}

/// # Shapes
/// - `q`, `k`, `v`: `[M, heads, L, d]`
/// - `bias`: two axes, or four that broadcast to `[M, heads, Q, K]`: only then libtorch has a fused kernel
fn attend(q: &Tensor, k: &Tensor, v: &Tensor, bias: Option<Tensor>, scale: f64) -> Result<Tensor, TchError> {
    let (dropout, is_causal, groups) = (0.0, false, false);
    Tensor::f_scaled_dot_product_attention(q, k, v, bias, dropout, is_causal, scale, groups)
}

/// Returns `[M, …, L, D]` as `[M * …, heads, L, d]`.
fn split_heads(x: &Tensor, heads: i64) -> Result<Tensor, TchError> {
    let size = x.size();
    let [.., tokens, channels] = size.as_slice() else { return Err(TchError::Shape("tokens have two axes".into())) };
    x.f_reshape([-1, *tokens, heads, channels / heads])?.f_transpose(1, 2)
}

/// Returns a bias with axes that broadcast to `[M, …, heads, Q, K]`, or without `M`, as `[M or 1, … * heads, Q, K]`.
fn fold_sequences(bias: &Tensor, sequences: &[i64], heads: i64) -> Result<Tensor, TchError> {
    let size = bias.size();
    let (leading, last) = size.split_at(size.len() - 2);
    let rows = if leading.len() > sequences.len() + 1 { leading[0] } else { 1 };
    let axes = [&[rows], sequences, &[heads], last].concat();
    bias.f_expand(axes, false)?.f_reshape([&[rows, sequences.iter().product::<i64>() * heads], last].concat())
}

fn sum(biases: &[&Tensor]) -> Result<Option<Tensor>, TchError> {
    let Some((first, rest)) = biases.split_first() else { return Ok(None) };
    rest.iter().try_fold(first.shallow_clone(), |sum, bias| sum.f_add(bias)).map(Some)
}
