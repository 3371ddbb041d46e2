//! Groups of small graphs, and graphs without some channels.

use super::*;
use crate::Op;
use crate::ops::{
    add::Add, attention::Attention, batch_norm::BatchNorm, concat::Concat, conv::ConvParams, flatten::Flatten,
    frames_to_batch::FramesToBatch, gelu::Gelu, global_avg_pool::GlobalAvgPool, layer_norm::LayerNorm,
    linear::LinearParams, mean::Mean, mul::Mul, permute::Permute, relu::Relu, reshape::Reshape,
    segment_mean::SegmentMean, sigmoid::Sigmoid, slice::Slice, temporal_shift::TemporalShiftParams,
};
use crate::{Builder, ClipShape, GraphError, Init};

fn conv(out_channels: usize) -> ConvParams<2> {
    ConvParams { out_channels, kernel: [3; 2], padding: [1; 2], ..ConvParams::default() }
}

fn linear(out_features: usize) -> LinearParams {
    LinearParams { out_features, init: Init::Constant(0.0), bias: true }
}

/// Builds on frames, `[N * 2, 3, 4, 4]`, and classifies the features.
fn graph(features: impl FnOnce(&mut Builder, NodeId) -> Result<NodeId, GraphError>) -> Graph {
    let build = || {
        let mut g = Builder::new("test", ClipShape { channels: 3, frames: 2, height: 4, width: 4 })?;
        let x = g.node("frames", g.input(), FramesToBatch)?;
        let x = features(&mut g, x)?;
        let x = g.node("consensus", x, SegmentMean)?;
        let x = g.node("fc", x, linear(5))?;
        g.finish(x, x)
    };
    build().expect("the network fits the clip")
}

/// Checks the groups as `LAYERS: UNITS`, with `xWIDTH` for units of several channels.
fn check_groups(graph: &Graph, expect: &[&str]) {
    let text = |group: &ChannelGroup| {
        let width = if group.unit_width == 1 { String::new() } else { format!("x{}", group.unit_width) };
        format!("{}: {}{width}", group.layers.join(" "), group.num_units)
    };
    let found: Vec<String> = ChannelGroups::of(graph).groups().iter().map(text).collect();
    assert_eq!(found, expect);
}

/// Removes units and returns the shapes of tensors as `NAME SHAPE`.
fn shapes(graph: &Graph, removed: &[(&str, &[usize])]) -> Vec<String> {
    let removed = removed.iter().map(|(name, units)| ((*name).to_owned(), units.to_vec())).collect();
    let pruned = ChannelGroups::of(graph).remove(graph, &removed).expect("the channels can be removed").graph;
    assert_eq!(pruned.check(), Ok(()));
    pruned.params.iter().map(|param| format!("{} {:?}", param.name, param.shape)).collect()
}

fn residual(g: &mut Builder, x: NodeId) -> Result<NodeId, GraphError> {
    let x = g.node("conv1", x, conv(6))?;
    let x = g.node("bn1", x, BatchNorm::default())?;
    let y = g.node("conv2", x, conv(4))?;
    let y = g.node("relu", y, Relu)?;
    let y = g.node("conv3", y, ConvParams { bias: true, ..conv(6) })?;
    let x = g.node("add", [y, x], Add)?;
    g.node("pool", x, GlobalAvgPool)
}

#[test]
fn a_residual_sum_couples_the_channels_of_its_inputs() {
    let graph = graph(residual);
    check_groups(&graph, &["conv1 conv3: 6", "conv2: 4"]);
    let whole = ChannelGroups::of(&graph).whole().to_vec();
    let expect = WholeLayer { name: "fc".into(), reason: "it computes the logits, one per class".into() };
    assert_eq!(whole, [expect]);
    let found = shapes(&graph, &[("conv1", &[0, 5]), ("conv2", &[3])]);
    let expect = [
        "conv1.weight [4, 3, 3, 3]",
        "bn1.weight [4]",
        "bn1.bias [4]",
        "bn1.running_mean [4]",
        "bn1.running_var [4]",
        "conv2.weight [3, 4, 3, 3]",
        "conv3.weight [4, 3, 3, 3]",
        "conv3.bias [4]",
        "fc.weight [5, 4]",
        "fc.bias [5]",
    ];
    assert_eq!(found, expect);
}

#[test]
fn the_values_that_stay_keep_their_order() {
    let graph = graph(residual);
    let removed = [("conv1".to_owned(), vec![0, 1, 2, 4]), ("conv2".to_owned(), vec![1])].into();
    let pruned = ChannelGroups::of(&graph).remove(&graph, &removed).expect("they can be removed");
    let id = graph.params.iter().position(|param| param.name == "fc.weight").expect("found");
    let values: Vec<f32> = (0..30_u8).map(f32::from).collect();
    let found = pruned.values(ParamId(id), &graph.params[id], &values).expect("values");
    assert_eq!(found, [3.0, 5.0, 9.0, 11.0, 15.0, 17.0, 21.0, 23.0, 27.0, 29.0]);
    // The weight of conv3 loses rows and columns.
    let id = graph.params.iter().position(|param| param.name == "conv3.weight").expect("found");
    let values: Vec<f32> = (0..6 * 4 * 9).map(|index| (index / 9) as f32).collect();
    let found = pruned.values(ParamId(id), &graph.params[id], &values).expect("values");
    let filters: Vec<f32> = found.iter().step_by(9).copied().collect();
    assert_eq!((found.len(), filters), (2 * 3 * 9, vec![12.0, 14.0, 15.0, 20.0, 22.0, 23.0]));
    let error = pruned.values(ParamId(id), &graph.params[id], &[1.0]).expect_err("one value");
    assert_eq!(error, GraphError::TensorLength { name: "conv3.weight".into(), expected: 216, found: 1 });
}

#[test]
fn concatenation_slices_and_flattening_move_channels() {
    let graph = graph(|g, x| {
        let a = g.node("a", x, conv(4))?;
        let b = g.node("b", x, conv(2))?;
        let x = g.node("concat", [a, b], Concat { axis: 0 })?;
        let x = g.node("part", x, Slice { axis: 0, start: 2, end: 6, step: 1 })?;
        g.node("flat", x, Flatten)
    });
    check_groups(&graph, &["a: 4", "b: 2"]);
    let found = shapes(&graph, &[("a", &[0, 3]), ("b", &[1])]);
    // Of `a`, positions 1 and 2 stay; the slice has position 2 and the one that stays of `b`, of 16 pixels each.
    assert_eq!(found, ["a.weight [2, 3, 3, 3]", "b.weight [1, 3, 3, 3]", "fc.weight [5, 32]", "fc.bias [5]"]);
}

#[test]
fn depthwise_and_grouped_convolutions_follow_their_input() {
    let graph = graph(|g, x| {
        let x = g.node("expand", x, conv(8))?;
        let x = g.node("depthwise", x, ConvParams { groups: 8, ..conv(8) })?;
        let x = g.node("project", x, conv(8))?;
        let x = g.node("grouped", x, ConvParams { groups: 2, ..conv(4) })?;
        g.node("pool", x, GlobalAvgPool)
    });
    check_groups(&graph, &["expand: 8", "project: 2x4"]);
    let found = shapes(&graph, &[("expand", &[0, 7]), ("project", &[1])]);
    let expect = [
        "expand.weight [6, 3, 3, 3]",
        "depthwise.weight [6, 1, 3, 3]",
        "project.weight [4, 6, 3, 3]",
        "grouped.weight [2, 4, 3, 3]",
        "fc.weight [5, 2]",
        "fc.bias [5]",
    ];
    assert_eq!(found, expect);
}

#[test]
fn squeeze_and_excitation_has_the_channels_that_it_scales() {
    let graph = graph(|g, x| {
        let x = g.node("conv", x, conv(6))?;
        let y = g.node("mean", x, Mean { axes: vec![1, 2], keepdims: true })?;
        let y = g.node("fc1", y, ConvParams::<2> { out_channels: 3, ..ConvParams::default() })?;
        let y = g.node("fc2", y, ConvParams::<2> { out_channels: 6, ..ConvParams::default() })?;
        let y = g.node("gate", y, Sigmoid)?;
        let x = g.node("scale", [x, y], Mul)?;
        g.node("pool", x, GlobalAvgPool)
    });
    check_groups(&graph, &["conv fc2: 6", "fc1: 3"]);
}

#[test]
fn a_temporal_shift_moves_the_channels_that_stay() {
    let graph = graph(|g, x| {
        let x = g.node("conv", x, conv(8))?;
        let x = g.node("shift", x, TemporalShiftParams { shift_div: 4 })?;
        g.node("pool", x, GlobalAvgPool)
    });
    let moved = |units: &[usize]| {
        let removed = [("conv".to_owned(), units.to_vec())].into();
        let pruned = ChannelGroups::of(&graph).remove(&graph, &removed).expect("they can be removed").graph;
        let shift = pruned.nodes.iter().find_map(|node| {
            let Op::TemporalShift(shift) = &node.op else { return None };
            Some((shift.moved, shift.moved(node.shape.dims[0])))
        });
        shift.expect("a shift")
    };
    assert_eq!(moved(&[7]), (Some([2, 2]), [2, 2]));
    assert_eq!(moved(&[0, 1, 2]), (Some([0, 1]), [0, 1]));
    // One of each two: a quarter of 4 channels moves in each direction.
    assert_eq!(moved(&[0, 2, 4, 6]), (None, [1, 1]));
    // None of the channels that move is left.
    assert_eq!(moved(&[0, 1, 2, 3, 4]), (Some([0, 0]), [0, 0]));
}

/// Tokens `[N * 2, 16, 8]` with an attention of 4 heads and an MLP.
fn transformer(g: &mut Builder, x: NodeId) -> Result<NodeId, GraphError> {
    let x = g.node("patches", x, conv(8))?;
    let x = g.node("channels_last", x, Permute { axes: vec![1, 2, 0] })?;
    let x = g.node("tokens", x, Reshape { per_sample: 2, dims: vec![16, 8] })?;
    let y = g.node("norm1", x, LayerNorm { eps: 1e-6 })?;
    let qkv = g.node("qkv", y, linear(24))?;
    let part = |start| Slice { axis: 1, start, end: start + 8, step: 1 };
    let [q, k, v] = [("q", 0), ("k", 8), ("v", 16)].map(|(name, start)| g.node(name, qkv, part(start)));
    let y = g.node("attention", [q?, k?, v?], Attention { heads: 4, scale: None })?;
    let y = g.node("proj", y, linear(8))?;
    let x = g.node("add", [x, y], Add)?;
    let y = g.node("norm2", x, LayerNorm { eps: 1e-6 })?;
    let y = g.node("fc1", y, linear(12))?;
    let y = g.node("gelu", y, Gelu { tanh: false })?;
    let y = g.node("fc2", y, linear(8))?;
    let x = g.node("add2", [x, y], Add)?;
    g.node("mean", x, Mean { axes: vec![0], keepdims: false })
}

#[test]
fn heads_and_hidden_features_of_a_transformer_can_be_removed_and_its_width_cannot() {
    let graph = graph(transformer);
    check_groups(&graph, &["qkv: 4x6", "fc1: 12"]);
    let whole: Vec<String> = ChannelGroups::of(&graph).whole().iter().map(|layer| layer.name.clone()).collect();
    assert_eq!(whole, ["patches", "proj", "fc2", "fc"]);
    let reason = ChannelGroups::of(&graph).whole()[1].reason.clone();
    assert_eq!(reason, "`norm1` (LayerNorm) needs all of its channels");
    let removed = [("qkv".to_owned(), vec![1, 2]), ("fc1".to_owned(), vec![0])].into();
    let pruned = ChannelGroups::of(&graph).remove(&graph, &removed).expect("they can be removed").graph;
    let shape = |name: &str| pruned.params.iter().find(|param| param.name == name).expect("found").shape.clone();
    assert_eq!((shape("qkv.weight"), shape("proj.weight")), (vec![12, 8], vec![8, 4]));
    assert_eq!((shape("fc1.weight"), shape("fc2.weight")), (vec![11, 8], vec![8, 11]));
    let heads = pruned.nodes.iter().find_map(|node| {
        let Op::Attention(attention) = &node.op else { return None };
        Some(attention.heads)
    });
    assert_eq!(heads, Some(2));
}

#[test]
fn other_plans_are_errors() {
    let graph = graph(residual);
    let check = |name: &str, units: &[usize], expect: &str| {
        let removed = [(name.to_owned(), units.to_vec())].into();
        let error = ChannelGroups::of(&graph).remove(&graph, &removed).expect_err("another graph");
        assert_eq!(error.to_string(), expect);
    };
    check("conv3", &[0], "`conv3` is not the name of a group of channels");
    check("conv2", &[4], "channel 4 of `conv2` can't be removed, or is removed twice: the group has 4 channels");
    check("conv2", &[1, 1], "channel 1 of `conv2` can't be removed, or is removed twice: the group has 4 channels");
    check("conv2", &[0, 1, 2, 3], "all channels of `conv2` are to be removed");
}
