//! [`Mul`]: a product value by value.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// The product of two values; the second may have axes of size 1, which are repeated, as the gate of squeeze-and-excitation has. One
/// of them may be a table that is repeated for every sample.
///
/// # Shapes
/// - inputs: `[M, C, …]`, and `[M, C or 1, … or 1]`; or `[M, …]` and a table whose last axes have the same sizes or 1
/// - result: `[M, C, …]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mul;

impl Operation for Mul {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [left, right] = operands.inputs_or_tables()?;
        let fits = |(left, right): (&usize, &usize)| left == right || *right == 1;
        let same_rank = left.per_sample == right.per_sample && left.dims.len() == right.dims.len();
        if same_rank && left.dims.iter().zip(&right.dims).all(fits) {
            return Ok(left.clone());
        }
        left.with_table(right).ok_or_else(|| ShapeError::Product { left: left.axes(), right: right.axes() })
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
        writer.result("Mul", inputs, Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::mean::Mean;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn the_second_input_is_repeated_over_axes_of_size_1() {
        check_shape(
            |g, x| {
                let gate = g.node("m", x, Mean { axes: vec![1, 2], keepdims: true })?;
                g.node("p", [x, gate], Mul)
            },
            8,
            &[4, 9, 12],
        );
        check_error(|g, x| g.node("p", [x, g.input()], Mul), "can't multiply [8, 4, 9, 12] by [1, 4, 8, 9, 12]");
    }
}
