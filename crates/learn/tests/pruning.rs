//! Pruned networks compute what the networks before compute, where only zeros were removed.

use pipe_graph::passes::{ChannelGroup, ChannelGroups, Removed};
use pipe_graph::{ClipShape, Graph};
use pipe_learn::{Network, pin_threads};
use pipe_models::zoo;
use pipe_schemas::networks::ModelParams;
use pipe_weights::Tensor;
use std::collections::BTreeMap;
use tch::{Device, Kind};

/// Returns the first small network of every fourth type, from `first` on.
fn networks(first: usize) -> Vec<Network> {
    pin_threads();
    let types = zoo().into_iter().skip(first).step_by(4);
    let small = types.filter_map(|entry| entry.small.into_iter().next());
    let network = |(seed, small): (usize, pipe_models::Small<_>)| {
        let params = ModelParams { backbone: small.backbone, ..ModelParams::default() };
        Network::new(pipe_models::build(&params, small.clip, 5).expect("a graph"), seed as u64)
    };
    small.enumerate().map(network).collect()
}

fn clip(graph: &Graph) -> ClipShape {
    match *graph.nodes[0].shape.dims.as_slice() {
        [channels, frames, height, width] => ClipShape { channels, frames, height, width },
        _ => panic!("a clip"),
    }
}

fn logits(network: &Network) -> Vec<f32> {
    let ClipShape { channels, frames, height, width } = clip(network.graph());
    let shape = [2, channels, frames, height, width].map(|size| size as i64);
    let len: i64 = shape.iter().product();
    let clips = (tch::Tensor::arange(len, (Kind::Float, Device::Cpu)) * 0.37).sin().view(shape);
    let logits = tch::no_grad(|| network.forward(&clips, None)).expect("logits");
    Vec::try_from(logits.contiguous().view(-1)).expect("values")
}

/// Units at changing distances, so that no position is special; never all of a group.
fn some_units(groups: &ChannelGroups) -> Removed {
    let units = |(position, group): (usize, &ChannelGroup)| {
        let units: Vec<usize> = (0..group.num_units).filter(|unit| (unit + position) % 3 == 0).collect();
        (!units.is_empty() && units.len() < group.num_units).then(|| (group.name.clone(), units))
    };
    groups.groups().iter().enumerate().filter_map(units).collect()
}

/// Returns, for each tensor and axis, which positions belong to removed units.
fn removed_positions(graph: &Graph, groups: &ChannelGroups, removed: &Removed) -> BTreeMap<(usize, usize), Vec<bool>> {
    let mut positions: BTreeMap<(usize, usize), Vec<bool>> = BTreeMap::new();
    for (group, parts) in groups.groups().iter().zip(groups.parts()) {
        for part in removed.get(&group.name).into_iter().flatten().flat_map(|unit| &parts[*unit]) {
            let (id, axis) = (part.param.0, part.axis);
            let of_axis = positions.entry((id, axis)).or_insert_with(|| vec![false; graph.params[id].shape[axis]]);
            part.positions.iter().for_each(|position| of_axis[*position] = true);
        }
    }
    positions
}

/// Gives all tensors values that differ, and sets those of the removed units to 0.
fn set_values(network: &mut Network, groups: &ChannelGroups, removed: &Removed) {
    let mut tensors = network.tensors();
    for (seed, param) in network.graph().params.iter().enumerate() {
        let values = tensors[&param.name].to_f32();
        let is_variance = param.name.ends_with("running_var");
        // Between -1 and 1, and different for neighbours.
        let noise = |at: usize| ((at * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0;
        let changed = values
            .iter()
            .enumerate()
            .map(|(at, value)| if is_variance { 1.0 + 0.5 * noise(at) } else { 1.2 * value + 0.05 * noise(at) });
        tensors.insert(param.name.clone(), Tensor::from_f32(param.shape.clone(), &changed.collect::<Vec<_>>()));
    }
    for ((id, axis), is_removed) in removed_positions(network.graph(), groups, removed) {
        let param = &network.graph().params[id];
        let mut values = tensors[&param.name].to_f32();
        let inner: usize = param.shape[axis + 1..].iter().product();
        for (index, value) in values.iter_mut().enumerate() {
            if is_removed[index / inner % param.shape[axis]] {
                *value = 0.0;
            }
        }
        tensors.insert(param.name.clone(), Tensor::from_f32(param.shape.clone(), &values));
    }
    network.set(&tensors);
}

/// The strongest test of groups: a channel that is left out of one tensor, or of one axis, changes the logits.
fn check_networks(first: usize) {
    for mut network in networks(first) {
        let name = network.graph().name.clone();
        let groups = ChannelGroups::of(network.graph());
        let removed = some_units(&groups);
        assert!(!removed.is_empty(), "{name}");
        set_values(&mut network, &groups, &removed);
        let before = logits(&network);
        let pruned = network.without_channels(&groups, &removed).expect(&name);
        assert!(pruned.graph().macs() < network.graph().macs(), "{name}");
        let after = logits(&pruned);
        let largest = before.iter().fold(1e-3_f32, |most, value| most.max(value.abs()));
        let difference = before.iter().zip(&after).map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max);
        assert!(before.iter().all(|value| value.is_finite()), "{name}: {before:?}");
        assert!(difference <= 1e-4 * largest, "{name}: {difference} of {largest}");
        // The classes are told apart, so that equal logits mean something.
        assert_ne!(before[..5], before[5..], "{name}");
    }
}

/// Four tests, because networks with large linear layers take seconds.
#[test]
fn removing_channels_whose_weights_are_zero_keeps_the_logits_0() {
    check_networks(0);
}

#[test]
fn removing_channels_whose_weights_are_zero_keeps_the_logits_1() {
    check_networks(1);
}

#[test]
fn removing_channels_whose_weights_are_zero_keeps_the_logits_2() {
    check_networks(2);
}

#[test]
fn removing_channels_whose_weights_are_zero_keeps_the_logits_3() {
    check_networks(3);
}
