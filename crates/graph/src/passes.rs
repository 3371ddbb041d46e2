//! Rewrites a trained network into one that gives the same results with less work.

use crate::{Graph, GraphError, Init, Node, NodeId, Op, Param, ParamId, Role};
use std::collections::BTreeMap;

/// Puts each batch normalisation that follows a convolution, and nothing else uses, into the convolution's weights.
///
/// `tensors` are all of the network's, by name; returned are the new network and its tensors. A convolution keeps the name of
/// its weight, and has a bias `name.bias` from then on. Results are equal up to rounding, in evaluation only: running
/// statistics are constants now.
///
/// # Errors
/// [`GraphError::MissingTensor`] and [`GraphError::TensorLength`] for values that are missing or of another size,
/// [`GraphError::DuplicateName`] if another tensor has a new bias's name, and all that [`Graph::check`] finds.
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
        for id in params_mut(&mut node.op) {
            *id = rewriter.keep(*id)?;
        }
        if let Some(norm) = norm_of.get(&NodeId(position)) {
            rewriter.fold(&mut node, &graph.nodes[norm.0].op)?;
        }
        node_ids.push(NodeId(nodes.len()));
        nodes.push(node);
    }
    let head = graph.head.iter().map(|id| rewriter.keep(*id)).collect::<Result<_, _>>()?;
    let Rewriter { params, values, .. } = rewriter;
    let folded = Graph { name: graph.name.clone(), nodes, params, output: node_ids[graph.output.0], head };
    folded.check()?;
    Ok((folded, values))
}

/// Returns the convolution of each normalisation that can be folded.
fn foldable(graph: &Graph) -> BTreeMap<NodeId, NodeId> {
    let users_of = |id: NodeId| {
        graph.nodes.iter().flat_map(|node| &node.inputs).filter(|input| **input == id).count()
            + usize::from(graph.output == id)
    };
    let params = || graph.nodes.iter().flat_map(|node| node.op.params());
    let unshared = |op: &Op| op.params().iter().all(|id| params().filter(|other| other == id).count() == 1);
    let norms = graph.nodes.iter().enumerate().filter(|(_, node)| matches!(node.op, Op::BatchNorm { .. }));
    norms
        .map(|(position, node)| (NodeId(position), node.inputs[0]))
        .filter(|(_, input)| {
            let op = &graph.nodes[input.0].op;
            matches!(op, Op::Conv { .. }) && users_of(*input) == 1 && unshared(op)
        })
        .collect()
}

struct Rewriter<'a> {
    graph: &'a Graph,
    tensors: &'a BTreeMap<String, Vec<f32>>,
    params: Vec<Param>,
    values: BTreeMap<String, Vec<f32>>,
    /// From old to new.
    param_ids: BTreeMap<ParamId, ParamId>,
}

impl Rewriter<'_> {
    /// Takes a tensor over, once, and returns its new id.
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

    /// `γ (w x + b - μ) / σ + β` = `(γ w / σ) x + (β + γ (b - μ) / σ)`, for each filter.
    fn fold(&mut self, conv: &mut Node, norm: &Op) -> Result<(), GraphError> {
        let Op::Conv { weight, bias, .. } = &mut conv.op else { return Ok(()) };
        let Op::BatchNorm { weight: gamma, bias: beta, running_mean, running_var, eps, .. } = norm else {
            return Ok(());
        };
        let [gamma, beta, mean, var] = [gamma, beta, running_mean, running_var].map(|id| self.old_values(*id));
        let (gamma, beta, mean, var) = (gamma?.to_vec(), beta?, mean?, var?);
        let scale: Vec<f64> =
            gamma.iter().zip(var).map(|(gamma, var)| f64::from(*gamma) / (f64::from(*var) + eps).sqrt()).collect();
        let offset: Vec<f64> = (beta.iter().zip(mean).zip(&scale))
            .map(|((beta, mean), scale)| f64::from(*beta) - f64::from(*mean) * scale)
            .collect();

        let filters = self.params[weight.0].shape[0];
        let weights = self.values.entry(self.params[weight.0].name.clone()).or_default();
        let filter_len = weights.len() / filters;
        for (filter, scale) in weights.chunks_exact_mut(filter_len).zip(&scale) {
            for weight in filter {
                *weight = (f64::from(*weight) * scale) as f32;
            }
        }
        if let Some(bias) = bias {
            let biases = self.values.entry(self.params[bias.0].name.clone()).or_default();
            for ((bias, scale), offset) in biases.iter_mut().zip(&scale).zip(&offset) {
                *bias = (f64::from(*bias) * scale + offset) as f32;
            }
        } else {
            let name = format!("{}.bias", conv.name);
            let param = Param { name, shape: vec![filters], role: Role::Bias, init: Init::Constant(0.0) };
            *bias = Some(self.add(param, offset.iter().map(|offset| *offset as f32).collect())?);
        }
        Ok(())
    }
}

fn params_mut(op: &mut Op) -> Vec<&mut ParamId> {
    match op {
        Op::Conv { weight, bias, .. } => std::iter::once(weight).chain(bias).collect(),
        Op::BatchNorm { weight, bias, running_mean, running_var, .. } => vec![weight, bias, running_mean, running_var],
        Op::Linear { weight, bias } => vec![weight, bias],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::tiny;

    /// Values for all tensors of [`tiny`], those of the normalisation chosen for round results.
    fn tensors(graph: &Graph) -> BTreeMap<String, Vec<f32>> {
        let values = |param: &Param| match param.name.as_str() {
            "conv1.bias" => vec![1.0, -1.0],
            "bn1.weight" => vec![2.0, 3.0],
            "bn1.bias" => vec![10.0, 20.0],
            "bn1.running_mean" => vec![0.5, 4.0],
            "bn1.running_var" => vec![3.0, 8.0], // With `eps` of 1 a deviation of 2 and of 3.
            _ => (0..param.len()).map(|index| index as f32).collect(),
        };
        graph.params.iter().map(|param| (param.name.clone(), values(param))).collect()
    }

    fn with_eps_1() -> Graph {
        let mut graph = tiny();
        for node in &mut graph.nodes {
            if let Op::BatchNorm { eps, .. } = &mut node.op {
                *eps = 1.0;
            }
        }
        graph
    }

    #[test]
    fn weights_and_biases_are_those_worked_out_by_hand() {
        let graph = with_eps_1();
        let (folded, values) = fold_batch_norm(&graph, &tensors(&graph)).expect("the graph folds");
        let names: Vec<&str> = folded.params.iter().map(|param| param.name.as_str()).collect();
        assert_eq!(names, ["conv1.weight", "conv1.bias", "fc.weight", "fc.bias"]);
        assert_eq!(folded.nodes.len(), graph.nodes.len() - 1);
        assert_eq!(folded.flops(), graph.flops());
        // Both filters are scaled by 2 / 2 and 3 / 3.
        assert_eq!(values["conv1.weight"], (0..18_u8).map(f32::from).collect::<Vec<_>>());
        // 10 + 1 * (1 - 0.5) and 20 + 1 * (-1 - 4).
        assert_eq!(values["conv1.bias"], [10.5, 15.0]);
    }

    #[test]
    fn a_convolution_without_bias_gets_one() {
        let mut graph = with_eps_1();
        for node in &mut graph.nodes {
            if let Op::Conv { bias, .. } = &mut node.op {
                *bias = None;
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
    fn what_others_use_is_not_folded() {
        let check = |change: fn(&mut Graph)| {
            let mut graph = tiny();
            change(&mut graph);
            let (folded, values) = fold_batch_norm(&graph, &tensors(&graph)).expect("the graph is kept");
            assert_eq!((folded, values), (graph.clone(), tensors(&graph)));
        };
        // The convolution's own result is asked for.
        check(|graph| graph.output = NodeId(2));
        // Two nodes use it.
        check(|graph| {
            let shape = graph.nodes[2].shape.clone();
            graph.nodes.push(Node { name: "second".into(), op: Op::Relu, inputs: vec![NodeId(2)], shape });
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
