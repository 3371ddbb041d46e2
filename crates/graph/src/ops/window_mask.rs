//! [`WindowMask`]: the mask of shifted windows in Swin (Liu et al. 2021).

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int, ints};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::shape::check_range;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Keeps the tokens of a shifted window apart that are not neighbours: the shift moves the start of each axis to its end. Added to the
/// logits of an attention, a pair of tokens from different regions gets -100, and all others 0.
///
/// # Shapes
/// - no inputs
/// - result: a table, `[windows, 1, L, L]`, where `L` is the number of tokens in a window
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WindowMask {
    /// Frames, rows and columns of the features; multiples of the window.
    pub size: [usize; 3],
    /// Frames, rows and columns of a window.
    pub window: [usize; 3],
    /// How far the windows are shifted along each axis; less than the window.
    pub shift: [usize; 3],
}

impl WindowMask {
    /// The value for pairs of tokens from different regions.
    pub const APART: f64 = -100.0;

    /// Returns the region of each token, `[windows, L]` in row-major order: tokens of a window that are neighbours have the same number.
    pub fn regions(&self) -> Vec<f32> {
        let Self { size, window, shift } = *self;
        // Along an axis, everything before the last window is one region, and the shift divides the last window in two.
        let region = |axis: usize, at: usize| match (shift[axis], size[axis] - at) {
            (0, _) => 0,
            (shift, left) if left <= shift => 2,
            (_, left) if left <= window[axis] => 1,
            _ => 0,
        };
        let counts = self.num_windows();
        let windows = grid(counts);
        let within = || grid(window);
        windows
            .flat_map(|at| within().map(move |token| [0, 1, 2].map(|axis| at[axis] * window[axis] + token[axis])))
            .map(|at| (0..3).fold(0, |id, axis| id * 3 + region(axis, at[axis])) as f32)
            .collect()
    }

    fn num_windows(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.size[axis] / self.window[axis])
    }
}

/// Returns all positions of a grid, the last axis fastest.
fn grid([frames, height, width]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..frames * height * width).map(move |at| [at / (height * width), at / width % height, at % width])
}

impl Operation for WindowMask {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [] = operands.inputs()?;
        for axis in 0..3 {
            let (size, window, shift) = (self.size[axis], self.window[axis], self.shift[axis]);
            check_range("the window", window as f64, (1..=size).contains(&window), "at least 1, at most the features")?;
            check_range("the size", size as f64, size.is_multiple_of(window), "a multiple of the window")?;
            check_range("the shift", shift as f64, shift < window, "less than the window")?;
        }
        let len = self.window.iter().product();
        Ok(Shape::table(vec![self.num_windows().iter().product(), 1, len, len]))
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        rule.whole()
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    /// Writes the regions, which are `L` times smaller than the mask, and their comparison.
    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let [windows, len] = [self.num_windows(), self.window].map(|size| size.iter().product());
        let queries = writer.constant_f32("regions", &[windows, 1, len, 1], &self.regions());
        let perm = ints("perm", &[0, 1, 3, 2]);
        let keys = writer.step("keys", "Transpose", vec![queries.clone()], vec![perm]);
        let same = writer.step("same", "Equal", vec![queries, keys], Vec::new());
        let apart = writer.step("apart", "Not", vec![same], Vec::new());
        let apart = writer.step("number", "Cast", vec![apart], vec![int("to", 1)]);
        let factor = writer.constant_f32("factor", &[], &[Self::APART as f32]);
        writer.result("Mul", vec![apart, factor], Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{check_error, check_table};

    #[test]
    fn the_last_window_has_the_regions_of_torchvision() {
        let line = WindowMask { size: [1, 1, 8], window: [1, 1, 4], shift: [0, 0, 1] };
        assert_eq!(line.regions(), [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 2.0]);
        let still = WindowMask { shift: [0; 3], ..line };
        assert_eq!(still.regions(), [0.0; 8]);
        // Windows of 2 x 2 on 2 x 4 pixels, with shifts along both axes.
        let plane = WindowMask { size: [1, 2, 4], window: [1, 2, 2], shift: [0, 1, 1] };
        assert_eq!(plane.regions(), [3.0, 3.0, 6.0, 6.0, 4.0, 5.0, 7.0, 8.0]);
    }

    #[test]
    fn the_result_has_a_matrix_per_window() {
        let mask = WindowMask { size: [2, 4, 6], window: [2, 2, 3], shift: [0, 1, 1] };
        check_table(|g| g.node("m", [], mask.clone()), &[4, 1, 12, 12]);
        let odd = WindowMask { size: [2, 4, 7], ..mask.clone() };
        check_error(|g, _| g.node("m", [], odd), "the size is 7, expected a multiple of the window");
        let far = WindowMask { shift: [0, 2, 0], ..mask.clone() };
        check_error(|g, _| g.node("m", [], far), "the shift is 2, expected less than the window");
        let large = WindowMask { window: [3, 2, 3], ..mask };
        check_error(|g, _| g.node("m", [], large), "the window is 3, expected at least 1, at most the features");
    }
}
