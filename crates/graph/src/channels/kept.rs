//! [`KeptChannels`]: what an op needs to adapt its attributes to fewer channels.

use super::{Axis, Labels};
use crate::Shape;
use std::collections::BTreeSet;

/// The channels of a graph that stay.
pub(crate) struct Kept<'a> {
    pub(crate) labels: &'a Labels,
    /// The labels of the units that do not.
    pub(crate) gone: &'a BTreeSet<usize>,
}

impl Kept<'_> {
    fn stays(&self, channel: usize) -> bool {
        !self.gone.contains(&self.labels.root(channel))
    }

    /// Returns the positions of an axis that stay; `None` if all do.
    pub(crate) fn positions(&self, axis: &Axis) -> Option<Vec<usize>> {
        let Axis::Channels(channels) = axis else { return None };
        let positions: Vec<usize> = (0..channels.len()).filter(|at| self.stays(channels[*at])).collect();
        (positions.len() < channels.len()).then_some(positions)
    }

    pub(crate) fn size(&self, axis: &Axis) -> usize {
        self.before(axis, axis.len())
    }

    /// Returns the number of positions below `end` that stay.
    fn before(&self, axis: &Axis, end: usize) -> usize {
        match axis {
            Axis::Whole(_) => end,
            Axis::Channels(channels) => channels[..end].iter().filter(|channel| self.stays(**channel)).count(),
        }
    }
}

/// The channels of one node that stay.
pub(crate) struct KeptChannels<'a> {
    pub(crate) kept: &'a Kept<'a>,
    /// The axes of the first input before channels were removed, rows first; empty for an op without inputs.
    pub(crate) input: &'a [Axis],
    /// The shape of the result before.
    pub(crate) old_shape: &'a Shape,
    /// The shape of the result now.
    pub(crate) shape: &'a Shape,
}

impl KeptChannels<'_> {
    /// Returns the number of positions of an axis of the first input that stay, of those below `end`. Axis 0 are the rows.
    pub(crate) fn before(&self, axis: usize, end: usize) -> usize {
        self.kept.before(&self.input[axis], end)
    }

    /// Returns the number of heads that stay, of `heads` on the last axis of the first input. Heads keep their width.
    pub(crate) fn heads(&self, heads: usize) -> usize {
        let last = &self.input[self.input.len() - 1];
        heads * self.kept.size(last) / last.len().max(1)
    }
}
