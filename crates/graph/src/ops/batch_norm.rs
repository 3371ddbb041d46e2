//! [`BatchNorm`]: batch normalisation.

use crate::channels::{Axis, ChannelRule, KeptChannels};
use crate::onnx::writer::{NodeWriter, float};
use crate::operands::Operands;
use crate::operation::{Operation, TensorSpec};
use crate::shape::{check_param, check_range};
use crate::{Init, Role, Shape, ShapeError};
use serde::Serialize;

const SLOTS: &[&str] = &["weight", "bias", "running_mean", "running_var"];

/// Batch normalisation over axis 1. The default is PyTorch's.
///
/// # Shapes
/// - input and result: `[M, C, …]`
/// - `weight`, `bias`, and the buffers `running_mean` and `running_var`: `[C]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BatchNorm {
    /// Added to the variance; above 0.
    pub eps: f64,
    /// The weight of the batch's statistics when the running ones are updated, from 0 to 1.
    pub momentum: f64,
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self { eps: 1e-5, momentum: 0.1 }
    }
}

impl Operation for BatchNorm {
    fn slots(&self) -> &'static [&'static str] {
        SLOTS
    }

    fn tensors(&self, inputs: &[&Shape]) -> Result<Vec<TensorSpec>, ShapeError> {
        let [x] = inputs else { return Err(ShapeError::Inputs { expected: 1, found: inputs.len() }) };
        let channels = x.channels()?;
        let tensor = |slot, role, initial| {
            let init = Init::Constant(initial);
            TensorSpec { slot, shape: vec![channels], role, init }
        };
        Ok(vec![
            tensor("weight", Role::Norm, 1.0),
            tensor("bias", Role::Norm, 0.0),
            tensor("running_mean", Role::Buffer, 0.0),
            tensor("running_var", Role::Buffer, 1.0),
        ])
    }

    fn infer(&self, operands: &Operands<'_>) -> Result<Shape, ShapeError> {
        let Self { eps, momentum } = *self;
        let [x] = operands.inputs()?;
        let channels = x.channels()?;
        for slot in SLOTS {
            check_param(operands.param(slot)?, &[channels])?;
        }
        check_range("eps", eps, eps > 0.0 && eps.is_finite(), "a number above 0")?;
        check_range("momentum", momentum, (0.0..=1.0).contains(&momentum), "0 to 1")?;
        Ok(x.clone())
    }

    fn channels(&self, rule: &mut ChannelRule<'_>) -> Vec<Axis> {
        rule.per_channel_tensors(1)
    }

    fn keep_channels(&mut self, _kept: &KeptChannels<'_>) {}

    fn macs(&self, _operands: &Operands<'_>, _output: &Shape) -> u64 {
        0
    }

    fn write_onnx(&self, writer: &mut NodeWriter<'_>) {
        let inputs = writer.inputs_and_params();
        writer.result("BatchNormalization", inputs, vec![float("epsilon", self.eps as f32)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::check_error;

    #[test]
    fn eps_and_momentum_have_ranges() {
        let check = |norm: BatchNorm, expect: &str| check_error(|g, x| g.node("b", x, norm), expect);
        check(BatchNorm { eps: 0.0, ..BatchNorm::default() }, "eps is 0, expected a number above 0");
        check(BatchNorm { momentum: 1.5, ..BatchNorm::default() }, "momentum is 1.5, expected 0 to 1");
    }
}
