//! [`ChannelGroups::remove`]: the graph without some units.

use super::labels::Axis;
use super::{ChannelGroup, ChannelGroups};
use crate::{Graph, GraphError, Node, NodeId, Op, Param, ParamId, Shape};
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
        let kept = Kept { groups: self, gone: &gone };
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
            let (axes, inputs) = (&self.labels.values[id], &graph.nodes[id].inputs);
            let sizes: Vec<usize> = axes.iter().map(|axis| kept.size(axis)).collect();
            node.shape = Shape { per_sample: sizes[0], dims: sizes[1..].to_vec() };
            node.op = kept.op(&graph.nodes[id], &node.shape, inputs);
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

/// What stays.
struct Kept<'a> {
    groups: &'a ChannelGroups,
    /// The labels of the units that do not.
    gone: &'a BTreeSet<usize>,
}

impl Kept<'_> {
    fn stays(&self, channel: usize) -> bool {
        !self.gone.contains(&self.groups.labels.root(channel))
    }

    /// Returns the positions of an axis that stay; `None` if all do.
    fn positions(&self, axis: &Axis) -> Option<Vec<usize>> {
        let Axis::Channels(channels) = axis else { return None };
        let positions: Vec<usize> = (0..channels.len()).filter(|at| self.stays(channels[*at])).collect();
        (positions.len() < channels.len()).then_some(positions)
    }

    fn size(&self, axis: &Axis) -> usize {
        self.before(axis, axis.len())
    }

    /// Returns the number of positions below `end` that stay.
    fn before(&self, axis: &Axis, end: usize) -> usize {
        match axis {
            Axis::Whole(_) => end,
            Axis::Channels(channels) => channels[..end].iter().filter(|channel| self.stays(**channel)).count(),
        }
    }

    /// Returns the op with attributes for fewer channels. `shape` is the new shape of its result.
    fn op(&self, node: &Node, shape: &Shape, inputs: &[NodeId]) -> Op {
        let input = |axis: usize| &self.groups.labels.values[inputs[0].0][axis];
        // Heads keep their width.
        let heads = |axis: usize, heads: usize| heads * self.size(input(axis)) / input(axis).len().max(1);
        let last = || self.groups.labels.values[inputs[0].0].len() - 1;
        let mut op = node.op.clone();
        match &mut op {
            Op::Conv(conv) => conv.groups = (conv.groups * shape.dims[0] / node.shape.dims[0]).max(1),
            Op::TemporalShift(shift) => {
                let channels = input(1);
                let [next, previous] = shift.moved(channels.len());
                let moved = [self.before(channels, next), self.before(channels, next + previous)];
                let moved = [moved[0], moved[1] - moved[0]];
                if moved != shift.moved(shape.dims[0]) {
                    shift.moved = Some(moved);
                }
            }
            Op::Slice(slice) => {
                let axis = input(slice.axis + 1);
                if matches!(axis, Axis::Channels(_)) && slice.step == 1 {
                    (slice.start, slice.end) = (self.before(axis, slice.start), self.before(axis, slice.end));
                }
            }
            Op::Reshape(reshape) => (reshape.per_sample, reshape.dims) = (shape.per_sample, shape.dims.clone()),
            Op::Attention(attention) => attention.heads = heads(last(), attention.heads),
            Op::Rotary(rotary) => rotary.heads = heads(last(), rotary.heads),
            Op::DecomposedRelPos(op) => op.heads = heads(last(), op.heads),
            Op::Input(_)
            | Op::FramesToBatch(_)
            | Op::BatchNorm(_)
            | Op::Relu(_)
            | Op::Relu6(_)
            | Op::MaxPool(_)
            | Op::GlobalAvgPool(_)
            | Op::SegmentMean(_)
            | Op::Linear(_)
            | Op::Add(_)
            | Op::Dropout(_)
            | Op::AvgPool(_)
            | Op::Concat(_)
            | Op::Mul(_)
            | Op::Mean(_)
            | Op::Sigmoid(_)
            | Op::Swish(_)
            | Op::FrameSelect(_)
            | Op::Flatten(_)
            | Op::Recurrent(_)
            | Op::Table(_)
            | Op::Permute(_)
            | Op::Pad(_)
            | Op::Roll(_)
            | Op::Expand(_)
            | Op::Resize(_)
            | Op::LayerNorm(_)
            | Op::Gelu(_)
            | Op::DropPath(_)
            | Op::ChannelAffine(_)
            | Op::RelPosBias(_)
            | Op::WindowMask(_) => {}
        }
        op
    }
}
