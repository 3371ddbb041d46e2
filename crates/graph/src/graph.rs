//! [`Graph`] and its nodes.

use crate::{NodeId, Op, Param, ParamId, Shape};

/// A network.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// The network and its size, such as `tsm_resnet18`.
    pub name: String,
    /// The nodes in topological order; the first is the only [`Op::Input`].
    pub nodes: Vec<Node>,
    /// All tensors of the nodes, in the order of their first use.
    pub params: Vec<Param>,
    /// The node of the logits, `[N, K]`.
    pub output: NodeId,
    /// The tensors of the classifier, which are initialised again for another number of classes.
    pub head: Vec<ParamId>,
}

/// An op applied to the results of earlier nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The name of the module in the published checkpoint, such as `layer1.0.conv1`; unique in the graph.
    pub name: String,
    /// The op with its attributes.
    pub op: Op,
    /// The nodes that are read, in the order that the op defines.
    pub inputs: Vec<NodeId>,
    /// The tensors that are read, in the order of [`Op::slots`]; an optional one may be absent.
    pub params: Vec<NodeParam>,
    /// The shape of the result.
    pub shape: Shape,
}

/// A tensor of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeParam {
    /// The tensor's name within the op, such as `weight`.
    pub slot: &'static str,
    /// The tensor.
    pub id: ParamId,
}

impl Node {
    /// Returns the tensor in `slot`, or `None` if the node has none there.
    pub fn param(&self, slot: &str) -> Option<ParamId> {
        self.params.iter().find(|param| param.slot == slot).map(|param| param.id)
    }
}
