//! [`ChannelRule::reshape`]: which channels of a reshaped value are those of the input.

use super::{Axis, ChannelRule};

impl ChannelRule<'_> {
    /// Reshapes runs of axes that have the same number of values before and after. One axis of a run may have channels: it stays, is
    /// divided into heads, or is joined with whole axes.
    pub(crate) fn reshape(&mut self, per_sample: usize, dims: &[usize]) -> Vec<Axis> {
        let old = self.input(0);
        let new: Vec<usize> = std::iter::once(per_sample).chain(dims.iter().copied()).collect();
        if per_sample == 0 {
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
