//! [`GlobalAvgPool`]: the mean of each channel.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, int};
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// The mean over all axes except the first two.
///
/// # Shapes
/// - input: `[M, C, …]`
/// - result: `[M, C]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GlobalAvgPool;

impl Operation for GlobalAvgPool {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        let [channels, _, ..] = *x.dims.as_slice() else { return Err(x.wrong_rank(3)) };
        Ok(x.with_dims(vec![channels]))
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        let (rows, channels) = (rule.input(0)[0].clone(), rule.channels_only(0, 1));
        vec![rows, channels]
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let inputs = writer.inputs();
        let pooled = writer.step("pooled", "GlobalAveragePool", inputs, Vec::new());
        writer.result("Flatten", vec![pooled], vec![int("axis", 1)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::check_shape;

    #[test]
    fn channels_are_kept() {
        check_shape(|g, x| g.node("a", x, GlobalAvgPool), 8, &[4]);
    }
}
