//! [`QuantizePlan`]: which layers compute with 8-bit integers, and which values are rounded to them.
//!
//! A quantised layer reads rounded values and rounded weights, and its result is rounded again, so that an engine multiplies integers and
//! no value leaves them between two layers. Normalisations, softmax, GELU and the products of attention stay in floating point.
//! [`Quantization`] has the scales, and [`onnx::write_as`](crate::onnx::write_as) writes pairs of `QuantizeLinear` and `DequantizeLinear`.

mod calibration;
mod rounding;

pub use calibration::{Calibration, Histogram, Integers};
pub use rounding::{Quantization, ValueScale};
pub(crate) use rounding::{QuantizedWeight, quantize_bias, quantize_weight};

use crate::{Graph, GraphError, NodeId, Op, ParamId};
use std::collections::{BTreeMap, BTreeSet};

/// Which layers stay in floating point.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuantizeOptions {
    /// Whether the first convolution or linear layer stays.
    pub skip_first: bool,
    /// Whether the classifier stays.
    pub skip_last: bool,
    /// Names of other layers that stay.
    pub skip: Vec<String>,
}

/// What is quantised in a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuantizePlan {
    /// The convolutions and linear layers that compute with integers.
    pub layers: Vec<NodeId>,
    /// The nodes whose results are rounded. The range of each must be measured, except for those of `same_scale`.
    pub values: BTreeSet<NodeId>,
    /// Nodes of `values` that only move or select values, and the node whose scale they have.
    pub same_scale: BTreeMap<NodeId, NodeId>,
    /// The convolutions and linear layers that stay in floating point, with the reason.
    pub float: Vec<(String, &'static str)>,
}

impl QuantizePlan {
    /// Chooses layers and values. Fold batch normalisations first: one that follows a convolution otherwise stays between its result and
    /// the rounding.
    ///
    /// # Errors
    /// [`GraphError::UnknownLayer`] if a name of `skip` is not that of a convolution or linear layer, [`GraphError::NothingToQuantize`] if
    /// no layer is left.
    pub fn new(graph: &Graph, options: &QuantizeOptions) -> Result<Self, GraphError> {
        let used = graph.used_at_inference();
        let is_layer = |id: &NodeId| used[id.0] && matches!(graph.nodes[id.0].op, Op::Conv(_) | Op::Linear(_));
        let all: Vec<NodeId> = (0..graph.nodes.len()).map(NodeId).filter(is_layer).collect();
        let is_name = |name: &&String| !all.iter().any(|id| graph.nodes[id.0].name == **name);
        if let Some(name) = options.skip.iter().find(is_name) {
            return Err(GraphError::UnknownLayer { name: name.clone() });
        }
        let mut plan =
            Self { layers: Vec::new(), values: BTreeSet::new(), same_scale: BTreeMap::new(), float: Vec::new() };
        for id in &all {
            match skipped(graph, options, *id, all.first() == Some(id)) {
                Some(reason) => plan.float.push((graph.nodes[id.0].name.clone(), reason)),
                None => plan.layers.push(*id),
            }
        }
        if plan.layers.is_empty() {
            return Err(GraphError::NothingToQuantize { float: plan.float });
        }
        plan.choose_values(graph);
        Ok(plan)
    }

    /// Returns the nodes whose ranges must be measured.
    pub fn measured(&self) -> impl Iterator<Item = NodeId> {
        self.values.iter().copied().filter(|id| !self.same_scale.contains_key(id))
    }

    fn choose_values(&mut self, graph: &Graph) {
        let readers = readers(graph);
        for id in self.layers.clone() {
            let node = &graph.nodes[id.0];
            self.values.insert(graph.computed_by(node.inputs[0]));
            if matches!(node.op, Op::Conv(_)) {
                self.values.insert(with_activation(graph, &readers, id));
            }
        }
        // A sum of rounded values is rounded, so that residual connections of convolutions stay integers.
        let used = graph.used_at_inference();
        for id in (0..graph.nodes.len()).map(NodeId).filter(|id| used[id.0]) {
            let node = &graph.nodes[id.0];
            let is_rounded = |input: &NodeId| self.values.contains(&graph.computed_by(*input));
            if matches!(node.op, Op::Add(_) | Op::Concat(_)) && node.inputs.iter().all(is_rounded) {
                self.values.insert(with_activation(graph, &readers, id));
            }
        }
        // The logits are not rounded.
        self.values.remove(&graph.computed_by(graph.output));
        for id in self.values.clone() {
            let node = &graph.nodes[id.0];
            if node.op.operation().keeps_values()
                && let Some(source) = node.inputs.first().map(|input| graph.computed_by(*input))
                && self.values.contains(&source)
            {
                // Nodes are in topological order, so the scale of the source is known.
                let source = self.same_scale.get(&source).copied().unwrap_or(source);
                self.same_scale.insert(id, source);
            }
        }
    }
}

/// Returns why a layer stays in floating point; `None` if it does not.
fn skipped(graph: &Graph, options: &QuantizeOptions, id: NodeId, is_first: bool) -> Option<&'static str> {
    let node = &graph.nodes[id.0];
    let weight = node.param("weight");
    let is_head = node.params.iter().any(|param| graph.head.contains(&param.id));
    let num_users =
        |id: ParamId| graph.nodes.iter().flat_map(|node| &node.params).filter(|param| param.id == id).count();
    if options.skip.contains(&node.name) {
        Some("a parameter says so")
    } else if options.skip_first && is_first {
        Some("it is the first layer")
    } else if options.skip_last && is_head {
        Some("it is the classifier")
    } else if weight.is_some_and(|weight| num_users(weight) > 1) {
        Some("it shares its weight with another layer")
    } else if graph.nodes[node.inputs[0].0].shape.is_table() {
        Some("its input is a constant")
    } else {
        None
    }
}

/// Returns the nodes that read each node's value, or a value that equals it at inference.
fn readers(graph: &Graph) -> Vec<Vec<NodeId>> {
    let mut readers = vec![Vec::new(); graph.nodes.len()];
    for (position, node) in graph.nodes.iter().enumerate() {
        if graph.computed_by(NodeId(position)) == NodeId(position) {
            node.inputs.iter().for_each(|input| readers[graph.computed_by(*input).0].push(NodeId(position)));
        }
    }
    readers
}

/// Returns the activation after a node that engines compute together with it, or the node itself.
fn with_activation(graph: &Graph, readers: &[Vec<NodeId>], id: NodeId) -> NodeId {
    match readers[id.0].as_slice() {
        [reader] if matches!(graph.nodes[reader.0].op, Op::Relu(_) | Op::Relu6(_)) => *reader,
        _ => id,
    }
}
