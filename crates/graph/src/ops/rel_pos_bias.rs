//! [`RelPosBias`]: the relative position bias of Swin (Liu et al. 2021).

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int, ints};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::shape::check_range;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Looks up a value for each pair of tokens in a window: row `index[i, j]` of a table of learned values.
///
/// # Shapes
/// - input: a table, `[(2T - 1)(2H - 1)(2W - 1), heads]` for a full window of `[T, H, W]`
/// - result: a table, `[heads, L, L]`, where `L` is the number of tokens in the window
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RelPosBias {
    /// The frames, rows and columns of the window that the table was made for.
    pub full_window: [usize; 3],
    /// The window; smaller than `full_window` where the features are.
    pub window: [usize; 3],
}

impl RelPosBias {
    /// Returns the row of the table for each pair of tokens, `[L, L]` in row-major order. Checkpoints store that of the full window as
    /// `relative_position_index`.
    ///
    /// A smaller window takes the first rows and columns of the index of the full window, as torchvision and MMAction2 do. Where rows or
    /// columns of pixels are missing, these are offsets of other pairs.
    pub fn index(&self) -> Vec<i64> {
        let [frames, height, width] = self.full_window.map(|size| size as i64);
        // Offsets in time are the slowest; a frame of the table has a row for each offset from 1 - H to H - 1.
        let row = |[t, h, w]: [i64; 3]| (t * (2 * height - 1) + h) * (2 * width - 1) + w;
        let position = |token: i64| [token / (height * width), token / width % height, token % width];
        let len = self.window.iter().product::<usize>() as i64;
        let tokens: Vec<i64> = (0..len).map(|token| row(position(token))).collect();
        // Offsets are shifted so that they start at 0.
        let zero = row([frames - 1, height - 1, width - 1]);
        tokens.iter().flat_map(|from| tokens.iter().map(move |to| from - to + zero)).collect()
    }

    /// Returns the number of rows of the table.
    pub fn num_rows(&self) -> usize {
        self.full_window.iter().map(|size| size.saturating_mul(2).saturating_sub(1)).fold(1, usize::saturating_mul)
    }
}

impl Operation for RelPosBias {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [table] = operands.inputs_or_tables()?;
        let [_, heads] = *table.dims.as_slice() else { return Err(table.wrong_rank(2)) };
        for (size, full) in self.window.into_iter().zip(self.full_window) {
            check_range("the window", size as f64, (1..=full).contains(&size), "at least 1, at most the full window")?;
        }
        table.check(&Shape::table(vec![self.num_rows(), heads]))?;
        let len = self.window.iter().product();
        Ok(Shape::table(vec![heads, len, len]))
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        let table = rule.input(0);
        rule.pin(&table[1]);
        rule.with_channels(1, table[2].clone())
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let heads = writer.input_shape().dims.last().copied().unwrap_or(0);
        let len = self.window.iter().product();
        let index = writer.constant_i64("index", &self.index());
        let rows = [writer.inputs(), vec![index]].concat();
        let rows = writer.step("rows", "Gather", rows, vec![int("axis", 0)]); // [L * L, heads]
        let by_head = writer.step("by_head", "Transpose", vec![rows], vec![ints("perm", &[1, 0])]);
        let shape = writer.constant_i64("shape", &[heads, len, len].map(|size| size as i64));
        writer.result("Reshape", vec![by_head, shape], Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::table::TableParams;
    use crate::tests::{check_error, check_table};
    use crate::{Builder, GraphError, NodeId};

    fn bias(g: &mut Builder, rows: usize, window: [usize; 3]) -> Result<NodeId, GraphError> {
        let table = g.node("table", [], TableParams::zeros(&[rows, 4]))?;
        g.node("bias", table, RelPosBias { full_window: [1, 2, 2], window })
    }

    #[test]
    fn the_index_is_that_of_torchvision() {
        let op = RelPosBias { full_window: [1, 2, 2], window: [1, 2, 2] };
        assert_eq!(op.index(), [4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4]);
        // Offsets in time are the slowest: one frame is 3 * 3 rows.
        let op = RelPosBias { full_window: [2, 2, 2], window: [2, 2, 2] };
        assert_eq!(op.index()[..8], [13, 12, 10, 9, 4, 3, 1, 0]);
        assert_eq!(op.index()[7 * 8], 26);
    }

    #[test]
    fn a_smaller_window_takes_the_first_rows_of_the_index() {
        let op = RelPosBias { full_window: [1, 2, 2], window: [1, 2, 1] };
        // The second token is below the first, but gets the offset of the one on its right.
        assert_eq!(op.index(), [4, 3, 5, 4]);
    }

    #[test]
    fn the_result_has_a_matrix_per_head() {
        check_table(|g| bias(g, 9, [1, 2, 2]), &[4, 4, 4]);
        check_table(|g| bias(g, 9, [1, 1, 2]), &[4, 2, 2]);
        check_error(|g, _| bias(g, 8, [1, 2, 2]), "the input has the axes [8, 4], expected [9, 4]");
        check_error(|g, _| bias(g, 9, [2, 2, 2]), "the window is 2, expected at least 1, at most the full window");
    }
}
