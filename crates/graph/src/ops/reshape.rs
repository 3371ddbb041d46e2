//! [`Reshape`]: the same values with other axes.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// The same values, in row-major order, with other axes. Rows may move into the batch and back.
///
/// # Shapes
/// - input: `[N * per_sample, …]`, or a table
/// - result: `[N * per_sample, dims…]` with as many values, or a table
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reshape {
    /// Rows per sample of the result: 1 or more; 0 for a table.
    pub per_sample: usize,
    /// The other axes of the result.
    pub dims: Vec<usize>,
}

impl Operation for Reshape {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs_or_tables()?;
        let result = Shape { per_sample: self.per_sample, dims: self.dims.clone() };
        let count = |shape: &Shape| shape.axes().iter().try_fold(1_usize, |count, size| count.checked_mul(*size));
        if x.is_table() != result.is_table() || count(x) != count(&result) {
            return Err(ShapeError::Reshape { found: x.axes(), expected: result.axes() });
        }
        Ok(result)
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        rule.reshape(self.per_sample, &self.dims)
    }

    fn keep_channels(&mut self, kept: &KeptChannels<'_>) {
        (self.per_sample, self.dims) = (kept.shape.per_sample, kept.shape.dims.clone());
    }

    fn keeps_values(&self) -> bool {
        true
    }

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        if let [x] = writer.inputs().as_slice() {
            writer.reshape_to_result(x.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::table::TableParams;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn rows_move_into_the_batch_and_back() {
        check_shape(|g, x| g.node("r", x, Reshape { per_sample: 1, dims: vec![8, 4, 108] }), 1, &[8, 4, 108]);
        check_shape(|g, x| g.node("r", x, Reshape { per_sample: 32, dims: vec![108] }), 32, &[108]);
    }

    #[test]
    fn the_number_of_values_stays() {
        let expect = "[8, 4, 9, 12] can't be reshaped to [8, 4, 9]";
        check_error(|g, x| g.node("r", x, Reshape { per_sample: 8, dims: vec![4, 9] }), expect);
        let expect = "[8, 4, 9, 12] can't be reshaped to [3456]";
        check_error(|g, x| g.node("r", x, Reshape { per_sample: 0, dims: vec![3456] }), expect);
        check_error(
            |g, x| g.node("r", x, Reshape { per_sample: usize::MAX, dims: vec![2] }),
            "reshaped to [18446744073709551615, 2]",
        );
        let table = |g: &mut crate::Builder, _| {
            let t = g.node("t", [], TableParams::zeros(&[2, 3]))?;
            g.node("r", t, Reshape { per_sample: 0, dims: vec![6] })
        };
        check_shape(table, 0, &[6]);
    }
}
