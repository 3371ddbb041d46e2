//! [`Labels`]: a label for each channel of each value and tensor. Channels that must be removed together have the same label.

use crate::{NodeId, ParamId};

/// The labels of an axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Axis {
    /// Nothing can be removed: frames, rows, columns, tokens, classes. The size.
    Whole(usize),
    /// The label of each position. Use [`Labels::root`] before comparing two of them.
    Channels(Vec<usize>),
}

impl Axis {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Whole(size) => *size,
            Self::Channels(channels) => channels.len(),
        }
    }
}

/// Disjoint sets of labels, and the labels of all axes.
#[derive(Debug, Clone)]
pub(crate) struct Labels {
    parents: Vec<usize>,
    /// Why a set of labels can't be removed; at its root.
    reasons: Vec<Option<String>>,
    /// The axes of each node's result: rows per sample, then the axes of its shape.
    pub(crate) values: Vec<Vec<Axis>>,
    /// The axes of each tensor, once a node has read it.
    pub(crate) params: Vec<Option<Vec<Axis>>>,
    /// The axis of the channels that a convolution or linear layer computes; empty for other nodes.
    outputs: Vec<Axis>,
}

impl Labels {
    /// Returns labels without values, for a graph of this size.
    pub(crate) fn new(num_nodes: usize, num_params: usize) -> Self {
        Self {
            parents: Vec::new(),
            reasons: Vec::new(),
            values: Vec::new(),
            params: vec![None; num_params],
            outputs: vec![Axis::Whole(0); num_nodes],
        }
    }

    /// Returns an axis of new labels.
    pub(crate) fn fresh(&mut self, size: usize) -> Axis {
        let first = self.parents.len();
        self.parents.extend(first..first + size);
        self.reasons.resize(first + size, None);
        Axis::Channels((first..first + size).collect())
    }

    /// Returns the label that stands for the set of `label`.
    pub(crate) fn root(&self, mut label: usize) -> usize {
        while self.parents[label] != label {
            label = self.parents[label];
        }
        label
    }

    fn unite(&mut self, one: usize, two: usize) {
        let (one, two) = (self.root(one), self.root(two));
        let (first, second) = (one.min(two), one.max(two));
        if first != second {
            self.parents[second] = first;
            let reason = self.reasons[second].take();
            self.reasons[first] = self.reasons[first].take().or(reason);
        }
    }

    /// Couples labels, so that they are removed together.
    pub(crate) fn unite_all(&mut self, labels: &[usize]) {
        for pair in labels.windows(2) {
            self.unite(pair[0], pair[1]);
        }
    }

    /// Couples two axes of the same size, position by position. If one is whole, so is the other.
    pub(crate) fn unite_axes(&mut self, one: &Axis, two: &Axis, reason: &str) {
        match (one, two) {
            (Axis::Channels(one), Axis::Channels(two)) => {
                one.iter().zip(two).for_each(|(one, two)| self.unite(*one, *two));
            }
            (Axis::Whole(_), axis @ Axis::Channels(_)) | (axis @ Axis::Channels(_), Axis::Whole(_)) => {
                self.pin(axis, reason);
            }
            (Axis::Whole(_), Axis::Whole(_)) => {}
        }
    }

    /// Keeps an axis whole.
    pub(crate) fn pin(&mut self, axis: &Axis, reason: &str) {
        let Axis::Channels(channels) = axis else { return };
        for channel in channels {
            let root = self.root(*channel);
            self.reasons[root].get_or_insert_with(|| reason.to_owned());
        }
    }

    pub(crate) fn is_pinned(&self, root: usize) -> bool {
        self.reasons[root].is_some()
    }

    pub(crate) fn reason(&self, root: usize) -> Option<&str> {
        self.reasons[root].as_deref()
    }

    /// Sets the axes of a tensor. A tensor that two nodes read has the labels of both.
    pub(crate) fn set_param(&mut self, param: ParamId, axes: Vec<Axis>) {
        match self.params[param.0].clone() {
            None => self.params[param.0] = Some(axes),
            Some(earlier) => {
                for (one, two) in earlier.iter().zip(&axes) {
                    self.unite_axes(one, two, "two layers share its weight");
                }
            }
        }
    }

    /// Records the channels that a layer computes.
    pub(crate) fn set_output(&mut self, layer: NodeId, axis: &Axis) {
        self.outputs[layer.0] = axis.clone();
    }

    /// Returns the labels of the channels that a layer computes.
    pub(crate) fn channels_of(&self, layer: NodeId) -> impl Iterator<Item = usize> {
        let channels = match &self.outputs[layer.0] {
            Axis::Whole(_) => &[][..],
            Axis::Channels(channels) => channels,
        };
        channels.iter().copied()
    }
}
