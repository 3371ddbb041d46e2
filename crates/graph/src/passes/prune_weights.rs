//! [`prune_weights`]: the smallest weights become 0, which changes no shape.

use super::prune_channels::PruneError;
use crate::{Graph, GraphError, Op, ParamId};
use std::collections::{BTreeMap, BTreeSet};

/// What weights compete with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightScope {
    /// All weights of the network.
    Global,
    /// The weights of their tensor: each tensor loses the same share.
    Layer,
}

/// The zeros of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sparsity {
    /// The name of the tensor.
    pub name: String,
    /// The number of weights.
    pub num_weights: usize,
    /// The number of those that are 0.
    pub num_zeros: usize,
}

/// Sets the share `sparsity` of the weights to 0: those with the smallest absolute values, of equal ones the first. Weights are those of
/// convolutions, linear and recurrent layers; biases, normalisations and tables stay. Returns the zeros of each tensor.
///
/// # Errors
/// [`PruneError::Sparsity`] if the share is not above 0 and below 1, [`GraphError::MissingTensor`] and [`GraphError::TensorLength`] for
/// values that are missing or of another length.
pub fn prune_weights(
    graph: &Graph,
    values: &mut BTreeMap<String, Vec<f32>>,
    sparsity: f64,
    scope: WeightScope,
) -> Result<Vec<Sparsity>, PruneError> {
    // NaN is in no range.
    if !(sparsity > 0.0 && sparsity < 1.0) {
        return Err(PruneError::Sparsity { sparsity });
    }
    let names = weights(graph, values)?;
    match scope {
        WeightScope::Global => prune(&names, values, sparsity),
        WeightScope::Layer => names.chunks(1).for_each(|name| prune(name, values, sparsity)),
    }
    let zeros = |name: &String| {
        let values = values.get(name).map_or(&[][..], Vec::as_slice);
        let num_zeros = values.iter().filter(|value| **value == 0.0).count();
        Sparsity { name: name.clone(), num_weights: values.len(), num_zeros }
    };
    Ok(names.iter().map(zeros).collect())
}

/// Returns the names of the weights, in the order of the graph.
fn weights(graph: &Graph, values: &BTreeMap<String, Vec<f32>>) -> Result<Vec<String>, GraphError> {
    let layers = graph.nodes.iter().filter(|node| matches!(node.op, Op::Conv(_) | Op::Linear(_) | Op::Recurrent(_)));
    let ids: BTreeSet<ParamId> = layers.flat_map(|node| node.params.iter().map(|param| param.id)).collect();
    let mut names = Vec::new();
    for param in ids.iter().map(|id| &graph.params[id.0]).filter(|param| param.shape.len() > 1) {
        let name = param.name.clone();
        match values.get(&name) {
            None => return Err(GraphError::MissingTensor { name }),
            Some(values) if values.len() != param.len() => {
                return Err(GraphError::TensorLength { name, expected: param.len(), found: values.len() });
            }
            Some(_) => names.push(name),
        }
    }
    Ok(names)
}

/// Sets the smallest weights of some tensors together to 0.
fn prune(names: &[String], values: &mut BTreeMap<String, Vec<f32>>, sparsity: f64) {
    // The bits of numbers that are not negative sort like the numbers.
    let size = |value: &f32| value.abs().to_bits();
    let mut sizes: Vec<u32> = names.iter().filter_map(|name| values.get(name)).flatten().map(size).collect();
    let count = (sizes.len() as f64 * sparsity) as usize;
    if count == 0 {
        return;
    }
    let limit = *sizes.select_nth_unstable(count - 1).1;
    let num_smaller = sizes[..count].iter().filter(|size| **size < limit).count();
    let mut num_equal = count - num_smaller;
    for name in names {
        for value in values.get_mut(name).into_iter().flatten() {
            let bits = size(value);
            if bits < limit {
                *value = 0.0;
            } else if bits == limit && num_equal > 0 {
                num_equal -= 1;
                *value = 0.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::tiny;

    /// `conv1.weight` has 18 values and `fc.weight` 10, with absolute values from 1 in both; the other tensors are 9.
    fn values(graph: &Graph) -> BTreeMap<String, Vec<f32>> {
        let of = |param: &crate::Param| match param.name.as_str() {
            "conv1.weight" => {
                (0..18_u8).map(|index| f32::from(index + 1) * if index % 2 == 0 { -1.0 } else { 1.0 }).collect()
            }
            "fc.weight" => (0..10_u8).map(|index| f32::from(index + 1)).collect(),
            _ => vec![9.0; param.len()],
        };
        graph.params.iter().map(|param| (param.name.clone(), of(param))).collect()
    }

    fn check(sparsity: f64, scope: WeightScope, expect: [usize; 2]) {
        let graph = tiny();
        let before = values(&graph);
        let mut after = before.clone();
        let report = prune_weights(&graph, &mut after, sparsity, scope).expect("pruned");
        let sparsity = |name: &str, num_weights, num_zeros| Sparsity { name: name.into(), num_weights, num_zeros };
        assert_eq!(report, [sparsity("conv1.weight", 18, expect[0]), sparsity("fc.weight", 10, expect[1])]);
        for (name, before) in before {
            let zeros = report.iter().find(|tensor| tensor.name == name).map_or(0, |tensor| tensor.num_zeros);
            // The first ones of each tensor are the smallest.
            assert!(after[&name][..zeros].iter().all(|value| *value == 0.0), "{name}");
            assert_eq!(after[&name][zeros..], before[zeros..], "{name}");
        }
    }

    #[test]
    fn the_smallest_weights_become_zero() {
        // The smallest 14 of 28: seven of each, as both have 1 to 7.
        check(0.5, WeightScope::Global, [7, 7]);
        // Of two equal weights, the first goes.
        check(15.0 / 28.0, WeightScope::Global, [8, 7]);
        check(0.5, WeightScope::Layer, [9, 5]);
        check(0.01, WeightScope::Global, [0, 0]);
        check(0.99, WeightScope::Layer, [17, 9]);
    }

    #[test]
    fn other_shares_are_errors() {
        for sparsity in [0.0, 1.0, -1.0, 1.5, f64::NAN] {
            let error = prune_weights(&tiny(), &mut values(&tiny()), sparsity, WeightScope::Global);
            assert!(matches!(error, Err(PruneError::Sparsity { .. })), "{sparsity}");
        }
        let error = prune_weights(&tiny(), &mut BTreeMap::new(), 0.5, WeightScope::Global);
        assert_eq!(error, Err(GraphError::MissingTensor { name: "conv1.weight".into() }.into()));
    }
}
