//! [`Windows`]: how features are cut into windows, and joined again.

use crate::tokens::last_axis;
use pipe_graph::ops::{
    pad::Pad, permute::Permute, reshape::Reshape, roll::Roll, slice::Slice, window_mask::WindowMask,
};
use pipe_graph::{Builder, GraphError, NodeId};

/// The windows of a block. Each array has frames, rows and columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Windows {
    /// The frames, rows and columns of the features.
    size: [usize; 3],
    /// A window; where the features are smaller than a whole one, their size.
    pub(super) window: [usize; 3],
    /// By how much windows are shifted.
    shift: [usize; 3],
}

impl Windows {
    /// Returns windows for features of `size`. Along an axis with a single window, nothing is shifted.
    pub(super) fn new(size: [usize; 3], window: [usize; 3], shifted: bool) -> Self {
        let is_cut = |axis: usize| size[axis] > window[axis];
        Self {
            size,
            window: [0, 1, 2].map(|axis| window[axis].min(size[axis])),
            shift: [0, 1, 2].map(|axis| if shifted && is_cut(axis) { window[axis] / 2 } else { 0 }),
        }
    }

    pub(super) fn is_shifted(&self) -> bool {
        self.shift != [0; 3]
    }

    /// Returns the mask that keeps apart what only the shift made neighbours.
    pub(super) fn mask(&self) -> WindowMask {
        WindowMask { size: self.padded(), window: self.window, shift: self.shift }
    }

    /// Returns the size of the features, padded to whole windows.
    fn padded(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.size[axis].next_multiple_of(self.window[axis]))
    }

    fn counts(&self) -> [usize; 3] {
        let padded = self.padded();
        [0, 1, 2].map(|axis| padded[axis] / self.window[axis])
    }

    /// Cuts features into windows: `[N, T, H, W, C]` → `[N, windows, L, C]`. Zeros fill the last windows.
    pub(super) fn partition(&self, g: &mut Builder, mut x: NodeId, name: &str) -> Result<NodeId, GraphError> {
        let channels = last_axis(g, x)?;
        let padded = self.padded();
        if padded != self.size {
            let missing = |axis: usize| padded[axis] - self.size[axis];
            x = g.node(&format!("{name}.pad"), x, Pad { after: vec![missing(0), missing(1), missing(2), 0] })?;
        }
        if self.is_shifted() {
            x = g.node(&format!("{name}.shift"), x, self.roll(-1))?;
        }
        let ([t, h, w], [nt, nh, nw]) = (self.window, self.counts());
        let dims = vec![nt, t, nh, h, nw, w, channels];
        let x = g.node(&format!("{name}.grid"), x, Reshape { per_sample: 1, dims })?;
        let x = g.node(&format!("{name}.ordered"), x, Permute { axes: vec![0, 2, 4, 1, 3, 5, 6] })?;
        g.node(name, x, Reshape { per_sample: 1, dims: vec![nt * nh * nw, t * h * w, channels] })
    }

    /// Joins windows to features: `[N, windows, L, C]` → `[N, T, H, W, C]`.
    pub(super) fn join(&self, g: &mut Builder, x: NodeId, name: &str) -> Result<NodeId, GraphError> {
        let channels = last_axis(g, x)?;
        let ([t, h, w], [nt, nh, nw]) = (self.window, self.counts());
        let dims = vec![nt, nh, nw, t, h, w, channels];
        let x = g.node(&format!("{name}.grid"), x, Reshape { per_sample: 1, dims })?;
        let x = g.node(&format!("{name}.ordered"), x, Permute { axes: vec![0, 3, 1, 4, 2, 5, 6] })?;
        let padded = self.padded();
        let mut x = g.node(name, x, Reshape { per_sample: 1, dims: [padded.as_slice(), &[channels]].concat() })?;
        if self.is_shifted() {
            x = g.node(&format!("{name}.shift"), x, self.roll(1))?;
        }
        for axis in (0..3).filter(|axis| padded[*axis] > self.size[*axis]) {
            let part = Slice { axis, start: 0, end: self.size[axis], step: 1 };
            x = g.node(&format!("{name}.part{axis}"), x, part)?;
        }
        Ok(x)
    }

    /// Rolls by the shift, towards the start (-1) or the end (1).
    fn roll(&self, direction: i64) -> Roll {
        let shifts = self.shift.into_iter().enumerate().filter(|(_, shift)| *shift > 0);
        Roll { shifts: shifts.map(|(axis, shift)| (axis, direction * shift as i64)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_with_one_window_is_not_shifted() {
        let windows = Windows::new([4, 14, 7], [8, 7, 7], true);
        assert_eq!((windows.window, windows.shift), ([4, 7, 7], [0, 3, 0]));
        assert!(!Windows::new([4, 7, 7], [8, 7, 7], true).is_shifted());
        assert!(!Windows::new([16, 56, 56], [8, 7, 7], false).is_shifted());
    }

    #[test]
    fn features_are_padded_to_whole_windows() {
        let windows = Windows::new([5, 50, 60], [8, 7, 7], true);
        assert_eq!((windows.padded(), windows.counts()), ([5, 56, 63], [1, 8, 9]));
    }
}
