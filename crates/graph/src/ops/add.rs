//! [`Add`]: a residual sum.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// The sum of two values of the same shape, or of a value and a table that is repeated for every sample, such as position embeddings.
///
/// # Shapes
/// - inputs: `[M, …]` and `[M, …]`; or `[M, …]` and a table whose last axes have the same sizes or 1
/// - result: `[M, …]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Add;

impl Operation for Add {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [left, right] = operands.inputs_or_tables()?;
        if left == right {
            return Ok(left.clone());
        }
        let unequal = || ShapeError::Unequal { left: left.axes(), right: right.axes() };
        left.with_table(right).ok_or_else(unequal)
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        rule.broadcast()
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let inputs = writer.inputs();
        writer.result("Add", inputs, Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::table::TableParams;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn a_table_is_repeated() {
        for dims in [[4, 9, 12].as_slice(), &[9, 1], &[12]] {
            let table = TableParams::zeros(dims);
            let sum = |g: &mut crate::Builder, x| {
                let table = g.node("t", [], table)?;
                g.node("s", [x, table], Add)
            };
            check_shape(sum, 8, &[4, 9, 12]);
        }
        let sum = |g: &mut crate::Builder, x| {
            let table = g.node("t", [], TableParams::zeros(&[9]))?;
            g.node("s", [x, table], Add)
        };
        check_error(sum, "can't add [8, 4, 9, 12] and [9]");
    }

    #[test]
    fn both_inputs_have_the_same_shape() {
        check_shape(|g, x| g.node("s", [x, x], Add), 8, &[4, 9, 12]);
        check_error(|g, x| g.node("s", [x, g.input()], Add), "can't add [8, 4, 9, 12] and [1, 4, 8, 9, 12]");
        check_error(|g, x| g.node("s", x, Add), "expected 2 inputs, found 1");
    }
}
