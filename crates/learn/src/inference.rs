//! Networks for inference: the same logits up to rounding, with fewer nodes.

use crate::convert::dims;
use crate::error::At;
use crate::kernels::run;
use crate::{LearnError, Network};
use pipe_graph::passes::{fold_batch_norm, fold_tables, foldable_tables};
use pipe_graph::{Graph, NodeId};
use std::collections::BTreeMap;
use tch::Tensor;

impl Network {
    /// Returns the network with constants in place of tables that derive from others, such as resized positions, and without what only
    /// training uses.
    pub fn with_folded_tables(&self) -> Result<Self, LearnError> {
        let (graph, constants) = fold_tables(self.graph(), &self.tables()?)?;
        let mut tensors = self.values_by_name();
        tensors.extend(constants);
        Ok(Self::of_values(graph, &tensors))
    }

    /// Returns the network with folded tables and batch normalisations. It can't be trained.
    pub fn for_inference(&self) -> Result<Self, LearnError> {
        let network = self.with_folded_tables()?;
        let (graph, tensors) = fold_batch_norm(network.graph(), &network.values_by_name())?;
        Ok(Self::of_values(graph, &tensors))
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

    fn values_by_name(&self) -> BTreeMap<String, Vec<f32>> {
        self.tensors().into_iter().map(|(name, tensor)| (name, tensor.to_f32())).collect()
    }

    /// Returns a network with these values, which has all of them.
    fn of_values(graph: Graph, values: &BTreeMap<String, Vec<f32>>) -> Self {
        let tensor = |param: &pipe_graph::Param| {
            let values = values.get(&param.name).map_or(&[][..], Vec::as_slice);
            channels_last(&Tensor::from_slice(values).view(dims(&param.shape).as_slice()))
        };
        let params = graph.params.iter().map(tensor).collect();
        Self::with_params(graph, params)
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
