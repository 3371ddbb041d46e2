//! Ops of transformers with attributes that no network of the zoo has.

use crate::{compare, engines, network};
use pipe_graph::ops::{
    add::Add,
    attention::Attention,
    concat::Concat,
    drop_path::DropPath,
    expand::Expand,
    gelu::Gelu,
    layer_norm::LayerNorm,
    linear::LinearParams,
    mean::Mean,
    mul::Mul,
    pad::Pad,
    permute::Permute,
    reshape::Reshape,
    resize::{Resize, ResizeMode},
    roll::Roll,
    slice::Slice,
    table::TableParams,
};
use pipe_graph::{Builder, ClipShape, Graph, GraphError, Init, NodeId};

fn table(g: &mut Builder, name: &str, shape: &[usize]) -> Result<NodeId, GraphError> {
    g.node(name, [], TableParams::zeros(shape))
}

fn linear(out_features: usize) -> LinearParams {
    LinearParams { out_features, init: Init::Normal { std: 0.02 }, bias: true }
}

/// Adds tables of other sizes: `[…]` is resized to the positions of `x`, `[M, 4, 100, 24]`.
fn positions(g: &mut Builder, x: NodeId) -> Result<NodeId, GraphError> {
    let mut x = x;
    for (name, shape, size, mode) in [
        ("cubic", [3, 7, 24].as_slice(), [10, 10].as_slice(), ResizeMode::Cubic),
        ("bilinear", &[13, 4, 24], &[10, 10], ResizeMode::Linear),
        ("linear", &[7, 24], &[100], ResizeMode::Linear),
        ("trilinear", &[3, 2, 7, 24], &[4, 5, 5], ResizeMode::Linear),
        ("nearest", &[33, 24], &[100], ResizeMode::Nearest),
        ("nearest3", &[3, 7, 7, 24], &[4, 5, 5], ResizeMode::Nearest),
    ] {
        let y = table(g, name, shape)?;
        let y = g.node(&format!("{name}.resized"), y, Resize { size: size.to_vec(), mode })?;
        let y = g.node(&format!("{name}.rows"), y, Reshape { per_sample: 0, dims: vec![100, 24] })?;
        x = g.node(&format!("{name}.sum"), [x, y], Add)?;
    }
    Ok(x)
}

/// Attention between the four sequences' tokens and every third of them, with three biases.
fn attend(g: &mut Builder, x: NodeId) -> Result<NodeId, GraphError> {
    let some = g.node("some", x, Slice { axis: 1, start: 2, end: 99, step: 3 })?; // [M, 4, 33, 24]
    let q = g.node("query", x, linear(12))?;
    let k = g.node("key", some, linear(12))?;
    let v = g.node("value", some, linear(18))?;
    let biases = [
        table(g, "bias1", &[4, 3, 100, 33])?,
        table(g, "bias2", &[3, 1, 33])?,
        g.node("bias3", q, Mean { axes: vec![1, 2], keepdims: true })?,
    ];
    let per_sample = g.node("bias3.axes", biases[2], Reshape { per_sample: 1, dims: vec![4, 1, 1, 1] })?;
    g.node("attention", [q, k, v, biases[0], biases[1], per_sample], Attention { heads: 3, scale: Some(0.7) })
}

fn graph() -> Result<Graph, GraphError> {
    let mut g = Builder::new("tokens", ClipShape { channels: 3, frames: 4, height: 8, width: 12 })?;
    let x = g.node("pixels", g.input(), Reshape { per_sample: 1, dims: vec![3, 4, 96] })?;
    let x = g.node("tokens", x, Permute { axes: vec![1, 2, 0] })?; // [N, 4, 96, 3]
    let x = g.node("embed", x, linear(24))?;
    let x = g.node("pad", x, Pad { after: vec![0, 4, 0] })?; // [N, 4, 100, 24]
    let x = g.node("roll", x, Roll { shifts: vec![(1, -7), (0, 5), (2, 24)] })?;
    let x = positions(&mut g, x)?;
    let x = g.node("norm", x, LayerNorm { eps: 1e-6 })?;
    let x = attend(&mut g, x)?; // [N, 4, 100, 18]
    let x = g.node("erf", x, Gelu { tanh: false })?;
    let scale = table(&mut g, "scale", &[4, 1, 18])?;
    let x = g.node("scaled", [x, scale], Mul)?;
    let x = g.node("rows", x, Reshape { per_sample: 4, dims: vec![100, 18] })?; // [N * 4, 100, 18]
    let token = table(&mut g, "token", &[1, 18])?;
    let token = g.node("token.rows", [token, x], Expand)?;
    let x = g.node("with_token", [token, x], Concat { axis: 0 })?; // [N * 4, 101, 18]
    let x = g.node("drop", x, DropPath { rate: 0.5, parts: 1 })?;
    let [q, k, v] = [1, 2, 3].map(|layer| g.node(&format!("self{layer}"), x, linear(18)));
    let x = g.node("self", [q?, k?, v?], Attention { heads: 2, scale: None })?;
    let x = g.node("tanh", x, Gelu { tanh: true })?;
    let x = g.node("by_sample", x, Reshape { per_sample: 1, dims: vec![404, 18] })?;
    let x = g.node("mean", x, Mean { axes: vec![0], keepdims: false })?;
    let x = g.node("fc", x, linear(5))?;
    g.finish(x, x)
}

#[test]
fn ops_of_transformers_have_the_same_results() {
    compare(&engines(), &network(graph().expect("a graph")));
}
