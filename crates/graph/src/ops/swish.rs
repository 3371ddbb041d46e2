//! [`Swish`]: `x / (1 + exp(-x))`.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::NodeWriter;
use crate::operands::Operands;
use crate::operation::Operation;
use crate::{Shape, ShapeError};
use serde::Serialize;

/// Swish, which PyTorch calls SiLU: `x / (1 + exp(-x))`, value by value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Swish;

impl Operation for Swish {
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
        let inputs = writer.inputs();
        let gate = writer.step("sigmoid", "Sigmoid", inputs.clone(), Vec::new());
        writer.result("Mul", [inputs, vec![gate]].concat(), Vec::new());
    }
}
