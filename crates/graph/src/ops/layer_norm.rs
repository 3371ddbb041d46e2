//! [`LayerNorm`]: normalisation of each token.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, float, int};
use crate::operands::Operands;
use crate::operation::{Operation, TensorSpec};
use crate::shape::check_param;
use crate::{Init, Role, Shape, ShapeError};
use serde::Serialize;

/// Normalises the last axis to mean 0 and variance 1, and scales the result (Ba et al. 2016).
///
/// # Shapes
/// - input and result: `[M, …, C]`
/// - `weight`, `bias`: `[C]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerNorm {
    /// Added to the variance.
    pub eps: f64,
}

impl Operation for LayerNorm {
    fn slots(&self) -> &'static [&'static str] {
        &["weight", "bias"]
    }

    fn tensors(&self, inputs: &[&Shape]) -> Result<Vec<TensorSpec>, ShapeError> {
        let [x] = inputs else { return Err(ShapeError::Inputs { expected: 1, found: inputs.len() }) };
        let channels = *x.dims.last().ok_or_else(|| x.wrong_rank(1))?;
        let tensor =
            |slot, value| TensorSpec { slot, shape: vec![channels], role: Role::Norm, init: Init::Constant(value) };
        Ok(vec![tensor("weight", 1.0), tensor("bias", 0.0)])
    }

    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let [x] = operands.inputs()?;
        let channels = *x.dims.last().ok_or_else(|| x.wrong_rank(1))?;
        for slot in ["weight", "bias"] {
            check_param(operands.param(slot)?, &[channels])?;
        }
        Ok(x.clone())
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        // Without a channel, the mean and the variance of the others are different.
        let last = rule.last_axis(0);
        let channels = rule.input(0)[last].clone();
        rule.pin(&channels);
        rule.per_channel_tensors(last)
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let inputs = writer.inputs_and_params();
        writer.result("LayerNormalization", inputs, vec![int("axis", -1), float("epsilon", self.eps as f32)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::check_shape;

    #[test]
    fn the_shape_stays() {
        check_shape(|g, x| g.node("n", x, LayerNorm { eps: 1e-6 }), 8, &[4, 9, 12]);
    }
}
