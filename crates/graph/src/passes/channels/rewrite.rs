//! [`ChannelGroups::remove`]: the graph without some units.

use super::{ChannelGroup, ChannelGroups};
use crate::channels::{Kept, KeptChannels};
use crate::{Graph, GraphError, Param, ParamId, Shape};
use std::collections::{BTreeMap, BTreeSet};

/// The positions of the units that are removed from each group, ascending, by the group's name.
pub type Removed = BTreeMap<String, Vec<usize>>;

/// A graph from which channels were removed.
#[derive(Debug, Clone, PartialEq)]
pub struct PrunedGraph {
    /// The graph.
    pub graph: Graph,
    /// For each tensor, the positions that stay on each axis; `None` for an axis that stays whole.
    kept: Vec<Vec<Option<Vec<usize>>>>,
}

impl PrunedGraph {
    /// Returns the values of a tensor of the pruned graph. `values` are those before, in row-major order.
    ///
    /// # Errors
    /// [`GraphError::TensorLength`] if there are more or fewer values than `param`, the tensor before, has.
    pub fn values(&self, id: ParamId, param: &Param, values: &[f32]) -> Result<Vec<f32>, GraphError> {
        if values.len() != param.len() {
            let (expected, found) = (param.len(), values.len());
            return Err(GraphError::TensorLength { name: param.name.clone(), expected, found });
        }
        let (mut values, mut inner) = (values.to_vec(), 1);
        // From the last axis to the first, so that the axes before one have their old sizes.
        for (axis, size) in param.shape.iter().enumerate().rev() {
            if let Some(kept) = self.kept[id.0].get(axis).and_then(Option::as_ref) {
                let rows = values.chunks_exact(size * inner);
                let slices = rows.flat_map(|row| kept.iter().flat_map(move |at| &row[at * inner..][..inner]));
                values = slices.copied().collect();
                inner *= kept.len();
            } else {
                inner *= size;
            }
        }
        Ok(values)
    }
}

impl ChannelGroups {
    /// Removes units from `graph`, the graph of these groups.
    ///
    /// # Errors
    /// [`GraphError::UnknownGroup`] and [`GraphError::UnknownUnit`] for names and positions that do not exist or that occur twice,
    /// [`GraphError::EmptyGroup`] if nothing is left of a group, and every error of [`Graph::check`].
    pub fn remove(&self, graph: &Graph, removed: &Removed) -> Result<PrunedGraph, GraphError> {
        let gone = self.gone(removed)?;
        let kept = Kept { labels: &self.labels, gone: &gone };
        let mut pruned = graph.clone();
        let mut kept_params = Vec::new();
        for (id, param) in pruned.params.iter_mut().enumerate() {
            let axes: Vec<_> = self.labels.params[id].iter().flatten().map(|axis| kept.positions(axis)).collect();
            for (size, positions) in param.shape.iter_mut().zip(&axes) {
                *size = positions.as_ref().map_or(*size, Vec::len);
            }
            kept_params.push(axes);
        }
        for (id, node) in pruned.nodes.iter_mut().enumerate() {
            let sizes: Vec<usize> = self.labels.values[id].iter().map(|axis| kept.size(axis)).collect();
            let shape = Shape { per_sample: sizes[0], dims: sizes[1..].to_vec() };
            let old_shape = std::mem::replace(&mut node.shape, shape);
            let input = node.inputs.first().map_or(&[][..], |input| &self.labels.values[input.0]);
            let channels = KeptChannels { kept: &kept, input, old_shape: &old_shape, shape: &node.shape };
            node.op.operation_mut().keep_channels(&channels);
        }
        pruned.check()?;
        Ok(PrunedGraph { graph: pruned, kept: kept_params })
    }

    /// Returns the labels of units that are removed.
    fn gone(&self, removed: &Removed) -> Result<BTreeSet<usize>, GraphError> {
        let mut gone = BTreeSet::new();
        for (name, positions) in removed {
            let group = self.groups.iter().find(|group| group.name == *name);
            let group = group.ok_or_else(|| GraphError::UnknownGroup { name: name.clone() })?;
            let ChannelGroup { units, num_units, .. } = group;
            for unit in positions {
                let label = units.get(*unit).filter(|label| gone.insert(**label));
                label.ok_or_else(|| GraphError::UnknownUnit {
                    name: name.clone(),
                    unit: *unit,
                    num_units: *num_units,
                })?;
            }
            if positions.len() == *num_units {
                return Err(GraphError::EmptyGroup { name: name.clone() });
            }
        }
        Ok(gone)
    }
}
