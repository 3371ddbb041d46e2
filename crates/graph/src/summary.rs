//! The size and cost of a network.

use crate::check::operands;
use crate::{Graph, Node, Param, Role};

impl Graph {
    /// Returns the number of trained values, without running statistics.
    pub fn num_params(&self) -> usize {
        self.params.iter().filter(|param| param.role != Role::Buffer).map(Param::len).sum()
    }

    /// Returns the multiply-adds of a checked graph for one sample at inference.
    ///
    /// torchvision and MMAction2 publish this figure as FLOPs: a multiplication and its addition count once; biases,
    /// normalisations, activations, poolings and sums are not counted.
    pub fn macs(&self) -> u64 {
        let used = self.nodes.iter().zip(self.used_at_inference()).filter(|(_, used)| *used);
        used.map(|(node, _)| self.node_macs(node)).fold(0, u64::saturating_add)
    }

    /// Returns the multiply-adds of a node of a checked graph for one sample.
    pub fn node_macs(&self, node: &Node) -> u64 {
        // Every id of a checked graph exists.
        operands(node, &self.nodes, &self.params).map_or(0, |operands| node.op.operation().macs(&operands, &node.shape))
    }
}
