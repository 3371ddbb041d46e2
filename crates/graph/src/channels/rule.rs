//! [`ChannelRule`]: which channels of a node's inputs, tensors and result are the same, which are coupled, and which it needs whole.

use super::{Axis, Labels};
use crate::{NodeId, ParamId, Shape};

/// What the rule of one node works on.
///
/// A rule returns the axes of the node's result, rows per sample first, and labels its tensors.
pub(crate) struct ChannelRule<'a> {
    pub(crate) labels: &'a mut Labels,
    pub(crate) id: NodeId,
    /// The name of the node.
    pub(crate) name: &'a str,
    /// The name of its op.
    pub(crate) op: &'static str,
    /// The axes of each input, rows per sample first.
    pub(crate) inputs: Vec<Vec<Axis>>,
    /// The tensors by slot.
    pub(crate) params: Vec<(&'static str, ParamId)>,
    /// The shape of the result.
    pub(crate) shape: &'a Shape,
}

impl ChannelRule<'_> {
    /// Returns the axes of an input, rows per sample first.
    pub(crate) fn input(&self, position: usize) -> Vec<Axis> {
        self.inputs[position].clone()
    }

    /// Returns the last axis of an input, counted from 1 as the first one is that of rows.
    pub(crate) fn last_axis(&self, position: usize) -> usize {
        self.inputs[position].len() - 1
    }

    fn reason(&self) -> String {
        format!("`{}` ({}) needs all of its channels", self.name, self.op)
    }

    /// Keeps an axis whole, because the op needs all of it.
    pub(crate) fn pin(&mut self, axis: &Axis) {
        let reason = self.reason();
        self.labels.pin(axis, &reason);
    }

    /// Keeps all axes of an input whole.
    pub(crate) fn pin_all(&mut self, position: usize) {
        self.input(position).iter().for_each(|axis| self.pin(axis));
    }

    /// Couples two axes of the same size, position by position.
    pub(crate) fn unite(&mut self, one: &Axis, two: &Axis) {
        let reason = self.reason();
        self.labels.unite_axes(one, two, &reason);
    }

    /// Returns the axes of the result with nothing to remove.
    pub(crate) fn whole(&self) -> Vec<Axis> {
        std::iter::once(self.shape.per_sample).chain(self.shape.dims.iter().copied()).map(Axis::Whole).collect()
    }

    /// Returns the axes of the result with the channels of one axis.
    pub(crate) fn with_channels(&self, axis: usize, channels: Axis) -> Vec<Axis> {
        let mut axes = self.whole();
        axes[axis] = channels;
        axes
    }

    /// Returns the axes of the result with these rows and the channels of one axis.
    pub(crate) fn with_rows(&self, rows: Axis, axis: usize, channels: Axis) -> Vec<Axis> {
        let mut axes = self.with_channels(axis, channels);
        axes[0] = rows;
        axes
    }

    /// Returns an axis of an input, and keeps all of its other axes except the rows whole.
    pub(crate) fn channels_only(&mut self, position: usize, axis: usize) -> Axis {
        let x = self.input(position);
        x.iter().enumerate().filter(|(other, _)| *other != 0 && *other != axis).for_each(|(_, other)| self.pin(other));
        x[axis].clone()
    }

    /// The result has the rows and channels of the input, a video `[C, T, H, W]`, and other sizes.
    pub(crate) fn same_channels(&mut self) -> Vec<Axis> {
        let (rows, channels) = (self.input(0)[0].clone(), self.channels_only(0, 1));
        self.with_rows(rows, 1, channels)
    }

    /// The result has the axes of the input, and each tensor has the axis of the channels.
    pub(crate) fn per_channel_tensors(&mut self, axis: usize) -> Vec<Axis> {
        let x = self.input(0);
        for (_, param) in &self.params {
            self.labels.set_param(*param, vec![x[axis].clone()]);
        }
        x
    }

    /// Labels a weight `[out, in, …]` and a bias `[out]`.
    pub(crate) fn set_weight(&mut self, result: &Axis, read: &Axis) {
        for (slot, param) in &self.params {
            let axes = match *slot {
                "weight" => vec![result.clone(), read.clone()],
                _ => vec![result.clone()],
            };
            self.labels.set_param(*param, axes);
        }
    }

    /// Couples the axes of two values, or of a value and a table, compared from the last one. Axes of size 1 are repeated.
    pub(crate) fn broadcast(&mut self) -> Vec<Axis> {
        let (left, right) = (self.input(0), self.input(1));
        let is_table = |axes: &[Axis]| axes[0] == Axis::Whole(0);
        // A table has no rows to compare.
        let skipped = usize::from(is_table(&left) || is_table(&right));
        for (one, two) in left[skipped..].iter().rev().zip(right[skipped..].iter().rev()) {
            if one.len() == two.len() {
                self.unite(one, two);
            } else {
                self.pin(if one.len() == 1 { one } else { two });
            }
        }
        if is_table(&left) && !is_table(&right) { right } else { left }
    }

    /// The result has the axes of the input, except for those that the op changes: they are whole.
    pub(crate) fn changed_axes(&mut self, is_changed: impl Fn(usize) -> bool) -> Vec<Axis> {
        let mut x = self.input(0);
        for axis in (1..x.len()).filter(|axis| is_changed(axis - 1)) {
            let whole = Axis::Whole(self.shape.dims[axis - 1]);
            let changed = std::mem::replace(&mut x[axis], whole);
            self.pin(&changed);
        }
        x
    }

    /// Couples the channels of each head, and returns one label per head.
    pub(crate) fn heads(&mut self, channels: &Axis, heads: usize) -> Axis {
        let Axis::Channels(channels) = channels else { return Axis::Whole(heads) };
        let mut labels = Vec::new();
        for head in channels.chunks(channels.len() / heads) {
            self.labels.unite_all(head);
            labels.extend(head.first().copied());
        }
        Axis::Channels(labels)
    }
}
