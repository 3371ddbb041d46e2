//! [`ChannelGroups`]: which channels of a network must be removed together, and the network without some of them.
//!
//! A *unit* is the smallest set of channels that can be removed: the same channel of all values that a residual sum couples, or a head of
//! an attention. Units that the same layers compute form a *group*. Each op states which channels it couples and which it needs whole
//! (`Operation::channels`), and which of its attributes depend on them (`Operation::keep_channels`); `rewrite.rs` removes units.

mod rewrite;
#[cfg(test)]
mod tests;

pub use rewrite::{PrunedGraph, Removed};

use crate::channels::{Axis, ChannelRule, Labels};
use crate::{Graph, NodeId, ParamId};
use std::collections::{BTreeMap, BTreeSet};

/// The groups of a graph.
#[derive(Debug, Clone)]
pub struct ChannelGroups {
    groups: Vec<ChannelGroup>,
    whole: Vec<WholeLayer>,
    labels: Labels,
}

/// Units that the same layers compute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelGroup {
    /// The name of its first layer.
    pub name: String,
    /// All convolutions and linear layers that compute its channels, in the order of the graph.
    pub layers: Vec<String>,
    /// The number of units.
    pub num_units: usize,
    /// The number of channels of a unit in one layer: 1, unless units are heads or groups of a convolution.
    pub unit_width: usize,
    /// The label of each unit.
    units: Vec<usize>,
}

/// A convolution or linear layer of which nothing can be removed. Depthwise and grouped convolutions follow their input and are not listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeLayer {
    /// Its name.
    pub name: String,
    /// The op that needs all channels, and why.
    pub reason: String,
}

/// The values of a tensor that belong to a unit: some positions of an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorPart {
    /// The tensor.
    pub param: ParamId,
    /// The axis.
    pub axis: usize,
    /// The positions, ascending.
    pub positions: Vec<usize>,
}

impl ChannelGroups {
    /// Finds the groups of a checked graph.
    pub fn of(graph: &Graph) -> Self {
        let mut labels = Labels::new(graph.nodes.len(), graph.params.len());
        for (position, node) in graph.nodes.iter().enumerate() {
            let mut rule = ChannelRule {
                id: NodeId(position),
                name: &node.name,
                op: node.op.name(),
                inputs: node.inputs.iter().map(|input| labels.values[input.0].clone()).collect(),
                params: node.params.iter().map(|param| (param.slot, param.id)).collect(),
                shape: &node.shape,
                labels: &mut labels,
            };
            let axes = node.op.operation().channels(&mut rule);
            labels.values.push(axes);
        }
        for output in [graph.output].into_iter().chain(graph.auxiliary.map(|auxiliary| auxiliary.output)) {
            for axis in labels.values[output.0].clone() {
                labels.pin(&axis, "it computes the logits, one per class");
            }
        }
        let mut found = Self { groups: Vec::new(), whole: Vec::new(), labels };
        found.collect(graph);
        found
    }

    /// Returns the groups, in the order of their first layers.
    pub fn groups(&self) -> &[ChannelGroup] {
        &self.groups
    }

    /// Returns the layers of which nothing can be removed.
    pub fn whole(&self) -> &[WholeLayer] {
        &self.whole
    }

    /// Returns the parts of all tensors that belong to each unit of each group.
    pub fn parts(&self) -> Vec<Vec<Vec<TensorPart>>> {
        let mut by_label: BTreeMap<usize, Vec<TensorPart>> = BTreeMap::new();
        for (param, axes) in self.labels.params.iter().enumerate() {
            for (axis, labels) in axes.iter().flatten().enumerate() {
                let Axis::Channels(channels) = labels else { continue };
                for (position, channel) in channels.iter().enumerate() {
                    let parts = by_label.entry(self.labels.root(*channel)).or_default();
                    match parts.last_mut().filter(|part| (part.param, part.axis) == (ParamId(param), axis)) {
                        Some(part) => part.positions.push(position),
                        None => parts.push(TensorPart { param: ParamId(param), axis, positions: vec![position] }),
                    }
                }
            }
        }
        let of_unit = |unit: &usize| by_label.get(unit).cloned().unwrap_or_default();
        self.groups.iter().map(|group| group.units.iter().map(of_unit).collect()).collect()
    }

    /// Sorts the channels of all layers into units, groups, and layers that stay whole.
    fn collect(&mut self, graph: &Graph) {
        // A depthwise or grouped convolution follows its input, and belongs to no group itself.
        let computes = |position: usize| self.labels.channels_of(NodeId(position)).next().is_some();
        let layers: Vec<usize> = (0..graph.nodes.len()).filter(|position| computes(*position)).collect();
        // The position of each unit in `units`, and the group of each unit as the position of its first layer.
        let mut group_of: BTreeMap<usize, usize> = BTreeMap::new();
        let mut by_group: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for position in layers {
            let units = self.units_of(NodeId(position));
            if units.is_empty() {
                let reason = self.reason(NodeId(position)).unwrap_or_default();
                self.whole.push(WholeLayer { name: graph.nodes[position].name.clone(), reason });
                continue;
            }
            // Layers that share a unit with this one join its group.
            let earlier: BTreeSet<usize> = units.iter().filter_map(|unit| group_of.get(unit).copied()).collect();
            let group = earlier.first().copied().unwrap_or(position);
            let joined =
                earlier.iter().filter_map(|other| by_group.remove(other)).flatten().chain([position]).collect();
            by_group.insert(group, joined);
            group_of.extend(units.iter().map(|unit| (*unit, group)));
            group_of.values_mut().filter(|other| earlier.contains(other)).for_each(|other| *other = group);
        }
        self.groups = by_group.into_values().map(|layers| self.group(graph, &layers)).collect();
    }

    fn group(&self, graph: &Graph, layers: &BTreeSet<usize>) -> ChannelGroup {
        let (mut units, mut unit_width) = (Vec::new(), 1);
        for layer in layers {
            let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
            for unit in self.labels.channels_of(NodeId(*layer)).map(|channel| self.labels.root(channel)) {
                if self.labels.is_pinned(unit) {
                    continue;
                }
                *counts.entry(unit).or_default() += 1;
                if !units.contains(&unit) {
                    units.push(unit);
                }
            }
            unit_width = counts.values().copied().fold(unit_width, usize::max);
        }
        let names: Vec<String> = layers.iter().map(|layer| graph.nodes[*layer].name.clone()).collect();
        let name = names.first().cloned().unwrap_or_default();
        ChannelGroup { name, layers: names, num_units: units.len(), unit_width, units }
    }

    /// Returns the units of a layer that can be removed.
    fn units_of(&self, layer: NodeId) -> BTreeSet<usize> {
        let roots = self.labels.channels_of(layer).map(|channel| self.labels.root(channel));
        roots.filter(|root| !self.labels.is_pinned(*root)).collect()
    }

    /// Returns why nothing of a layer can be removed.
    fn reason(&self, layer: NodeId) -> Option<String> {
        let mut roots = self.labels.channels_of(layer).map(|channel| self.labels.root(channel));
        roots.find_map(|root| self.labels.reason(root).map(str::to_owned))
    }
}
