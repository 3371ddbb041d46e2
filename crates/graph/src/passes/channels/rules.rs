//! [`axes`]: for each op, which channels of its inputs, tensors and result are the same, which are coupled, and which it needs whole.

use super::labels::{Axis, Labels};
use crate::ops::reshape::Reshape;
use crate::{Graph, Node, NodeId, Op};

/// Returns the axes of a node's result, rows per sample first, and labels its tensors. The nodes before it have labels.
pub(super) fn axes(labels: &mut Labels, graph: &Graph, id: NodeId) -> Vec<Axis> {
    let node = &graph.nodes[id.0];
    let inputs: Vec<Vec<Axis>> = node.inputs.iter().map(|input| labels.values[input.0].clone()).collect();
    let rule = &mut Rule { labels, node, id, inputs };
    match &node.op {
        // The pixels: all channels of a video are given.
        Op::Input(_) | Op::WindowMask(_) => rule.whole(),
        Op::Relu(_) | Op::Relu6(_) | Op::Gelu(_) | Op::Sigmoid(_) | Op::Swish(_) | Op::Dropout(_) | Op::DropPath(_) => {
            rule.input(0)
        }
        Op::FramesToBatch(_) => {
            let channels = rule.channels_only(0, 1);
            rule.with_channels(1, channels)
        }
        Op::MaxPool(_) | Op::AvgPool(_) | Op::FrameSelect(_) => {
            let (rows, channels) = (rule.input(0)[0].clone(), rule.channels_only(0, 1));
            rule.with_rows(rows, 1, channels)
        }
        Op::GlobalAvgPool(_) => {
            let (rows, channels) = (rule.input(0)[0].clone(), rule.channels_only(0, 1));
            vec![rows, channels]
        }
        Op::SegmentMean(_) | Op::TemporalShift(_) => {
            let rows = rule.input(0)[0].clone();
            rule.pin(&rows);
            let channels = rule.channels_only(0, 1);
            rule.with_channels(1, channels)
        }
        Op::Conv(conv) => rule.conv(conv.groups),
        Op::Linear(_) => rule.linear(),
        Op::BatchNorm(_) => rule.per_channel_tensors(1),
        Op::LayerNorm(_) => {
            // Without a channel, the mean and the variance of the others are different.
            let last = rule.last_axis(0);
            let channels = rule.input(0)[last].clone();
            rule.pin(&channels);
            rule.per_channel_tensors(last)
        }
        Op::Add(_) | Op::Mul(_) => rule.broadcast(),
        Op::Concat(concat) => rule.concat(concat.axis + 1),
        Op::Slice(slice) => rule.slice(slice.axis + 1, slice.start, slice.end, slice.step),
        Op::Permute(permute) => {
            let x = rule.input(0);
            std::iter::once(x[0].clone()).chain(permute.axes.iter().map(|axis| x[axis + 1].clone())).collect()
        }
        Op::Mean(mean) => {
            let x = rule.input(0);
            mean.axes.iter().for_each(|axis| rule.pin(&x[axis + 1]));
            let kept = |(axis, labels): (usize, Axis)| match axis > 0 && mean.axes.contains(&(axis - 1)) {
                true if mean.keepdims => Some(Axis::Whole(1)),
                true => None,
                false => Some(labels),
            };
            x.into_iter().enumerate().filter_map(kept).collect()
        }
        Op::Flatten(_) => {
            let size = node.shape.dims.clone();
            rule.reshape(&Reshape { per_sample: node.shape.per_sample, dims: size })
        }
        Op::Reshape(reshape) => rule.reshape(reshape),
        Op::Pad(pad) => rule.changed_axes(|axis| pad.after[axis] > 0),
        Op::Roll(roll) => rule.changed_axes(|axis| roll.shifts.iter().any(|(rolled, _)| *rolled == axis)),
        Op::Resize(resize) => rule.changed_axes(|axis| axis < resize.size.len()),
        Op::ChannelAffine(_) => {
            let channels = rule.input(0)[1].clone();
            rule.pin(&channels);
            rule.input(0)
        }
        Op::Expand(_) => {
            let rows = rule.input(1)[0].clone();
            std::iter::once(rows).chain(rule.input(0).into_iter().skip(1)).collect()
        }
        Op::Table(_) => rule.table(),
        Op::Recurrent(_) => rule.recurrent(),
        Op::Attention(attention) => rule.attention(attention.heads),
        Op::Rotary(rotary) => {
            let x = rule.input(0);
            rule.heads(&x[2], rotary.heads);
            x
        }
        Op::DecomposedRelPos(op) => {
            let x = rule.input(0);
            let heads = rule.heads(&x[2], op.heads);
            (1..4).for_each(|table| rule.pin_all(table));
            rule.with_rows(x[0].clone(), 1, heads)
        }
        Op::RelPosBias(_) => {
            let table = rule.input(0);
            rule.pin(&table[1]);
            rule.with_channels(1, table[2].clone())
        }
    }
}

/// What the rules of one node work on.
struct Rule<'a> {
    labels: &'a mut Labels,
    node: &'a Node,
    id: NodeId,
    inputs: Vec<Vec<Axis>>,
}

impl Rule<'_> {
    fn input(&self, position: usize) -> Vec<Axis> {
        self.inputs[position].clone()
    }

    /// Returns the last axis of an input, counted from 1 as the first one is that of rows.
    fn last_axis(&self, position: usize) -> usize {
        self.inputs[position].len() - 1
    }

    fn reason(&self) -> String {
        format!("`{}` ({}) needs all of its channels", self.node.name, self.node.op.name())
    }

    fn pin(&mut self, axis: &Axis) {
        let reason = self.reason();
        self.labels.pin(axis, &reason);
    }

    fn pin_all(&mut self, position: usize) {
        self.input(position).iter().for_each(|axis| self.pin(axis));
    }

    fn unite(&mut self, one: &Axis, two: &Axis) {
        let reason = self.reason();
        self.labels.unite_axes(one, two, &reason);
    }

    /// Returns the axes of the result with nothing to remove.
    fn whole(&self) -> Vec<Axis> {
        let shape = &self.node.shape;
        std::iter::once(shape.per_sample).chain(shape.dims.iter().copied()).map(Axis::Whole).collect()
    }

    /// Returns the axes of the result with the channels of one axis.
    fn with_channels(&self, axis: usize, channels: Axis) -> Vec<Axis> {
        let mut axes = self.whole();
        axes[axis] = channels;
        axes
    }

    fn with_rows(&self, rows: Axis, axis: usize, channels: Axis) -> Vec<Axis> {
        let mut axes = self.with_channels(axis, channels);
        axes[0] = rows;
        axes
    }

    /// Returns an axis of an input, and keeps all of its other axes except the rows whole.
    fn channels_only(&mut self, position: usize, axis: usize) -> Axis {
        let x = self.input(position);
        x.iter().enumerate().filter(|(other, _)| *other != 0 && *other != axis).for_each(|(_, other)| self.pin(other));
        x[axis].clone()
    }

    /// The result has the axes of the input, and each tensor has the axis of the channels.
    fn per_channel_tensors(&mut self, axis: usize) -> Vec<Axis> {
        let x = self.input(0);
        for param in &self.node.params {
            self.labels.set_param(param.id, vec![x[axis].clone()]);
        }
        x
    }

    /// A filter computes a channel from all channels of its group. A group of several is kept or removed as a whole.
    fn conv(&mut self, groups: usize) -> Vec<Axis> {
        let (rows, x) = (self.input(0)[0].clone(), self.channels_only(0, 1));
        let channels = self.node.shape.dims[0];
        let mut result = self.labels.fresh(channels);
        let mut read = x.clone();
        if groups == 1 {
            self.labels.set_output(self.id, &result);
        } else {
            read = Axis::Whole(x.len() / groups);
            result = self.grouped(&x, &result, groups);
        }
        self.set_weight(&result, &read);
        self.with_rows(rows, 1, result)
    }

    /// Couples the input and output channels of each group of a convolution.
    fn grouped(&mut self, x: &Axis, result: &Axis, groups: usize) -> Axis {
        let (Axis::Channels(read), Axis::Channels(made)) = (x, result) else {
            return Axis::Whole(result.len());
        };
        for (read, made) in read.chunks(read.len() / groups).zip(made.chunks(made.len() / groups)) {
            self.labels.unite_all(&[read, made].concat());
        }
        result.clone()
    }

    fn linear(&mut self) -> Vec<Axis> {
        let mut axes = self.input(0);
        let last = axes.len() - 1;
        let result = self.labels.fresh(self.node.shape.dims[last - 1]);
        self.labels.set_output(self.id, &result);
        let read = std::mem::replace(&mut axes[last], result.clone());
        self.set_weight(&result, &read);
        axes
    }

    /// Labels a weight `[out, in, …]` and a bias `[out]`.
    fn set_weight(&mut self, result: &Axis, read: &Axis) {
        for param in &self.node.params {
            let axes = match param.slot {
                "weight" => vec![result.clone(), read.clone()],
                _ => vec![result.clone()],
            };
            self.labels.set_param(param.id, axes);
        }
    }

    /// Couples the axes of two values, or of a value and a table, compared from the last one. Axes of size 1 are repeated.
    fn broadcast(&mut self) -> Vec<Axis> {
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

    fn concat(&mut self, axis: usize) -> Vec<Axis> {
        let mut result = self.input(0);
        let parts: Vec<Axis> = self.inputs.iter().map(|input| input[axis].clone()).collect();
        for input in self.inputs.clone().iter().skip(1) {
            for (other, (one, two)) in result.clone().iter().zip(input).enumerate() {
                if other != axis {
                    self.unite(one, two);
                }
            }
        }
        result[axis] = self.joined(&parts);
        result
    }

    /// Returns axes one after the other. If some are whole, all are.
    fn joined(&mut self, parts: &[Axis]) -> Axis {
        let channels = parts.iter().map(|part| match part {
            Axis::Channels(channels) => Some(channels.clone()),
            Axis::Whole(_) => None,
        });
        if let Some(channels) = channels.collect::<Option<Vec<_>>>() {
            Axis::Channels(channels.concat())
        } else {
            for part in parts {
                self.pin(part);
            }
            Axis::Whole(parts.iter().map(Axis::len).sum())
        }
    }

    fn slice(&mut self, axis: usize, start: usize, end: usize, step: usize) -> Vec<Axis> {
        let mut x = self.input(0);
        if step != 1 {
            self.pin(&x[axis].clone());
        }
        x[axis] = match &x[axis] {
            Axis::Channels(channels) if step == 1 => Axis::Channels(channels[start..end].to_vec()),
            Axis::Channels(_) | Axis::Whole(_) => Axis::Whole((end - start).div_ceil(step)),
        };
        x
    }

    /// The result has the axes of the input, except for those that the op changes: they are whole.
    fn changed_axes(&mut self, is_changed: impl Fn(usize) -> bool) -> Vec<Axis> {
        let mut x = self.input(0);
        for axis in (1..x.len()).filter(|axis| is_changed(axis - 1)) {
            let whole = Axis::Whole(self.node.shape.dims[axis - 1]);
            let changed = std::mem::replace(&mut x[axis], whole);
            self.pin(&changed);
        }
        x
    }

    fn table(&mut self) -> Vec<Axis> {
        let sizes = self.node.shape.dims.clone();
        let axes: Vec<Axis> = sizes.into_iter().map(|size| self.labels.fresh(size)).collect();
        for param in &self.node.params {
            self.labels.set_param(param.id, axes.clone());
        }
        std::iter::once(Axis::Whole(0)).chain(axes).collect()
    }

    /// The state of a recurrent layer stays whole, but its input may have fewer features.
    fn recurrent(&mut self) -> Vec<Axis> {
        let x = self.input(0);
        self.pin(&x[0]);
        for param in &self.node.params {
            if param.slot.starts_with("weight_ih_l0") {
                let rows = Axis::Whole(0);
                self.labels.set_param(param.id, vec![rows, x[1].clone()]);
            }
        }
        self.whole()
    }

    /// Couples the channels of each head, and returns one label per head.
    fn heads(&mut self, channels: &Axis, heads: usize) -> Axis {
        let Axis::Channels(channels) = channels else { return Axis::Whole(heads) };
        let mut labels = Vec::new();
        for head in channels.chunks(channels.len() / heads) {
            self.labels.unite_all(head);
            labels.extend(head.first().copied());
        }
        Axis::Channels(labels)
    }

    /// A head of the queries, keys, values and biases is kept or removed as a whole.
    fn attention(&mut self, heads: usize) -> Vec<Axis> {
        let last = self.last_axis(0);
        let by_head: Vec<Axis> = (0..3)
            .map(|input| {
                let channels = self.channels_only(input, last);
                self.heads(&channels, heads)
            })
            .collect();
        for input in 1..3 {
            self.unite(&by_head[0], &by_head[input]);
            let rows = [self.input(0)[0].clone(), self.input(input)[0].clone()];
            self.unite(&rows[0], &rows[1]);
        }
        for bias in 3..self.inputs.len() {
            let axes = self.input(bias);
            let axis = axes.len().checked_sub(3).filter(|axis| *axis > 0 && axes[*axis].len() == heads);
            axes.iter().enumerate().filter(|(other, _)| Some(*other) != axis).for_each(|(_, other)| self.pin(other));
            if let Some(axis) = axis {
                self.unite(&by_head[0], &axes[axis]);
            }
        }
        let (rows, values) = (self.input(0)[0].clone(), self.input(2)[last].clone());
        self.with_rows(rows, last, values)
    }

    /// Reshapes runs of axes that have the same number of values before and after. One axis of a run may have channels: it stays, is
    /// divided into heads, or is joined with whole axes.
    fn reshape(&mut self, reshape: &Reshape) -> Vec<Axis> {
        let old = self.input(0);
        let new: Vec<usize> = std::iter::once(reshape.per_sample).chain(reshape.dims.iter().copied()).collect();
        if reshape.per_sample == 0 {
            let axes = self.runs(&old[1..], &new[1..]);
            return std::iter::once(Axis::Whole(0)).chain(axes).collect();
        }
        self.runs(&old, &new)
    }

    fn runs(&mut self, old: &[Axis], new: &[usize]) -> Vec<Axis> {
        let (mut result, mut at) = (Vec::new(), 0);
        let mut run: Vec<Axis> = Vec::new();
        for (position, axis) in old.iter().enumerate() {
            run.push(axis.clone());
            let size: usize = run.iter().map(Axis::len).product();
            let mut end = at;
            let mut made = 1;
            while end < new.len() && made < size {
                made *= new[end];
                end += 1;
            }
            let is_last = position + 1 == old.len();
            if made == size && (end > at || is_last || size == 1) {
                // An axis of size 1 has a partner if there is one of size 1; the last run takes what is left.
                end = if is_last { new.len() } else { end };
                if end == at && new.get(at) == Some(&1) {
                    end += 1;
                }
                result.extend(self.run(&run, &new[at..end]));
                (run, at) = (Vec::new(), end);
            }
        }
        result
    }

    /// Returns the axes of one run.
    fn run(&mut self, old: &[Axis], new: &[usize]) -> Vec<Axis> {
        let (long, short): (Vec<&Axis>, Vec<&Axis>) = old.iter().partition(|axis| axis.len() > 1);
        // An axis of a single channel may not have a partner.
        for axis in short {
            self.pin(axis);
        }
        let whole: Vec<Axis> = new.iter().map(|size| Axis::Whole(*size)).collect();
        let first_long = new.iter().position(|size| *size > 1);
        let num_long = new.iter().filter(|size| **size > 1).count();
        let with = |channels: Axis| {
            let mut axes = whole.clone();
            if let Some(axis) = first_long {
                axes[axis] = channels;
            }
            axes
        };
        match (long.as_slice(), num_long) {
            // The axis stays.
            ([axis], 1) => with((*axis).clone()),
            // It is divided: only whole parts can be removed.
            ([axis @ Axis::Channels(_)], _) => {
                let heads = new[first_long.unwrap_or(0)];
                let labels = self.heads(axis, heads);
                with(labels)
            }
            // Several are joined.
            (axes, 1) => {
                let joined = self.merged(axes);
                with(joined)
            }
            (axes, _) => {
                for axis in axes {
                    self.pin(axis);
                }
                whole
            }
        }
    }

    /// Returns several axes as one, the last one fastest. At most one may have channels.
    fn merged(&mut self, axes: &[&Axis]) -> Axis {
        let size = axes.iter().map(|axis| axis.len()).product();
        let with_channels: Vec<usize> =
            (0..axes.len()).filter(|axis| matches!(axes[*axis], Axis::Channels(_))).collect();
        let [at] = with_channels[..] else {
            for axis in axes {
                self.pin(axis);
            }
            return Axis::Whole(size);
        };
        let Axis::Channels(channels) = axes[at] else { return Axis::Whole(size) };
        let inner: usize = axes[at + 1..].iter().map(|axis| axis.len()).product();
        Axis::Channels((0..size).map(|position| channels[position / inner % channels.len()]).collect())
    }
}
