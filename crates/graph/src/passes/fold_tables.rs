//! [`fold_tables`]: tables that derive from other tables become constants.

use crate::ops::table::Table;
use crate::{Graph, GraphError, Init, Node, NodeId, NodeParam, Op, Param, ParamId, Role};
use std::collections::{BTreeMap, BTreeSet};

/// How many times larger than the tensors that it derives from a folded table may be. Resized positions are folded, the biases of all
/// pairs of tokens are not.
const MAX_GROWTH: usize = 4;

/// Returns the nodes that [`fold_tables`] replaces: tables that derive from tensors and that a node with a batch axis reads.
pub fn foldable_tables(graph: &Graph) -> Vec<NodeId> {
    let sources = source_sizes(graph);
    let is_folded = |id: &NodeId| {
        let node = &graph.nodes[id.0];
        let derives = node.shape.is_table() && !node.inputs.is_empty();
        derives && sources[id.0] > 0 && node.shape.values_per_sample() <= MAX_GROWTH.saturating_mul(sources[id.0])
    };
    let candidates: BTreeSet<NodeId> = (0..graph.nodes.len()).map(NodeId).filter(is_folded).collect();
    let read_by_others = |id: &NodeId| {
        let mut readers = graph.nodes.iter().enumerate().filter(|(_, node)| node.inputs.contains(id));
        readers.any(|(reader, _)| !candidates.contains(&NodeId(reader)))
    };
    candidates.iter().copied().filter(read_by_others).collect()
}

/// Replaces tables by constants with the name of their node, and removes the nodes that only they read.
///
/// `values` are the tables of [`foldable_tables`]; the results are the new network and the values of the constants by name. Logits stay
/// the same, but the tensors that the tables derive from are no longer trained.
///
/// # Errors
/// [`GraphError::UnknownNode`] for a node that does not exist, and every error of [`Graph::check`].
pub fn fold_tables(
    graph: &Graph,
    values: &BTreeMap<NodeId, Vec<f32>>,
) -> Result<(Graph, BTreeMap<String, Vec<f32>>), GraphError> {
    if let Some(id) = values.keys().find(|id| id.0 >= graph.nodes.len()) {
        return Err(GraphError::UnknownNode { id: *id });
    }
    let mut folded = graph.clone();
    let mut constants = BTreeMap::new();
    for (id, values) in values {
        let param = ParamId(folded.params.len());
        let node = &mut folded.nodes[id.0];
        let (name, shape) = (node.name.clone(), node.shape.dims.clone());
        folded.params.push(Param { name: name.clone(), shape, role: Role::Buffer, init: Init::Constant(0.0) });
        *node = Node {
            op: Op::Table(Table),
            inputs: Vec::new(),
            params: vec![NodeParam { slot: "", id: param }],
            ..node.clone()
        };
        constants.insert(name, values.clone());
    }
    let folded = without_unused(&folded);
    folded.check()?;
    Ok((folded, constants))
}

/// Returns, for each table, the number of values of the tensors that it derives from.
fn source_sizes(graph: &Graph) -> Vec<usize> {
    let mut sizes: Vec<usize> = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let own = node.params.iter().map(|param| graph.params[param.id.0].len()).sum();
        let inputs = node.inputs.iter().map(|input| sizes[input.0]).fold(0, usize::saturating_add);
        sizes.push(if node.shape.is_table() { inputs.saturating_add(own) } else { 0 });
    }
    sizes
}

/// Removes nodes that neither logits need, and tensors that no node reads.
fn without_unused(graph: &Graph) -> Graph {
    let mut used = graph.used_at_inference();
    used[0] = true;
    let mut node_ids = vec![NodeId(0); graph.nodes.len()];
    let mut param_ids = BTreeMap::new();
    let (mut nodes, mut params) = (Vec::new(), Vec::new());
    for (position, node) in graph.nodes.iter().enumerate().filter(|(position, _)| used[*position]) {
        let mut node = node.clone();
        node.inputs = node.inputs.iter().map(|input| node_ids[input.0]).collect();
        for param in &mut node.params {
            param.id = *param_ids.entry(param.id).or_insert_with(|| {
                params.push(graph.params[param.id.0].clone());
                ParamId(params.len() - 1)
            });
        }
        node_ids[position] = NodeId(nodes.len());
        nodes.push(node);
    }
    let head = graph.head.iter().filter_map(|id| param_ids.get(id).copied()).collect();
    Graph { name: graph.name.clone(), nodes, params, output: node_ids[graph.output.0], auxiliary: None, head }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::resize::{Resize, ResizeMode};
    use crate::ops::{add::Add, linear::LinearParams, mean::Mean, reshape::Reshape, table::TableParams};
    use crate::{Builder, ClipShape};

    /// Adds a resized table, and one that is read as it is.
    fn graph(size: usize) -> Graph {
        let build = || {
            let mut g = Builder::new("test", ClipShape { channels: 2, frames: 1, height: size, width: 1 })?;
            let x = g.node("x", g.input(), Reshape { per_sample: 1, dims: vec![size, 2] })?;
            let table = g.node("positions", [], TableParams::zeros(&[3, 2]))?;
            let table = g.node("resized", table, Resize { size: vec![size], mode: ResizeMode::Linear })?;
            let table = g.node("rows", table, Reshape { per_sample: 0, dims: vec![size, 2] })?;
            let x = g.node("sum", [x, table], Add)?;
            let other = g.node("other", [], TableParams::zeros(&[2]))?;
            let x = g.node("sum2", [x, other], Add)?;
            let x = g.node("mean", x, Mean { axes: vec![0], keepdims: false })?;
            let x = g.node("fc", x, LinearParams { out_features: 3, init: Init::Constant(0.0), bias: true })?;
            g.finish(x, x)
        };
        build().expect("a graph")
    }

    #[test]
    fn a_derived_table_becomes_a_constant() {
        let graph = graph(5);
        let [rows] = foldable_tables(&graph)[..] else { panic!("one table") };
        assert_eq!(graph.nodes[rows.0].name, "rows");
        let values: Vec<f32> = (0..10_u8).map(f32::from).collect();
        let (folded, constants) = fold_tables(&graph, &BTreeMap::from([(rows, values.clone())])).expect("it folds");
        let names: Vec<&str> = folded.params.iter().map(|param| param.name.as_str()).collect();
        assert_eq!(names, ["rows", "other", "fc.weight", "fc.bias"]);
        let nodes: Vec<&str> = folded.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(nodes, ["clip", "x", "rows", "sum", "other", "sum2", "mean", "fc"]);
        assert_eq!(folded.head.iter().map(|id| id.0).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(constants, BTreeMap::from([("rows".to_owned(), values)]));
        assert_eq!(foldable_tables(&folded), []);
    }

    #[test]
    fn tables_that_grow_too_much_stay() {
        assert_eq!(foldable_tables(&graph(12)).len(), 1);
        assert_eq!(foldable_tables(&graph(13)), []);
    }
}
