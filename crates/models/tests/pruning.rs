//! Channel pruning of every network of the zoo.

use pipe_graph::passes::{ChannelGroups, Norm, PruneError, PruneOptions, Removed, Scope, choose_channels};
use pipe_graph::{ClipShape, Graph, Op};
use pipe_models::{build, without_channels, zoo};
use pipe_schemas::RemovedChannels;
use pipe_schemas::networks::{Backbone, ModelParams};
use std::collections::{BTreeMap, BTreeSet};

fn graph(backbone: &Backbone, clip: ClipShape) -> Graph {
    let params = ModelParams { backbone: backbone.clone(), ..ModelParams::default() };
    build(&params, clip, 7).expect("the network fits the clip")
}

fn small() -> Vec<(Backbone, Graph)> {
    let small = zoo().into_iter().flat_map(|entry| entry.small);
    small.map(|small| (small.backbone.clone(), graph(&small.backbone, small.clip))).collect()
}

/// Removes every other unit, the first one not included.
fn every_other(groups: &ChannelGroups) -> Removed {
    let units = |group: &pipe_graph::passes::ChannelGroup| {
        let units: Vec<usize> = (0..group.num_units).skip(1).step_by(2).collect();
        (!units.is_empty()).then(|| (group.name.clone(), units))
    };
    groups.groups().iter().filter_map(units).collect()
}

#[test]
fn every_network_loses_channels_and_stays_consistent() {
    for (_, graph) in small() {
        let groups = ChannelGroups::of(&graph);
        assert!(!groups.groups().is_empty(), "{}", graph.name);
        let pruned = groups.remove(&graph, &every_other(&groups)).expect(&graph.name).graph;
        assert_eq!(pruned.check(), Ok(()), "{}", graph.name);
        assert!(pruned.macs() < graph.macs() && pruned.num_params() < graph.num_params(), "{}", graph.name);
        let shape = |graph: &Graph, node: usize| graph.nodes[node].shape.clone();
        assert_eq!(shape(&pruned, 0), shape(&graph, 0), "{}", graph.name);
        assert_eq!(shape(&pruned, pruned.output.0), shape(&graph, graph.output.0), "{}", graph.name);
    }
}

/// Returns values between -1 and 1 for all tensors.
fn values(graph: &Graph) -> BTreeMap<String, Vec<f32>> {
    let value = |at: usize| (at * 7919 % 2003) as f32 / 1001.0 - 1.0;
    graph.params.iter().map(|param| (param.name.clone(), (0..param.len()).map(value).collect())).collect()
}

/// Networks of which too little can be removed say so; no other network fails.
#[test]
fn every_network_comes_near_half_of_its_multiply_adds() {
    let (mut num_near, tolerance) = (0, 0.02);
    for (width, scope) in [(8, Scope::Group), (4, Scope::Global), (2, Scope::Group)] {
        let options =
            PruneOptions { macs: 0.5, tolerance, norm: Norm::L2, scope, min_channels: width, round_to: width };
        for (_, graph) in small() {
            let groups = ChannelGroups::of(&graph);
            match choose_channels(&graph, &groups, &values(&graph), &options) {
                Ok(removed) => {
                    let pruned = groups.remove(&graph, &removed).expect(&graph.name).graph;
                    let share = pruned.macs() as f64 / graph.macs() as f64;
                    assert!((share - 0.5).abs() <= tolerance, "{}: {share}", graph.name);
                    num_near += 1;
                }
                Err(PruneError::TooSmall { smallest, .. }) => assert!(smallest > 0.5 + tolerance, "{}", graph.name),
                Err(error) => panic!("{}, {options:?}: {error:?}", graph.name),
            }
        }
    }
    assert!(num_near > 60, "{num_near}");
}

/// A convolution or linear layer is in one group, or stays whole with a reason that names a node.
#[test]
fn every_layer_is_in_a_group_or_has_a_reason() {
    for (_, graph) in small() {
        let groups = ChannelGroups::of(&graph);
        let grouped: Vec<&String> = groups.groups().iter().flat_map(|group| &group.layers).collect();
        let whole: BTreeSet<&String> = groups.whole().iter().map(|layer| &layer.name).collect();
        let is_layer = |node: &&pipe_graph::Node| match &node.op {
            // A depthwise convolution follows its input.
            Op::Conv(conv) => conv.groups == 1,
            op => matches!(op, Op::Linear(_)),
        };
        for node in graph.nodes.iter().filter(is_layer) {
            let count = grouped.iter().filter(|name| **name == &node.name).count();
            assert_eq!(count + usize::from(whole.contains(&node.name)), 1, "{}: {}", graph.name, node.name);
        }
        for layer in groups.whole() {
            let names_node = graph.nodes.iter().any(|node| layer.reason.contains(&format!("`{}`", node.name)));
            assert!(names_node || layer.reason.contains("logits"), "{}: {layer:?}", graph.name);
        }
    }
}

/// What a model folder records is enough to build the pruned graph again, also for clips of another length.
#[test]
fn a_pruned_graph_is_built_again_from_what_was_removed() {
    for (backbone, first) in small() {
        let groups = ChannelGroups::of(&first);
        let removed = every_other(&groups);
        let pruned = groups.remove(&first, &removed).expect("it can be removed").graph;
        let record = serde_json::to_string(&RemovedChannels::from(removed)).expect("JSON");
        let record: RemovedChannels = serde_json::from_str(&record).expect("JSON");
        assert_eq!(without_channels(first.clone(), std::slice::from_ref(&record)).as_ref(), Ok(&pruned));
        let Op::Input(input) = &first.nodes[0].op else { panic!("a clip") };
        let longer = ClipShape { frames: input.clip.frames * 2, ..input.clip };
        let params = ModelParams { backbone, ..ModelParams::default() };
        // Some networks take clips of one length only.
        let Ok(longer) = build(&params, longer, 7) else { continue };
        let longer = without_channels(longer, &[record]).expect(&first.name);
        assert_eq!(longer.check(), Ok(()), "{}", first.name);
        if longer.nodes.len() == first.nodes.len() {
            assert_eq!(longer.params.len(), pruned.params.len(), "{}", first.name);
        }
    }
}
