//! [`Expand`]: a table for each row of the batch.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Repeats a table for each row of the batch, for example a class token before it is concatenated with the patches.
///
/// # Shapes
/// - inputs: a table `[…]`; a value `[M, …]` whose rows are counted
/// - result: `[M, …]` with the axes of the table
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Expand;

impl Operation for Expand {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [table, like] = operands.inputs_or_tables()?;
        if !table.is_table() {
            return Err(ShapeError::NoTable { found: table.axes() });
        }
        if like.is_table() {
            return Err(ShapeError::Table { dims: like.dims.clone() });
        }
        Ok(like.with_dims(table.dims.clone()))
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        let rows = rule.input(1)[0].clone();
        std::iter::once(rows).chain(rule.input(0).into_iter().skip(1)).collect()
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let axes: Vec<i64> = writer.shape().dims.iter().map(|size| *size as i64).collect();
        let axes = writer.constant_i64("axes", &axes);
        let [table, like] = writer.inputs().try_into().unwrap_or_default();
        let rows = writer.step("rows", "Shape", vec![like], vec![int("start", 0), int("end", 1)]);
        let shape = writer.step("shape", "Concat", vec![rows, axes], vec![int("axis", 0)]);
        writer.result("Expand", vec![table, shape], Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::table::TableParams;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn the_rows_are_those_of_the_second_input() {
        let expand = |g: &mut crate::Builder, x| {
            let table = g.node("t", [], TableParams::zeros(&[1, 5]))?;
            g.node("e", [table, x], Expand)
        };
        check_shape(expand, 8, &[1, 5]);
        check_error(|g, x| g.node("e", [x, x], Expand), "expected a table, found [8, 4, 9, 12] for each sample");
    }
}
