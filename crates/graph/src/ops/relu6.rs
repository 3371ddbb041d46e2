//! [`Relu6`]: `min(max(x, 0), 6)`.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Rectified linear unit with an upper limit: `min(max(x, 0), 6)`, value by value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Relu6;

impl Operation for Relu6 {
    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        Ok(x.clone())
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        rule.input(0)
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let mut inputs = writer.inputs();
        for (limit, value) in [("min", 0.0), ("max", 6.0)] {
            inputs.push(writer.constant_f32(limit, &[], &[value]));
        }
        writer.result("Clip", inputs, Vec::new());
    }
}
