//! [`ChannelAffine`]: a constant scale and offset for each channel.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// `scale[c] x + offset[c]` for each channel `c`, with constants that are not trained: another normalisation of pixels.
///
/// # Shapes
/// - input and result: `[M, C, …]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChannelAffine {
    /// The factor of each channel.
    pub scale: Vec<f64>,
    /// What is added to each channel.
    pub offset: Vec<f64>,
}

impl Operation for ChannelAffine {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        let channels = x.channels()?;
        match [&self.scale, &self.offset].into_iter().find(|constants| constants.len() != channels) {
            Some(constants) => Err(ShapeError::Constants { channels, found: constants.len() }),
            None => Ok(x.clone()),
        }
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        let channels = rule.input(0)[1].clone();
        rule.pin(&channels);
        rule.input(0)
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let ones = writer.shape().dims.len().saturating_sub(1);
        let shape: Vec<usize> = std::iter::once(self.scale.len()).chain(std::iter::repeat_n(1, ones)).collect();
        let [scale, offset] = [("scale", &self.scale), ("offset", &self.offset)].map(|(suffix, constants)| {
            let constants: Vec<f32> = constants.iter().map(|constant| *constant as f32).collect();
            writer.constant_f32(suffix, &shape, &constants)
        });
        let [x] = writer.inputs().try_into().unwrap_or_default();
        let scaled = writer.step("scaled", "Mul", vec![x, scale], Vec::new());
        writer.result("Add", vec![scaled, offset], Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{check_error, check_shape};

    #[test]
    fn each_channel_has_its_constants() {
        let op = |channels| ChannelAffine { scale: vec![2.0; channels], offset: vec![1.0; 4] };
        check_shape(|g, x| g.node("a", x, op(4)), 8, &[4, 9, 12]);
        check_error(|g, x| g.node("a", x, op(3)), "3 constants for 4 channels");
    }
}
