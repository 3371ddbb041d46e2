//! Layers that transformers share. Tokens are `[M, …, L, D]`.

use pipe_graph::ops::{
    add::Add, attention::Attention, concat::Concat, conv::ConvParams, drop_path::DropPath, expand::Expand, gelu::Gelu,
    layer_norm::LayerNorm, linear::LinearParams, permute::Permute, reshape::Reshape, slice::Slice,
};
use pipe_graph::{Builder, GraphError, Init, NodeId, ShapeError};

/// A fully connected layer whose weights start with the deviation of ViT, 0.02.
pub(crate) fn linear(out_features: usize, bias: bool) -> LinearParams {
    LinearParams { out_features, init: Init::Normal { std: 0.02 }, bias }
}

/// Cuts clips into tubelets of `[frames, rows, columns]` with the convolution `name`, and returns the tokens `[N, T' H' W', D]` with
/// their grid, `[T', H', W']`.
pub(crate) fn tubelets(
    g: &mut Builder,
    x: NodeId,
    name: &str,
    tubelet: [usize; 3],
    channels: usize,
) -> Result<(NodeId, [usize; 3]), GraphError> {
    check_tubelet(g, x, name, tubelet)?;
    let (out_channels, init) = (channels, Init::Normal { std: 0.02 });
    let params =
        ConvParams { out_channels, kernel: tubelet, stride: tubelet, bias: true, init, ..ConvParams::default() };
    let x = g.node(name, x, params)?; // [N, D, T', H', W']
    let dims = &g.shape(x)?.dims;
    let grid = [dims[1], dims[2], dims[3]];
    let x = g.node(&format!("{name}.channels_last"), x, Permute { axes: vec![1, 2, 3, 0] })?;
    let tokens = Reshape { per_sample: 1, dims: vec![grid.iter().product(), channels] };
    Ok((g.node(&format!("{name}.tokens"), x, tokens)?, grid))
}

/// Checks that a clip `[C, T, H, W]` has at least one tubelet of `[frames, rows, columns]`.
pub(crate) fn check_tubelet(g: &Builder, x: NodeId, name: &str, tubelet: [usize; 3]) -> Result<(), GraphError> {
    let whats = ["the number of frames", "the height", "the width"];
    for ((what, least), found) in whats.into_iter().zip(tubelet).zip(g.shape(x)?.dims.iter().skip(1)) {
        if *found < least {
            return Err(wrong_size(name, what, *found, format!("at least {least}, the size of a patch")));
        }
    }
    Ok(())
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

/// A fully connected layer for each name, with as many channels as `x`.
pub(crate) fn linears<const COUNT: usize>(
    g: &mut Builder,
    x: NodeId,
    names: &[String; COUNT],
    bias: bool,
) -> Result<[NodeId; COUNT], GraphError> {
    let channels = last_axis(g, x)?;
    let mut layers = [x; COUNT];
    for (layer, name) in layers.iter_mut().zip(names) {
        *layer = g.node(name, x, linear(channels, bias))?;
    }
    Ok(layers)
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

/// Adds a branch to its input. Training leaves the branch out with a probability of `drop_rate`.
pub(crate) fn residual(
    g: &mut Builder,
    x: NodeId,
    branch: NodeId,
    name: &str,
    drop_rate: f64,
) -> Result<NodeId, GraphError> {
    residual_of_parts(g, x, branch, name, drop_rate, 1)
}

/// Does the same for each of `parts` of a sample.
pub(crate) fn residual_of_parts(
    g: &mut Builder,
    x: NodeId,
    branch: NodeId,
    name: &str,
    drop_rate: f64,
    parts: usize,
) -> Result<NodeId, GraphError> {
    let branch = drop_path(g, branch, name, drop_rate, parts)?;
    g.node(&format!("{name}.add"), [x, branch], Add)
}

/// Appends `NAME.drop_path`, unless the rate is 0. `parts` of a sample are left out independently.
pub(crate) fn drop_path(g: &mut Builder, x: NodeId, name: &str, rate: f64, parts: usize) -> Result<NodeId, GraphError> {
    if rate == 0.0 {
        return Ok(x);
    }
    g.node(&format!("{name}.drop_path"), x, DropPath { rate, parts })
}

/// Takes the positions of an axis from `start` to before `end`.
pub(crate) fn part(
    g: &mut Builder,
    x: NodeId,
    name: &str,
    axis: usize,
    [start, end]: [usize; 2],
) -> Result<NodeId, GraphError> {
    g.node(name, x, Slice { axis, start, end, step: 1 })
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

/// Returns the error for a size that the network does not take.
pub(crate) fn wrong_size(node: &str, what: &'static str, found: usize, expected: String) -> GraphError {
    GraphError::Shape { node: node.to_owned(), source: ShapeError::Size { what, found, expected } }
}
