//! Layers that transformers share. Tokens are `[M, …, L, D]`.

use pipe_graph::ops::{
    attention::Attention, concat::Concat, expand::Expand, gelu::Gelu, layer_norm::LayerNorm, linear::LinearParams,
    reshape::Reshape, slice::Slice,
};
use pipe_graph::{Builder, GraphError, Init, NodeId};

/// A fully connected layer whose weights start with the deviation of ViT, 0.02.
pub(crate) fn linear(out_features: usize, bias: bool) -> LinearParams {
    LinearParams { out_features, init: Init::Normal { std: 0.02 }, bias }
}

/// Two fully connected layers `[fc1, fc2]` with a GELU between them; the size of the tokens stays.
pub(crate) fn mlp(
    g: &mut Builder,
    x: NodeId,
    [fc1, fc2]: [&str; 2],
    hidden: usize,
    gelu: Gelu,
) -> Result<NodeId, GraphError> {
    let channels = last_axis(g, x)?;
    let x = g.node(fc1, x, linear(hidden, true))?;
    let x = g.node(&format!("{fc1}.gelu"), x, gelu)?;
    g.node(fc2, x, linear(channels, true))
}

/// Divides `[M, …, L, 3 D]` into queries, keys and values, each `[M, …, L, D]`; the nodes are `NAME.q`, `NAME.k` and `NAME.v`.
pub(crate) fn split_qkv(g: &mut Builder, x: NodeId, name: &str) -> Result<[NodeId; 3], GraphError> {
    let axis = g.shape(x)?.dims.len().saturating_sub(1);
    let channels = last_axis(g, x)? / 3;
    let mut part = |letter: &str, start: usize| {
        g.node(&format!("{name}.{letter}"), x, Slice { axis, start, end: start + channels, step: 1 })
    };
    Ok([part("q", 0)?, part("k", channels)?, part("v", 2 * channels)?])
}

/// Attention of tokens to each other: a layer `qkv`, the attention `NAME`, and a layer `proj`.
pub(crate) fn self_attention(
    g: &mut Builder,
    x: NodeId,
    name: &str,
    [qkv, proj]: [&str; 2],
    heads: usize,
) -> Result<NodeId, GraphError> {
    let channels = last_axis(g, x)?;
    let x = g.node(qkv, x, linear(3 * channels, true))?;
    let [q, k, v] = split_qkv(g, x, name)?;
    let x = g.node(name, [q, k, v], Attention { heads, scale: None })?;
    g.node(proj, x, linear(channels, true))
}

/// Layer normalisation of the last axis.
pub(crate) fn layer_norm(g: &mut Builder, x: NodeId, name: &str, eps: f64) -> Result<NodeId, GraphError> {
    g.node(name, x, LayerNorm { eps })
}

/// Puts a token, the table `token` of `D` values, before the tokens `[M, L, D]`.
pub(crate) fn prepend_token(g: &mut Builder, x: NodeId, token: NodeId, name: &str) -> Result<NodeId, GraphError> {
    let channels = last_axis(g, x)?;
    let row = g.node(&format!("{name}.row"), token, Reshape { per_sample: 0, dims: vec![1, channels] })?;
    let rows = g.node(&format!("{name}.rows"), [row, x], Expand)?; // [M, 1, D]
    g.node(name, [rows, x], Concat { axis: 0 }) // [M, 1 + L, D]
}

/// Takes the first of the tokens `[M, L, D]` as `[M, D]`.
pub(crate) fn first_token(g: &mut Builder, x: NodeId, name: &str) -> Result<NodeId, GraphError> {
    let (rows, channels) = (g.shape(x)?.per_sample, last_axis(g, x)?);
    let x = g.node(&format!("{name}.slice"), x, Slice { axis: 0, start: 0, end: 1, step: 1 })?;
    g.node(name, x, Reshape { per_sample: rows, dims: vec![channels] })
}

/// Returns the size of the last axis, which are the channels of tokens.
pub(crate) fn last_axis(g: &Builder, x: NodeId) -> Result<usize, GraphError> {
    Ok(g.shape(x)?.dims.last().copied().unwrap_or(0))
}

/// Returns the rate of stochastic depth of a block: from 0 in the first block to `rate` in the last one, in equal steps.
pub(crate) fn drop_path_rate(rate: f64, block: usize, num_blocks: usize) -> f64 {
    rate * block as f64 / num_blocks.saturating_sub(1).max(1) as f64
}
