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
    /// A second classifier that only training uses.
    pub auxiliary: Option<Auxiliary>,
    /// The tensors of the classifiers, which are initialised again for another number of classes.
    pub head: Vec<ParamId>,
}

/// A classifier on an inner layer, whose loss is added to that of the logits in training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Auxiliary {
    /// The node of its logits, `[N, K]`.
    pub output: NodeId,
    /// The factor of its loss.
    pub loss_weight: f64,
}

impl Graph {
    /// Returns, for each node, whether the logits depend on it. The others are computed in training only.
    pub fn used_at_inference(&self) -> Vec<bool> {
        let mut used = vec![false; self.nodes.len()];
        let mut waiting = vec![self.output];
        while let Some(id) = waiting.pop() {
            if let Some(used @ false) = used.get_mut(id.0) {
                *used = true;
                waiting.extend(&self.nodes[id.0].inputs);
            }
        }
        used
    }

    /// Returns the node that computes a node's value at inference: the node itself, or the one before a dropout.
    pub(crate) fn computed_by(&self, mut id: NodeId) -> NodeId {
        while let node = &self.nodes[id.0]
            && node.op.operation().is_identity_at_inference()
            && let Some(input) = node.inputs.first()
        {
            id = *input;
        }
        id
    }
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
