//! Networks for inference: the same logits up to rounding, with fewer nodes.

use crate::convert::dims;
use crate::error::At;
use crate::kernels::run;
use crate::{LearnError, Network};
use pipe_graph::passes::{fold_batch_norm, fold_tables, foldable_tables};
use pipe_graph::{Graph, GraphError, NodeId, Op};
use std::collections::BTreeMap;
use tch::Tensor;

impl Network {
    /// Returns the network with constants in place of tables that derive from others, such as resized positions, and without what only
    /// training uses. Its other tensors share the memory of this network's.
    pub fn with_folded_tables(&self) -> Result<Self, LearnError> {
        let (graph, constants) = fold_tables(self.graph(), &self.tables()?)?;
        self.rewritten(graph, &constants)
    }

    /// Returns the network with folded tables and batch normalisations. It can't be trained.
    pub fn for_inference(&self) -> Result<Self, LearnError> {
        let network = self.with_folded_tables()?;
        let graph = network.graph();
        if !graph.nodes.iter().any(|node| matches!(node.op, Op::BatchNorm(_))) {
            return Ok(network);
        }
        let tensors = network.tensors();
        let values = tensors.into_iter().map(|(name, tensor)| (name, tensor.to_f32())).collect();
        let (graph, values) = fold_batch_norm(graph, &values)?;
        network.rewritten(graph, &values)
    }

    /// Computes the tables that can be folded.
    fn tables(&self) -> Result<BTreeMap<NodeId, Vec<f32>>, LearnError> {
        let _no_grad = tch::no_grad_guard();
        let (graph, no_clips) = (self.graph(), Tensor::new());
        let mut values: Vec<Option<Tensor>> = Vec::with_capacity(graph.nodes.len());
        for node in &graph.nodes {
            let value = if node.shape.is_table() {
                let call = self.call(node, &no_clips, &values, None).at(&node.name)?;
                Some(run(&call).at(&node.name)?)
            } else {
                None
            };
            values.push(value);
        }
        let table = |id: NodeId| Some((id, to_values(values[id.0].as_ref()?)));
        Ok(foldable_tables(graph).into_iter().filter_map(table).collect())
    }

    /// Returns a network of another graph, whose tensors are those of `values`, else those of this network.
    pub(crate) fn rewritten(&self, graph: Graph, values: &BTreeMap<String, Vec<f32>>) -> Result<Self, LearnError> {
        let own: BTreeMap<&str, &Tensor> = self.named_tensors().collect();
        let tensor = |param: &pipe_graph::Param| match (values.get(&param.name), own.get(param.name.as_str())) {
            (Some(values), _) => Ok(channels_last(&Tensor::from_slice(values).view(dims(&param.shape).as_slice()))),
            (None, Some(tensor)) => Ok(tensor.detach()),
            (None, None) => Err(GraphError::MissingTensor { name: param.name.clone() }),
        };
        let params = graph.params.iter().map(tensor).collect::<Result<_, _>>()?;
        Ok(Self::with_params(graph, params))
    }
}

/// Returns a tensor with its second axis last in memory, as convolutions are fastest.
fn channels_last(tensor: &Tensor) -> Tensor {
    let rank = tensor.dim() as i64;
    if rank < 4 {
        return tensor.shallow_clone();
    }
    tensor.movedim_int(1, -1).contiguous().movedim_int(-1, 1)
}

fn to_values(tensor: &Tensor) -> Vec<f32> {
    let mut values = vec![0f32; tensor.numel()];
    tensor.contiguous().copy_data(&mut values, tensor.numel());
    values
}
