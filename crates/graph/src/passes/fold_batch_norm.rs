//! [`fold_batch_norm`]: fewer nodes for the same results.

use crate::{Graph, GraphError, Init, Node, NodeId, NodeParam, Op, Param, ParamId, Role};
use std::collections::BTreeMap;

/// Folds each batch normalisation into the convolution before it, if no other node reads the convolution's result.
///
/// `tensors` are the values of all tensors by name; the results are the new network and its values. A convolution keeps the name
/// of its weight and has a bias `NODE.bias` afterwards. Logits are equal up to rounding, but only at inference, because running
/// statistics become constants.
///
/// # Errors
/// [`GraphError::MissingTensor`] and [`GraphError::TensorLength`] for values that are missing or of another length,
/// [`GraphError::DuplicateName`] if another tensor has the name of a new bias, and every error of [`Graph::check`].
pub fn fold_batch_norm(
    graph: &Graph,
    tensors: &BTreeMap<String, Vec<f32>>,
) -> Result<(Graph, BTreeMap<String, Vec<f32>>), GraphError> {
    graph.check()?;
    let conv_of = foldable(graph);
    let norm_of: BTreeMap<NodeId, NodeId> = conv_of.iter().map(|(norm, conv)| (*conv, *norm)).collect();
    let mut rewriter =
        Rewriter { graph, tensors, params: Vec::new(), values: BTreeMap::new(), param_ids: BTreeMap::new() };
    let mut nodes = Vec::new();
    let mut node_ids: Vec<NodeId> = Vec::new();
    for (position, node) in graph.nodes.iter().enumerate() {
        if let Some(conv) = conv_of.get(&NodeId(position)) {
            node_ids.push(node_ids[conv.0]);
            continue;
        }
        let mut node = node.clone();
        node.inputs = node.inputs.iter().map(|id| node_ids[id.0]).collect();
        for param in &mut node.params {
            param.id = rewriter.keep(param.id)?;
        }
        if let Some(norm) = norm_of.get(&NodeId(position)) {
            rewriter.fold(&mut node, &graph.nodes[norm.0])?;
        }
        node_ids.push(NodeId(nodes.len()));
        nodes.push(node);
    }
    let head = graph.head.iter().map(|id| rewriter.keep(*id)).collect::<Result<_, _>>()?;
    let Rewriter { params, values, .. } = rewriter;
    let folded =
        Graph { name: graph.name.clone(), nodes, params, output: node_ids[graph.output.0], auxiliary: None, head };
    folded.check()?;
    Ok((folded, values))
}

/// Returns the convolution of each batch normalisation that can be folded.
fn foldable(graph: &Graph) -> BTreeMap<NodeId, NodeId> {
    let num_readers = |id: NodeId| {
        graph.nodes.iter().flat_map(|node| &node.inputs).filter(|input| **input == id).count()
            + usize::from(graph.output == id)
    };
    let num_users =
        |id: ParamId| graph.nodes.iter().flat_map(|node| &node.params).filter(|param| param.id == id).count();
    let norms = graph.nodes.iter().enumerate().filter(|(_, node)| matches!(node.op, Op::BatchNorm(_)));
    norms
        .map(|(position, node)| (NodeId(position), node.inputs[0]))
        .filter(|(_, input)| {
            let node = &graph.nodes[input.0];
            let is_unshared = node.params.iter().all(|param| num_users(param.id) == 1);
            matches!(node.op, Op::Conv(_)) && num_readers(*input) == 1 && is_unshared
        })
        .collect()
}

struct Rewriter<'a> {
    graph: &'a Graph,
    tensors: &'a BTreeMap<String, Vec<f32>>,
    /// The tensors of the new network.
    params: Vec<Param>,
    /// The values of the new network's tensors.
    values: BTreeMap<String, Vec<f32>>,
    /// From old to new.
    param_ids: BTreeMap<ParamId, ParamId>,
}

impl Rewriter<'_> {
    /// Copies a tensor into the new network unless it is there, and returns its new id.
    fn keep(&mut self, id: ParamId) -> Result<ParamId, GraphError> {
        if let Some(new) = self.param_ids.get(&id) {
            return Ok(*new);
        }
        let values = self.old_values(id)?.to_vec();
        let new = self.add(self.graph.params[id.0].clone(), values)?;
        self.param_ids.insert(id, new);
        Ok(new)
    }

    fn add(&mut self, param: Param, values: Vec<f32>) -> Result<ParamId, GraphError> {
        if self.values.insert(param.name.clone(), values).is_some() {
            return Err(GraphError::DuplicateName { name: param.name });
        }
        self.params.push(param);
        Ok(ParamId(self.params.len() - 1))
    }

    fn old_values(&self, id: ParamId) -> Result<&[f32], GraphError> {
        let param = &self.graph.params[id.0];
        match self.tensors.get(&param.name) {
            None => Err(GraphError::MissingTensor { name: param.name.clone() }),
            Some(values) if values.len() != param.len() => {
                let (expected, found) = (param.len(), values.len());
                Err(GraphError::TensorLength { name: param.name.clone(), expected, found })
            }
            Some(values) => Ok(values),
        }
    }

    /// Computes `γ (w x + b - μ) / σ + β` as `(γ w / σ) x + (β + γ (b - μ) / σ)`, filter by filter. `conv` is a node of the new
    /// network, `norm` one of the old network.
    fn fold(&mut self, conv: &mut Node, norm: &Node) -> Result<(), GraphError> {
        let (Some(weight), Some(affine)) = (conv.param("weight"), self.affine(norm)?) else { return Ok(()) };
        let filters = self.params[weight.0].shape[0];
        let weights = self.values.entry(self.params[weight.0].name.clone()).or_default();
        let filter_len = weights.len() / filters;
        for (filter, Affine { scale, .. }) in weights.chunks_exact_mut(filter_len).zip(&affine) {
            for weight in filter {
                *weight = (f64::from(*weight) * scale) as f32;
            }
        }
        if let Some(bias) = conv.param("bias") {
            let biases = self.values.entry(self.params[bias.0].name.clone()).or_default();
            for (bias, Affine { scale, offset }) in biases.iter_mut().zip(&affine) {
                *bias = (f64::from(*bias) * scale + offset) as f32;
            }
        } else {
            let name = format!("{}.bias", conv.name);
            let param = Param { name, shape: vec![filters], role: Role::Bias, init: Init::Constant(0.0) };
            let id = self.add(param, affine.iter().map(|channel| channel.offset as f32).collect())?;
            conv.params.push(NodeParam { slot: "bias", id });
        }
        Ok(())
    }

    /// Returns the batch normalisation of each channel as `scale x + offset`; `None` for another op.
    fn affine(&self, norm: &Node) -> Result<Option<Vec<Affine>>, GraphError> {
        let Op::BatchNorm(op) = &norm.op else { return Ok(None) };
        let values = |slot: &str| norm.param(slot).map_or(Ok(&[][..]), |id| self.old_values(id));
        let (gamma, beta) = (values("weight")?, values("bias")?);
        let (mean, var) = (values("running_mean")?, values("running_var")?);
        let affine = |((gamma, beta), (mean, var)): ((&f32, &f32), (&f32, &f32))| {
            let scale = f64::from(*gamma) / (f64::from(*var) + op.eps).sqrt();
            Affine { scale, offset: f64::from(*beta) - f64::from(*mean) * scale }
        };
        Ok(Some(gamma.iter().zip(beta).zip(mean.iter().zip(var)).map(affine).collect()))
    }
}

/// `scale x + offset`.
struct Affine {
    scale: f64,
    offset: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::relu::Relu;
    use crate::tests::tiny;

    /// Returns values for all tensors of [`tiny`]; those of the normalisation give round results.
    fn tensors(graph: &Graph) -> BTreeMap<String, Vec<f32>> {
        let values = |param: &Param| match param.name.as_str() {
            "conv1.bias" => vec![1.0, -1.0],
            "bn1.weight" => vec![2.0, 3.0],
            "bn1.bias" => vec![10.0, 20.0],
            "bn1.running_mean" => vec![0.5, 4.0],
            "bn1.running_var" => vec![3.0, 8.0], // With an `eps` of 1, the standard deviations are 2 and 3.
            _ => (0..param.len()).map(|index| index as f32).collect(),
        };
        graph.params.iter().map(|param| (param.name.clone(), values(param))).collect()
    }

    fn with_eps_1() -> Graph {
        let mut graph = tiny();
        for node in &mut graph.nodes {
            if let Op::BatchNorm(norm) = &mut node.op {
                norm.eps = 1.0;
            }
        }
        graph
    }

    #[test]
    fn weights_and_biases_equal_those_computed_by_hand() {
        let graph = with_eps_1();
        let (folded, values) = fold_batch_norm(&graph, &tensors(&graph)).expect("the graph folds");
        let names: Vec<&str> = folded.params.iter().map(|param| param.name.as_str()).collect();
        assert_eq!(names, ["conv1.weight", "conv1.bias", "fc.weight", "fc.bias"]);
        assert_eq!(folded.nodes.len(), graph.nodes.len() - 1);
        assert_eq!(folded.macs(), graph.macs());
        // Both filters are scaled by 2 / 2 and 3 / 3.
        assert_eq!(values["conv1.weight"], (0..18_u8).map(f32::from).collect::<Vec<_>>());
        // 10 + 1 * (1 - 0.5) and 20 + 1 * (-1 - 4).
        assert_eq!(values["conv1.bias"], [10.5, 15.0]);
    }

    #[test]
    fn a_convolution_without_bias_gets_one() {
        let mut graph = with_eps_1();
        for node in &mut graph.nodes {
            if let Op::Conv(_) = node.op {
                node.params.truncate(1);
            }
        }
        let mut tensors = tensors(&graph);
        tensors.insert("bn1.weight".into(), vec![4.0, 3.0]);
        let (folded, values) = fold_batch_norm(&graph, &tensors).expect("the graph folds");
        assert_eq!(folded.check(), Ok(()));
        // 10 + 4 / 2 * (0 - 0.5) and 20 + 3 / 3 * (0 - 4).
        assert_eq!(values["conv1.bias"], [9.0, 16.0]);
        let expect: Vec<f32> = (0..18_u8).map(|index| f32::from(index) * if index < 9 { 2.0 } else { 1.0 }).collect();
        assert_eq!(values["conv1.weight"], expect);
    }

    #[test]
    fn a_convolution_with_other_readers_is_not_folded() {
        let check = |change: fn(&mut Graph)| {
            let mut graph = tiny();
            change(&mut graph);
            let (folded, values) = fold_batch_norm(&graph, &tensors(&graph)).expect("the graph is unchanged");
            assert_eq!((folded, values), (graph.clone(), tensors(&graph)));
        };
        // The convolution is the output of the network.
        check(|graph| graph.output = NodeId(2));
        // Two nodes read it.
        check(|graph| {
            let shape = graph.nodes[2].shape.clone();
            let (name, op) = ("second".into(), Op::Relu(Relu));
            graph.nodes.push(Node { name, op, inputs: vec![NodeId(2)], params: Vec::new(), shape });
        });
    }

    #[test]
    fn missing_and_misshapen_values_are_errors() {
        let graph = tiny();
        let check = |name: &str, values: Option<Vec<f32>>, expect: GraphError| {
            let mut tensors = tensors(&graph);
            match values {
                Some(values) => tensors.insert(name.into(), values),
                None => tensors.remove(name),
            };
            assert_eq!(fold_batch_norm(&graph, &tensors), Err(expect));
        };
        for name in ["conv1.weight", "bn1.running_var", "fc.bias"] {
            check(name, None, GraphError::MissingTensor { name: name.into() });
        }
        let wrong = GraphError::TensorLength { name: "bn1.weight".into(), expected: 2, found: 1 };
        check("bn1.weight", Some(vec![1.0]), wrong);
    }
}
