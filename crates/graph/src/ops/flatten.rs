//! [`Flatten`]: one row of features.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Turns all axes after the batch into one, in row-major order.
///
/// # Shapes
/// - input: `[M, A, B, …]`
/// - result: `[M, A * B * …]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flatten;

impl Operation for Flatten {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        Ok(x.with_dims(vec![x.dims.iter().product()]))
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        rule.reshape(rule.shape.per_sample, &rule.shape.dims)
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn keeps_values(&self) -> bool {
        true
    }

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let x = writer.inputs().swap_remove(0);
        writer.reshape_to_result(x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::check_shape;

    #[test]
    fn all_axes_become_one() {
        check_shape(|g, x| g.node("f", x, Flatten), 8, &[4 * 9 * 12]);
    }
}
