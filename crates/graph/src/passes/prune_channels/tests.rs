//! Tests of [`choose_channels`].

use super::*;
use crate::ops::{
    add::Add, conv::ConvParams, frames_to_batch::FramesToBatch, global_avg_pool::GlobalAvgPool, linear::LinearParams,
    segment_mean::SegmentMean,
};
use crate::{Builder, ClipShape, Init};

const OPTIONS: PruneOptions =
    PruneOptions { macs: 0.5, tolerance: 0.05, norm: Norm::L2, scope: Scope::Global, min_channels: 1, round_to: 1 };

/// Two convolutions of 16 filters.
fn graph() -> Graph {
    let conv = ConvParams { out_channels: 16, kernel: [3; 2], padding: [1; 2], ..ConvParams::default() };
    let build = || {
        let mut g = Builder::new("test", ClipShape { channels: 3, frames: 1, height: 8, width: 8 })?;
        let x = g.node("frames", g.input(), FramesToBatch)?;
        let x = g.node("conv1", x, conv)?;
        let x = g.node("conv2", x, conv)?;
        let x = g.node("pool", x, GlobalAvgPool)?;
        let x = g.node("consensus", x, SegmentMean)?;
        let x = g.node("fc", x, LinearParams { out_features: 2, init: Init::Constant(0.0), bias: true })?;
        g.finish(x, x)
    };
    build().expect("the network fits the clip")
}

/// Values that fall with the filter in `conv1`, and rise with it in `conv2`; those of other tensors are 1.
fn values(graph: &Graph) -> BTreeMap<String, Vec<f32>> {
    let value = |name: &str, filter: usize| match name {
        "conv1.weight" => 16.0 - filter as f32,
        "conv2.weight" => 1.0 + filter as f32,
        _ => 1.0,
    };
    let of = |param: &crate::Param| {
        let filter_len = param.len() / param.shape[0];
        (0..param.len()).map(|index| value(&param.name, index / filter_len)).collect()
    };
    graph.params.iter().map(|param| (param.name.clone(), of(param))).collect()
}

fn choose(options: &PruneOptions) -> Result<(Removed, f64), PruneError> {
    let graph = graph();
    let channels = ChannelGroups::of(&graph);
    let removed = choose_channels(&graph, &channels, &values(&graph), options)?;
    let share = channels.remove(&graph, &removed)?.graph.macs() as f64 / graph.macs() as f64;
    Ok((removed, share))
}

#[test]
fn the_least_important_channels_are_removed_until_the_share_is_reached() {
    for (norm, scope) in [(Norm::L1, Scope::Global), (Norm::L2, Scope::Global), (Norm::L1, Scope::Group)] {
        let (removed, share) = choose(&PruneOptions { norm, scope, ..OPTIONS }).expect("half can be reached");
        assert!((share - 0.5).abs() <= 0.05, "{share}");
        // The last filters of `conv1` and the first ones of `conv2`.
        let (of_1, of_2) = (removed["conv1"].len(), removed["conv2"].len());
        assert_eq!(removed["conv1"], (16 - of_1..16).collect::<Vec<_>>());
        assert_eq!(removed["conv2"], (0..of_2).collect::<Vec<_>>());
        if scope == Scope::Group {
            assert!(of_1.abs_diff(of_2) <= 1, "{of_1} {of_2}");
        }
    }
}

/// A stage of residual blocks, whose sums couple all of its layers, and layers with fewer multiply-adds that are pruned one by one.
fn residual() -> Graph {
    let conv = |out_channels: usize| ConvParams { out_channels, kernel: [3; 2], padding: [1; 2], ..Default::default() };
    let build = || {
        let mut g = Builder::new("test", ClipShape { channels: 3, frames: 1, height: 16, width: 16 })?;
        let x = g.node("frames", g.input(), FramesToBatch)?;
        let mut x = g.node("stem", x, conv(32))?;
        for block in 0..3 {
            let branch = g.node(&format!("wide.{block}"), x, conv(32))?;
            x = g.node(&format!("sum.{block}"), [x, branch], Add)?;
        }
        for position in 0..8 {
            let params = ConvParams { stride: [if position == 0 { 2 } else { 1 }; 2], ..conv(32) };
            x = g.node(&format!("single.{position}"), x, params)?;
        }
        let x = g.node("pool", x, GlobalAvgPool)?;
        let x = g.node("consensus", x, SegmentMean)?;
        let x = g.node("fc", x, LinearParams { out_features: 2, init: Init::Constant(0.0), bias: true })?;
        g.finish(x, x)
    };
    build().expect("the network fits the clip")
}

/// With a common share, the network has 0.57 or 0.37 of the multiply-adds, but nothing between.
#[test]
fn a_large_step_of_one_group_is_made_up_by_others() {
    let graph = residual();
    let channels = ChannelGroups::of(&graph);
    let values = values(&graph);
    let num_removed = |macs: f64| {
        let options =
            PruneOptions { macs, tolerance: 0.02, scope: Scope::Group, min_channels: 8, round_to: 8, ..OPTIONS };
        let removed = choose_channels(&graph, &channels, &values, &options).expect("it can be reached");
        let share =
            channels.remove(&graph, &removed).expect("they can be removed").graph.macs() as f64 / graph.macs() as f64;
        assert!((share - macs).abs() <= 0.003, "{macs}: {share}");
        // All units matter equally, so the first ones are removed.
        assert!(removed.values().all(|units| units.iter().copied().eq(0..units.len())), "{removed:?}");
        assert_eq!(Ok(&removed), choose_channels(&graph, &channels, &values, &options).as_ref());
        let of = |name: &str| removed.get(name).map_or(0, Vec::len);
        (of("stem"), (0..8).map(|position| of(&format!("single.{position}"))).collect::<Vec<_>>())
    };
    // The first stage loses its step, and others get theirs back.
    assert_eq!(num_removed(0.5), (16, vec![0, 8, 0, 0, 0, 0, 0, 0]));
    // The first stage keeps its step, and others lose more.
    assert_eq!(num_removed(0.45), (8, vec![16; 8]));
}

#[test]
fn limits_and_rounding_hold() {
    let (removed, share) = choose(&PruneOptions { round_to: 4, tolerance: 0.1, ..OPTIONS }).expect("reached");
    assert!(removed.values().all(|units| units.len().is_multiple_of(4)), "{removed:?}");
    assert!((share - 0.5).abs() <= 0.1, "{share}");
    let (removed, _) = choose(&PruneOptions { min_channels: 10, ..OPTIONS }).expect("reached");
    assert!(removed.values().all(|units| units.len() <= 6), "{removed:?}");
}

#[test]
fn shares_that_cannot_be_reached_are_errors() {
    let check = |options: PruneOptions, expect: &str| {
        let error = choose(&options).expect_err("it can't be reached").to_string();
        assert!(error.starts_with(expect), "{error}");
    };
    for macs in [0.0, 1.0, 1.5, -0.1, f64::NAN, f64::INFINITY] {
        check(PruneOptions { macs, ..OPTIONS }, "the multiply-adds can't be reduced to");
    }
    let expect = "0.01 of the multiply-adds can't be reached: 0.2895 are left when each layer keeps its smallest number of \
                  channels; `fc` stays whole, because it computes the logits, one per class";
    check(PruneOptions { macs: 0.01, min_channels: 8, ..OPTIONS }, expect);
    let expect = "0.6 of the multiply-adds can't be reached within 0.001: the nearest is";
    check(PruneOptions { macs: 0.6, round_to: 8, tolerance: 0.001, ..OPTIONS }, expect);
}

#[test]
fn a_network_without_channels_to_remove_is_an_error() {
    let mut g = Builder::new("test", ClipShape { channels: 3, frames: 1, height: 8, width: 8 }).expect("a clip");
    let x = g.node("pool", g.input(), GlobalAvgPool).expect("pixels");
    let params = LinearParams { out_features: 2, init: Init::Constant(0.0), bias: true };
    let x = g.node("fc", x, params).expect("features");
    let graph = g.finish(x, x).expect("logits");
    let error = choose_channels(&graph, &ChannelGroups::of(&graph), &BTreeMap::new(), &OPTIONS);
    let expect = "no channels can be removed: `fc` stays whole, because it computes the logits, one per class";
    assert_eq!(error.expect_err("an error").to_string(), expect);
}

#[test]
fn missing_values_are_errors() {
    let graph = graph();
    let channels = ChannelGroups::of(&graph);
    let error = choose_channels(&graph, &channels, &BTreeMap::new(), &OPTIONS);
    assert_eq!(error, Err(GraphError::MissingTensor { name: "conv1.weight".into() }.into()));
}
